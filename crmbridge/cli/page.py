"""A customer's record as one HTML page that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape
from typing import TYPE_CHECKING

from crmbridge.cli.customer import Section, heading, sections

if TYPE_CHECKING:
    from crmbridge.engine.customer360 import Customer360

__all__ = ["page"]

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
body { color: #222; background: #fff; }
h1 { margin-bottom: 0; }
h2 { margin: 2rem 0 .3rem; font-size: 1.1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: start; vertical-align: top; padding: .25rem .7rem .25rem 0; }
th, td { border-bottom: 1px solid #ddd; }
th { font-weight: 600; color: #666; }
.number { text-align: end; white-space: nowrap; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; }
dt { color: #666; }
dd { margin: 0; }
@media (prefers-color-scheme: dark) {
  body { background: #1b1b1b; color: #ddd; }
  th, td { border-color: #444; }
}
"""


def page(found: Customer360, redact: Callable[[str], str]) -> str:
    """The whole page. Values are escaped: they come from foreign systems."""

    def text(value: str) -> str:
        return f"<bdi>{escape(redact(value))}</bdi>"

    facts = "".join(f"<dt>{escape(name)}</dt><dd>{text(said)}</dd>" for name, said in heading(found))
    tables = "\n".join(_table(section, text) for section in sections(found))
    title = escape(redact(found.name))
    return f"""<!doctype html>
<html><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>{_STYLE}</style></head>
<body><h1>{text(found.name)}</h1><dl>{facts}</dl>
{tables}
</body></html>
"""


def _table(section: Section, text: Callable[[str], str]) -> str:
    kinds = [' class="number"' if name.startswith("#") else "" for name in section.columns]
    head = "".join(
        f"<th{k}>{escape(n.lstrip('#'))}</th>" for n, k in zip(section.columns, kinds, strict=True)
    )

    def row(cells: Iterable[str]) -> str:
        return "".join(f"<td{k}>{text(cell)}</td>" for cell, k in zip(cells, kinds, strict=True))

    rows = "\n".join(f"<tr>{row(cells)}</tr>" for cells in section.rows)
    return f"<h2>{escape(section.title)}</h2>\n<table><tr>{head}</tr>\n{rows}</table>"
