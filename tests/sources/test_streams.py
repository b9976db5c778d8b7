"""Bytes over connections that break, from URLs that expire, from servers that misbehave."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bridge.core.errors import NeedsPerson, TryAgain
from bridge.net.lines import Lines
from bridge.sources.streams import PIECE, STALLS, Answer, fetch, open_stream, open_url
from tests.sources.servers import HANG_UP, Asked, Reply, ScriptedServer, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

CONTENT = bytes(range(256)) * 1000
OTHER = CONTENT[:50] + b"!" + CONTENT[51:]
LARGE = bytes(range(256)) * (3 * PIECE // 256)  # three pieces


@pytest.fixture
def lines() -> Iterator[Lines]:
    with closing(Lines()) as opened:
        yield opened


@contextmanager
def opened(lines: Lines, server: ScriptedServer, start: int = 0, *, checked: bool = True) -> Iterator[Iterator[bytes]]:
    """Open the server's only file; the URL that a renewal gives says how many there were."""
    renewals = 0

    def url(renew: bool) -> str:  # noqa: FBT001  the shape that open_url asks for
        nonlocal renewals
        renewals += renew
        return f"{server.url}/file?renewed={renewals}"

    with open_url(lines, url, "'model.bin' of fraud:v7", start, checked=checked) as pieces:
        yield pieces


def read(lines: Lines, server: ScriptedServer, start: int = 0, *, checked: bool = True) -> bytes:
    with opened(lines, server, start, checked=checked) as pieces:
        return b"".join(pieces)


@pytest.mark.parametrize("cuts", [(0,), (1,), (100, 0, 7), (len(CONTENT) - 1001,), (0, 0, 5, 0, 0, 9)])
@pytest.mark.parametrize("start", [0, 1000])
def test_a_connection_that_breaks_is_taken_up_where_it_broke(lines: Lines, cuts: tuple[int, ...], start: int) -> None:
    with ScriptedServer(serving(CONTENT, *cuts)) as server:
        assert read(lines, server, start) == CONTENT[start:]
        offsets = [asked.start for asked in server.asked]

    assert offsets == [start + sum(cuts[:n]) for n in range(len(cuts) + 1)]


def test_a_large_file_comes_in_pieces_and_breaks_between_them_do_no_harm(lines: Lines) -> None:
    with ScriptedServer(serving(LARGE, PIECE, PIECE + 17)) as server, opened(lines, server) as pieces:
        sizes = [len(piece) for piece in pieces]

    assert max(sizes) <= PIECE
    assert sum(sizes) == len(LARGE)


def test_a_chunked_body_that_breaks_is_taken_up_too(lines: Lines) -> None:
    left = [Reply(200, CONTENT, cut=500, chunked=True)]

    def script(asked: Asked) -> Reply:
        return left.pop() if left else serving(CONTENT)(asked)

    with ScriptedServer(script) as server:
        assert read(lines, server) == CONTENT


def test_a_connection_that_never_brings_a_byte_is_given_up(lines: Lines) -> None:
    with ScriptedServer(lambda asked: Reply(206 if asked.start else 200, CONTENT, cut=0)) as server:
        with pytest.raises(TryAgain, match="broke 3 times at byte 0"):
            read(lines, server)

        assert len(server.asked) == STALLS


def test_bytes_that_came_before_the_connection_was_given_up_are_right(lines: Lines) -> None:
    with ScriptedServer(serving(CONTENT, 10, 0, 0, 0)) as server, opened(lines, server) as pieces:
        assert next(pieces) == CONTENT[:10]
        with pytest.raises(TryAgain, match="at byte 10"):
            next(pieces)


@pytest.mark.parametrize("status", [400, 401, 403])  # 400: ExpiredToken of Cloud Storage
def test_an_expired_url_is_renewed_and_reading_goes_on_at_the_offset(lines: Lines, status: int) -> None:
    whole = serving(CONTENT, 300)

    def script(asked: Asked) -> Reply:
        expired = asked.start > 0 and asked.path.endswith("renewed=0")
        return Reply(status, b"Request has expired") if expired else whole(asked)

    with ScriptedServer(script) as server:
        assert read(lines, server) == CONTENT
        assert [(asked.path[-1], asked.start) for asked in server.asked] == [("0", 0), ("0", 300), ("1", 300)]


def test_a_new_url_that_is_refused_too_needs_a_person(lines: Lines) -> None:
    with ScriptedServer(lambda _: Reply(403)) as server, pytest.raises(NeedsPerson, match="even with a new URL"):
        read(lines, server)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_server_that_is_unwell_is_asked_again_later(lines: Lines, status: int) -> None:
    with ScriptedServer(lambda _: Reply(status)) as server, pytest.raises(TryAgain) as caught:
        read(lines, server)

    assert str(status) in str(caught.value)
    assert "'model.bin' of fraud:v7" in str(caught.value)
    assert caught.value.after is None


@pytest.mark.parametrize(
    ("said", "after"),
    [
        ("7", 7.0),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        ("", None),
        ("\u00b2", None),  # str.isdigit() is true of it
    ],
)
def test_a_server_says_when_to_come_back(lines: Lines, said: str, after: float | None) -> None:
    with (
        ScriptedServer(lambda _: Reply(429, headers={"Retry-After": said})) as server,
        pytest.raises(TryAgain) as caught,
    ):
        read(lines, server)

    assert caught.value.after == after


def test_a_server_that_becomes_unwell_in_the_middle_is_reported_between_two_pieces(lines: Lines) -> None:
    left = [Reply(200, CONTENT, cut=300)]
    with ScriptedServer(lambda _: left.pop() if left else Reply(503)) as server, opened(lines, server) as pieces:
        assert next(pieces) == CONTENT[:300]
        with pytest.raises(TryAgain):
            next(pieces)


@pytest.mark.parametrize("status", [400, 404, 410, 204, 304])
def test_any_other_answer_needs_a_person(lines: Lines, status: int) -> None:
    with ScriptedServer(lambda _: Reply(status)) as server, pytest.raises(NeedsPerson, match=f"HTTP {status}"):
        read(lines, server)


@pytest.mark.parametrize("start", [len(CONTENT), len(CONTENT) + 5])
def test_nothing_is_left_behind_the_end(lines: Lines, start: int) -> None:
    with ScriptedServer(serving(CONTENT)) as server:
        assert read(lines, server, start) == b""


def test_a_connection_that_breaks_just_before_its_end_is_known_to_be_whole_by_416(lines: Lines) -> None:
    padded = Reply(200, CONTENT + b"!", cut=len(CONTENT))
    left = [padded]
    with ScriptedServer(lambda asked: left.pop() if left else serving(CONTENT)(asked)) as server:
        assert read(lines, server) == CONTENT


def test_an_empty_file_is_one_request_and_no_bytes(lines: Lines) -> None:
    with ScriptedServer(serving(b"")) as server:
        assert read(lines, server) == b""
        assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("said", "as_said"), [("bytes 5-", True), ("bytes 4-", False), ("bytes 50-", False), ("", True)]
)
def test_another_range_than_was_asked_for_is_not_taken_for_it(lines: Lines, said: str, *, as_said: bool) -> None:
    headers = {"Content-Range": f"{said}{len(CONTENT) - 1}/{len(CONTENT)}"} if said else {}
    with ScriptedServer(lambda _: Reply(206, CONTENT[5:], headers)) as server:
        if as_said:
            assert read(lines, server, 5) == CONTENT[5:]
        else:
            with pytest.raises(TryAgain, match=r"'model\.bin' of fraud:v7 .*: from byte 5 was asked for, not (4|50)$"):
                read(lines, server, 5)


def ignoring_ranges(*contents: bytes, cut: int) -> Callable[[Asked], Reply]:
    """Send each content whole, whatever is asked for, and break all answers but the last after `cut` bytes."""
    left = list(contents)

    def script(_: Asked) -> Reply:
        content = left.pop(0)
        return Reply(200, content, cut=cut if left else None)

    return script


@pytest.mark.parametrize("start", [0, 5, len(CONTENT) - 1, len(CONTENT), len(CONTENT) + 1])
def test_where_ranges_are_ignored_what_comes_before_is_left_out(lines: Lines, start: int) -> None:
    with ScriptedServer(ignoring_ranges(CONTENT, cut=0)) as server:
        assert read(lines, server, start) == CONTENT[start:]
        assert len(server.asked) == 1


@pytest.mark.parametrize("cut", [10, PIECE, PIECE + 3, len(LARGE) - 1])
@pytest.mark.parametrize("start", [0, 5])
def test_a_broken_copy_is_taken_up_also_where_ranges_are_ignored(lines: Lines, start: int, cut: int) -> None:
    with ScriptedServer(ignoring_ranges(LARGE, LARGE, LARGE, cut=cut)) as server:
        assert read(lines, server, start) == LARGE[start:]


@pytest.mark.parametrize("changed_at", [5, 9, 99])
@pytest.mark.parametrize("start", [0, 5])
def test_other_bytes_under_the_same_address_are_never_joined_to_the_first(
    lines: Lines, start: int, changed_at: int
) -> None:
    other = CONTENT[:changed_at] + b"!" + CONTENT[changed_at + 1 :]
    with (
        ScriptedServer(ignoring_ranges(CONTENT, other, cut=100)) as server,
        pytest.raises(TryAgain, match="changed while it was read"),
    ):
        read(lines, server, start)


def test_a_rest_of_another_file_is_not_taken_where_the_server_does_not_know_the_condition(lines: Lines) -> None:
    """`If-Range` is for servers to heed; not all do."""
    left = [Reply(200, CONTENT, cut=300, headers={"ETag": '"one"'})]

    def script(asked: Asked) -> Reply:
        return left.pop() if left else Reply(206, CONTENT[asked.start :], headers={"ETag": '"another"'})

    with ScriptedServer(script) as server, pytest.raises(TryAgain, match=r"^'model\.bin' of fraud:v7 changed while"):
        read(lines, server)


@pytest.mark.parametrize("start", [0, 5])
@pytest.mark.parametrize("etag", [None, 'W/"v1"'])
def test_without_digest_and_strong_etag_no_rest_is_joined_to_what_came_before(
    lines: Lines, etag: str | None, start: int
) -> None:
    headers = {"ETag": etag} if etag else {}

    def script(asked: Asked) -> Reply:
        content, cut = (CONTENT, 100) if len(server.asked) == 1 else (OTHER, None)
        return Reply(206 if asked.start else 200, content[asked.start :], headers, cut=cut)

    with ScriptedServer(script) as server:
        with pytest.raises(TryAgain, match=r"^'model\.bin' of fraud:v7 changed while it was read$"):
            read(lines, server, start, checked=False)
        assert [asked.start for asked in server.asked] == [start, 0]

    with ScriptedServer(script) as server:
        read(lines, server, start)
        assert [asked.start for asked in server.asked] == [start, 100 + start], "a digest tells, so the rest will do"


@pytest.mark.parametrize("start", [0, 5])
def test_without_digest_and_strong_etag_what_has_not_changed_is_read_on(lines: Lines, start: int) -> None:
    with ScriptedServer(serving(CONTENT, 100, 200)) as server:
        assert read(lines, server, start, checked=False) == CONTENT[start:]


def test_a_file_that_has_become_shorter_has_changed(lines: Lines) -> None:
    with (
        ScriptedServer(ignoring_ranges(CONTENT, CONTENT[:50], cut=100)) as server,
        pytest.raises(TryAgain, match="changed while it was read"),
    ):
        read(lines, server)


@pytest.mark.parametrize(("etag", "condition"), [('"v1"', '"v1"'), ('W/"v1"', None), (None, None)])
def test_the_rest_is_asked_for_on_condition_that_the_file_is_the_same(
    lines: Lines, etag: str | None, condition: str | None
) -> None:
    whole = serving(CONTENT, 10)

    def script(asked: Asked) -> Reply:
        return replace(whole(asked), headers={"ETag": etag} if etag else {})

    with ScriptedServer(script) as server:
        assert read(lines, server) == CONTENT
        assert [asked.headers.get("if-range") for asked in server.asked] == [None, condition]


@pytest.mark.parametrize("status", [401, 403])
def test_without_renewal_a_refusal_is_believed_at_once(lines: Lines, status: int) -> None:
    with ScriptedServer(lambda _: Reply(status)) as server:

        def ask(headers: Mapping[str, str], *, renew: bool) -> Answer:
            assert not renew
            return fetch(lines, server.url, headers, "f")

        with (
            pytest.raises(NeedsPerson, match=rf"may not be read \(HTTP {status}\)"),
            open_stream(ask, "f", renews=False) as pieces,
        ):
            next(pieces)
        assert len(server.asked) == 1


def test_bodies_are_asked_for_as_they_are(lines: Lines) -> None:
    with ScriptedServer(serving(CONTENT, 5)) as server:
        read(lines, server)

        assert [asked.headers["accept-encoding"] for asked in server.asked] == ["identity", "identity"]


def test_a_redirect_is_followed_with_the_range(lines: Lines) -> None:
    def script(asked: Asked) -> Reply:
        return serving(CONTENT)(asked) if asked.path == "/there" else Reply(302, headers={"Location": "/there"})

    with ScriptedServer(script) as server:
        assert read(lines, server, 9) == CONTENT[9:]


@pytest.mark.parametrize("hang_ups", [1, 2])
def test_a_server_that_hangs_up_is_asked_again_at_once(lines: Lines, hang_ups: int) -> None:
    left = [HANG_UP] * hang_ups
    with ScriptedServer(lambda asked: left.pop() if left else serving(CONTENT)(asked)) as server:
        assert read(lines, server) == CONTENT


def test_a_server_that_only_hangs_up_is_given_up(lines: Lines) -> None:
    with ScriptedServer(lambda _: HANG_UP) as server, pytest.raises(TryAgain, match="RemoteDisconnected"):
        read(lines, server)


def test_a_server_that_is_not_there_is_asked_again_later(lines: Lines) -> None:
    with ScriptedServer(serving(CONTENT)) as server:
        pass
    with pytest.raises(TryAgain):
        read(lines, server)


def test_an_error_of_the_address_giver_goes_through(lines: Lines) -> None:
    def url(renew: bool) -> str:  # noqa: FBT001  the shape that open_url asks for
        raise NeedsPerson(f"no URL, renew={renew}", "none")

    with open_url(lines, url, "f") as pieces, pytest.raises(NeedsPerson, match="renew=False"):
        next(pieces)


def test_who_stops_reading_gives_the_connection_back(lines: Lines) -> None:
    with ScriptedServer(serving(LARGE)) as server:
        for _ in range(3):
            with opened(lines, server) as pieces:
                next(pieces)
        assert read(lines, server) == LARGE
