"""A secret is never a value, never shown, and read as late as possible."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bridge.config.model import SecretRef
from bridge.core.errors import NeedsPerson
from tests.config.folders import ACME

if TYPE_CHECKING:
    from pathlib import Path

    from tests.config.folders import Folder

CANARY = "hunter2"
REFERENCE = "a secret is never a value here; write {env: NAME}, the variable in capitals, or {file: PATH}"
IN_A_VARIABLE = "a password does not belong in this file; put the whole URL into a variable and write {env: NAME}"
NO_CREDENTIALS = "credentials do not belong in a URL; take out what stands before '@'"


def all_text_of(folder: Folder) -> str:
    """Return everything that could be printed about a configuration."""
    errors = folder.errors()
    return "\n".join(f"{error} {error!r} {error.args} {error.message} {error.excerpt}" for error in errors)


@pytest.mark.parametrize(
    "value",
    [
        CANARY,
        f"'{CANARY}'",
        f"[{CANARY}]",
        f"{{{CANARY}}}",
        f"{{{CANARY}: x}}",
        f"{{key: {CANARY}}}",
        f"{{env: {CANARY}}}",
        f"{{env: [{CANARY}]}}",
        f"{{env: A, file: {CANARY}}}",
        f"{{env: A, value: {CANARY}}}",
        "{}",
        "null",
        "7",
    ],
)
def test_a_key_in_place_of_a_reference_is_refused_and_not_shown(folder: Folder, value: str) -> None:
    folder.bridge(acme=ACME.replace("{env: WANDB_API_KEY}", value))
    column = 8 + ACME.index("{env: WANDB") + 1
    at_key = column - len("api_key: ")  # where a null stands there is nothing to point at
    assert folder.wrong() == [f"bridge.yaml:2:{at_key if value == 'null' else column}: {REFERENCE}"]
    assert CANARY not in all_text_of(folder)


def test_a_key_over_several_lines_is_not_shown_with_any_of_them(folder: Folder) -> None:
    folder.bridge(acme=f"\n    kind: wandb\n    api_key:\n      - {CANARY}\n      - {CANARY}\n    base_url: https://w")
    assert folder.wrong() == [f"bridge.yaml:5:7: {REFERENCE}"]
    assert CANARY not in all_text_of(folder)


@pytest.mark.parametrize("key", ["apikey", "pw", "api-key", "x"])
def test_a_misspelled_key_hides_its_line(folder: Folder, key: str) -> None:
    folder.bridge(acme=ACME.replace("api_key: {env: WANDB_API_KEY}", f"{key}: {CANARY}, kind2: y"))
    assert len(folder.errors()) == 3
    assert CANARY not in all_text_of(folder)


def test_a_second_key_hides_both(folder: Folder) -> None:
    folder.bridge(acme=f"\n    x: {CANARY}\n    kind: wandb\n    x: {CANARY}")
    assert "duplicate key 'x'" in all_text_of(folder)
    assert CANARY not in all_text_of(folder)


@pytest.mark.parametrize(
    "text",
    [
        f"connections: {{acme: {{api_key: {CANARY}]\n",
        f"connections:\n  acme:\n    api_key: {CANARY}: x\n",
        f"connections:\n  acme:\n    api_key:\n      {CANARY}: : x\n",
        f"connections:\n  acme:\n    api_key: *{CANARY}\n",
        f"connections:\n  acme:\n    api_key: !{CANARY}!x y\n",
        f"store: postgresql+psycopg://u:{CANARY}@h/d: x\n",
    ],
)
def test_a_file_that_is_not_yaml_is_not_shown_where_a_secret_may_be(folder: Folder, text: str) -> None:
    folder.write("bridge.yaml", text)
    assert "bridge.yaml:" in all_text_of(folder)
    assert CANARY not in all_text_of(folder)


def test_a_line_with_a_mere_reference_is_shown(folder: Folder) -> None:
    line = ACME.replace("organization: acme", "organization: [acme]")
    folder.bridge(acme=line)
    (error,) = folder.errors()
    assert error.excerpt == f"  acme: {line}"


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql+psycopg://u:{CANARY}@h/d",
        f"postgresql+psycopg://u:{CANARY}/#?@h/d",
        f"postgresql+psycopg://u:1/{CANARY}@h/d",
        f"postgresql+psycopg://h/d?user=u&password={CANARY}",
        f"postgresql+psycopg://h/d?sslpassword={CANARY}",
        f"mysql://u:{CANARY}@h/d",
    ],
)
def test_a_password_in_the_url_of_the_store_is_refused_and_not_shown(folder: Folder, url: str) -> None:
    folder.bridge(f"store: '{url}'\n")
    assert folder.wrong() == [f"bridge.yaml:4:8: {IN_A_VARIABLE}"]
    assert CANARY not in all_text_of(folder)


@pytest.mark.parametrize("url", [f"https://u:{CANARY}@w", f"https://{CANARY}@w"])
def test_credentials_in_the_url_of_a_server_are_refused_and_not_shown(folder: Folder, url: str) -> None:
    folder.bridge(acme=f"\n    kind: wandb\n    base_url: {url}\n    api_key: {{env: A}}")
    assert folder.wrong() == [f"bridge.yaml:4:15: {NO_CREDENTIALS}"]
    assert CANARY not in all_text_of(folder)


def test_the_url_of_the_store_may_be_a_reference_that_stays_one(folder: Folder) -> None:
    folder.bridge("store: {env: BRIDGE_STORE}\n")
    assert folder.load().store == SecretRef(env="BRIDGE_STORE")
    folder.bridge(f"store: {{env: {CANARY}}}\n")
    assert folder.wrong() == [f"bridge.yaml:4:8: {REFERENCE}"]
    assert CANARY not in all_text_of(folder)


@pytest.mark.parametrize("value", [CANARY, f"{{env: {CANARY}}}", f"{{key: {CANARY}}}"])
def test_the_key_of_the_store_is_a_reference_too(folder: Folder, value: str) -> None:
    folder.bridge(f"secret_key: {value}\n")
    assert folder.wrong() == [f"bridge.yaml:4:13: {REFERENCE}"]
    assert CANARY not in all_text_of(folder)


def test_a_secret_is_read_from_a_variable_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    ref = SecretRef(env="WANDB_API_KEY")
    monkeypatch.setenv("WANDB_API_KEY", f"  {CANARY}\n")
    assert ref.read() == CANARY
    assert CANARY not in f"{ref} {ref!r}"


def test_a_secret_is_read_from_a_file_when_asked_for(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{CANARY}\n")
    assert SecretRef(file=str(tmp_path / "key")).read() == CANARY


def test_a_missing_variable_is_named_and_so_is_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    with pytest.raises(NeedsPerson) as raised:
        SecretRef(env="WANDB_API_KEY").read()
    assert str(raised.value) == (
        "the variable WANDB_API_KEY, which should hold a secret, is missing or cannot be read; "
        "set WANDB_API_KEY in the environment of the bridge"
    )


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", " ")
    with pytest.raises(NeedsPerson, match="the variable WANDB_API_KEY, which should hold a secret, is empty"):
        SecretRef(env="WANDB_API_KEY").read()


@pytest.mark.parametrize("content", [None, b"\xff"])
def test_a_file_that_is_missing_or_no_text_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(NeedsPerson) as raised:
        SecretRef(file=str(path)).read()
    assert raised.value.reason == f"the file {path}, which should hold a secret, is missing or cannot be read"
    assert raised.value.remedy == f"write the secret to {path}, readable by the bridge"


@pytest.mark.parametrize("ref", [{}, {"env": "A", "file": "b"}])
def test_a_secret_lies_in_one_place(ref: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="a secret lies in a variable or in a file"):
        SecretRef(**ref)
