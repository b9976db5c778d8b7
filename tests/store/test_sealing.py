"""The address of an upload is a secret: it is sealed, and a lost key costs an upload that is begun anew."""

from __future__ import annotations

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, text

from bridge.app import Bridge
from bridge.config.load import load
from bridge.core.errors import NeedsPerson
from bridge.core.records import Upload
from bridge.store.connecting import make_engine, parse_address
from bridge.store.sealing import GivenKey, KeyFile, seal, unseal
from bridge.store.sql import SqlStore, open_store
from bridge.store.tables import METADATA
from tests.store.databases import postgres_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

NINE = datetime(2026, 1, 5, 9, tzinfo=UTC)
TEN = datetime(2026, 1, 5, 10, tzinfo=UTC)
URI = "gs://models/fraud/v7-x/model.bin"
ADDRESS = "https://storage.test/upload?upload_id=hunter2-hunter2-hunter2"
UPLOAD = Upload(URI, ADDRESS, "session", 7, None, NINE.isoformat())
UNREADABLE = Upload(URI, "", "session", 7, None, NINE.isoformat())
SECRET = "0123456789abcdef"
WARNING = "uploads are not taken up after a restart: set secret_key in bridge.yaml"


@contextmanager
def opened(url: str | Path, secret_key: str | None = None, *, read_only: bool = False) -> Iterator[SqlStore]:
    at = url if isinstance(url, str) else f"sqlite:///{url}/bridge.db"
    with closing(open_store(at, read_only=read_only, secret_key=secret_key)) as store:
        yield store


def is_begun_anew(store: SqlStore) -> None:
    """Nobody goes on with the upload, but it is known, and another can take its place."""
    assert store.upload(URI) is None
    assert store.uploads(TEN) == (UNREADABLE,)
    store.save_upload(UPLOAD)
    assert store.upload(URI) == UPLOAD


# what is in the database
def test_no_file_of_the_store_holds_an_address(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.save_upload(UPLOAD)
        during = [path.read_bytes() for path in tmp_path.iterdir()]
    after = [path.read_bytes() for path in tmp_path.iterdir()]

    assert any(URI.encode() in content for content in during + after)
    assert not any(b"hunter2" in content for content in during + after)


@pytest.mark.parametrize("secret_key", [None, SECRET])
def test_no_row_of_postgresql_holds_an_address(secret_key: str | None) -> None:
    with postgres_schema() as url:
        with opened(url, secret_key) as store:
            store.save_upload(UPLOAD)
        engine = make_engine(parse_address(url), read_only=True)
        with engine.connect() as connection:
            (row,) = connection.execute(text("SELECT CAST(uploads AS text) FROM uploads")).scalars()
        engine.dispose()

    assert URI in row
    assert "hunter2" not in row


def test_an_address_that_is_moved_to_another_object_is_not_read() -> None:
    secret = SECRET.encode()
    sealed = seal(secret, URI, ADDRESS)

    assert unseal(secret, URI, sealed) == ADDRESS
    assert [unseal(secret, f"{URI}2", sealed), unseal(secret, URI, f"é{sealed[1:]}"), unseal(None, URI, sealed)] == [
        ""
    ] * 3


# a key that is given
@pytest.mark.parametrize("place", ["sqlite", "postgresql"])
def test_an_upload_is_taken_up_by_whoever_has_the_key(tmp_path: Path, place: str) -> None:
    with postgres_schema() if place == "postgresql" else _sqlite(tmp_path) as url:
        with opened(url, SECRET) as store:
            store.save_upload(UPLOAD)
        with opened(url, SECRET) as store:
            assert store.upload(URI) == UPLOAD
        with opened(url, SECRET, read_only=True) as store:
            assert store.uploads(TEN) == (UPLOAD,)
        with opened(url, f"{SECRET}!") as store:
            is_begun_anew(store)
        with opened(url) as store:
            is_begun_anew(store)
            store.forget_upload(URI)
            assert store.uploads(TEN) == ()


@contextmanager
def _sqlite(folder: Path) -> Iterator[str]:
    yield f"sqlite:///{folder}/bridge.db"


def test_with_a_key_there_is_no_key_file(tmp_path: Path) -> None:
    with opened(tmp_path, "é" * 16) as store:
        assert store.lasting
        store.save_upload(UPLOAD)

    assert [path.name for path in tmp_path.iterdir()] == ["bridge.db"]


def test_a_key_that_could_be_guessed_is_refused_and_not_shown(tmp_path: Path) -> None:
    with pytest.raises(NeedsPerson) as caught:
        open_store(f"sqlite:///{tmp_path}/bridge.db", secret_key=SECRET[:-1])

    assert str(caught.value) == (
        "secret_key has 15 characters, so it could be guessed; "
        "use 16 or more, for instance those of: openssl rand -base64 32"
    )
    assert SECRET not in repr(GivenKey(SECRET.encode()))


# a key file
def test_the_key_file_is_made_with_the_first_upload_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with opened(tmp_path) as store:
            assert (store.upload(URI), store.uploads(TEN)) == (None, ())
            assert not (tmp_path / "bridge.db.key").exists()
            assert store.lasting
            store.save_upload(UPLOAD)
    finally:
        os.umask(before)

    assert (tmp_path / "bridge.db.key").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bridge.db", "bridge.db.key"]
    with opened(tmp_path) as store:
        assert store.upload(URI) == UPLOAD


def test_who_only_looks_makes_no_key_file_and_is_told_no_address(tmp_path: Path) -> None:
    with opened(tmp_path, SECRET) as store:
        store.save_upload(UPLOAD)
    with opened(tmp_path, read_only=True) as store:
        assert (store.upload(URI), store.uploads(TEN)) == (None, (UNREADABLE,))
        with pytest.raises(NeedsPerson, match="cannot be written"):
            store.save_upload(UPLOAD)

    assert [path.name for path in tmp_path.iterdir()] == ["bridge.db"]


@pytest.mark.parametrize("content", [None, b"", b"too short", b"another secret of someone"])
def test_a_key_file_that_is_lost_damaged_or_changed_costs_no_more_than_the_upload(
    tmp_path: Path, content: bytes | None
) -> None:
    key = tmp_path / "bridge.db.key"
    with opened(tmp_path) as store:
        store.save_upload(UPLOAD)
        key.unlink()
        if content is not None:
            key.write_bytes(content)
        is_begun_anew(store)
    with opened(tmp_path) as store:
        assert store.upload(URI) == UPLOAD
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bridge.db", "bridge.db.key"]


def test_a_key_file_that_cannot_be_read_is_left_for_a_person(tmp_path: Path) -> None:
    with opened(tmp_path, SECRET) as store:
        store.save_upload(UPLOAD)
    (tmp_path / "bridge.db.key").mkdir()
    with opened(tmp_path) as store:
        assert store.uploads(TEN) == (UNREADABLE,)
        with pytest.raises(NeedsPerson) as caught:
            store.save_upload(UPLOAD)

    assert caught.value.reason == f"the key file {tmp_path}/bridge.db.key of the store cannot be read or made: {EISDIR}"
    assert caught.value.remedy == "let the bridge read it and write to its folder, or set secret_key in bridge.yaml"


EISDIR = os.strerror(21)


def test_of_many_that_make_the_key_file_at_once_all_use_one(tmp_path: Path) -> None:
    for number in range(20):
        start = Barrier(6)

        def make(file: Path = tmp_path / f"{number}.key", start: Barrier = start) -> bytes:
            start.wait()
            return KeyFile(file).make()

        with ThreadPoolExecutor(6) as pool:
            made = {each.result() for each in [pool.submit(make) for _ in range(6)]}
        assert made == {(tmp_path / f"{number}.key").read_bytes()}
    assert len(list(tmp_path.iterdir())) == 20


# no key at all
def test_without_a_key_postgresql_keeps_uploads_for_this_process_and_that_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "bridge.store")
    with postgres_schema() as url:
        with opened(url) as store:
            assert not store.lasting
            store.save_upload(UPLOAD)
            assert store.upload(URI) == UPLOAD
            store.save_upload(UPLOAD)
        assert caplog.messages == [WARNING]
        with opened(url, read_only=True) as store:
            assert store.upload(URI) is None
        assert caplog.messages == [WARNING]
        with opened(url) as store:
            is_begun_anew(store)


def test_a_store_that_is_only_in_memory_keeps_its_key_there() -> None:
    engine = create_engine("sqlite://")
    METADATA.create_all(engine)
    with closing(SqlStore(engine, "memory")) as store:
        store.save_upload(UPLOAD)
        assert store.upload(URI) == UPLOAD


# configuration
CONFIG = """\
secret_key: {env: BRIDGE_SECRET_KEY}
connections:
  acme: {kind: wandb, base_url: https://api.wandb.ai, organization: acme, api_key: {env: WANDB_API_KEY}}
  prod: {kind: vertex, project: acme-prod, location: europe-west4, bucket: gs://acme-models/registry}
"""
MAPPING = """\
mappings:
  - name: fraud
    source: {from: acme, registry: model, collection: fraud-detector}
    target: {to: prod, model: fraud}
    policy: sync
    serving: {image: img}
"""


def test_the_bridge_hands_on_the_key_of_its_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BRIDGE_SECRET_KEY", SECRET)
    Path("bridge.yaml").write_text(CONFIG)
    Path("mappings").mkdir()
    Path("mappings/fraud.yaml").write_text(MAPPING)
    with Bridge(load(Path("bridge.yaml"))) as bridge:
        bridge.store.save_upload(UPLOAD)
    with opened(tmp_path, SECRET) as store:
        assert store.upload(URI) == UPLOAD

    monkeypatch.delenv("BRIDGE_SECRET_KEY")
    with Bridge(load(Path("bridge.yaml")), read_only=True) as bridge:
        assert bridge.store.upload(URI) is None
    with pytest.raises(NeedsPerson, match="the variable BRIDGE_SECRET_KEY, which should hold a secret, is missing"):
        Bridge(load(Path("bridge.yaml")))
