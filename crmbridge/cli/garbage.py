"""When the command looks for reference cycles.

Modules, the config and the mappings stay; records come and go without cycles. To look for some among them as
often as Python does costs a fifth of the start and a tenth of a run.
"""

from __future__ import annotations

import gc

__all__ = ["not_yet", "rarely"]


def not_yet() -> None:
    """While the program starts."""
    gc.disable()


def rarely() -> None:
    """Once all that stays is there: among that it is never looked."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    gc.enable()
