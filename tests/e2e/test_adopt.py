"""A version that somebody registered by hand is taken into ownership."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from google.cloud import aiplatform_v1 as v1  # noqa: TID251  a person's own client

from bridge.copying.gcs import GcsObjects
from bridge.core.naming import OWNER_LABEL
from bridge.sandbox.address import BUCKET, PROJECT
from tests.e2e.conftest import PARENT

if TYPE_CHECKING:
    from tests.e2e.conftest import Desk

pytestmark = pytest.mark.sandbox

IMAGE = "europe-docker.pkg.dev/acme/serve/sklearn:1"


def by_hand(desk: Desk, content: bytes, *aliases: str, owner: str | None = None) -> str:
    """Upload a file to a folder of the team's and register that, as a script of theirs does; return the folder."""
    name = f"team/{desk.model}/{len(desk.versions())}"
    with closing(GcsObjects(PROJECT, endpoint=desk.world.gcs.url)) as gcs:
        gcs._client.bucket(BUCKET).blob(f"{name}/model.pkl").upload_from_string(content)  # noqa: SLF001  a person's client is the same as ours
    labels = {"team": "fraud"} | ({"bridge-owner": owner} if owner else {})
    model = v1.Model(
        display_name="by hand",
        artifact_uri=f"gs://{BUCKET}/{name}",
        container_spec=v1.ModelContainerSpec(image_uri=IMAGE),
        version_aliases=list(aliases),
        labels=labels,
    )
    place = {"parent_model": desk.in_vertex} if desk.versions() else {"model_id": desk.model}
    desk.vertex.upload_model(v1.UploadModelRequest(parent=PARENT, model=model, **place)).result()
    return f"gs://{BUCKET}/{name}/"


def test_a_version_made_by_hand_becomes_ours_and_its_alias_moves(desk: Desk) -> None:
    label = desk.publish(b"weights", "production")
    folder = by_hand(desk, b"weights", "production")
    conflict = desk.bridge("plan").out
    assert "! conflict model" in conflict
    assert f"have its versions adopted: bridge adopt {desk.model}" in conflict
    desk.world.traffic.reset()

    dry = desk.bridge("adopt", f"{desk.model}@1", "--dry-run")

    assert (dry.code, dry.out) == (0, f"ok  {desk.model}@1  would be adopted as {desk.path}:{label}\n")
    assert desk.world.traffic.count(write=True) == 0
    assert not desk.has_store()
    done = desk.bridge("adopt", f"{desk.model}@1")
    assert (done.code, done.out) == (0, f"ok  {desk.model}@1  is adopted as {desk.path}:{label}\n"), done.err
    writes = {call.method: n for call, n in desk.world.traffic.counts().items() if call.write}
    assert writes == {"UpdateModel": 1, "objects.insert": 1}
    assert desk.bridge("sync").out == "0 changes (1 model)\n"
    newer = desk.publish(b"newer", "production")
    assert f"~ alias    production ({label} -> {newer})" in desk.bridge("sync").out
    assert desk.aliases() == {"default": "2", "production": "2"}
    [where] = desk.bridge_json("where", f"{desk.model}@1")
    assert (where["folder"], where["source"]) == (folder, f"{desk.path}:{label}")
    assert "bridge adopt by " in desk.bridge("history", f"{desk.model}@1").out
    assert desk.bridge("verify").code == 0


def test_its_files_come_back_from_the_persons_folder(desk: Desk) -> None:
    desk.publish(b"weights", "production")
    by_hand(desk, b"weights")
    assert desk.bridge("adopt", f"{desk.model}@1").code == 0
    desk.world.traffic.reset()

    done = desk.bridge("restore", f"{desk.model}@1", "--to-dir", "back")

    assert (done.code, done.out.endswith(" to back: 1 file, 7 bytes, all verified\n")) == (0, True), done.err
    assert (desk.folder / "back" / "model.pkl").read_bytes() == b"weights"
    assert desk.world.traffic.count(write=True) == 0


def test_its_files_do_not_come_back_without_the_mapping_that_says_where_their_manifest_is(desk: Desk) -> None:
    desk.publish(b"weights", "production")
    by_hand(desk, b"weights")
    assert desk.bridge("adopt", f"{desk.model}@1").code == 0
    mapping = desk.folder / "mappings" / "fraud.yaml"
    mapping.write_text(mapping.read_text().replace("name: fraud\n", "name: other\n"))

    refused = desk.bridge("restore", f"{desk.model}@1", "--to-dir", "back")

    assert (
        refused.code,
        "any longer, which says where its versions are; put the mapping back to have them" in refused.err,
    ) == (1, True), refused.err


def test_its_labels_stay_and_nothing_is_written_into_its_folder(desk: Desk) -> None:
    desk.publish(b"weights", "production")
    folder = by_hand(desk, b"weights")
    assert desk.bridge("adopt", f"{desk.model}@1").code == 0
    assert desk.versions()[0].labels == {"team": "fraud", "bridge-owner": "registry-bridge"}
    inside = folder.removeprefix(f"gs://{BUCKET}/")
    assert desk.world.gcs.object_names(BUCKET, inside) == [f"{inside}model.pkl"]
    assert [name.rpartition("/")[2] for name in desk.objects()] == [".bridge-manifest.json"]


def test_what_was_adopted_is_known_again_after_the_store_was_lost(desk: Desk) -> None:
    desk.publish(b"weights", "production")
    by_hand(desk, b"weights", "production")
    desk.bridge("adopt", f"{desk.model}@1")
    desk.bridge("sync")
    desk.lose_store()
    assert "known again: 1 version, 2 aliases (1 model)" in desk.bridge("rebuild").out
    assert desk.bridge("plan").out == "0 changes (1 model)\n"


def test_other_bytes_are_never_adopted(desk: Desk) -> None:
    label = desk.publish(b"weights", "production")
    folder = by_hand(desk, b"WEIGHTS", "production")
    told = desk.bridge("adopt", f"{desk.model}@1")
    named = desk.bridge("adopt", f"{desk.model}@1", "--as", f"wandb-registry-model/{desk.collection}:{label}")
    assert (told.code, named.code) == (1, 1)
    assert told.out.startswith(f"!!  {desk.model}@1  no version of {desk.path} has the files of {folder}; ")
    assert f"{folder} has other bytes in 'model.pkl' than the version (md5 " in named.out
    assert not any(OWNER_LABEL in version.labels for version in desk.versions())


def test_all_versions_of_a_model_are_looked_at_and_machines_are_told(desk: Desk) -> None:
    label = desk.publish(b"weights", "production")
    by_hand(desk, b"weights")
    by_hand(desk, b"others")
    by_hand(desk, b"weights", owner="another")
    found = desk.bridge_json("adopt", desk.model)
    assert [(each["version"], each["source"]) for each in found] == [
        ("1", f"{desk.path}:{label}"),
        ("2", None),
        ("3", None),
    ]
    assert [each["problem"] and each["problem"].partition(";")[0] for each in found] == [
        None,
        f"no version of {desk.path} has the files of gs://{BUCKET}/team/{desk.model}/1/",
        f"{desk.model}@3 carries the mark of another bridge, 'another'",
    ]
    again = desk.bridge("adopt", f"{desk.model}@1")
    assert again.out == (
        f"!!  {desk.model}@1  {desk.model}@1 is the bridge's already, for {desk.path}:{label}; there is nothing to do\n"
    )


def test_bad_references_are_refused_with_a_sentence(desk: Desk) -> None:
    desk.publish(b"weights", "production")
    absent = desk.bridge("adopt", f"{desk.model}@1")
    assert (absent.code, absent.err) == (
        1,
        f"error: Vertex has no model '{desk.model}'; nothing is to be adopted: bridge sync makes it\n",
    )
    by_hand(desk, b"weights")
    unknown = desk.bridge("adopt", f"{desk.model}@9")
    assert unknown.err == f"error: Vertex model '{desk.model}' has no version '9'; see: bridge explain {desk.model}\n"
    many = desk.bridge("adopt", desk.model, "--as", "v0")
    assert many.code == 2
    assert "it says what one version is; name that, as MODEL@ID" in " ".join(many.err.replace("│", " ").split())


def test_an_overwriting_mapping_takes_the_alias_and_says_so(desk: Desk) -> None:
    desk.write_mapping("policy: sync", "on_conflict: overwrite")
    label = desk.publish(b"weights", "production")
    by_hand(desk, b"theirs", "production", "beta")
    done = desk.bridge("sync")
    assert done.code == 0, done.out
    assert f"~ alias    production (@1 -> {label}; on_conflict: overwrite)" in done.out
    assert desk.aliases() == {"default": "1", "beta": "1", "production": "2"}
    assert OWNER_LABEL not in desk.versions()[0].labels
    assert "on_conflict: overwrite" in desk.bridge("history").out


def test_an_adopting_mapping_adopts_what_has_the_bytes(desk: Desk) -> None:
    desk.write_mapping("policy: sync", "on_conflict: adopt")
    label = desk.publish(b"weights", "production")
    by_hand(desk, b"weights", "production")
    desk.world.traffic.reset()
    assert f"+ adopted  @1 = {label} (on_conflict: adopt)" in desk.bridge("plan").out
    assert desk.world.traffic.count(write=True) == 0
    done = desk.bridge("sync")
    assert (done.code, desk.bridge("plan").out) == (0, "0 changes (1 model)\n")
    assert desk.aliases() == {"default": "1", "production": "1"}
