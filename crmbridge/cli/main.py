"""Where the command starts. Little is imported here: `crmbridge --version` has to answer at once."""

from __future__ import annotations

import gc
import sys

__all__ = ["run"]


def run() -> None:
    """The console script."""
    # Modules stay, and records go without cycles: to look for some among them as often as Python does takes a
    # sixth of the start.
    gc.set_threshold(50_000, 20, 100)
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
