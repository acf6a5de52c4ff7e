"""A connector that misbehaves as its settings say; the tests name it in a config as a one-file plugin."""

import logging
import sys
import threading
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from crmbridge.sdk.connector import Capabilities, Connector, Page, Record, Result, Stream
from crmbridge.sdk.errors import AuthError, FatalError, RetryableError
from crmbridge.sdk.hookspecs import hookimpl


class OddSettings(BaseModel):
    password: SecretStr | None = None
    consumer_key: str = ""
    pwd: str = ""
    pin: SecretStr | None = None
    url: str = ""
    does: str = ""
    marker: Path | None = None
    instance: str = "odd-1"
    pages: int = 1
    refuses: str | None = None


class OddConnector(Connector):
    settings_model = OddSettings

    def check(self) -> Any:
        self._misbehave()
        return []

    def streams(self) -> list[Stream]:
        update = "updat" if self.settings.does == "misspell" else "update"
        able = Capabilities(operations={"create", update}, changed_since=True)
        return [Stream("people", key="id", capabilities=able)]

    def pull(self, stream: str, cursor: Any) -> Any:
        self._misbehave()
        start = cursor or 0
        for number in range(start, self.settings.pages):
            if number == 2 and self.settings.marker:
                self.settings.marker.write_text("reading")
                if self.settings.does == "hang":
                    threading.Event().wait(60)
            yield Page([Record(str(number), {"id": number, "name": f"Person {number}"})], cursor=number + 1)

    def push(self, stream: str, operations: Any) -> Any:
        for one in operations:
            if one.data.get("name") == self.settings.refuses:
                yield Result.rejected(one, "this name is refused here")
            else:
                yield Result.done(one, Record(one.native_id or f"new-{one.id}", {"id": 1, **one.data}))

    def fingerprint(self) -> str:
        return self.settings.instance

    def _misbehave(self) -> None:
        secret = self.settings.password.get_secret_value() if self.settings.password else ""
        pin = self.settings.pin.get_secret_value() if self.settings.pin else ""
        others = f"{self.settings.consumer_key} {self.settings.pwd} {self.settings.url} {pin}".strip()
        secret = f"{secret} {others}" if others else secret
        logging.getLogger("odd").warning("logging in with %s", secret)
        if self.settings.does == "auth":
            raise AuthError(f"the password {secret} is refused", hint=f"not {secret}")
        if self.settings.does == "fatal":
            raise FatalError(f"no way, {secret}")
        if self.settings.does == "busy":
            raise RetryableError("try again later")
        if self.settings.does == "exit":
            sys.exit(0)
        if self.settings.does == "crash":
            raise ZeroDivisionError(f"with {secret}")


@hookimpl
def crmbridge_connectors() -> dict[str, type[Connector]]:
    return {"odd": OddConnector}
