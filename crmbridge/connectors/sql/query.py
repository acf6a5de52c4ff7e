"""Is a text a single SELECT? A guard against slips; what keeps a query from writing is that it runs in
a read-only transaction."""

from __future__ import annotations

import re

__all__ = ["check_select"]

_SKIPPED = re.compile(
    r"""
      --[^\n]*                                   # comment to the end of the line
    | /\*.*?\*/                                  # comment
    | '(?:[^']|'')*'                             # text
    | "(?:[^"]|"")*"                             # quoted name
    | `(?:[^`]|``)*`                             # quoted name, MySQL
    | \$(?P<tag>[A-Za-z_0-9]*)\$.*?\$(?P=tag)\$  # dollar-quoted text, PostgreSQL
    """,
    re.VERBOSE | re.DOTALL,
)
_FIRST_WORD = re.compile(r"\s*\(*\s*(\w+)")


def check_select(query: str) -> None:
    """Raises ValueError, saying what is wrong, unless `query` is one SELECT (or WITH ... SELECT)."""
    bare = _SKIPPED.sub(" '' ", query)
    if re.search(r"['\"`]", bare.replace("''", "")) or "/*" in bare:
        raise ValueError("the query has a quote or comment that is not closed")
    if ";" in bare:
        raise ValueError("the query must be a single SELECT: remove the semicolon and what follows it")
    first = _FIRST_WORD.match(bare.replace("''", ""))
    if first is None or first[1].upper() not in {"SELECT", "WITH"}:
        raise ValueError("the query must be a single SELECT")
    depth = 0
    for bracket in re.findall(r"[()]", bare):
        depth += 1 if bracket == "(" else -1
        if depth < 0:
            break
    if depth != 0:
        raise ValueError("the query's parentheses don't match")
