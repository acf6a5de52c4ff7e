"""Seeded customers of 15 fields, in two versions: the second has 1 % changed, 0.1 % new and 0.1 % deleted.

A customer is a function of its number, so that every machine makes the same ones.

python -m benchmarks.data FOLDER COUNT
"""

from __future__ import annotations

import hashlib
import sys
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import orjson

__all__ = ["Version", "customer", "write"]

SEED = b"customers 1"
FIRST_ID = 100_001
CHANGED, NEW, DELETED = 100, 1000, 1000
"""One in so many."""
BEGIN = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp())
SECOND = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
"""All changes of the second version are later than this, all others earlier."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Country:
    """What customers of one country are made of. `phone` and `postal_code`: how digits are placed."""

    code: str
    given: tuple[str, ...]
    family: tuple[str, ...]
    trades: tuple[str, ...]
    legal: str
    cities: tuple[str, ...]
    streets: tuple[str, ...]
    phone: str
    postal_code: str
    vat: str
    family_first: bool = False


COUNTRIES = (
    Country(
        "DE",
        ("Jürgen", "Anneliese", "Björn", "Käthe", "Lukas", "Sophie", "Günther", "Zoë", "Matthias", "Heike"),
        ("Müller", "Schröder", "Weiß", "Großmann", "Jäger", "von der Heydt", "Köhler", "Öztürk", "Lang"),
        ("Maschinenbau", "Bäckerei", "Logistik", "Elektrotechnik", "Druckerei", "Gartenbau", "Möbelhaus"),
        "{name} {trade} GmbH & Co. KG",
        ("München", "Köln", "Düsseldorf", "Berlin", "Nürnberg", "Hamburg", "Görlitz", "Frankfurt (Oder)"),
        ("Hauptstraße", "Bahnhofstr.", "Am Mühlbach", "Königsallee", "Straße des 17. Juni", "Bäckergasse"),
        "+49 30 {:08d}",
        "{:05d}",
        "DE{:09d}",
    ),
    Country(
        "FR",
        ("Élodie", "François", "Jean-Baptiste", "Chloé", "Benoît", "Anaïs", "Loïc", "Zélie", "Marie-Ève"),
        ("Lefèvre", "d'Aubigné", "Guérin", "Muñoz", "Le Goff", "Béranger", "Roux", "Noël", "L'Hôpital"),
        ("Boulangerie", "Menuiserie", "Vins & Spiritueux", "Électricité", "Imprimerie", "Fromagerie"),
        "{trade} {name} S.A.R.L.",
        ("Paris", "Besançon", "Nîmes", "Saint-Étienne", "Orléans", "Évreux", "Lyon", "Angoulême"),
        ("rue de l'Église", "avenue Foch", "boulevard Voltaire", "place d'Armes", "chemin des Prés"),
        "+33 1 {:08d}",
        "{:05d}",
        "FR{:011d}",
    ),
    Country(
        "CN",
        ("伟", "芳", "秀英", "子涵", "建国", "浩然", "欣怡", "志强", "梓萱", "国华", "雨桐"),
        ("王", "李", "张", "刘", "陈", "杨", "欧阳", "赵", "司马", "黄"),
        ("电子科技", "国际贸易", "食品", "机械设备", "信息技术", "医疗器械", "纺织品"),
        "{city}{name}{trade}有限公司",
        ("北京市", "上海市", "深圳市", "杭州市", "成都市", "广州市", "西安市", "苏州市"),
        ("人民路", "中山大道", "建设街", "解放路", "学府路", "滨江大道"),
        "+86 138{:08d}",
        "{:06d}",
        "91310000MA{:08d}",
        family_first=True,
    ),
    Country(
        "GB",
        ("Oliver", "Amelia", "Siân", "Mohammed", "Niamh", "George", "Zoë", "Priya", "Owain", "Grace"),
        ("Smith", "O'Connor", "Fitz-Hugh", "Patel", "MacLeod", "Brontë", "Khan", "Taylor-Jones", "Wu"),
        ("Plumbing", "Tea Traders", "Ironmongers", "Software", "Bicycle Works", "Bookshop", "Farms"),
        "{name} {trade} Ltd",
        ("London", "Newcastle upon Tyne", "Caerdydd", "Edinburgh", "Kingston upon Hull", "Derry"),
        ("High Street", "Station Road", "St. John's Lane", "The Crescent", "Mill Hill", "King's Parade"),
        "+44 20 {:08d}",
        "SW{:d}A 1AA",
        "GB{:09d}",
    ),
)


@dataclass(slots=True)
class Dice:
    """Choices that follow from a number alone."""

    left: int

    @classmethod
    def of(cls, number: int) -> Dice:
        """The dice of one customer."""
        digest = hashlib.blake2b(number.to_bytes(8, "big"), key=SEED, digest_size=32).digest()
        return cls(int.from_bytes(digest, "big"))

    def below(self, limit: int) -> int:
        """A number from 0 to `limit` - 1."""
        self.left, found = divmod(self.left, limit)
        return found

    def pick(self, choices: Sequence[T]) -> T:
        """One of them."""
        return choices[self.below(len(choices))]


def customer(number: int, updated: int | None = None) -> dict[str, Any]:
    """The record of one customer; `updated`: as it was edited at that time (seconds since 1970 UTC)."""
    dice = Dice.of(number)
    country = dice.pick(COUNTRIES)
    given, family, city = dice.pick(country.given), dice.pick(country.family), dice.pick(country.cities)
    trade, serial = dice.pick(country.trades), number % 100_000_000
    company = dice.below(4) == 0
    person = f"{family}{given}" if country.family_first else f"{given} {family}"
    business = country.legal.format(name=family, trade=trade, city=city)
    born = BEGIN + number * 60 % (5 * 365 * 86_400)
    phone = country.phone.format(serial if updated is None else 99_999_999 - serial)
    return {
        "id": number,
        "number": f"K-{number:08d}",
        "kind": "company" if company else "person",
        "name": business if company else person,
        "email": f"{'office' if company else 'me'}.{number}@mail{dice.below(40)}.example",
        "phone": phone,
        "vat_id": country.vat.format(serial) if company else None,
        "street": f"{dice.pick(country.streets)} {dice.below(200) + 1}",
        "postal_code": country.postal_code.format(dice.below(9) + 1),
        "city": city,
        "country": country.code,
        "credit_limit": _amount(dice.below(5_000_000)),
        "open_balance": _amount(dice.below(1_000_000) if updated is None else 0),
        "created_at": _instant(born),
        "updated_at": _instant(_edited(dice, born) if updated is None else updated),
    }


def _edited(dice: Dice, born: int) -> int:
    """Most are as they were made; one in five was edited in the three months after."""
    return born + dice.below(90 * 86_400) if dice.below(5) == 0 else born


def _instant(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _amount(cents: int) -> orjson.Fragment:
    """A JSON number with two decimals, digit by digit."""
    return orjson.Fragment(b"%d.%02d" % divmod(cents, 100))


# -- on disk -----------------------------------------------------------------------------------


@dataclass(slots=True)
class Version:
    """All customers of one version, by id: encoded one after the other with commas between, and indexes."""

    ids: array[int] = field(default_factory=lambda: array("Q"))
    updated: array[int] = field(default_factory=lambda: array("Q"))
    """Seconds since 1970 UTC."""
    ends: array[int] = field(default_factory=lambda: array("Q"))
    """Where in the file each record ends, its comma included."""

    def add(self, file: BinaryIO, number: int, record: tuple[bytes, int]) -> None:
        """Append one record: its JSON and when it was updated."""
        body, updated = record
        file.write(body)
        file.write(b",")
        self.ids.append(number)
        self.updated.append(updated)
        self.ends.append((self.ends[-1] if self.ends else 0) + len(body) + 1)

    def save(self, path: Path) -> None:
        """Write the indexes beside the records."""
        for name in ("ids", "updated", "ends"):
            with path.with_suffix(f".{name}").open("wb") as file:
                getattr(self, name).tofile(file)

    @classmethod
    def load(cls, path: Path) -> Version:
        """Read the indexes."""
        version = cls()
        for name in ("ids", "updated", "ends"):
            getattr(version, name).frombytes(path.with_suffix(f".{name}").read_bytes())
        return version


def write(folder: Path, count: int) -> None:
    """Make `v1.json` and `v2.json` with their indexes."""
    first, second = Version(), Version()
    with (folder / "v1.json").open("wb") as one, (folder / "v2.json").open("wb") as two:
        for number, old, new in _pairs(count):
            if old is not None:
                first.add(one, number, old)
            if new is not None:
                second.add(two, number, new)
    first.save(folder / "v1.json")
    second.save(folder / "v2.json")


def _pairs(count: int) -> Iterator[tuple[int, tuple[bytes, int] | None, tuple[bytes, int] | None]]:
    """(number, as it was, as it is) of every customer; None where it is not there."""
    last = FIRST_ID + count
    for number in range(FIRST_ID, last + count // NEW):
        later = SECOND + number % 86_400
        if number >= last:
            yield number, None, _encoded(customer(number, later))
            continue
        old, fate = _encoded(customer(number)), Dice.of(number + (1 << 40))
        if fate.below(DELETED) == 0:
            yield number, old, None
        elif fate.below(CHANGED) == 0:
            yield number, old, _encoded(customer(number, later))
        else:
            yield number, old, old


def _encoded(record: dict[str, Any]) -> tuple[bytes, int]:
    return orjson.dumps(record), int(datetime.fromisoformat(record["updated_at"]).timestamp())


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]))
