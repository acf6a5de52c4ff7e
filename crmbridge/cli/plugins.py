"""plugins: what was found, what it offers, and what is broken."""

from __future__ import annotations

import typer

from crmbridge.cli.session import Session

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands of this family."""
    app.command()(plugins)


def plugins(ctx: typer.Context) -> None:
    """List plugins, the connectors that they offer, and those that failed."""
    from crmbridge.bridge import load_plugins
    from crmbridge.cli.messages.systems import PluginMessage
    from crmbridge.sdk.errors import ConfigError

    session: Session = ctx.obj
    output = session.output
    files: tuple[str, ...] = ()
    root = None
    try:
        config = session.load_config()
        files, root = tuple(config.settings.plugins), config.root
    except ConfigError as error:
        if session.options.config is not None:
            raise
        output.say(f"Without the plugins that a config names: {error.message.splitlines()[0]}")
    found = load_plugins(tuple(root / name for name in files) if root else ())
    offered = found.offers()
    rows = []
    for plugin in found.found:
        names = offered.get(plugin.name, [])
        output.emit(PluginMessage(name=plugin.name, source=plugin.source, connectors=names))
        rows.append((plugin.name, plugin.source, ", ".join(names)))
    output.print(output.table(("Plugin", "From", "Connectors"), rows))
    for failure in found.failures:
        output.emit(PluginMessage(name=failure.plugin, source=failure.source, error=failure.error))
        output.warn(f"{failure.plugin} ({failure.source}) failed: {failure.error}")
    raise typer.Exit(1 if found.failures else 0)
