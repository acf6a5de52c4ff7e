"""httpx without its command line, which loads rich, click and pygments: a sixth of what a start takes."""

from __future__ import annotations

import sys

__all__ = ["httpx"]

_COMMAND_LINE = "httpx._main"

if "httpx" in sys.modules:
    import httpx
else:
    sys.modules[_COMMAND_LINE] = None  # type: ignore[assignment]  # Python's way to say: not to be had
    try:
        import httpx
    finally:
        del sys.modules[_COMMAND_LINE]
