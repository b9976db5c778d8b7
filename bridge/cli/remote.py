"""Commands that speak to a running service: BRIDGE_SERVER is its URL, BRIDGE_TOKEN what it lets in."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from bridge.core.errors import NeedsPerson, NotFound, TryAgain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import timedelta

PATIENCE = 30.0  # seconds for an answer
PAUSE = 0.5  # seconds between two looks at whether something is done
TELLS_EVERY = 10.0  # seconds


def server() -> Server | None:
    """Return the service that commands are to speak to; None if they work on the store themselves."""
    url = os.environ.get("BRIDGE_SERVER", "").strip()
    if not url:
        return None
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None or parts.query:
        raise NeedsPerson(
            "BRIDGE_SERVER is not the URL of a service", "write one like http://127.0.0.1:8470, with no token in it"
        )
    return Server(url.rstrip("/"), os.environ.get("BRIDGE_TOKEN", "").strip())


def refuse(option: str, remedy: str) -> NeedsPerson:
    """Say that a service does not take an option."""
    return NeedsPerson(f"the service at BRIDGE_SERVER takes no {option}", remedy)


@dataclass(frozen=True, slots=True, repr=False)
class Server:
    """A running service. Every method raises NeedsPerson with its own words, or TryAgain if it does not answer."""

    url: str
    token: str  # a secret

    def mappings(self) -> list[str]:
        """Return the names of all mappings."""
        return [mapping["name"] for mapping in self._ask("GET", "mappings")]

    def models(self, mappings: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Return the rows of the models of these mappings, or all if there are none, by key."""
        for mapping in mappings or (None,):
            after: str | None = ""
            while after is not None:
                page = self._ask("GET", "models", params={"mapping": mapping, "after": after, "limit": 1000})
                yield from page["models"]
                after = page["next"]

    def mapping(self, name: str) -> dict[str, Any]:
        """Return how a mapping is, and what is yet to be done for it."""
        return dict(self._ask("GET", f"mappings/{quote(name, safe='')}"))

    def await_syncs(
        self, before: Sequence[dict[str, Any]], patience: timedelta, tell: Callable[[str], None]
    ) -> list[dict[str, Any]]:
        """
        Wait until syncs are done that were asked for since mappings were as `before`; return the rows of their models.

        Raises TryAgain if that takes too long, or the service cannot say any more whether they are done.
        """
        names = [each["name"] for each in before]
        begun = told = time.monotonic()
        unread: list[dict[str, Any]] = []
        for each in before:
            while (now := self.mapping(each["name"]))["left"]:
                if now["since"] != each["since"]:
                    break
                if time.monotonic() - begun > patience.total_seconds():
                    raise TryAgain(
                        "the sync is not done in time, and the service goes on with it; "
                        f"see how far it is: bridge status {' '.join(names)}"
                    )
                if time.monotonic() - told >= TELLS_EVERY:
                    told = time.monotonic()
                    tell(f"{each['name']}: {now['left']} yet to be worked on")
                threading.Event().wait(PAUSE)
            if now["since"] != each["since"]:
                raise TryAgain("the service has begun anew, or with another configuration, meanwhile; ask for it again")
            if now["sweeps"] == each["sweeps"]:
                raise TryAgain(f"the service could not look at {each['name']}; see why: GET {self.url}/readyz")
            unread += now["unread"]
        rows = list(self.models(names))
        known = {(row["mapping"], row["model"]) for row in rows}
        return [*rows, *(row for row in unread if (row["mapping"], row["model"]) not in known)]

    def sync(self, mapping: str, *, full: bool) -> dict[str, Any]:
        """Have a mapping looked at soon."""
        params = {"full": "true" if full else "false"}
        return dict(self._ask("POST", f"mappings/{quote(mapping, safe='')}/sync", params=params))

    def retry(self, ref: str) -> dict[str, Any]:
        """Have the model that a reference means worked on soon."""
        return dict(self._ask("POST", "retry", params={"ref": ref}))

    def pause(
        self, mapping: str, model: str | None, alias: str | None, lasts: str | None, reason: str
    ) -> dict[str, Any]:
        """Pause a mapping or a model, or an alias of it."""
        body = {"model": model, "alias": alias, "for": lasts, "reason": reason}
        return dict(self._ask("POST", f"mappings/{quote(mapping, safe='')}/pause", body=body))

    def resume(self, mapping: str, model: str | None, alias: str | None) -> dict[str, Any]:
        """End a pause."""
        body = {"model": model, "alias": alias}
        return dict(self._ask("POST", f"mappings/{quote(mapping, safe='')}/resume", body=body))

    def _ask(
        self, method: str, path: str, *, params: dict[str, Any] | None = None, body: dict[str, Any] | None = None
    ) -> Any:  # noqa: ANN401  JSON
        import requests

        try:
            with requests.Session() as session:
                session.trust_env = False  # a .netrc would put its own password in the token's place
                answer = session.request(
                    method,
                    f"{self.url}/v1/{path}",
                    params=params,
                    json=body,
                    headers={"Authorization": f"Bearer {self.token}"} if self.token else {},
                    timeout=PATIENCE,
                    allow_redirects=False,  # the token is for this server alone
                )
                said = answer.json()
        except requests.JSONDecodeError as problem:
            raise self._stranger() from problem
        except requests.RequestException as problem:
            raise TryAgain(
                f"the service at {self.url} does not answer ({type(problem).__name__}); is it running? "
                "Without BRIDGE_SERVER the command works on the store itself"
            ) from problem
        if answer.ok and not answer.is_redirect:
            return said
        if not isinstance(said, dict) or not isinstance(said.get("error"), str):
            raise self._stranger()
        kind = NotFound if answer.status_code == requests.codes.not_found else NeedsPerson
        raise kind(said["error"], str(said.get("remedy")))

    def _stranger(self) -> NeedsPerson:
        return NeedsPerson(f"what answers at {self.url} is not the bridge", "look at BRIDGE_SERVER")
