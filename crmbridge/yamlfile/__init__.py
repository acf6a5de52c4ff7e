"""Strict YAML: plain data, and for every key and value the place where it was written.

`load` and `loads` read one YAML document; `validate` makes a pydantic model of it. Whatever is wrong comes as
one ConfigError with `file:line:column`, so that an editor can jump there.

What is read as what (a small part of YAML 1.2, https://yaml.org/spec/1.2.2/):

    written without quotes     becomes
    true, false                bool
    null, ~ or nothing         None
    7, -12                     int
    1.50, -0.3                 Decimal, so that 1.50 stays 1.50; a model may make a float of it
    anything else              str: NO, yes, True, 0123, +49, 1_000, 1e3, 0x1F, 12:30:45, 2026-01-01, .5

Text in quotes and in | or > blocks is always str. Keys are always str, as written: `1:` is the key "1".

Refused, because they surprise or attack: duplicate keys, tags (`!!x`), merge keys (`<<`), lists or mappings
as keys, several documents in one file, an anchor that contains itself, aliases that add up to more than
1,000 values, nesting deeper than 100, more than 5 MB.

Errors never repeat a text that may be a secret: the value of a key that looks like one, and what follows
`*`, `&` or `!`, since a password that starts so reads as YAML syntax when its quotes are forgotten.
"""

from crmbridge.yamlfile.document import Document, Loc, Position, YamlValue
from crmbridge.yamlfile.reading import load, loads
from crmbridge.yamlfile.validation import mistakes, validate

__all__ = ["Document", "Loc", "Position", "YamlValue", "load", "loads", "mistakes", "validate"]
