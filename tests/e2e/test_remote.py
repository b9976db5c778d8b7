"""Commands that speak to a running service, tokens, and the same commands on the store beside one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import requests

from tests.e2e.conftest import in_a_file
from tests.e2e.test_run import WAIT, running, until, write_config

if TYPE_CHECKING:
    from tests.e2e.conftest import Desk

pytestmark = pytest.mark.sandbox


def test_on_call_commands_speak_to_a_service_that_runs(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    write_config(desk)
    (desk.folder / "bridge.yaml").write_text(
        (desk.folder / "bridge.yaml").read_text().replace("poll_every: 1s", "poll_every: 1h")
    )
    desk.publish(b"first", "production")
    with running(desk) as service:
        service.await_event("is SYNCED")
        monkeypatch.setenv("BRIDGE_SERVER", service.url)
        monkeypatch.setenv("BRIDGE_CONFIG", "no-such-file.yaml")  # the service knows all that is asked for
        (row,) = desk.bridge_json("status")
        assert (row["model"], row["state"]) == (desk.model, "SYNCED")

        desk.tag(desk.publish(b"second"), "production")
        done = desk.bridge("sync", "fraud")
        assert (done.code, f"fraud    {desk.model}  SYNCED" in done.out) == (0, True)
        assert desk.aliases()["production"] == "2"

        assert desk.bridge("pause", "fraud", "--for", "8h", "--reason", "incident 7").code == 0
        desk.tag(desk.publish(b"third"), "production")
        desk.bridge("sync")
        service.await_event("is HELD")
        status = desk.bridge("status")
        assert "HELD" in status.out
        assert "incident 7" in status.out
        refused = desk.bridge("retry", f"fraud/{desk.model}")
        assert (refused.code, "is paused by" in refused.err) == (1, True)
        assert desk.aliases()["production"] == "2"

        assert desk.bridge("pause", "fraud", "--alias", "production", "--reason", "later").out == (
            "alias production of fraud is paused until it is resumed\n"
        )
        assert desk.bridge("resume", "fraud").out == "fraud is resumed\n"
        service.await_event("alias production: ")
        assert desk.aliases()["production"] == "2"
        assert desk.bridge("resume", "fraud", "--alias", "production").out == "alias production of fraud is resumed\n"
        service.await_event("is SYNCED")
        assert desk.aliases()["production"] == "3"
        assert desk.bridge("retry", f"{desk.path}:v2").out == f"fraud/{desk.model} is tried again\n"
        for ref in (f"fraud/{desk.model}", f"{desk.model}@production"):  # it may still wait for the one before
            assert desk.bridge("retry", ref).out.startswith(f"fraud/{desk.model} ")
        unknown = desk.bridge("retry", "elsewhere/churn:v1")
        assert (unknown.code, "the store knows no model 'elsewhere/churn:v1'" in unknown.err) == (1, True)

        with requests.get(f"{service.url}/v1/events", stream=True, timeout=WAIT) as told:
            lines = told.iter_lines(chunk_size=1, decode_unicode=True)
            assert next(lines) == ": listening"
            desk.tag(desk.publish(b"fourth"), "production")
            assert desk.bridge("sync", "--no-wait").out == "fraud is looked at\n"
            said = next(json.loads(line[6:]) for line in lines if line.startswith("data: ") and "bytes" in line)
            assert said["bytes"] == len(b"fourth")
        monkeypatch.setenv("BRIDGE_TOKEN", "bridge_guessed")
        assert "the token is not known, or was revoked" in desk.bridge("status").err
        assert service.end() == 0
    assert not any(each["level"] == "error" for each in service.seen)


def test_the_same_commands_work_on_the_store_beside_a_service(desk: Desk) -> None:
    write_config(desk)
    desk.publish(b"first", "production")
    with running(desk) as service:
        service.await_event("is SYNCED")
        paused = desk.bridge_json("pause", f"fraud/{desk.model}", "--reason", "incident 7")
        about = {"mapping": "fraud", "model": desk.model, "alias": None}
        assert paused == {**about, "until": None, "reason": "incident 7"}
        assert desk.bridge_json("status")[0]["state"] == "HELD"
        desk.tag(desk.publish(b"second"), "production")
        service.await_event("is HELD")
        retried = desk.bridge("retry", f"fraud/{desk.model}")
        assert (retried.code, desk.aliases()["production"]) == (0, "1"), "a person's pause holds for persons too"

        assert desk.bridge("resume", "fraud").out == "fraud is resumed\n"
        assert desk.bridge("resume", "fraud").out == "fraud was not paused\n"
        until(lambda: desk.aliases()["production"] == "2", "the service sees that it was resumed")
        said = desk.bridge("history", desk.model).out
        assert (said.count("| pause    until it is resumed: incident 7  [applied] ("), said.count("> resume")) == (1, 1)
        for ref in (f"fraud/{desk.model}", "fraud", f"{desk.model}@2", f"{desk.path}:v1", f"{desk.path}:v99"):
            assert desk.bridge("retry", ref).out == "0 changes (1 model)\n"


@in_a_file
def test_tokens_are_made_shown_once_listed_and_revoked(desk: Desk) -> None:
    made = desk.bridge("token", "create", "--scope", "sync", "--name", "ci")
    assert made.out.startswith("bridge_")
    assert made.err == "this is token ci with the scope sync; it is not shown again\n"
    assert desk.bridge_json("token", "create", "--scope", "read")["name"] == "read-1"
    assert desk.bridge_json("token", "create", "--scope", "read")["name"] == "read-2"
    assert "there is a token 'ci' already" in desk.bridge("token", "create", "--scope", "read", "--name", "ci").err
    listed = desk.bridge("token", "list").out
    assert [line.split()[:2] for line in listed.splitlines()[1:]] == [
        ["ci", "sync"],
        ["read-1", "read"],
        ["read-2", "read"],
    ]
    assert made.out.strip() not in listed
    assert made.out.strip().encode() not in (desk.folder / "bridge.db").read_bytes()
    assert desk.bridge("token", "revoke", "ci").out == "token ci is revoked\n"
    gone = desk.bridge("token", "revoke", "ci")
    assert (gone.code, "there is no token 'ci'" in gone.err) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("pause", "fraud"), 2, "--reason"),
        (("pause", "fraud", "--reason", " "), 2, "say why"),
        (("pause", "fraud", "--reason", "x", "--for", "soon"), 2, "'soon' is not a duration"),
        (("pause", "fraud", "--alias", "v7_x", "--reason", "x"), 1, "'v7_x' is no alias of Vertex AI"),
        (("pause", "nothing", "--reason", "x"), 2, "there is no mapping 'nothing'"),
        (("pause", "fraud/nothing", "--reason", "x"), 1, "the store knows no model 'nothing' of mapping 'fraud'"),
        (("resume", "nothing"), 2, "there is no mapping 'nothing'"),
        (("retry", "fraud/nothing"), 1, "the store knows no model 'fraud/nothing'; see what it knows: bridge status"),
        (("sync", "--no-wait"), 2, "there is no service to wait for; set BRIDGE_SERVER"),
        (("sync", "--timeout", "1h"), 2, "there is no service to wait for; set BRIDGE_SERVER"),
        (("sync", "--timeout", "soon"), 2, "'soon' is not a duration"),
        (("token", "create", "--scope", "all"), 2, "'all' is not one of"),
        (("token", "create", "--scope", "read", "--name", "a b"), 2, "use 1 to 63 letters"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(
    desk: Desk, arguments: tuple[str, ...], code: int, message: str
) -> None:
    refused = desk.bridge(*arguments)

    assert refused.code == code
    assert message in " ".join(refused.err.replace("│", " ").split())


@pytest.mark.parametrize(
    ("server", "arguments", "message"),
    [
        ("127.0.0.1:8470", ("status",), "BRIDGE_SERVER is not the URL of a service"),
        ("http://ann:secret@127.0.0.1:8470", ("status",), "BRIDGE_SERVER is not the URL of a service"),
        ("http://127.0.0.1:1", ("status",), "the service at http://127.0.0.1:1 does not answer (ConnectionError)"),
        ("http://127.0.0.1:1", ("sync", "--dry-run"), "takes no --dry-run; compare without it: bridge plan"),
        ("http://127.0.0.1:1", ("sync", "--allow-removals", "x"), "takes no --allow-removals; unset BRIDGE_SERVER"),
    ],
)
def test_a_service_that_cannot_be_asked_is_told_as_such(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, server: str, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.setenv("BRIDGE_SERVER", server)
    refused = desk.bridge(*arguments)

    assert refused.code == 1
    assert message in refused.err
    assert "secret" not in refused.err


def test_what_is_no_bridge_is_told_as_such(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDGE_SERVER", desk.world.gcs.url)

    assert f"what answers at {desk.world.gcs.url} is not the bridge" in desk.bridge("status").err
