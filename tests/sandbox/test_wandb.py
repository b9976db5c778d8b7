"""The W&B stand-in as the real SDK sees it."""

from __future__ import annotations

import importlib
import os
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from bridge.sandbox.clock import SandboxClock
from bridge.sandbox.gcs.server import GcsServer
from bridge.sandbox.traffic import Traffic
from bridge.sandbox.wandb.server import WandbServer
from bridge.sandbox.wandb.switches import WandbSwitches

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import ModuleType

    import wandb

pytestmark = pytest.mark.sandbox

Value = Any  # of an option of the SDK, or of a switch

API_KEY = "local-" + "a" * 40
REGISTRY = "acme_org/wandb-registry-model"
PROXIES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")


@dataclass(frozen=True, slots=True)
class Bench:
    """A server, a client of it, and a run to log with."""

    sdk: ModuleType  # wandb, imported when the environment was ready
    server: WandbServer
    traffic: Traffic
    clock: SandboxClock
    api: wandb.Api
    run: wandb.Run
    folder: Path

    def log(self, name: str, files: Mapping[str, bytes], **options: Value) -> wandb.Artifact:
        """Log a version with these files and wait until it is committed."""
        log_options = {key: options.pop(key) for key in ("aliases", "tags") if key in options}
        artifact = self.sdk.Artifact(name, options.pop("type", "model"), **options)
        self.add(artifact, files)
        logged: wandb.Artifact = self.run.log_artifact(artifact, **log_options).wait()
        return logged

    def add(self, artifact: wandb.Artifact, files: Mapping[str, bytes]) -> None:
        """Add files to a draft; its own `new_file` leaves a temporary folder to the garbage collector."""
        source = self.folder / "source"
        for path, content in files.items():
            source.write_bytes(content)
            artifact.add_file(str(source), name=path)

    def link(self, artifact: wandb.Artifact, name: str, aliases: Sequence[str] = ()) -> wandb.Artifact:
        """Link a version into the registry."""
        linked = self.run.link_artifact(artifact, f"{REGISTRY}/{name}", aliases=list(aliases))
        assert linked is not None
        return linked

    def aliased(self, *aliases: str, per_page: int = 1000) -> dict[str, list[str]]:
        """List the registry's versions that have one of these aliases, with all their aliases."""
        registries = self.api.registries("Acme", filter={"name": "model"})
        versions = registries.versions(filter={"alias": {"$in": list(aliases)}}, per_page=per_page)
        return {f"{v.collection.name}:{v.version}": sorted(v.aliases) for v in versions}

    @contextmanager
    def switched(self, **settings: Value) -> Iterator[None]:
        """Let the server behave otherwise for a while."""
        self.server.switches = replace(WandbSwitches(), **settings)
        try:
            yield
        finally:
            self.server.switches = WandbSwitches()


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("wandb")
    traffic, clock = Traffic(), SandboxClock()
    server = WandbServer(folder / "server", traffic=traffic, clock=clock)
    server.create_organization("Acme", registries=("model", "dataset"))
    server.create_team("acme-team", organization="Acme")
    server.start()
    with pytest.MonkeyPatch.context() as environment:
        for proxy in PROXIES:
            environment.delenv(proxy, raising=False)
        environment.setenv("WANDB_BASE_URL", server.url)
        environment.setenv("WANDB_API_KEY", API_KEY)
        environment.setenv("WANDB_SILENT", "true")
        for name in ("DIR", "CACHE_DIR", "DATA_DIR", "CONFIG_DIR", "ARTIFACT_DIR"):
            environment.setenv(f"WANDB_{name}", str(folder / name.lower()))
            (folder / name.lower()).mkdir()
        sdk = importlib.import_module("wandb")
        sdk.teardown()  # what another test module may have left
        run = sdk.init(project="train", entity="acme-team", config={"lr": 0.1})
        api = sdk.Api(overrides={"base_url": server.url}, api_key=API_KEY, timeout=30)
        try:
            yield Bench(sdk, server, traffic, clock, api, run, folder)
        finally:
            run.finish()
            sdk.teardown()
            server.stop()
    assert "WANDB_BASE_URL" not in os.environ or os.environ["WANDB_BASE_URL"] != server.url


# Versions and files


def test_what_is_logged_comes_back_byte_for_byte(bench: Bench, tmp_path: Path) -> None:
    files = {"model.bin": bytes(range(256)) * 4000, "empty": b"", "sub dir/é ü.txt": b"text"}
    logged = bench.log("bytes", files, metadata={"auc": 0.9}, description="a net")
    found = bench.api.artifact("acme-team/train/bytes:v0")
    assert (found.id, found.digest, found.state, found.size) == (logged.id, logged.digest, "COMMITTED", 1024004)
    assert (found.metadata, found.description, found.file_count) == ({"auc": 0.9}, "a net", 3)
    root = Path(found.download(str(tmp_path), skip_cache=True))
    assert {path: (root / path).read_bytes() for path in files} == files


def test_versions_are_numbered_and_the_last_is_latest(bench: Bench) -> None:
    first = bench.log("numbered", {"f": b"1"}, aliases=["best"])
    second = bench.log("numbered", {"f": b"2"})
    assert (first.version, second.version) == ("v0", "v1")
    listed = {v.version: sorted(v.aliases) for v in bench.api.artifacts("model", "acme-team/train/numbered")}
    assert listed == {"v1": ["latest"], "v0": ["best"]}
    assert sorted(bench.api.artifact_collection("model", "acme-team/train/numbered").aliases) == ["best", "latest"]


def test_the_same_content_makes_no_new_version(bench: Bench) -> None:
    first = bench.log("same", {"f": b"1"})
    again = bench.log("same", {"f": b"1"}, aliases=["again"])
    assert (again.id, again.version) == (first.id, "v0")
    assert sorted(bench.api.artifact("acme-team/train/same:again").aliases) == ["again", "latest"]


def test_without_deduplication_the_same_content_is_a_new_version(bench: Bench) -> None:
    bench.log("same-again", {"f": b"1"})
    with bench.switched(dedupe_scope="none"):
        assert bench.log("same-again", {"f": b"1"}).version == "v1"


def test_a_file_that_an_earlier_version_has_is_not_sent_again(bench: Bench) -> None:
    first = bench.log("partly", {"same": b"s" * 100, "other": b"1"})
    bench.traffic.reset()
    second = bench.log("partly", {"same": b"s" * 100, "other": b"2"})
    puts = {call.method: count for call, count in bench.traffic.counts().items()}["PUT file"]
    assert puts == 2  # the other file and the manifest
    entries = bench.api.artifact("acme-team/train/partly:v1").manifest.entries
    assert entries["same"].birth_artifact_id == first.id
    assert entries["other"].birth_artifact_id == second.id


def test_files_can_be_read_from_any_offset_until_the_url_expires(bench: Bench) -> None:
    bench.log("ranged", {"model.bin": b"0123456789"})
    artifact = bench.api.artifact("acme-team/train/ranged:latest")
    [file] = artifact.files(names=["model.bin"], per_page=5000)
    with requests.Session() as session:
        rest = session.get(file.direct_url, headers={"Range": "bytes=7-"})
        assert (rest.status_code, rest.content, rest.headers["Content-Range"]) == (206, b"789", "bytes 7-9/10")
        assert session.get(file.direct_url, headers={"Range": "bytes=10-"}).status_code == 416
        bench.clock.advance(3601)
        assert session.get(file.direct_url).status_code == 403
        [file] = artifact.files(names=["model.bin"])
        assert session.get(file.direct_url).content == b"0123456789"


def test_a_corrupted_file_is_served_with_its_wrong_byte(bench: Bench) -> None:
    bench.log("rotten", {"a/model.bin": b"0123"})
    bench.server.corrupt_file("acme-team/train/rotten:v0", "a/model.bin", offset=2)
    artifact = bench.api.artifact("acme-team/train/rotten:v0")
    [file] = artifact.files()
    assert requests.get(file.direct_url, timeout=10).content == b"01\xcd3"
    with pytest.raises(LookupError):
        bench.server.corrupt_file("acme-team/train/rotten:v0", "model.bin")


def test_a_reference_is_kept_and_nothing_is_uploaded(bench: Bench) -> None:
    artifact = bench.sdk.Artifact("pointer", "model")
    artifact.add_reference("https://example.test/model.bin", name="model.bin", checksum=False)
    bench.traffic.reset()
    bench.run.log_artifact(artifact).wait()
    assert "CreateArtifactFiles" not in {call.method for call in bench.traffic.counts()}
    found = bench.api.artifact("acme-team/train/pointer:v0")
    assert found.manifest.entries["model.bin"].ref == "https://example.test/model.bin"
    [file] = found.files()
    assert file.direct_url == ""


def test_a_reference_into_gcs_can_be_followed(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = GcsServer(tmp_path / "gcs", traffic=Traffic(), clock=SandboxClock())
    storage.start()
    try:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", storage.url)
        monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "p")
        put = f"{storage.url}/upload/storage/v1/b/bucket/o"
        requests.post(f"{storage.url}/storage/v1/b?project=p", json={"name": "bucket"}, timeout=10)
        requests.post(put, b"content", params={"uploadType": "media", "name": "obj"}, timeout=10).raise_for_status()
        artifact = bench.sdk.Artifact("in-gcs", "model")
        artifact.add_reference("gs://bucket/obj", name="unchecked", checksum=False)
        artifact.add_reference("gs://bucket/obj", name="checked")
        bench.run.log_artifact(artifact).wait()
        found = bench.api.artifact("acme-team/train/in-gcs:v0")
        unchecked, checked = (found.manifest.entries[name] for name in ("unchecked", "checked"))
        assert (unchecked.ref, unchecked.digest, unchecked.size) == ("gs://bucket/obj", "gs://bucket/obj", 0)
        assert (checked.ref, checked.size, set(checked.extra)) == ("gs://bucket/obj", 7, {"versionID"})
        assert Path(found.get_entry("checked").download(str(tmp_path))).read_bytes() == b"content"
    finally:
        storage.stop()


def test_a_reference_into_s3_comes_back_as_it_was_logged(bench: Bench) -> None:
    entries = importlib.import_module("wandb.sdk.artifacts.artifact_manifest_entry")
    artifact = bench.sdk.Artifact("in-s3", "model")
    # add_reference would ask boto3, which is not installed.
    said = {"ref": "s3://bucket/key", "digest": "0123456789abcdef", "size": 5, "extra": {"versionID": "7"}}
    artifact.manifest.add_entry(entries.ArtifactManifestEntry(path="sub/key", **said))
    bench.run.log_artifact(artifact).wait()
    found = bench.api.artifact("acme-team/train/in-s3:v0")
    entry = found.manifest.entries["sub/key"]
    assert {name: getattr(entry, name) for name in said} == said
    assert found.get_entry("sub/key").ref_target() == "s3://bucket/key"


def test_an_xxh128_digest_is_taken_where_it_is_enabled(bench: Bench, tmp_path: Path) -> None:
    with bench.switched(xxh128=True):
        bench.log("fast", {"f": b"content"}, digest_algorithm="XXH128")
    bench.log("slow", {"f": b"content"}, digest_algorithm="XXH128")
    fast, slow = (bench.api.artifact(f"acme-team/train/{name}:v0") for name in ("fast", "slow"))
    assert fast.manifest.entries["f"].extra == {"alg": "XXH128"}
    assert slow.manifest.entries["f"].extra == {}
    assert (Path(fast.download(str(tmp_path))) / "f").read_bytes() == b"content"


def test_an_incremental_version_keeps_the_files_of_the_one_before(bench: Bench) -> None:
    bench.log("grows", {"a": b"1", "b": b"1"})
    bench.log("grows", {"b": b"2", "c": b"2"}, incremental=True)
    found = bench.api.artifact("acme-team/train/grows:v1")
    with requests.Session() as session:
        content = {file.name: session.get(file.direct_url).content for file in found.files()}
    assert content == {"a": b"1", "b": b"2", "c": b"2"}
    assert set(found.manifest.entries) == {"a", "b", "c"}


def test_a_distributed_version_has_the_files_of_all_its_parts(bench: Bench) -> None:
    for name, log in (("a", bench.run.upsert_artifact), ("b", bench.run.finish_artifact)):
        part = bench.sdk.Artifact("parts", "model")
        bench.add(part, {name: name.encode()})
        log(part, distributed_id="job-1").wait()
    found = bench.api.artifact("acme-team/train/parts:v0")
    assert {file.name for file in found.files()} == {"a", "b"}


def test_tags_metadata_and_descriptions_can_be_changed(bench: Bench) -> None:
    bench.log("edited", {"f": b"1"}, tags=["first"])
    artifact = bench.api.artifact("acme-team/train/edited:v0")
    artifact.tags = ["second", "third"]
    artifact.metadata["auc"] = 0.5
    artifact.description = "better"
    artifact.save()
    found = bench.api.artifact("acme-team/train/edited:v0")
    assert (sorted(found.tags), found.metadata, found.description) == (["second", "third"], {"auc": 0.5}, "better")


def test_a_version_dies_at_the_end_of_its_time_to_live_unless_it_is_linked(bench: Bench) -> None:
    def mortal(content: bytes) -> wandb.Artifact:
        artifact = bench.sdk.Artifact("mortal", "model")
        artifact.ttl = timedelta(days=1)
        bench.add(artifact, {"f": content})
        return bench.run.log_artifact(artifact).wait()

    bench.link(mortal(b"linked"), "mortal")
    assert mortal(b"alone").ttl == timedelta(days=1)
    undying = mortal(b"undying")
    undying.ttl = None
    undying.save()
    bench.clock.advance(86_401)
    alive = {artifact.version for artifact in bench.api.artifacts("model", "acme-team/train/mortal")}
    assert alive == {"v0", "v2"}


def test_a_version_with_aliases_is_deleted_only_with_them(bench: Bench) -> None:
    bench.log("doomed", {"f": b"1"})
    artifact = bench.api.artifact("acme-team/train/doomed:v0")
    with pytest.raises(bench.sdk.errors.CommError):
        artifact.delete()
    artifact.delete(delete_aliases=True)
    with pytest.raises(bench.sdk.errors.CommError, match="not found") as caught:
        bench.api.artifact("acme-team/train/doomed:v0")
    assert isinstance(caught.value.exc, ValueError)
    assert bench.log("doomed", {"f": b"1"}).version == "v1"  # a number is never used twice


# Registries and aliases


def test_a_link_has_its_own_number_and_aliases(bench: Bench) -> None:
    bench.log("origin", {"f": b"1"})
    second = bench.log("origin", {"f": b"2"})
    linked = bench.link(second, "fraud", ["staging"])
    assert (linked.version, sorted(linked.aliases)) == ("v0", ["latest", "staging"])
    assert (linked.source_version, linked.source_name) == ("v1", "origin:v1")
    assert sorted(bench.api.artifact("acme-team/train/origin:v1").aliases) == ["latest"]
    again = second.link("wandb-registry-model/fraud", aliases=["again"])
    assert again is not None
    assert (again.version, sorted(again.aliases)) == ("v0", ["again", "latest", "staging"])


def test_latest_stays_on_a_link_if_the_switch_says_so(bench: Bench) -> None:
    with bench.switched(latest_moves_on_link=False):
        linked = bench.link(bench.log("unlatest", {"f": b"1"}), "unlatest", ["staging"])
    assert linked.aliases == ["staging"]


def test_an_alias_names_one_version_of_a_collection_at_a_time(bench: Bench) -> None:
    for content in (b"1", b"2"):
        bench.link(bench.log("moving", {"f": content}), "moving")
    for version in ("v0", "v1"):
        artifact = bench.api.artifact(f"{REGISTRY}/moving:{version}")
        artifact.aliases.append("champion")
        artifact.save()
    assert bench.aliased("champion") == {"moving:v1": ["champion", "latest"]}
    artifact = bench.api.artifact(f"{REGISTRY}/moving:champion")
    artifact.aliases.remove("champion")
    artifact.save()
    assert bench.aliased("champion") == {}


def test_a_sweep_lists_aliased_versions_page_by_page(bench: Bench) -> None:
    artifact = bench.log("swept", {"f": b"1"})
    for number in range(5):
        bench.link(artifact, f"swept-{number}", [f"stage-{number % 2}"])
    found = bench.aliased("stage-0", "stage-1", per_page=2)
    assert found == {f"swept-{n}:v0": ["latest", f"stage-{n % 2}"] for n in range(5)}
    collections = bench.api.registries("Acme").collections(filter={"name": {"$regex": "^swept-"}}, per_page=2)
    assert [collection.name for collection in collections] == [f"swept-{n}" for n in range(5)]
    assert len(list(collections.versions())) == 5


def test_the_advanced_search_is_told_of_and_orders_versions(bench: Bench) -> None:
    with bench.switched(advanced_search=True):
        api = bench.sdk.Api(overrides={"base_url": bench.server.url}, api_key=API_KEY)
        for name, size in (("big", 100), ("small", 1)):
            bench.link(bench.log(name, {"f": b"x" * size}), name, ["sized"])
        versions = api.registries("Acme").versions(filter={"alias": "sized"}, order="artifact_size")
        assert [version.collection.name for version in versions] == ["small", "big"]


def test_a_protected_alias_is_set_and_removed_by_admins_only(bench: Bench) -> None:
    registry = bench.api.create_registry("guarded", "organization", organization="Acme")
    artifact = bench.log("guarded", {"f": b"1"})
    with bench.switched(protected_aliases=frozenset({"production"})):
        admitted = bench.run.link_artifact(artifact, "acme_org/wandb-registry-guarded/net", ["production"])
        assert admitted is not None  # who makes a registry is its admin
        with pytest.raises(bench.sdk.errors.CommError, match="protected"):
            bench.link(artifact, "guarded", ["production"])
    registry.delete()


def test_a_link_is_removed_and_the_version_stays(bench: Bench) -> None:
    linked = bench.link(bench.log("unlinked", {"f": b"1"}), "unlinked")
    linked.unlink()
    with pytest.raises(bench.sdk.errors.CommError):
        bench.api.artifact(f"{REGISTRY}/unlinked:v0")
    assert bench.api.artifact("acme-team/train/unlinked:v0").state == "COMMITTED"


def test_a_portfolio_can_be_renamed_described_tagged_and_deleted(bench: Bench) -> None:
    bench.link(bench.log("curated", {"f": b"1"}), "curated")
    collection = bench.api.artifact_collection("model", f"{REGISTRY}/curated")
    collection.name, collection.description, collection.tags = "curated-2", "for review", ["a", "b"]
    collection.save()
    collection.tags = ["b"]
    collection.save()
    found = bench.api.artifact_collection("model", f"{REGISTRY}/curated-2")
    assert (found.description, found.tags, found.id) == ("for review", ["b"], collection.id)
    tagged = bench.api.registries("Acme").collections(filter={"tag": "b"})
    assert [one.name for one in tagged] == ["curated-2"]
    found.delete()
    assert not bench.api.artifact_collection_exists(f"{REGISTRY}/curated-2", "model")
    assert bench.api.artifact("acme-team/train/curated:v0").state == "COMMITTED"


def test_a_sequence_can_change_its_type_and_be_deleted_with_its_links(bench: Bench) -> None:
    bench.link(bench.log("retyped", {"f": b"1"}), "retyped", ["gone"])
    collection = bench.api.artifact_collection("model", "acme-team/train/retyped")
    collection.type = "checkpoint"
    collection.save()
    moved = bench.api.artifact_collection("checkpoint", "acme-team/train/retyped")
    assert "checkpoint" in {one.name for one in bench.api.artifact_types("acme-team/train")}
    moved.delete()
    assert bench.aliased("gone") == {}


def test_a_registry_is_created_changed_and_deleted(bench: Bench) -> None:
    registry = bench.api.create_registry(
        "new", "organization", organization="Acme", artifact_types=["model"], description="first"
    )
    assert [one.name for one in bench.api.registries("Acme", filter={"name": "new"})] == ["new"]
    assert (registry.full_name, registry.allow_all_artifact_types) == ("wandb-registry-new", False)
    registry.description, registry.name = "second", "newer"
    registry.save()
    found = bench.api.registry("newer", "Acme")
    assert (found.description, list(found.artifact_types)) == ("second", ["model"])
    dataset = bench.log("not-a-model", {"f": b"1"}, type="dataset")
    with pytest.raises(bench.sdk.errors.CommError, match="does not take"):
        bench.run.link_artifact(dataset, "acme_org/wandb-registry-newer/data")
    found.delete()
    assert list(bench.api.registries("Acme", filter={"name": "newer"})) == []


def test_registry_members_have_roles(bench: Bench) -> None:
    registry = bench.api.create_registry("shared", "organization", organization="Acme")
    [creator] = registry.user_members()
    assert creator.role == "admin"
    bench.server.create_user("carol", api_key="local-" + "c" * 40, organization="Acme")
    [carol] = bench.api.users("carol")
    team = bench.api.team("acme-team")
    registry.add_members(carol, team)
    registry.update_member(carol, role="viewer")
    assert {m.user.username: m.role for m in registry.user_members()}["carol"] == "viewer"
    registry.update_member(team, role="admin")
    assert [(m.team.name, m.role) for m in registry.team_members()] == [("acme-team", "admin")]
    registry.remove_members(carol, team)
    assert ([m.user.username for m in registry.user_members()], registry.team_members()) == (
        [creator.user.username],
        [],
    )
    registry.delete()


# Runs


def test_a_run_keeps_its_config_history_summary_and_files(bench: Bench) -> None:
    with bench.sdk.init(project="train", entity="acme-team", config={"layers": 3}, reinit="create_new") as run:
        for step in range(3):
            run.log({"loss": 1 / (step + 1)})
        run.use_artifact(bench.log("used", {"f": b"1"}))
    found = bench.api.run(f"acme-team/train/{run.id}")
    assert (found.config, found.state, found.lastHistoryStep) == ({"layers": 3}, "finished", 2)
    assert found.summary["loss"] == pytest.approx(1 / 3)
    assert [row["loss"] for row in found.history(keys=["loss"], pandas=False)] == pytest.approx([1, 1 / 2, 1 / 3])
    assert len(found.history(pandas=False)) == 3
    assert "config.yaml" in {file.name for file in found.files()}
    assert [artifact.name for artifact in found.used_artifacts()] == ["used:v0"]
    used = bench.api.artifact("acme-team/train/used:v0")
    assert [one.id for one in used.used_by()] == [run.id]
    logger = used.logged_by()
    assert logger is not None
    assert logger.id == bench.run.id
    assert "used:v0" in {artifact.name for artifact in logger.logged_artifacts()}


def test_the_whole_history_of_a_run_can_be_scanned(bench: Bench) -> None:
    with bench.sdk.init(project="train", entity="acme-team", reinit="create_new") as run:
        for step in range(3):
            run.log({"loss": step / 4, "even": step} if step % 2 == 0 else {"loss": step / 4})
    found = bench.api.run(f"acme-team/train/{run.id}")
    for page_size in (1, 2, 1000):
        rows = list(found.scan_history(page_size=page_size))
        assert [(row["_step"], row["loss"], row.get("even")) for row in rows] == [
            (0, 0, 0),
            (1, 0.25, None),
            (2, 0.5, 2),
        ]
        rows = list(found.scan_history(keys=["loss", "even"], page_size=page_size))
        assert [(row["loss"], row["even"]) for row in rows] == [(0, 0), (0.5, 2)]
    assert [row["loss"] for row in found.scan_history(keys=["loss"], min_step=1, max_step=2)] == [0.25]
    assert [row["loss"] for row in found.beta_scan_history()] == [0, 0.25, 0.5]


def test_a_run_that_logged_nothing_has_nothing_to_scan(bench: Bench) -> None:
    with bench.sdk.init(project="train", entity="acme-team", reinit="create_new") as run:
        pass
    assert list(bench.api.run(f"acme-team/train/{run.id}").scan_history()) == []


def test_a_run_is_resumed_where_it_stopped(bench: Bench) -> None:
    for value in (1, 2):
        with bench.sdk.init(
            project="train", entity="acme-team", id="resumed", resume="allow", reinit="create_new"
        ) as run:
            run.log({"value": value})
    found = bench.api.run("acme-team/train/resumed")
    assert [(row["_step"], row["value"]) for row in found.history(pandas=False)] == [(0, 1), (1, 2)]
    runs = bench.api.runs("acme-team/train", filters={"state": "finished"})
    assert "resumed" in {one.id for one in runs}
    found.delete()
    assert "resumed" not in {one.id for one in bench.api.runs("acme-team/train", order="-created_at")}


# What an older server would say


def test_the_client_copes_with_a_server_that_knows_no_features(bench: Bench) -> None:
    with bench.switched(unknown_fields=frozenset({"ServerInfo.features"})):
        api = bench.sdk.Api(overrides={"base_url": bench.server.url}, api_key=API_KEY)
        with pytest.raises(RuntimeError, match="not enabled"):
            list(api.registries("Acme"))


def test_a_download_goes_the_long_way_if_there_are_no_direct_urls(bench: Bench, tmp_path: Path) -> None:
    bench.log("afar", {"sub/f": b"content"})
    artifact = bench.api.artifact("acme-team/train/afar:v0")
    path = artifact.get_entry("sub/f").download(str(tmp_path))  # asks GET /artifactsV2
    assert Path(path).read_bytes() == b"content"
