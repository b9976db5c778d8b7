"""Who sent a webhook: only who shares a secret, and not long ago."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest

from bridge.core.webhooks import is_fresh, is_of_mlflow, is_of_wandb

BODY = b'{"collection": "fraud"}'
NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)


def signature(secret: str, signed: bytes) -> str:
    return base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()


SIGNED = {"x-wandb-signature": signature("s", BODY)}
BEARER = {"authorization": "Bearer t"}
OF_MLFLOW = {"x-mlflow-delivery-id": "1-2", "x-mlflow-timestamp": "1767603600"} | {
    "x-mlflow-signature": f"v1,{signature('s', b'1-2.1767603600.' + BODY)}"
}


@pytest.mark.parametrize(
    ("token", "secret", "headers", "genuine"),
    [
        ("t", None, BEARER, True),
        ("t", None, {}, False),
        ("t", None, {"authorization": "Bearer T"}, False),
        ("t", None, {"authorization": "t"}, False),
        ("t", None, SIGNED, False),
        (None, "s", SIGNED, True),
        (None, "s", BEARER, False),
        (None, "S", SIGNED, False),
        (None, "s", {"x-wandb-signature": hmac.new(b"s", BODY, "sha256").hexdigest()}, False),
        (None, "s", {"x-wandb-signature": "\xe9"}, False),
        ("t", "s", SIGNED | BEARER, True),
        ("t", "s", SIGNED, False),
        ("t", "s", BEARER, False),
        (None, None, SIGNED | BEARER, False),
        (None, None, {"authorization": "Bearer None", "x-wandb-signature": signature("", BODY)}, False),
    ],
)
def test_wandb_shows_all_that_the_connection_asks_for(
    token: str | None, secret: str | None, headers: dict[str, str], *, genuine: bool
) -> None:
    assert is_of_wandb(headers, BODY, token=token, secret=secret) is genuine


def test_another_body_has_another_signature() -> None:
    assert not is_of_wandb(SIGNED, BODY + b" ", token=None, secret="s")


@pytest.mark.parametrize(
    "changed",
    [
        {"x-mlflow-delivery-id": "1-3"},
        {"x-mlflow-timestamp": "1767603601"},
        {"x-mlflow-signature": signature("s", b"1-2.1767603600." + BODY)},
        {"x-mlflow-signature": ""},
    ],
)
def test_mlflow_signs_id_time_and_body(changed: dict[str, str]) -> None:
    assert is_of_mlflow(OF_MLFLOW, BODY, secret="s")
    assert not is_of_mlflow(OF_MLFLOW | changed, BODY, secret="s")
    assert not is_of_mlflow(OF_MLFLOW, BODY[:-1], secret="s")
    assert not is_of_mlflow(OF_MLFLOW, BODY, secret="S")
    assert not is_of_mlflow({}, BODY, secret="s")


@pytest.mark.parametrize(
    ("offset", "fresh"), [(0, True), (300, True), (-300, True), (301, False), (-301, False), (10**400, False)]
)
def test_what_was_signed_long_ago_or_in_the_future_is_stale(offset: int, *, fresh: bool) -> None:
    assert is_fresh(str(int(NOW.timestamp()) + offset), NOW) is fresh


@pytest.mark.parametrize("timestamp", [None, "", "now", "nan", "inf", "1e999", str(NOW + timedelta(0))])
def test_a_time_that_is_none_is_stale(timestamp: str | None) -> None:
    assert not is_fresh(timestamp, NOW)
