"""What every store keeps of copies: in memory, in SQLite, in PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

import pytest

from bridge.core.model import Alias, Digest, ModelKey, StoredFile
from bridge.core.records import Content, Upload

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.core.ports import Store

NINE = datetime(2026, 1, 5, 9, tzinfo=UTC)
TEN = NINE + timedelta(hours=1)
URI = "gs://models/fraud/v7-x/model é.bin"
MD5 = Digest("md5", "1B2M2Y8AsgTpgAmY7PhCfg==")
SIZE = 200 * 2**30  # more than 32 bits


def upload(uri: str = URI, begun: datetime = NINE) -> Upload:
    return Upload(uri, f"https://storage.test/upload?upload_id=secret-{uri}", "session", SIZE, MD5, begun.isoformat())


def content(digest: Digest = MD5, uri: str = URI, size: int = SIZE) -> Content:
    return Content(digest, StoredFile("model é.bin", size, "AAAAAA==", MD5.value, "x=", "s="), uri)


def numbered(number: int) -> Content:
    return content(Digest("xxh128", f"digest-{number}"), f"gs://models/{number}", size=number)


# uploads
def test_an_upload_is_known_until_it_is_forgotten(store: Store) -> None:
    parts = replace(upload(f"{URI}2"), kind="parts", digest=None)
    for each in (upload(), parts):
        store.save_upload(each)
    assert (store.upload(URI), store.upload(parts.uri), store.upload("gs://models/other")) == (upload(), parts, None)

    store.forget_upload(URI)
    store.forget_upload(URI)
    assert (store.upload(URI), store.upload(parts.uri)) == (None, parts)


def test_an_upload_that_is_begun_anew_replaces_the_one_before(store: Store) -> None:
    anew = Upload(URI, "https://storage.test/another", "parts", 7, Digest("crc32c", "AAAAAA=="), TEN.isoformat())
    store.save_upload(upload())
    store.save_upload(anew)

    assert store.upload(URI) == anew
    assert store.uploads(TEN + timedelta(1)) == (anew,)


def test_uploads_begun_before_a_time_come_oldest_first(store: Store) -> None:
    newest, newer = upload("gs://b/a", TEN), upload("gs://b/b", NINE + timedelta(microseconds=1))
    oldest = replace(upload("gs://b/c"), begun="2026-01-05T09:00:00Z")
    for each in (newest, newer, oldest):
        store.save_upload(each)

    assert store.uploads(TEN + timedelta(microseconds=1)) == (oldest, newer, newest)
    assert store.uploads(TEN) == (oldest, newer)
    assert store.uploads(NINE) == ()


def test_an_upload_is_begun_at_a_time_in_utc(store: Store) -> None:
    for begun in ("2026-01-05T09:00:00", "2026-01-05T09:00:00+02:00"):
        with pytest.raises(ValueError, match="is not a time in UTC"):
            store.save_upload(replace(upload(), begun=begun))


def test_an_upload_is_shown_without_its_address() -> None:
    assert "secret" not in f"{upload()} {upload()!r}".replace(URI, "")


# contents
def test_what_lies_in_a_bucket_is_found_by_digest_and_size(store: Store) -> None:
    bare = Content(Digest("crc32c", "AAAAAA=="), StoredFile("f", 0, "AAAAAA=="), "gs://models/f")
    store.save_contents([content(), bare])
    unknown = (Digest("md5", "other"), SIZE)

    found = store.contents("models", [(MD5, SIZE), unknown, (bare.digest, 0), (MD5, SIZE)])
    assert found == {(MD5, SIZE): content(), (bare.digest, 0): bare}
    assert store.contents("models", []) == {}


@pytest.mark.parametrize(
    ("bucket", "digest", "size"),
    [
        ("model", MD5, SIZE),
        ("models2", MD5, SIZE),
        ("models", Digest("xxh128", MD5.value), SIZE),
        ("models", MD5, SIZE - 1),
        ("models", Digest("md5", MD5.value.lower()), SIZE),
    ],
    ids=["a shorter bucket", "a longer bucket", "an algorithm", "a size", "a spelling"],
)
def test_bytes_that_differ_in_one_thing_are_others(store: Store, bucket: str, digest: Digest, size: int) -> None:
    store.save_contents([content()])

    assert store.contents(bucket, [(digest, size)]) == {}


def test_the_same_digest_under_another_size_algorithm_or_bucket_is_kept_beside_it(store: Store) -> None:
    others = [
        content(size=1, uri="gs://models/1"),
        content(Digest("xxh128", MD5.value), "gs://models/2"),
        content(uri="gs://elsewhere/1"),
    ]
    store.save_contents([content(), *others])

    assert store.contents("models", [(MD5, SIZE), (MD5, 1), (others[1].digest, SIZE)]) == {
        (MD5, SIZE): content(),
        (MD5, 1): others[0],
        (others[1].digest, SIZE): others[1],
    }
    assert store.contents("elsewhere", [(MD5, SIZE)]) == {(MD5, SIZE): others[2]}


def test_the_object_that_is_known_first_stays_until_it_is_forgotten(store: Store) -> None:
    # Of two in one call, too, in whatever order their URIs are.
    store.save_contents([content(uri="gs://models/b"), content(uri="gs://models/a")])
    store.save_contents([content(uri="gs://models/c")])
    assert store.contents("models", [(MD5, SIZE)])[MD5, SIZE].uri == "gs://models/b"

    store.forget_content("gs://models/b")
    store.save_contents([content(uri="gs://models/c")])
    assert store.contents("models", [(MD5, SIZE)])[MD5, SIZE].uri == "gs://models/c"


def test_an_object_that_was_written_again_replaces_itself(store: Store) -> None:
    again = Content(MD5, StoredFile("renamed", SIZE, "BBBBBB=="), URI)
    store.save_contents([content()])
    store.save_contents([again])

    assert store.contents("models", [(MD5, SIZE)]) == {(MD5, SIZE): again}


def test_an_object_is_forgotten_under_all_its_digests(store: Store) -> None:
    xxh128 = Digest("xxh128", "x=")
    store.save_contents([content(), content(xxh128), numbered(1)])
    store.forget_content(URI)
    store.forget_content(URI)

    wanted = [(MD5, SIZE), (xxh128, SIZE), (numbered(1).digest, 1)]
    assert store.contents("models", wanted) == {wanted[2]: numbered(1)}


def test_any_number_is_saved_and_asked_for(store: Store) -> None:
    store.save_contents(numbered(number) for number in range(2500))

    found = store.contents("models", [(numbered(number).digest, number) for number in range(3000)])
    assert found == {(numbered(number).digest, number): numbered(number) for number in range(2500)}


def test_other_things_are_saved_while_contents_come_in(store: Store) -> None:
    """Whoever saves them may be reading a bucket, for minutes."""
    key = ModelKey("fraud", "fraud")

    def listed() -> Iterator[Content]:
        for number in range(1500):
            if number % 500 == 0:
                store.save_mirrored(key, Alias("production"), str(number))
            yield numbered(number)

    store.save_contents(listed())
    assert store.mirrored(key) == {"production": "1000"}


def test_a_death_in_the_middle_keeps_the_first(store: Store) -> None:
    def listed() -> Iterator[Content]:
        yield from map(numbered, range(1500))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.save_contents(listed())
    assert len(store.contents("models", [(numbered(number).digest, number) for number in range(1000)])) == 1000


def test_threads_that_save_the_same_in_other_orders_do_not_wait_for_one_another(store: Store) -> None:
    forth = [numbered(number) for number in range(900)]
    with ThreadPoolExecutor(4) as pool:
        for saved in [pool.submit(store.save_contents, order) for order in (forth, forth[::-1]) * 4]:
            saved.result()

    assert len(store.contents("models", [(each.digest, each.file.size) for each in forth])) == 900


# folders
FOLDER = "gs://models/fraud/v7-x/"


def folder_at(begun: datetime, kind: Literal["folder", "removal"] = "folder") -> Upload:
    return Upload(FOLDER, "", kind, 0, None, begun.isoformat())


def test_a_folder_that_is_entered_is_begun_then_and_again(store: Store) -> None:
    assert store.enter(FOLDER, NINE)
    assert store.uploads(TEN) == (folder_at(NINE),)
    assert store.enter(FOLDER, TEN)
    assert store.uploads(TEN) == ()

    store.forget_upload(FOLDER)
    assert store.uploads(TEN + timedelta(1)) == ()


def test_a_folder_that_is_being_removed_is_not_entered_until_the_removal_must_have_died(store: Store) -> None:
    store.enter(FOLDER, NINE)
    assert store.claim(folder_at(NINE), TEN)
    assert store.uploads(TEN + timedelta(1)) == (folder_at(TEN, "removal"),)

    assert not store.enter(FOLDER, TEN + timedelta(minutes=59))
    assert store.enter(FOLDER, TEN + timedelta(minutes=61))
    assert store.uploads(TEN + timedelta(1)) == (folder_at(TEN + timedelta(minutes=61)),)


def test_a_copy_that_goes_on_keeps_its_folder_and_one_that_has_lost_it_is_told(store: Store) -> None:
    later = TEN + timedelta(1)
    assert not store.stay(FOLDER, NINE, TEN)
    store.enter(FOLDER, NINE)

    assert store.stay(FOLDER, NINE, TEN)
    assert store.uploads(later) == (folder_at(TEN),)
    assert not store.claim(folder_at(NINE), later)
    assert not store.stay(FOLDER, NINE, later)

    assert store.claim(folder_at(TEN), later)
    assert not store.stay(FOLDER, TEN, later)


def test_what_was_gone_on_with_or_claimed_or_has_ended_is_not_claimed(store: Store) -> None:
    store.enter(FOLDER, NINE)
    store.save_upload(upload())
    (folder, session) = store.uploads(TEN)
    store.enter(FOLDER, TEN)
    assert not store.claim(folder, TEN)

    assert store.claim(session, TEN)
    assert not store.claim(session, TEN)
    claimed = store.upload(URI)
    assert claimed == upload(begun=TEN)
    store.forget_upload(URI)
    assert not store.claim(upload(begun=TEN), TEN)


def test_a_folder_is_either_entered_or_claimed(store: Store) -> None:
    store.enter(FOLDER, NINE)

    def race(number: int) -> bool:
        return store.enter(FOLDER, TEN) if number % 2 else store.claim(folder_at(NINE), TEN)

    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(race, range(8)))
    assert sum(done[::2]) <= 1
    assert any(done[::2]) != any(done[1::2])


def test_all_that_lies_below_a_folder_is_forgotten_and_nothing_beside_it(store: Store) -> None:
    below = ["gs://models/f/v7/a", "gs://models/f/v7/b/c", "gs://models/f/v7/\U0010ffff", "gs://models/f/v7/\uffff"]
    beside = ["gs://models/f/v7", "gs://models/f/v7-prebuilt/a", "gs://models/f/v70/a", "gs://other/f/v7/a"]
    made = [content(Digest("md5", f"digest-{n}"), uri) for n, uri in enumerate((*below, *beside))]
    store.save_contents(made)

    for _ in range(2):
        store.forget_folder("gs://models/f/v7/")

    known = [each for each in made if store.contents(each.bucket, [(each.digest, SIZE)])]
    assert [each.uri for each in known] == beside


def test_a_folder_that_is_being_removed_is_not_entered_within_the_hour_or_before_it_is_forgotten(store: Store) -> None:
    folder = "gs://models/f/v7/"
    store.begin_removal(folder, NINE)
    assert not store.enter(folder, NINE + timedelta(minutes=59))
    store.begin_removal(folder, TEN)
    assert not store.enter(folder, TEN + timedelta(minutes=59))
    assert store.enter(folder, TEN + timedelta(hours=1, microseconds=1))

    store.begin_removal(folder, TEN)
    store.forget_upload(folder)
    assert store.enter(folder, TEN)
