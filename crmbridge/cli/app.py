"""The command line as a whole: global options, families of commands, and what an error ends with."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from crmbridge.cli import (
    check,
    conflicts,
    demo,
    discover,
    identity,
    init,
    letters,
    linking,
    plugins,
    records,
    runs,
    schema,
    sync,
    systems,
)
from crmbridge.cli.failing import ending
from crmbridge.cli.session import GlobalOptions, Session

__all__ = ["app"]

_WITH_VALUE = ("--config", "-c", "--env")
_WORDS = "crmbridge.words"
_FLAGS = ("--json", "--quiet", "-q", "--verbose", "-v", "-vv", "--no-color", "--debug")


def _global_first(args: Sequence[str]) -> list[str]:
    """Global options may stand before and after the command: they are moved before it."""
    ours: list[str] = []
    rest: list[str] = []
    left = list(args)
    while left:
        word = left.pop(0)
        if word == "--":
            rest += [word, *left]
            break
        if word in _FLAGS or word.startswith(tuple(f"{name}=" for name in _WITH_VALUE)):
            ours.append(word)
        elif word in _WITH_VALUE:
            ours += [word, *left[:1]]
            del left[:1]
        else:
            rest.append(word)
    return [*ours, *rest]


def _tidy(command: Any, ctx: Any) -> None:
    """Help shows no types behind flags and arguments, no braces around what is needed, and paragraphs
    without the line breaks of our sources: of a command and those below it."""
    help_option = command.get_help_option(ctx)
    for param in [*command.params, *([help_option] if help_option else [])]:
        if getattr(param, "is_flag", False) or getattr(param, "count", False):
            param.metavar = ""
        elif param.param_type_name == "argument":
            param.display_type_rich = lambda ctx: None
            param._usage_display_name = functools.partial(_usage, param)  # noqa: SLF001 - no other way in
    if command.help:
        paragraphs = inspect.cleandoc(command.help).split("\n\n")
        command.help = "\n\n".join(" ".join(one.split()) for one in paragraphs)
    for below in getattr(command, "commands", {}).values():
        _tidy(below, ctx)


def _usage(argument: Any) -> str:
    name = argument.metavar + ("..." if argument.nargs != 1 else "")
    return name if argument.required else f"[{name}]"


class _Root(TyperGroup):
    """The top of the command line."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        _tidy(self, ctx)
        super().format_help(ctx, formatter)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        if command is not None:
            _tidy(command, ctx)
        return name, command, rest

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.meta[_WORDS] = tuple(args)
        return super().parse_args(ctx, _global_first(args))

    def invoke(self, ctx: Any) -> Any:
        with ending(ctx):
            return super().invoke(ctx)


app = typer.Typer(
    cls=_Root,
    help="Keeps customers, products, orders and service records the same in ERP, SCM, shops and CRM.",
    epilog="The options above may also stand after the command. crmbridge COMMAND --help tells more.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from crmbridge import __version__

        typer.echo(f"crmbridge {__version__}")
        raise typer.Exit


@app.callback()
def _options(  # noqa: PLR0913 - one for each option
    ctx: typer.Context,
    *,
    config: Path | None = typer.Option(
        None,
        "--config",
        "-c",
        metavar="FILE",
        help="The config; otherwise crmbridge.yaml here or in a folder above.",
    ),
    env: str | None = typer.Option(
        None, "--env", help="Lay crmbridge.NAME.yaml over the config.", metavar="NAME"
    ),
    json: bool = typer.Option(
        False, "--json", help="Write JSON Lines to standard output, people's text to stderr."
    ),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="Only what was asked for, and errors."),
    verbose: int = typer.Option(
        0,
        "--verbose",
        "-v",
        count=True,
        show_default=False,
        help="Tell what is going on (-v), and every request (-vv).",
    ),
    no_color: bool = typer.Option(False, "--no-color", help="No colours; NO_COLOR=1 says the same."),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error, without secrets."),
    _version: bool = typer.Option(
        False, "--version", "-V", callback=_show_version, is_eager=True, help="Show the version and exit."
    ),
) -> None:
    ctx.obj = Session(GlobalOptions(config, env, json, quiet, verbose, no_color, debug, ctx.meta[_WORDS]))


for family in (
    init,
    check,
    discover,
    sync,
    records,
    conflicts,
    linking,
    identity,
    letters,
    runs,
    systems,
    plugins,
    schema,
    demo,
):
    family.register(app)
