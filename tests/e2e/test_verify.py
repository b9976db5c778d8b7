"""An auditor asks whether what is in production is what was approved; each kind of damage is named."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from bridge.copying.gcs import GcsObjects
from bridge.sandbox.address import BUCKET, PROJECT
from bridge.sandbox.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.cloud import storage  # noqa: TID251  a person's own client

    from tests.e2e.conftest import Desk

pytestmark = pytest.mark.sandbox

RESTORE = (
    "find out who wrote to the folder, and restore what was there: the bucket's soft delete or versioning may have it"
)
MANIFEST = ".bridge-manifest.json"


@contextmanager
def bucket(desk: Desk) -> Iterator[storage.Bucket]:
    with closing(GcsObjects(PROJECT, endpoint=desk.world.gcs.url)) as opened:
        yield opened._client.bucket(BUCKET)  # noqa: SLF001  a person's client is the same as ours


@pytest.fixture
def label(desk: Desk) -> str:
    """Have one version of two files in Vertex, as its only one."""
    files = {"model.pkl": b"weights", "data/vocabulary.txt": b"words"}
    version = desk.world.wandb.seed_version(desk.path, files, aliases=["production"])
    assert desk.bridge("sync").code == 0
    desk.world.traffic.reset()
    return f"v{version.version_index}"


def folder(desk: Desk) -> str:
    return desk.versions()[0].artifact_uri


def blob(desk: Desk, path: str) -> str:
    return folder(desk).removeprefix(f"gs://{BUCKET}/") + path


def found(desk: Desk, *options: str) -> str:
    """Return the one line that says what is wrong, without what it is about."""
    done = desk.bridge("verify", f"{desk.model}@1", *options)
    assert (done.code, done.err) == (1, "")
    [line] = done.out.splitlines()
    head = f"!!  {desk.model}@1  ({desk.collection}:v0)  "
    assert line.startswith(head)
    return line.removeprefix(head)


@pytest.mark.parametrize(("options", "how"), [((), "by metadata"), (("--deep",), "by every byte")])
def test_what_nobody_touched_is_fine_and_nothing_is_written(
    desk: Desk, label: str, options: tuple[str, ...], how: str
) -> None:
    refs = ("production", "1")
    line = f"ok  {desk.model}@1  ({desk.collection}:{label})  2 files, 12 bytes, {how}\n"
    for ref in (*(f"{desk.model}@{each}" for each in refs), f"wandb-registry-model/{desk.collection}:{label}", "fraud"):
        done = desk.bridge("verify", ref, *options)
        assert (done.code, done.out, done.err) == (0, line, "")
    assert desk.bridge("verify", *options).out == line
    assert desk.world.traffic.count(write=True) == 0


@pytest.mark.usefixtures("label")
def test_by_metadata_a_version_costs_a_manifest_and_a_list(desk: Desk) -> None:
    assert desk.bridge("verify", f"{desk.model}@1").code == 0
    assert desk.world.traffic.count("gcs") == 2


@pytest.mark.usefixtures("label")
def test_an_object_that_was_deleted_is_missing(desk: Desk) -> None:
    with bucket(desk) as gcs:
        gcs.blob(blob(desk, "model.pkl")).delete()
    assert found(desk) == f"1 object is missing from {folder(desk)}: 'model.pkl'; {RESTORE}"


@pytest.mark.usefixtures("label")
def test_an_object_that_a_person_wrote_over_differs(desk: Desk) -> None:
    with bucket(desk) as gcs:
        gcs.blob(blob(desk, "model.pkl")).upload_from_string(b"WEIGHTS")
    for options in ((), ("--deep",)):
        said = found(desk, *options)
        assert said.startswith(f"1 object differs from the manifest of {folder(desk)}: 'model.pkl' (crc32c ")
        assert " instead of crc32c " in said
        assert said.endswith(f"; {RESTORE}")


@pytest.mark.usefixtures("label")
def test_an_object_that_was_added_is_too_much(desk: Desk) -> None:
    with bucket(desk) as gcs:
        gcs.blob(blob(desk, "zz/more.py")).upload_from_string(b"import os")
    assert found(desk) == (
        f"1 object is in {folder(desk)} that its manifest does not name: 'zz/more.py'; "
        "find out who wrote there, and remove what is too much: whoever loads the folder loads it too"
    )


@pytest.mark.usefixtures("label")
def test_a_bit_that_the_bucket_lost_is_found_by_reading(desk: Desk) -> None:
    desk.world.gcs.corrupt_object(BUCKET, blob(desk, "model.pkl"))
    assert desk.bridge("verify", f"{desk.model}@1").code == 0
    said = found(desk, "--deep")
    assert said.startswith(
        f"1 object holds other bytes in {folder(desk)} than the manifest says, though its metadata look right: "
        "'model.pkl' (crc32c "
    )
    assert said.endswith("; restore an earlier generation, and tell Google")
    assert desk.world.traffic.count(write=True) == 0


@pytest.mark.usefixtures("label")
def test_a_manifest_that_was_removed_is_missed(desk: Desk) -> None:
    with bucket(desk) as gcs:
        gcs.blob(blob(desk, MANIFEST)).delete()
    assert found(desk) == f"{folder(desk)} has no manifest, so nothing says what should be in it; {RESTORE}"


@pytest.mark.usefixtures("label")
def test_a_manifest_that_somebody_wrote_is_not_believed(desk: Desk) -> None:
    with bucket(desk) as gcs:
        gcs.blob(blob(desk, MANIFEST)).upload_from_string(b"{}")
    said = found(desk)
    assert said.startswith(f"{folder(desk)} could not be compared: {folder(desk)}{MANIFEST} is not a manifest")


def test_an_alias_that_was_moved_in_vertex_is_told_with_where_it_is(desk: Desk, label: str) -> None:
    desk.publish(b"second", "staging")
    assert desk.bridge("sync").code == 0
    desk.alias_by_hand("production", "2")
    desk.world.traffic.reset()
    done = desk.bridge("verify")
    moved = (
        f"1 alias that the bridge set on {desk.model}@1 moved in Vertex since: production is on @2; "
        "move back what was moved by mistake, or set 'drift: heal' in the mapping and run bridge sync --full"
    )
    assert done.code == 1
    assert done.out.splitlines() == [
        f"!!  {desk.model}@1  ({desk.collection}:{label})  {moved}",
        f"ok  {desk.model}@2  ({desk.collection}:v1)  1 file, 6 bytes, by metadata",
        "2 versions, 1 not as recorded",
    ]
    assert desk.world.traffic.count(write=True) == 0


@pytest.mark.usefixtures("label")
def test_a_version_that_was_deleted_in_vertex_is_told(desk: Desk) -> None:
    desk.publish(b"second", "staging")
    assert desk.bridge("sync").code == 0
    desk.alias_by_hand("default", "2")
    desk.vertex.delete_model_version(name=f"{desk.in_vertex}@1").result()
    assert found(desk) == (
        f"Vertex has no version {desk.model}@1 any longer; "
        "if an alias at the source still names it, this registers it again: bridge sync --full"
    )


def test_a_version_that_the_source_deleted_is_compared_with_its_manifest_alone(desk: Desk, label: str) -> None:
    desk.untag(label, "production")
    desk.api().artifact(f"{desk.path}:{label}").unlink()
    done = desk.bridge("verify", f"{desk.model}@1")
    assert done.code == 0
    assert done.out == (
        f"ok  {desk.model}@1  ({desk.collection}:{label})  2 files, 12 bytes, by metadata; "
        "the source no longer has it, so it was compared with the manifest alone\n"
    )


@pytest.mark.usefixtures("label")
def test_a_source_that_is_down_is_told_and_the_rest_is_compared(desk: Desk) -> None:
    with bucket(desk) as gcs:
        gcs.blob(blob(desk, "model.pkl")).delete()
    number = desk.world.traffic.faults.arm(Fault("wandb", "status", status=503, count=None))
    try:
        done = desk.bridge("verify", f"{desk.model}@1")
    finally:
        desk.world.traffic.faults.disarm(number)
    assert done.code == 1
    bucket_line, source_line = done.out.splitlines()
    assert "1 object is missing" in bucket_line
    assert ")  the source could not be asked: W&B connection 'acme' (" in source_line
    assert source_line.endswith("; run bridge verify again")


def test_machines_are_told_every_finding(desk: Desk, label: str) -> None:
    with bucket(desk) as gcs:
        gcs.blob(blob(desk, "model.pkl")).delete()
    [version] = desk.bridge_json("verify", desk.model)
    uri = folder(desk)
    [finding] = version.pop("findings")
    assert (finding.pop("kind"), finding.pop("where"), finding.pop("path")) == ("missing", uri, "model.pkl")
    assert finding.pop("expected").startswith("size 7, crc32c ")
    assert finding == {"found": None}
    assert version == {
        "mapping": "fraud",
        "model": desk.model,
        "version": "1",
        "source": f"{desk.path}:{label}",
        "folder": uri,
        "ok": False,
        "files": 2,
        "bytes": 12,
        "deep": False,
        "notes": [],
        "problems": [f"1 object is missing from {uri}: 'model.pkl'; {RESTORE}"],
        "counts": {"missing": 1},
    }


def test_a_mapping_or_a_connection_that_is_gone_from_the_configuration_is_named(desk: Desk, label: str) -> None:
    config, mapping = desk.folder / "bridge.yaml", desk.folder / "mappings" / "fraud.yaml"
    whole = config.read_text(), mapping.read_text()
    mapping.write_text(whole[1].replace("name: fraud", "name: other"))
    assert found(desk) == (
        f"{desk.path}:{label} could not be compared: the configuration has no mapping 'fraud' any longer, "
        "which says where its versions are; put the mapping back to verify them"
    )
    config.write_text(whole[0].replace("  acme:", "  renamed:"))
    mapping.write_text(whole[1].replace("from: acme", "from: renamed"))
    assert found(desk) == (
        "the source could not be compared: the configuration has no source connection 'acme' any longer; "
        "put the connection back under that name"
    )


def test_where_nothing_is_known_there_is_nothing_to_verify(desk: Desk) -> None:
    done = desk.bridge("verify")
    assert (done.code, done.err) == (1, "error: the store knows no version yet; see what it knows: bridge status\n")
    unknown = desk.bridge("verify", "nobody@1")
    assert (unknown.code, unknown.err) == (
        1,
        "error: the store knows no version 'nobody@1'; see what it knows: bridge status\n",
    )
    assert desk.bridge("verify", "a", "b").code == 2
