"""The W&B stand-in as a whole: start it, point the SDK at its URL, seed it, change its behaviour."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from bridge.sandbox.serving import HttpServer
from bridge.sandbox.wandb import accounts, deliveries, seeding
from bridge.sandbox.wandb.blobs import Blobs
from bridge.sandbox.wandb.deliveries import Courier
from bridge.sandbox.wandb.gateway import Gateway
from bridge.sandbox.wandb.routes import Routes
from bridge.sandbox.wandb.signing import Signer
from bridge.sandbox.wandb.store import Store
from bridge.sandbox.wandb.switches import WandbSwitches

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from bridge.sandbox.clock import SandboxClock
    from bridge.sandbox.traffic import Traffic
    from bridge.sandbox.wandb.deliveries import Delivery
    from bridge.sandbox.wandb.seeding import SeededVersion


class WandbServer:
    """
    A local W&B that the real SDK can log in to, log artifacts to and read registries from.

    All state is in the folder `data` and survives a restart. `switches` may be replaced at any time and holds
    from the next request on.
    """

    def __init__(self, data: Path, *, traffic: Traffic, clock: SandboxClock, port: int = 0) -> None:
        self._clock = clock
        self._http = HttpServer(port)
        self._url = self._http.url
        self._store = Store(data / "wandb.sqlite", clock)
        blobs = Blobs(data / "blobs")
        signer = Signer(self._url, self._store.secret(), clock)
        self._courier = Courier(self._store, clock)
        self._gateway = Gateway(self._store, blobs, signer, clock, WandbSwitches(), courier=self._courier)
        self._app = Routes(self._gateway, traffic).app()

    @property
    def url(self) -> str:
        """The base URL: what WANDB_BASE_URL must say."""
        return self._url

    @property
    def switches(self) -> WandbSwitches:
        """How the stand-in behaves where the real service is unknown. Setting raises ValueError if it cannot."""
        return self._gateway.switches

    @switches.setter
    def switches(self, switches: WandbSwitches) -> None:
        self._gateway.switches = switches

    def start(self) -> None:
        """Accept requests, and send the webhooks that are still to be sent."""
        self._courier.start()
        self._http.start(self._app)

    def stop(self) -> None:
        """Accept no more requests, and close the database. Idempotent."""
        self._http.stop()
        self._courier.stop()
        self._store.close()

    def create_organization(self, name: str, *, registries: Sequence[str] = ("model",)) -> None:
        """Make an organization with registries; its entity is called as in `acme_org` for Acme. Idempotent."""
        with self._store.writing() as database:
            accounts.create_organization(database, name, registries, now=self._clock.now())

    def create_team(self, name: str, *, organization: str) -> None:
        """Make a team of an organization. Idempotent. Raises LookupError if there is no such organization."""
        with self._store.writing() as database:
            accounts.create_team(database, name, organization, now=self._clock.now())

    def create_user(self, name: str, *, api_key: str, organization: str | None = None, team: str | None = None) -> None:
        """
        Make a user, a member of `organization` and `team` only; the team is their default. Idempotent.

        Raises ValueError if the key is another user's.
        """
        with self._store.writing() as database:
            accounts.create_user(database, name, api_key, organization, team, now=self._clock.now())

    def set_secret(self, entity: str, name: str, value: str) -> None:
        """Set a secret of a team, which its webhooks call by this name. Raises LookupError if there is no such team."""
        with self._store.writing() as database:
            accounts.set_secret(database, entity, name, value)

    def deliveries(self) -> list[Delivery]:
        """Return the history of all automations, in the order in which webhooks were or will be sent."""
        with self._store.reading() as database:
            return deliveries.history(database)

    def wait_for_deliveries(self, timeout: float = 10.0) -> None:
        """
        Wait until every webhook is sent that is due and not held back by the switch `webhook_delivery`.

        The server must be started. Raises TimeoutError after so many seconds of real time.
        """
        self._courier.wait(timeout)

    def release_deliveries(self) -> None:
        """Send the late webhooks whose delay is over by now, and half a pair whose other half never came."""
        with self._store.writing() as database:
            deliveries.release_halves(database)
        self._courier.wake()

    def seed_version(
        self,
        collection: str,
        files: Mapping[str, bytes],
        *,
        aliases: Sequence[str] = (),
        artifact_type: str = "model",
        metadata: Mapping[str, object] | None = None,
        digests: Mapping[str, str] | None = None,
        references: Mapping[str, str] | None = None,
        listed: Iterable[str] = (),
    ) -> SeededVersion:
        """
        Commit a version and link it into `entity/project/collection`, without the SDK and its checks of names.

        `files` are names, hostile ones too, and bytes. `digests` replaces what a manifest says of a file; to
        `references`, name -> URI, and to names that are only `listed`, as empty files, nothing is stored. The version
        is born in the project `seeded` of the first team of the same organization, else of the entity itself. `latest`
        is set as a link would, and automations are triggered.
        """
        with self._store.writing() as database:
            context = seeding.seeder(self._gateway, database)
            seeded = seeding.seed_version(
                context,
                collection,
                files,
                aliases=aliases,
                artifact_type=artifact_type,
                metadata=metadata or {},
                digests=digests or {},
                references=references or {},
                listed=listed,
            )
        self._courier.wake()
        return seeded

    def seed_collections(
        self, count: int, versions: int, *, registry: str, alias: str = "production", prefix: str = "seeded"
    ) -> None:
        """
        Fill a registry, `entity/project`, with `count` new collections of `versions` versions without files.

        The first version of each has `alias`, the last has `latest`. No automation is triggered.
        """
        with self._store.writing() as database:
            context = seeding.seeder(self._gateway, database)
            seeding.seed_collections(context, registry, count, versions, alias=alias, prefix=prefix)

    def corrupt_file(self, version: str, path: str, *, offset: int = 0) -> None:
        """
        Flip one stored byte of one file of `entity/project/collection:alias`; other versions may share the file.

        Raises LookupError if there is no such version or file, ValueError if the file ends before `offset`.
        """
        self._gateway.blobs.flip(self._blob(version, path), offset)

    def replace_file(self, version: str, path: str, content: bytes) -> None:
        """
        Serve these bytes as one file of `entity/project/collection:alias`, whatever was promised of it.

        Raises LookupError if there is no such version or file.
        """
        self._gateway.blobs.write(self._blob(version, path), io.BytesIO(content))

    def _blob(self, version: str, path: str) -> str:
        with self._store.reading() as database:
            return seeding.blob_of(seeding.seeder(self._gateway, database), version, path)
