"""What there is to look at: secrets, the store, every connection, and the clocks of whoever answers over HTTP."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, assert_never

from bridge.config.choosing import store_url
from bridge.config.model import MlflowConnection, SecretRef, VertexConnection, WandbConnection
from bridge.core.errors import BridgeError
from bridge.core.places import holds, refuse_misplaced
from bridge.doctor.checks import Check, Result, Word, trouble, well
from bridge.doctor.clocks import look_at_clock
from bridge.store.faults import NoStoreYet
from bridge.store.schema import HEAD
from bridge.store.sealing import choose_key
from bridge.store.sql import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.app import Bridge
    from bridge.config.model import Config
    from bridge.core.model import BucketPlace, MappingSpec, SourceState

GOOGLE_STORAGE = "https://storage.googleapis.com"


@dataclass(frozen=True, slots=True)
class Rounds:
    """The checks of one configuration; `bridge` is built read-only, and with no store of its own."""

    bridge: Bridge

    @property
    def config(self) -> Config:
        """What says how to reach things."""
        return self.bridge.config

    def checks(self) -> list[Check]:
        """List them, in the order in which a person mends things."""
        connections = sorted(self.config.connections.items())
        targets = [(name, spec) for name, spec in connections if isinstance(spec, VertexConnection)]
        sources = [name for name, spec in connections if not isinstance(spec, VertexConnection)]
        return [
            *(Check(f"secret {what}", partial(self._secret, what, ref)) for what, ref in _secrets(self.config)),
            Check("store", self._store),
            *(Check(f"connection {name}", partial(self._source, name)) for name in sources),
            *(Check(f"connection {name}: models", partial(self._models, name, spec)) for name, spec in targets),
            *(Check(f"connection {name}: bucket", partial(self._bucket, name, spec)) for name, spec in targets),
            *(Check(f"connection {name}: location", partial(self._location, name, spec)) for name, spec in targets),
            *(
                Check(f"clock of {url}", partial(look_at_clock, url, self.bridge.clock))
                for url in _origins(self.config)
            ),
        ]

    def _secret(self, what: str, ref: SecretRef) -> Iterator[Result]:
        secret = ref.read()
        if what == "secret_key":
            choose_key(None, secret, read_only=True)
        yield well(f"secret {what}", f"it is in {f'the variable {ref.env}' if ref.env else f'the file {ref.file}'}")

    def _store(self) -> Iterator[Result]:
        try:
            with closing(open_store(store_url(self.config), read_only=True)) as store:
                yield well("store", f"it has the schema {HEAD}, and knows {_count(len(store.statuses()), 'model')}")
        except NoStoreYet as none:
            yield well("store", f"{none.reason}; the first bridge sync or run makes it")

    # sources

    def _source(self, name: str) -> Iterator[Result]:
        source, about = self.bridge.source(name), f"connection {name}"
        account = source.check_access()
        yield well(f"{about}: access", f"it lets us in{f' as {account}' if account else ''}")
        specs = [spec for spec in self.config.mappings if spec.source.connection == name]
        try:
            sweep = source.sweep([spec.source for spec in specs])
        except BridgeError as problem:
            yield trouble(f"{about}: collections", problem)
            return
        for spec in specs:
            if (failure := sweep.failed.get(spec.source)) is not None:
                yield trouble(f"mapping {spec.name}", failure)
            else:
                yield _followed(spec, sweep.found[spec.source])

    # targets

    def _models(self, name: str, spec: VertexConnection) -> Iterator[Result]:
        self.bridge.registry(name).check_access()
        yield well(f"connection {name}: models", f"those of {spec.project} in {spec.location} may be listed")

    def _bucket(self, name: str, spec: VertexConnection) -> Iterator[Result]:
        about, bucket, folder = f"connection {name}: bucket", self.bridge.bucket(name), f"{spec.bucket}/"
        next(bucket.held(folder), None)
        if lacking := bucket.lacking(folder):
            said = f"{spec.bucket} may be listed, but this account lacks {', '.join(lacking)} there"
            yield Result(about, Word.PROBLEM, said, "give it the role roles/storage.objectAdmin on the bucket")
        else:
            yield well(about, f"{spec.bucket} may be listed, read and written")

    def _location(self, name: str, spec: VertexConnection) -> Iterator[Result]:
        yield _placed(f"connection {name}: location", spec, self.bridge.bucket(name).where(f"{spec.bucket}/"))


def _placed(about: str, spec: VertexConnection, place: BucketPlace | None) -> Result:
    if place is None:
        said = f"where {spec.bucket} is could not be checked: this account may not ask for its storage layout"
        remedy = "give it storage.objects.list on the bucket, which roles/storage.objectAdmin has"
        return Result(about, Word.UNKNOWN, said, remedy)
    if (refusal := refuse_misplaced(spec.bucket, place, spec.location)) is not None:
        return Result(about, Word.PROBLEM, f"{refusal.about}: {refusal.reason}", refusal.remedy)
    if holds(place, spec.location) is None:
        said = f"{spec.bucket} is in {place}, and whether that holds {spec.location} is not known here"
        return Result(about, Word.UNKNOWN, said, "look it up at https://cloud.google.com/storage/docs/locations")
    return well(about, f"{spec.bucket} is in {place}, and Vertex AI in {spec.location}")


def _followed(spec: MappingSpec, states: tuple[SourceState, ...]) -> Result:
    about = f"mapping {spec.name}"
    versions, aliases = sum(len(s.versions) for s in states), sum(len(s.aliases) for s in states)
    if not states:
        said = f"no collection in {spec.source.place} matches it now ({spec.origin})"
        return Result(about, Word.UNKNOWN, said, "if there should be one, look at its pattern and tags")
    counted = f"{_count(len(states), 'collection')}, {_count(versions, 'version')}, {_count(aliases, 'alias')}"
    return well(about, f"{counted} may be read")


def _secrets(config: Config) -> Iterator[tuple[str, SecretRef]]:
    """Name every secret that the configuration refers to, as it is called there."""
    if isinstance(config.store, SecretRef):
        yield "store", config.store
    if config.secret_key is not None:
        yield "secret_key", config.secret_key
    for name, spec in sorted(config.connections.items()):
        if isinstance(spec, WandbConnection):
            yield f"connections.{name}.api_key", spec.api_key
        if not isinstance(spec, VertexConnection) and spec.webhook is not None:
            for key, ref in (("token", spec.webhook.token), ("secret", spec.webhook.secret)):
                if ref is not None:
                    yield f"connections.{name}.webhook.{key}", ref
    for channel, ref in sorted(config.notify.items()):
        yield f"notify.{channel}.url", ref


def _origins(config: Config) -> list[str]:
    """Return who answers over HTTP, each once."""
    found: dict[str, None] = {}
    for _, spec in sorted(config.connections.items()):
        match spec:
            case WandbConnection(base_url=url) | MlflowConnection(tracking_uri=url):
                found[url] = None
            case VertexConnection(storage_endpoint=url):
                found[url or GOOGLE_STORAGE] = None
            case _:
                assert_never(spec)
    return [url for url in found if url.startswith(("http://", "https://"))]  # "databricks" is no address


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 'es' if what.endswith('s') else 's'}"
