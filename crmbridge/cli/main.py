"""Where the command starts. Little is imported here: `crmbridge --version` has to answer at once."""

from __future__ import annotations

import sys

__all__ = ["run"]


def run() -> None:
    """The console script."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        from crmbridge import __version__

        print(f"crmbridge {__version__}")
        return
    try:
        from crmbridge.cli.app import app

        app(prog_name="crmbridge")
    except KeyboardInterrupt:
        sys.exit(130)
