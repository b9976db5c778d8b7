"""What a person reads when something is wrong; and that nothing is lost by it."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from google.cloud import aiplatform_v1 as v1  # noqa: TID251  a person's own upload

from tests.e2e.conftest import PARENT

if TYPE_CHECKING:
    from tests.e2e.conftest import Desk

pytestmark = pytest.mark.sandbox


def test_a_collection_that_does_not_exist_fails_alone(desk: Desk) -> None:
    desk.publish(b"weights", "production")
    text = (desk.folder / "mappings" / "fraud.yaml").read_text()
    other = text.replace("name: fraud", "name: other").replace(desk.collection, "no-such").replace(desk.model, "other")
    (desk.folder / "mappings" / "other.yaml").write_text(other)
    done = desk.bridge("sync")
    assert done.code == 1
    assert (
        "other -> model other  [FAILED]\n"
        "  ! W&B connection 'acme' has no collection 'no-such' in wandb-registry-model; "
        "check the spelling, and that the API key's account may see it\n"
    ) in done.out
    assert desk.aliases()["production"] == "1"


def test_a_project_collection_that_does_not_exist_fails_with_a_sentence(desk: Desk) -> None:
    text = (desk.folder / "mappings" / "fraud.yaml").read_text()
    source = "source: {from: acme, entity: acme-team, project: nowhere, collection: no-such}"
    lines = [f"    {source}" if "source:" in line else line for line in text.splitlines()]
    (desk.folder / "mappings" / "fraud.yaml").write_text("\n".join(lines))
    assert "! W&B connection 'acme' has no collection 'no-such' in acme-team/nowhere; check" in desk.bridge("sync").out


def test_an_unknown_organization_is_named(desk: Desk) -> None:
    path = desk.folder / "bridge.yaml"
    path.write_text(path.read_text().replace("organization: acme", "organization: acne"))
    done = desk.bridge("sync")
    assert done.code == 1
    assert "[FAILED]" in done.out
    assert "'acne' not found" in done.out


def test_a_wrong_api_key_removes_nothing_and_is_not_shown(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.publish(b"weights", "production")
    desk.bridge("sync")
    desk.world.wandb.switches = replace(desk.world.wandb.switches, unknown_api_key="refuse")
    wrong = f"local-wrong-key-{desk.number:030}"
    monkeypatch.setenv("WANDB_API_KEY", wrong)
    try:
        done = desk.bridge("sync")
    finally:
        desk.world.wandb.switches = replace(desk.world.wandb.switches, unknown_api_key="new_user")
    assert done.code == 1
    assert (
        f"fraud -> model {desk.model}  [DEGRADED]\n"
        f"  ! W&B connection 'acme' ({desk.world.wandb.url}) refused the API key"
    ) in done.out
    assert wrong not in done.out + done.err
    assert desk.aliases()["production"] == "1"
    assert "DEGRADED" in desk.bridge("status").out


def test_a_missing_api_key_says_which_variable(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_API_KEY")
    assert (
        "! the variable WANDB_API_KEY, which should hold a secret, is missing or cannot be read; "
        "set WANDB_API_KEY in the environment of the bridge"
    ) in desk.bridge("sync").out


def test_a_file_whose_bytes_do_not_match_is_not_registered_and_moves_no_alias(desk: Desk) -> None:
    desk.publish(b"first", "production")
    desk.bridge("sync")
    label = desk.publish(b"second, and longer", "production")
    desk.world.wandb.corrupt_file(f"{desk.path}:{label}", "model.pkl")
    done = desk.bridge("sync")
    assert done.code == 1
    promised = base64.b64encode(hashlib.md5(b"second, and longer", usedforsecurity=False).digest()).decode()
    assert f"! failed   version v1: 'model.pkl': the source promises md5 {promised}, and its bytes have " in done.out
    assert "the version is not registered; log it again, or look at the source's storage" in done.out
    assert desk.aliases() == {"default": "1", "production": "1"}
    assert not [name for name in desk.objects() if f"/{label}-" in name]
    desk.world.wandb.corrupt_file(f"{desk.path}:{label}", "model.pkl")  # flips the same bit back
    assert desk.bridge("sync").code == 0
    assert desk.aliases() == {"default": "2", "production": "2"}


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "'../../etc/passwd', which is refused: it has an empty part, '.' or '..'"),
        ("/etc/passwd", "'/etc/passwd', which is refused: it is empty or absolute"),
        (
            "model\x00.pkl",
            r"'model\x00.pkl', which is refused: it holds a control, line-ending, bidirectional or surrogate",
        ),
        (
            "model\u202elkp.exe",
            r"'model\u202elkp.exe', which is refused: it holds a control, line-ending, bidirectional",
        ),
        (".well-known/acme-challenge/x", "which is refused: GCS keeps .well-known/acme-challenge/ for itself"),
        ("x" * 1025, "which is refused: it is longer than 1024 bytes"),
        (".bridge-manifest.json", "which is refused: the bridge's own manifest has that name"),
    ],
)
def test_a_hostile_file_name_refuses_the_version(desk: Desk, name: str, shown: str) -> None:
    desk.world.wandb.seed_version(desk.path, {name: b"x"}, aliases=["production"])
    done = desk.bridge("sync")
    assert done.code == 1
    assert shown in done.out
    assert "\x00" not in done.out
    assert desk.objects() == []
    assert desk.versions() == ()


def test_a_reference_is_not_copied_and_says_so(desk: Desk) -> None:
    desk.publish(b"x", "production", references={"big.bin": "s3://bucket/big.bin"})
    assert "'big.bin' of" in (out := desk.bridge("sync").out)
    assert "is a reference to 's3://bucket/big.bin', and references are not copied; log the file itself" in out


def test_an_illegal_alias_is_refused_and_the_others_go_on(desk: Desk) -> None:
    desk.publish(b"weights", "production", "best_model")
    done = desk.bridge("sync")
    assert done.code == 1
    assert (
        "! name     alias 'best_model': 'best_model' is not a legal Vertex AI version alias ('_' is not allowed); "
        "write 'best_model: best-model' under aliases, or 'best_model: null' to drop it (mappings/fraud.yaml:2:5)"
    ) in done.out
    assert desk.aliases()["production"] == "1"
    assert desk.bridge_json("status")[0]["state"] == "BLOCKED"


def test_two_aliases_that_land_on_one_are_both_shown(desk: Desk) -> None:
    desk.write_mapping("policy: sync", "alias_style: slug")
    desk.publish(b"weights", "best_model", "best-model", "production")
    done = desk.bridge("sync")
    assert (
        "! name     alias best-model: source aliases 'best-model' and 'best_model' all land on 'best-model', "
        "and no one of them is preferred; give each a name of its own under aliases"
    ) in done.out
    assert desk.aliases() == {"default": "1", "production": "1"}


def test_a_vertex_model_that_is_not_ours_is_left_alone(desk: Desk) -> None:
    desk.vertex.upload_model(
        v1.UploadModelRequest(
            parent=PARENT,
            model_id=desk.model,
            model=v1.Model(display_name="by hand", artifact_uri="gs://elsewhere/model", version_aliases=["production"]),
        )
    )
    desk.publish(b"weights", "production")
    done = desk.bridge("sync")
    assert done.code == 1
    assert f"fraud -> model {desk.model}  [BLOCKED]" in done.out
    assert (
        f"! conflict model {desk.model}: Vertex model '{desk.model}' exists, and none of its versions was registered "
        "by this bridge's store; choose another target model (mappings/fraud.yaml:2:5), or have its "
    ) in done.out
    assert [version.artifact_uri for version in desk.versions()] == ["gs://elsewhere/model"]
    assert desk.objects() == []


def test_an_alias_that_somebody_moved_in_vertex_is_reported_not_stolen(desk: Desk) -> None:
    desk.publish(b"first", "production")
    desk.bridge("sync")
    desk.publish(b"second", "production")
    desk.bridge("sync")
    desk.alias_by_hand("production", "1")
    assert desk.bridge("sync").out == "0 changes (1 model)\n"
    done = desk.bridge("sync", "--full")
    assert done.code == 1
    assert "[DRIFTED]" in done.out
    assert (
        "! drift    alias production: the bridge set it on @2, and somebody has moved it to @1 in Vertex since; "
        "move it back in Vertex, or set 'drift: heal' in the mapping to have it follow v1"
    ) in done.out
    desk.write_mapping("policy: sync", "default_from: production", "drift: heal")
    assert desk.bridge("sync").code == 0
    assert desk.aliases()["production"] == "2"


def test_a_bucket_that_does_not_exist_is_named(desk: Desk) -> None:
    path = desk.folder / "bridge.yaml"
    path.write_text(path.read_text().replace("gs://acme-models/registry", "gs://nobodys/registry"))
    desk.publish(b"weights", "production")
    done = desk.bridge("sync")
    assert done.code == 1
    assert "gs://nobodys/registry" in done.out
    assert "the bucket does not exist; create it, or mend 'bucket' of the connection" in done.out
    assert desk.versions() == ()


def test_a_configuration_mistake_is_shown_with_its_line(desk: Desk) -> None:
    desk.write_mapping("policy: sync", "alias: {a1: b1}")
    done = desk.bridge("check")
    assert done.code == 2
    assert done.err == (
        "error: mappings/fraud.yaml:7:5: unknown key 'alias'; did you mean 'aliases'?\n"
        "        alias: {a1: b1}\n"
        "        ^\n"
    )


def test_usage_mistakes_exit_with_2(desk: Desk) -> None:
    assert desk.bridge("sink").code == 2
    assert desk.bridge("where").code == 2
