"""Where the command starts. Little is imported here: `crmbridge --version` has to answer at once."""

from __future__ import annotations

import sys

from crmbridge.cli.garbage import not_yet

__all__ = ["run"]


def run() -> None:
    """The console script."""
    not_yet()
    if sys.argv[1:] in (["--version"], ["-V"]):
        from crmbridge import __version__

        print(f"crmbridge {__version__}")
        return
    try:
        from crmbridge.cli.interrupt import end_at_once

        end_at_once()
    except KeyboardInterrupt:  # as early as that
        sys.stderr.write("stopped by SIGINT\n")
        sys.exit(130)
    from crmbridge.cli.app import app

    app(prog_name="crmbridge")
