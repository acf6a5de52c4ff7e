"""What every line of `--json` has, and how one tells that a command failed."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

__all__ = ["ErrorMessage", "Message"]


class Message(BaseModel):
    """What every line has."""

    model_config = ConfigDict(extra="forbid")

    v: Literal[1] = 1
    """The version of this schema."""


class ErrorMessage(Message):
    """Why a command could not go on."""

    type: Literal["error"] = "error"
    error: str
    """The error's class, as in docs/errors.md."""
    message: str
    """What is wrong."""
    where: str | None = None
    """`file:line:column` or `system/stream/record`."""
    hint: str | None = None
    """What to do."""
    exit_code: int
    """What the command ends with."""
