"""The connector for Tryton: what `crmbridge.sdk.connector` asks for, put together from the other modules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from crmbridge.sdk.connector import (
    Connector,
    Context,
    Cursor,
    FieldInfo,
    Finding,
    Operation,
    Page,
    Record,
    Result,
    Stream,
)
from crmbridge.sdk.errors import ConfigError, CrmbridgeError, FatalError, RecordError
from crmbridge_tryton.discovery import discover_table
from crmbridge_tryton.models import Models
from crmbridge_tryton.products import ProductWriter
from crmbridge_tryton.reading import ReadOptions, TableReader
from crmbridge_tryton.rpc import Credentials, Rpc
from crmbridge_tryton.sales import SaleWriter
from crmbridge_tryton.stock import STOCK_CAPABILITIES, STOCK_FIELDS, StockReader
from crmbridge_tryton.streams import PRODUCTS, SALES, STOCK, TABLES, Company, Table
from crmbridge_tryton.writing import TableWriter

__all__ = ["TrytonConnector", "TrytonSettings"]

_OLDEST = (7, 0)
_WRITERS: Mapping[str, type[TableWriter]] = {PRODUCTS.model: ProductWriter, SALES.model: SaleWriter}


class TrytonSettings(BaseModel):
    """What stands below a system with `connector: tryton`."""

    model_config = ConfigDict(extra="forbid")

    url: str
    """Where trytond answers: `https://erp.example.com`."""
    database: str
    user: str
    """Login of the service user. Give it a user of its own: README says which groups it needs."""
    password: SecretStr
    company: int | None = None
    """Id of the company to work for; None: the one that the user's preferences name."""
    language: str | None = None
    """Code of the language in which translated names are read and written; None: the user's."""
    page_size: Annotated[int, Field(ge=1, le=1000)] = 200
    """Records per page; Tryton's own limit per request is 1000 unless its administrator changed it."""
    overlap_seconds: Annotated[int, Field(ge=0)] = 300
    """How far each pull goes back: longer than the longest transaction (an import) in Tryton takes."""
    fields: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    """Stream -> further fields to read and write, as dotted paths: `{party.party: [customer_code]}`."""


class TrytonConnector(Connector):
    """One company in one Tryton database, as one user."""

    settings_model = TrytonSettings
    mappings = Path(__file__).parent / "mappings"

    def __init__(self, settings: TrytonSettings, context: Context) -> None:
        super().__init__(settings, context)
        password = settings.password.get_secret_value()
        self._http = context.http(settings.url, secrets=[password])
        credentials = Credentials(settings.database, settings.user, password)
        self._rpc = Rpc(self._http, credentials, context.session)
        self._models = Models(self._rpc)
        self._company: Mapping[str, Any] | None = None
        unknown = set(settings.fields) - set(TABLES)
        if unknown:
            raise ConfigError(
                f"fields: the stream {min(unknown)!r} is unknown or takes no further fields",
                hint=f"it can be one of {', '.join(TABLES)}",
            )

    # -- what it is ------------------------------------------------------------------------

    def streams(self) -> Sequence[Stream]:
        """The tables, and the stock computed from moves. Documents belong to our company; parties,
        products and warehouses are shared by all."""
        company = str(self._open()["id"])
        return [
            *(_stream(table, company) for table in TABLES.values()),
            Stream(STOCK, capabilities=STOCK_CAPABILITIES, label="Stock per product and warehouse"),
        ]

    def fingerprint(self) -> str:
        """Database, company, and when that company was made: a new database of the same name differs."""
        company = self._open()
        return f"{self.settings.database}/company {company['id']}/{company['create_date'].isoformat()}"

    def discover(self, stream: str) -> Mapping[str, FieldInfo]:
        """The fields that are read of a stream, with what this Tryton says about them."""
        self._open()
        if stream == STOCK:
            return STOCK_FIELDS
        return discover_table(self._rpc, self._models, _table(stream), self._reader(stream).paths())

    def check(self) -> Iterator[Finding]:
        """Server, log-in, company, and the rights on each stream's model."""
        yield from (Finding("warning", text) for text in self._http.warnings)
        try:
            yield self._check_version()
            company = self._open()
            name, currency = company["party."]["name"], company["currency."]["code"]
            yield Finding("ok", f"logged in as {self.settings.user}; company {name} ({currency})")
            for table in TABLES.values():
                yield from self._check_table(table)
        except CrmbridgeError as error:
            yield Finding("error", error.message, error.hint or "")

    def close(self) -> None:
        """The session stays valid for the next run; only the connections are closed."""
        self._http.close()

    # -- what it does ----------------------------------------------------------------------

    def pull(self, stream: str, cursor: Cursor) -> Iterable[Page]:
        """Everything, or what changed; CursorExpiredError when something was deleted since."""
        self._open()
        if stream == STOCK:
            return self._stock().pages(cursor, self.context.now().date())
        return self._reader(stream).pages(cursor)

    def push(self, stream: str, operations: Sequence[Operation]) -> Iterator[Result]:
        """A batch per call, single operations where Tryton refuses the batch."""
        self._open()
        if not _table(stream).capabilities.operations:
            raise FatalError(f"{stream} is read-only")
        writer = _WRITERS.get(stream, TableWriter)
        yield from writer(stream, self._rpc, self._models, self._reader(stream)).push(operations)

    def get_many(self, stream: str, native_ids: Sequence[str]) -> Iterator[Record]:
        """Active records by id."""
        self._open()
        if stream == STOCK:
            return self._stock().get(native_ids, self.context.now().date())
        return self._reader(stream).get(native_ids)

    def list_ids(self, stream: str) -> Iterator[Sequence[tuple[str, str]]]:
        """All ids, archived ones too: what is missing was deleted."""
        self._open()
        if stream == STOCK:
            scope, chunks = "", self._stock().ids()
        else:
            reader = self._reader(stream)
            scope, chunks = reader.scope, reader.ids()
        yield from ([(scope, native_id) for native_id in chunk] for chunk in chunks)

    def search(self, stream: str, key: str, value: str) -> Iterator[Record]:
        """Active records whose field `key` (dotted, also inside lists) is exactly `value`."""
        self._open()
        return self._reader(stream).search(key, value)

    # -- parts -----------------------------------------------------------------------------

    def _open(self) -> Mapping[str, Any]:
        """Log in where that was not done yet, and work for the company from then on."""
        if self._company is None:
            preferences = self._rpc.read("model.res.user.get_preferences", True)
            company = self.settings.company or preferences.get("company")
            if company is None:
                raise ConfigError(
                    f"the Tryton user {self.settings.user!r} works for no company",
                    hint="set one in the user's preferences, or set `company` to its id",
                )
            language = self.settings.language or preferences.get("language")
            self._rpc.context = {"company": company, "companies": [company], "company_filter": "one"}
            if language:
                self._rpc.context["language"] = language
            self._company = self._read_company(company)
        return self._company

    def _read_company(self, company: int) -> Mapping[str, Any]:
        names = ["create_date", "party.name", "currency.code"]
        try:
            rows = self._rpc.read("model.company.company.read", [company], names)
        except RecordError as error:
            raise ConfigError(
                f"the Tryton user {self.settings.user!r} cannot work for company {company}: {error.message}",
                hint="correct `company`, or add the company to the user in Tryton",
            ) from error
        found: Mapping[str, Any] = rows[0]
        return found

    def _reader(self, stream: str) -> TableReader:
        table = _table(stream)
        self._check_more_fields(table)
        assert self._company is not None
        row = self._company
        options = ReadOptions(
            company=Company(row["id"], row["party."]["id"], row["currency."]["code"]),
            page_size=self.settings.page_size,
            overlap=timedelta(seconds=self.settings.overlap_seconds),
            more_paths=self.settings.fields,
        )
        return TableReader(self._rpc, self._models, table, options)

    def _stock(self) -> StockReader:
        overlap = timedelta(seconds=self.settings.overlap_seconds)
        return StockReader(self._rpc, self._models, self.settings.page_size, overlap)

    def _check_more_fields(self, table: Table) -> None:
        for path in self.settings.fields.get(table.model, ()):
            if self._models.find(table.model, path) is None:
                raise ConfigError(
                    f"fields: {table.model} has no field {path!r} in this Tryton",
                    hint="`crmbridge discover` lists what is read; the name is the one in Tryton's models",
                )

    def _check_version(self) -> Finding:
        version = self._rpc.server_version()
        series = tuple(int(part) for part in version.split(".")[:2])
        if series < _OLDEST:
            return Finding("error", f"Tryton {version} is too old", "update Tryton; tested is the series 8.2")
        return Finding("ok", f"Tryton {version} answers")

    def _check_table(self, table: Table) -> Iterator[Finding]:
        try:
            access = self._rpc.read("model.ir.model.access.get_access", [table.model])[table.model]
        except RecordError:
            yield Finding(
                "warning",
                f"{table.model}: this Tryton does not have it",
                f"to sync {table.label.lower()}, activate the module `{_MODULES[table.model]}`",
            )
            return
        wanted = {"create": "create", "update": "write", "transition": "write", "delete": "delete"}
        needed = (
            {"read"}
            if self.context.read_only
            else {"read"} | {wanted[kind] for kind in table.capabilities.operations if kind in wanted}
        )
        missing = sorted(right for right in needed if not access[right])
        if missing:
            yield Finding(
                "error" if "read" in missing else "warning",
                f"{table.model}: {self.settings.user} may not {', '.join(missing)}",
                "add the user to the groups that the connector's README names",
            )
        else:
            yield Finding("ok", f"{table.model}: may {', '.join(sorted(needed))}")


_MODULES = {
    "party.party": "party",
    "product.product": "product",
    "sale.sale": "sale",
    "stock.shipment.out": "stock",
    "account.invoice": "account_invoice",
    "stock.location": "stock",
}


def _stream(table: Table, company: str) -> Stream:
    scoped = replace(table.capabilities, scopes=(company,)) if table.company else table.capabilities
    return Stream(table.model, capabilities=scoped, label=table.label)


def _table(stream: str) -> Table:
    table = TABLES.get(stream)
    if table is None:
        raise ConfigError(
            f"the Tryton connector has no stream {stream!r}",
            hint=f"it has {', '.join([*TABLES, STOCK])}",
        )
    return table
