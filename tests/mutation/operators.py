"""What a mutant changes: one small place in the source of one module.

A place is replaced as text, so that the difference that a survivor shows is one line and not a reformatted
file. Annotations, docstrings, decorators, asserts, `__all__` and texts for people are left alone: to change
them breaks nothing that a test should notice.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
WHOLE_FILE = (0, 0)
KEPT = (-1, -1)
"""In a function whose answers are kept."""
CACHES = ("cache", "lru_cache", "cached_property")
A_KEY = re.compile(r"[a-z0-9_./:-]+")
"""A text that the program reads; one with spaces or capitals is for people."""

Found = tuple[ast.expr | ast.stmt, str, str]
"""(node, operator, what stands there instead)."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one file."""

    file: str
    line: int
    operator: str
    start: int
    end: int
    """Position in the file, in bytes."""
    text: str
    """What stands there instead."""
    lines: tuple[int, int]
    """First and last line of the statement (or the head of one) around it: a test that runs one of them
    reaches the mutant. (0, 0) where it acts for the whole file."""

    def apply(self, source: bytes) -> bytes:
        """The file with the change."""
        return source[: self.start] + self.text.encode() + source[self.end :]

    def diff(self, source: bytes) -> str:
        """The changed lines, for people."""
        first = source.rfind(b"\n", 0, self.start) + 1
        last = source.find(b"\n", self.end)
        before = source[first:last].decode()
        after = (source[first : self.start] + self.text.encode() + source[self.end : last]).decode()
        lines = [f"- {line.strip()}" for line in before.splitlines()]
        return "\n".join([*lines, *(f"+ {line.strip()}" for line in after.splitlines())])


def mutants_of(file: str, source: bytes) -> list[Mutant]:
    """All mutants of a module, in the order of the text."""
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found = []
    for node, lines in _mutable(ast.parse(source), WHOLE_FILE, inside=False):
        for place, operator, text in _changes(node):
            assert place.end_lineno is not None
            assert place.end_col_offset is not None
            start = starts[place.lineno - 1] + place.col_offset
            end = starts[place.end_lineno - 1] + place.end_col_offset
            found.append(Mutant(file, place.lineno, operator, start, end, text, lines))
    return sorted(set(found), key=lambda m: (m.start, m.end, m.operator, m.text))


def _mutable(
    node: ast.AST, lines: tuple[int, int], *, inside: bool
) -> Iterator[tuple[ast.AST, tuple[int, int]]]:
    """The nodes that may be changed, each with the lines that reach it. `inside`: in a function."""
    for child in _children(node):
        around, within = lines, inside
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and lines != KEPT:
            first = min([child.lineno, *(one.lineno for one in child.decorator_list)])
            around, within = KEPT if _is_kept(child) else (first, first), True
        elif inside and isinstance(child, ast.stmt | ast.excepthandler | ast.match_case) and lines != KEPT:
            around = _head(child)
        yield child, WHOLE_FILE if around == KEPT else around
        yield from _mutable(child, around, inside=within)


def _is_kept(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether its answers are kept from test to test, so that which test runs it says nothing."""
    return any(name in ast.unparse(one) for one in node.decorator_list for name in CACHES)


def _head(node: ast.stmt | ast.excepthandler | ast.match_case) -> tuple[int, int]:
    """The lines of a statement without the statements in it."""
    first = node.pattern.lineno if isinstance(node, ast.match_case) else node.lineno
    body = getattr(node, "body", None)
    if body:
        return first, max(first, body[0].lineno - 1)
    return first, getattr(node, "end_lineno", None) or first


def _children(node: ast.AST) -> Iterator[ast.AST]:
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "type_params"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _left_alone(child):
                yield child


def _left_alone(node: ast.AST) -> bool:
    match node:
        case ast.Assert() | ast.JoinedStr() | ast.Import() | ast.ImportFrom() | ast.pattern():
            return True
        case ast.Expr(value=ast.Constant()):
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
        case ast.Assign(targets=[ast.Name(id=name)]):
            return name.startswith("__") or _is_type(node.value)
        case _:
            return False


def _is_type(node: ast.expr) -> bool:
    """`X = Literal[...]`, `X = Callable[...] | None`: an alias that only the type checker reads."""
    first = node.left if isinstance(node, ast.BinOp) else node
    return isinstance(first, ast.Subscript) and ast.unparse(first.value) in (
        "Literal",
        "Callable",
        "Annotated",
        "dict",
        "tuple",
        "list",
        "Mapping",
    )


def _changes(node: ast.AST) -> Iterator[Found]:
    match node:
        case ast.expr():
            yield from _changed_expression(node)
        case ast.stmt():
            yield from _changed_statement(node)
        case ast.comprehension(ifs=[test]) if not isinstance(test, ast.Compare | ast.BoolOp | ast.UnaryOp):
            yield test, "negated condition", f"(not ({ast.unparse(test)}))"


def _changed_expression(node: ast.expr) -> Iterator[Found]:
    match node:
        case ast.Compare(ops=[operator]) if type(operator) in COMPARISONS:
            other = ast.Compare(node.left, [COMPARISONS[type(operator)]()], node.comparators)
            yield node, "comparison", f"({ast.unparse(other)})"
        case ast.BoolOp():
            swapped = ast.And() if isinstance(node.op, ast.Or) else ast.Or()
            yield node, "and/or", f"({ast.unparse(ast.BoolOp(swapped, node.values))})"
        case ast.UnaryOp(op=ast.Not()):
            yield node, "removed not", f"({ast.unparse(node.operand)})"
        case ast.UnaryOp(op=ast.USub()):
            yield node, "removed minus", f"({ast.unparse(node.operand)})"
        case ast.BinOp() if type(node.op) in ARITHMETIC and not _is_text(node.left) | _is_text(node.right):
            other_sum = ast.BinOp(node.left, ARITHMETIC[type(node.op)](), node.right)
            yield node, "arithmetic", f"({ast.unparse(other_sum)})"
        case ast.IfExp() if not isinstance(node.test, ast.Compare | ast.BoolOp | ast.UnaryOp):
            yield node.test, "negated condition", f"(not ({ast.unparse(node.test)}))"
        case ast.Constant():
            yield from _changed_constant(node)


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _changed_constant(node: ast.Constant) -> Iterator[Found]:
    match node.value:
        case bool():
            yield node, "constant", repr(not node.value)
        case int():
            yield node, "off by one", repr(node.value + 1)
        case str() if A_KEY.fullmatch(node.value):
            yield node, "constant", repr(f"XX{node.value}")


def _changed_statement(node: ast.stmt) -> Iterator[Found]:
    match node:
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            yield node, "return value", "return None"
        case ast.Expr(value=ast.Call()) | ast.AugAssign() | ast.Delete() | ast.Raise():
            yield node, "removed statement", "pass"
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield node, "removed statement", "pass"
        case ast.Continue():
            yield node, "continue/break", "break"
        case ast.Break():
            yield node, "continue/break", "continue"
        case ast.If(test=test) | ast.While(test=test):
            if not isinstance(test, ast.Compare | ast.BoolOp | ast.UnaryOp):
                yield test, "negated condition", f"(not ({ast.unparse(test)}))"
