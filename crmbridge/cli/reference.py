"""What `gendocs` says of codecs, functions and exit codes; their code holds no text for people."""

from __future__ import annotations

__all__ = ["CODECS", "EXIT_CODES", "FUNCTIONS"]

EXIT_CODES = {
    0: "Done.",
    1: "Failed: a system dropped out, or something should not have happened.",
    2: "The command line, the config or a mapping is wrong.",
    3: "Done, but some records are dead letters, parked or uncertain.",
    4: "Changes wait for approval: the plan is saved, and the command that applies it is printed. "
    "Also `plan --detailed-exitcode` with something to write.",
    5: "A safety limit stopped it before the first write; a source that lost its records stops alone.",
    11: "Another run holds the lock.",
    12: "A system refuses the credentials.",
    13: "The state cannot be used: damaged, newer, or made with other systems.",
    130: "Ctrl-C (SIGINT).",
    141: "Whoever read the output has left (SIGPIPE).",
    143: "SIGTERM.",
}
"""Exit code -> when."""

CODECS = {
    "boolean": "Words for yes and no <-> true and false. `{boolean: [ja, nein]}` names the words; without "
    "them common ones are understood, and true and false are written.",
    "decimal": 'Numbers as text <-> exact numbers. `{decimal: ","}` names the decimal mark; the other mark, '
    "blanks and ' may group digits.",
    "e164": "Phone numbers <-> E.164. `{e164: DE}` says where numbers without a country code are from; by "
    "default the country of the record's own address, then the config's `country`, whichever first gives out "
    "such numbers. What is no phone number is refused, and so is a number without country "
    "code that is not given out there.",
    "email": "E-mail addresses without blanks and `mailto:`, the domain in lower case.",
    "epoch_ms": "Milliseconds since 1970 in UTC <-> instant.",
    "epoch_s": "Seconds since 1970 in UTC <-> instant.",
    "instant": "Wall-clock time <-> instant. `{instant: Europe/Berlin}` names the zone of times that say "
    "none; by default the config's `timezone`. `{instant: {zone: ZONE, format: FORMAT}}` names the "
    "form as well.",
    "integer": "Text or a number <-> whole number.",
    "iso_country": "Names and codes of countries in many languages <-> ISO 3166-1 alpha-2.",
    "iso_date": "A date <-> ISO 8601. `{iso_date: '%d.%m.%Y'}` names the form, as Python's strptime has it; "
    "without, dates in ISO form are understood, also with a time after them, which is dropped.",
    "lines": "Text of several lines <-> list of lines; empty lines are left out.",
    "lower": "Small letters, both ways.",
    "money_minor_units": "Amounts in cents <-> exact amounts. On a field of amount and currency the "
    "currency says how many digits those are; `{money_minor_units: 2}` fixes them.",
    "phone": "As `e164`, but what is no phone number stays as it is.",
    "split": 'Text with a separator <-> list of texts. `{split: ";"}`; a comma by default.',
    "strip": "Without blanks around it, both ways.",
    "upper": "Capital letters, both ways.",
    "zh_region": "Chinese regions in one text <-> province, city and district: "
    '`"province, city, district": {path: area, as: zh_region}`.',
}
"""Codec -> what it does; `<->` reads native <-> canonical."""

FUNCTIONS = {
    "abs(number)": "The number without its sign.",
    "avg(numbers)": "Their mean, exact.",
    "ceil(number)": "The next whole number up.",
    "contains(text or list, part)": "Whether it holds the part.",
    "ends_with(text, end)": "Whether it ends so.",
    "floor(number)": "The next whole number down.",
    "join(glue, texts)": "The texts with the glue between them.",
    "keys(object)": "Its keys.",
    "length(text, list or object)": "How long it is.",
    "map(&expression, list)": "The expression of each element.",
    "max(values)": "The greatest number or text.",
    "max_by(list, &expression)": "The element for which the expression is greatest.",
    "merge(objects...)": "One object of all; later ones win.",
    "min(values)": "The least number or text.",
    "min_by(list, &expression)": "The element for which the expression is least.",
    "not_null(values...)": "The first value that there is.",
    "reverse(text or list)": "The other way round.",
    "sort(values)": "In order.",
    "sort_by(list, &expression)": "In the order of the expression.",
    "starts_with(text, start)": "Whether it begins so.",
    "sum(numbers)": "Their sum, exact.",
    "to_array(value)": "A list of it, unless it is one.",
    "to_number(value)": "The number that a text stands for.",
    "to_string(value)": "As text.",
    "type(value)": "string, number, boolean, array, object or null.",
    "values(object)": "Its values.",
    "has(value) or has(list, wanted)": "Whether there is a value; or whether the list holds `wanted`, itself "
    "or as a field of an element: `has(roles, 'customer')`. False on what is unset.",
    "lower(text)": "In small letters.",
    "upper(text)": "In capital letters.",
    "trim(text)": "Without blanks around it.",
    "replace(text, old, new)": "With every `old` replaced.",
    "split(text, separator)": "Its parts.",
    "round(number, digits)": "Rounded to so many digits after the point.",
}
"""Function with its arguments -> what it gives."""
