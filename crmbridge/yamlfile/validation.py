"""From a Document to a pydantic model, or to one error that lists every mistake with its place."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from difflib import get_close_matches
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.errors import PydanticUserError
from pydantic_core import ErrorDetails

from crmbridge.sdk.errors import ConfigError
from crmbridge.sdk.redact import may_be_secret_name
from crmbridge.yamlfile.document import Document, Loc, Node, Position

MAX_PROBLEMS = 50

_NAMES = re.compile(r"\w+(, *\w+)*")
_SECRET_URL = re.compile(r"://[^/\s]*@")
_PREFIXES = re.compile("^(Value error, |Assertion failed, |Input (?=should|was))")
_REASONS = {
    "model_type": "should be a mapping (key: value)",
    "dict_type": "should be a mapping (key: value)",
    "list_type": "should be a list",
    "string_type": "should be text",
}

M = TypeVar("M", bound=BaseModel)
_Path = tuple[str | int, ...]


def validate(document: Document, model: type[M], at: Loc = (), *, beside: Collection[str] = ()) -> M:
    """The model made of the document, or of its part `at`. `beside`: keys that were taken out of it and are
    named too where a key is unknown.

    Raises one ConfigError for all mistakes, one a line and in the file's order, each with its position; the
    error's own `position` is the first one's. KeyError if the document has no part `at`.
    """
    part = document.find(at)
    if part.path != tuple(at):
        raise KeyError(tuple(at))
    try:
        return model.model_validate(part.node.plain())
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
    # Outside of the except clause, so that no traceback shows pydantic's error, which repeats the input.
    raise _listed(_Judge(document, model, tuple(at), beside).lines(details))


def mistakes(
    document: Document, model: type[BaseModel], later: Callable[[Node], bool], beside: Collection[str] = ()
) -> ConfigError | None:
    """What `validate` would raise, but for values of which `later` says that they are not known yet; and keys
    that the model would pass over in silence."""
    details = [
        ErrorDetails(type="extra_forbidden", loc=(key,), msg="", input=None)
        for key in _passed_over(document, model)
    ]
    try:
        model.model_validate(document.find(()).node.plain())
    except ValidationError as error:
        details += [
            one
            for one in error.errors(include_url=False, include_input=False)
            if one["type"] in ("missing", "extra_forbidden") or not later(document.find(one["loc"]).node)
        ]
    return _listed(_Judge(document, model, (), beside).lines(details)) if details else None


def _passed_over(document: Document, model: type[BaseModel]) -> list[str]:
    """Top keys that say nothing to the model: it has no such field, and does not mind others."""
    if model.model_config.get("extra", "ignore") != "ignore" or not isinstance(document.data, dict):
        return []
    known = set(model.model_fields)
    for field in model.model_fields.values():
        known |= {str(name) for name in (field.alias, field.validation_alias) if isinstance(name, str)}
        if field.validation_alias is not None and not isinstance(field.validation_alias, str):
            return []  # one of several names, or a way into others
    return [key for key in document.data if key not in known]


def _listed(lines: list[tuple[Position, str]]) -> ConfigError:
    (first_at, first), *others = sorted(lines)
    text = [first, *(f"{at}: {message}" for at, message in others[: MAX_PROBLEMS - 1])]
    if len(lines) > MAX_PROBLEMS:
        text.append(f"... and {len(lines) - MAX_PROBLEMS} more")
    return ConfigError("\n".join(text), position=str(first_at))


class _Problem(NamedTuple):
    path: _Path
    at: Position
    reason: str
    suggestion: str = ""
    shown: str = ""  # the value, as far as it may be shown
    wrong_type: bool = False


class _Judge:
    """Turns pydantic's details of what is wrong with one document into positions and sentences."""

    def __init__(
        self, document: Document, model: type[BaseModel], start: _Path, beside: Collection[str]
    ) -> None:
        self._document = document
        self._beside = beside
        self._schema = _json_schema(model)
        self._start = start

    def lines(self, details: Iterable[ErrorDetails]) -> list[tuple[Position, str]]:
        """One line for each place. Of a union's branches, those that got furthest into the value speak."""
        problems = [self._problem(detail) for detail in details]
        inner = {problem.path[:length] for problem in problems for length in range(len(problem.path))}
        at_path: dict[_Path, list[_Problem]] = {}
        for problem in problems:
            if not (problem.wrong_type and problem.path in inner):
                at_path.setdefault(problem.path, []).append(problem)
        return [(group[0].at, _sentence(group)) for group in at_path.values()]

    def _problem(self, detail: ErrorDetails) -> _Problem:
        kind, loc = detail["type"], detail["loc"]
        discriminator = str(detail.get("ctx", {}).get("discriminator", "")).strip("'")
        if kind in ("union_tag_not_found", "union_tag_invalid") and discriminator.isidentifier():
            loc = (*loc, discriminator)
            kind = "missing" if kind == "union_tag_not_found" else kind
        found = self._document.find((*self._start, *loc))
        if kind == "missing":
            return _Problem((*found.path, loc[-1]), found.key_at, "this key is required, but missing")
        if kind == "extra_forbidden":
            return _Problem(found.path, found.key_at, "unknown key", self._meant_key(loc))
        if loc[-1:] == ("[key]",):
            return _Problem(
                found.path,
                found.key_at,
                "this key is not allowed: " + _reason(detail, found.node, found.path),
            )
        reason, meant, name = _reason(detail, found.node, found.path).partition("; did you mean ")
        return _Problem(
            found.path,
            found.node.at,
            reason,
            meant + name or _meant_value(detail, found.node),
            _shown(found.node, found.path),
            wrong_type=kind.endswith("_type"),
        )

    def _meant_key(self, loc: _Path) -> str:
        known = [*_known_keys(self._schema, loc[:-1]), *(self._beside if len(loc) == 1 else ())]
        close = _did_you_mean(str(loc[-1]), known)
        return close or (f"; known here: {', '.join(known)}" if known else "")


def _sentence(group: list[_Problem]) -> str:
    first = group[0]
    name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first.path)
    reasons = " or ".join(dict.fromkeys(problem.reason for problem in group))
    suggestion = next((problem.suggestion for problem in group if problem.suggestion), "")
    where = f"{name.removeprefix('.')}: " if name else ""
    not_this = f", not {first.shown}" if first.shown and first.shown not in reasons else ""
    return where + reasons + not_this + suggestion


def _reason(detail: ErrorDetails, node: Node, path: _Path) -> str:
    kind = detail["type"]
    if kind == "string_type" and not isinstance(node.value, list | dict):
        return "should be text: put it in quotes"
    if kind == "union_tag_invalid":
        return f"should be one of {detail['ctx']['expected_tags']}"
    if kind == "too_long":
        most = detail["ctx"]["max_length"]
        return f"should have at most {most} {'entry' if most == 1 else 'entries'}"
    reason = _REASONS.get(kind) or _PREFIXES.sub("", detail["msg"])
    for secret in _secrets(node, path):
        for written in (secret, repr(secret)[1:-1]):
            reason = re.sub(rf"(?<!\w){re.escape(written)}(?!\w)", "***", reason)
    return reason


def _meant_value(detail: ErrorDetails, node: Node) -> str:
    context = detail.get("ctx", {})
    if detail["type"] == "list_type" and isinstance(node.value, str) and _NAMES.fullmatch(node.value):
        return f"; write [{node.value}]"
    expected = re.findall("'([^']*)'", str(context.get("expected", context.get("expected_tags", ""))))
    return _did_you_mean(node.value, expected) if isinstance(node.value, str) else ""


def _did_you_mean(written: str, known: list[str]) -> str:
    close = get_close_matches(written, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _shown(node: Node, path: _Path) -> str:
    """The value as an error may show it: nothing if it is long, nested, or may hold a secret."""
    if isinstance(node.value, list | dict) or any(_looks_secret(part) for part in path):
        return ""
    text = repr(node.value) if isinstance(node.value, str) else str(node.value).lower()
    return "" if len(text) > 60 or _SECRET_URL.search(text) else text


def _secrets(node: Node, path: _Path) -> Iterator[str]:
    """The scalars in `node` that are at or below a key that looks secret."""
    if isinstance(node.value, dict):
        for key, child in node.value.items():
            yield from _secrets(child, (*path, key))
    elif isinstance(node.value, list):
        for child in node.value:
            yield from _secrets(child, path)
    elif node.value not in (None, "") and any(_looks_secret(part) for part in path):
        yield str(node.value)


def _looks_secret(part: str | int) -> bool:
    return isinstance(part, str) and may_be_secret_name(part)


def _json_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The model's JSON Schema, the one form in which unions, aliases and nesting all look alike."""
    try:
        return model.model_json_schema()
    except PydanticUserError:  # a model that has none only goes without suggestions
        return {}


def _known_keys(schema: dict[str, Any], loc: _Path) -> list[str]:
    level = [schema]
    for part in loc:
        branches = [branch for one in level for branch in _branches(one, schema)]
        level = (
            [{"$ref": tags[part]} for tags in map(_tags, branches) if part in tags]
            or [below for branch in branches for below in _below(branch, part)]
            or level  # pydantic's name of a branch of a union
        )
    branches = [branch for one in level for branch in _branches(one, schema)]
    return sorted({key for branch in branches for key in branch.get("properties", {})})


def _branches(schema: dict[str, Any], root: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The schema and all that it refers to or chooses from."""
    yield schema
    if "$ref" in schema:
        yield from _branches(root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root)
    for word in ("anyOf", "oneOf", "allOf"):
        for branch in schema.get(word, ()):
            yield from _branches(branch, root)


def _tags(schema: dict[str, Any]) -> dict[str | int, str]:
    tags: dict[str | int, str] = schema.get("discriminator", {}).get("mapping", {})
    return tags


def _below(schema: dict[str, Any], part: str | int) -> Iterator[dict[str, Any]]:
    if isinstance(part, int):
        below = [schema.get("items"), *schema.get("prefixItems", ())]
    elif part in schema.get("properties", {}):
        below = [schema["properties"][part]]
    else:
        below = [schema.get("additionalProperties"), *schema.get("patternProperties", {}).values()]
    yield from (one for one in below if isinstance(one, dict))
