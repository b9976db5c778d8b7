"""Answers one GraphQL request: who asks, may they, and what; in one transaction that is kept or undone as a whole."""

from __future__ import annotations

import base64
import binascii
import logging
import re
import threading
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    execute_sync,
    parse,
    validate,
)

from bridge.sandbox.wandb import accounts, deliveries, versions
from bridge.sandbox.wandb.context import Asker, Context
from bridge.sandbox.wandb.resolvers import NESTED_MEMBERSHIPS, root_of, schema_without

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from bridge.sandbox.clock import SandboxClock
    from bridge.sandbox.wandb.blobs import Blobs
    from bridge.sandbox.wandb.deliveries import Courier
    from bridge.sandbox.wandb.signing import Signer
    from bridge.sandbox.wandb.store import Store
    from bridge.sandbox.wandb.switches import WandbSwitches

log = logging.getLogger(__name__)

OPERATION = re.compile(r"\b(query|mutation)\s*(\w*)")


@dataclass(frozen=True, slots=True)
class Answer:
    """JSON and how it is sent."""

    content: Mapping[str, Any]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


NOT_LOGGED_IN = Answer({"errors": [{"message": "user is not logged in", "path": None}]}, 401)


class Gateway:
    """What every request shares: the store, the files, the clock, the switches."""

    def __init__(
        self,
        store: Store,
        blobs: Blobs,
        signer: Signer,
        clock: SandboxClock,
        switches: WandbSwitches,
        *,
        courier: Courier,
    ) -> None:
        self.store = store
        self.courier = courier
        self.blobs = blobs
        self.signer = signer
        self.clock = clock
        self.switches = switches
        self._spent: dict[int, tuple[float, int]] = {}  # user -> the window's start, the requests made in it
        self._spending = threading.Lock()

    @property
    def switches(self) -> WandbSwitches:
        """How to behave where the real service is unknown."""
        return self._switches

    @switches.setter
    def switches(self, switches: WandbSwitches) -> None:
        # The schema is made now, so that whoever sets impossible switches is told, not each later request.
        missing = switches.unknown_fields
        if not switches.nested_memberships:
            missing |= NESTED_MEMBERSHIPS
        self._schema = schema_without(missing)
        self._switches = switches

    def asker(self, authorization: str) -> Asker | None:
        """Return who a header `Authorization: Basic api:<key>` names; None if it names nobody here."""
        key = _api_key(authorization)
        with self.store.reading() as database:
            asker = accounts.find_asker(database, key)
        welcome = self.switches.unknown_api_key == "new_user" and accounts.WELL_FORMED_KEY.fullmatch(key)
        if asker is not None or not welcome:
            return asker
        with self.store.writing() as database:
            if accounts.find_asker(database, key) is None:
                accounts.create_user_for_key(database, key, now=self.clock.now())
            return accounts.find_asker(database, key)

    def answer(self, authorization: str, request: Mapping[str, Any], *, blind: bool = False) -> Answer:
        """Answer a GraphQL request (`query`, `variables`, `operationName`); `blind`: as to a member of nothing."""
        asker = self.asker(authorization)
        if asker is None:
            return NOT_LOGGED_IN
        if blind:
            asker = replace(asker, entity_keys=frozenset())
        if refusal := self._rate_limited(asker):
            return refusal
        schema = self._schema  # one for the whole request, whatever is switched meanwhile
        try:
            document = _valid(schema, str(request.get("query") or ""))
        except Invalid as error:
            return Answer({"errors": error.errors}, 400)
        self._let_time_pass()
        return self._executed(schema, document, asker, request)

    def context(self, database: sqlite3.Connection, asker: Asker) -> Context:
        """Return a context on a connection that the store lent."""
        return Context(
            database, asker, now=self.clock.now(), switches=self.switches, signer=self.signer, blobs=self.blobs
        )

    def _executed(
        self, schema: GraphQLSchema, document: DocumentNode, asker: Asker, request: Mapping[str, Any]
    ) -> Answer:
        operation = operation_of(document)
        changes = operation == "mutation"
        try:
            with self.store.writing() if changes else self.store.reading() as database:
                result = execute_sync(
                    schema,
                    document,
                    root_value=root_of(operation),
                    context_value=self.context(database, asker),
                    variable_values=dict(request.get("variables") or {}),
                    operation_name=request.get("operationName") or None,
                )
                _check(result)
        except Failed as failed:
            return failed.answer
        if changes:
            self.courier.wake()
        return Answer({"data": result.data})

    def _let_time_pass(self) -> None:
        """Do what has become due since the last request: versions expire, late webhooks are sent."""
        now = self.clock.now()
        with self.store.reading() as database:
            due = versions.expired(database, now)
            late = deliveries.is_due(database, now)
        if late:
            self.courier.wake()
        if due:
            with self.store.writing() as database:
                versions.expire(database, now)

    def _rate_limited(self, asker: Asker) -> Answer | None:
        """Count a request against its user's window; the headers are those that W&B documents."""
        switches = self.switches
        if switches.rate_limit == "off":
            return None
        now = self.clock.now()
        with self._spending:
            start, spent = self._spent.get(asker.user_key, (now, 0))
            if now >= start + switches.rate_limit_window:
                start, spent = now, 0
            self._spent[asker.user_key] = (start, spent + 1)
        if spent < switches.rate_limit_requests:
            return None
        reset = max(1, round(start + switches.rate_limit_window - now))
        headers = {
            "RateLimit-Limit": str(switches.rate_limit_requests),
            "RateLimit-Remaining": "0",
            "RateLimit-Reset": str(reset),
        }
        return Answer({"error": "rate limit exceeded"}, 429, headers if switches.rate_limit == "with_headers" else {})


class Failed(Exception):
    """Some field refused or broke; what a change did is undone."""

    def __init__(self, data: object, errors: list[GraphQLError]) -> None:
        super().__init__(errors[0].message)
        for error in errors:
            if error.original_error is not None and not isinstance(error.original_error, GraphQLError):
                log.error("a resolver broke: %s", error.message, exc_info=error.original_error)
        shown = [
            {"message": error.message, "path": error.path, "extensions": error.extensions or {}} for error in errors
        ]
        status = max(error.extensions.get("code", 200) if error.extensions else 200 for error in errors)
        self.answer = Answer({"data": data, "errors": shown}, status)


def _check(result: ExecutionResult) -> None:
    """Leave the transaction by an exception if a field failed, so that the store undoes the change."""
    if result.errors:
        raise Failed(result.data, result.errors)


class Invalid(Exception):
    """A document that the schema does not allow."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        super().__init__(errors[0].message)
        # The SDK looks for `Cannot query field "features" on type "ServerInfo".` (sdk/artifacts/_gqlutils.py:51);
        # graphql-core quotes with single ones.
        self.errors = [{"message": error.message.replace("'", '"')} for error in errors]


@lru_cache(maxsize=512)
def _valid(schema: GraphQLSchema, query: str) -> DocumentNode:
    try:
        document = parse(query)
    except GraphQLError as error:
        raise Invalid([error]) from error
    if errors := validate(schema, document):
        raise Invalid(errors)
    return document


def operation_of(document: DocumentNode) -> str:
    """Return "query" or "mutation"; a document of the SDK holds one operation."""
    [operation] = [one for one in document.definitions if isinstance(one, OperationDefinitionNode)]
    return operation.operation.value


def describe(request: Mapping[str, Any]) -> tuple[str, bool]:
    """Return an operation's name and if it may change something, before anything is known of its validity."""
    found = OPERATION.search(str(request.get("query") or ""))
    if found is None:
        return "unnamed", False
    return str(request.get("operationName") or found[2] or "unnamed"), found[1] == "mutation"


def _api_key(authorization: str) -> str:
    scheme, _, credentials = authorization.partition(" ")
    try:
        text = base64.b64decode(credentials).decode() if scheme == "Basic" else ""
    except (binascii.Error, ValueError):
        return ""
    return text.partition(":")[2]
