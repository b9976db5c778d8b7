"""Connections: which are used again, how many there are, how answers end, and on which ways they go."""

from __future__ import annotations

import base64
import socket
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from bridge.net.lines import FIRST, JOINED, Broken, Lines
from bridge.net.messages import EARLY, LONGEST, MOST
from tests.net.peers import OK, Certificate, Peer, Talk, answering, certificate, closing_after
from tests.sources.servers import Reply, ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy and no certificates but those that a test names."""
    for name in (*BUNDLES, *PROXIES, *map(str.upper, PROXIES)):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def lines() -> Iterator[Lines]:
    """Room for one connection to each origin, so that one that is not given back is missed."""
    with closing(Lines(per_host=1)) as made:
        yield made


def got(lines: Lines, url: str, method: str = "GET") -> tuple[int, bytes]:
    reply = lines.ask(method, url, {})
    return reply.status, reply.read()


def sent(lines: Lines, url: str, *pieces: bytes) -> tuple[int, bytes]:
    reply = lines.ask("PUT", url, {"Content-Length": str(sum(map(len, pieces)))}, pieces)
    return reply.status, reply.read()


# one connection, many requests


def test_one_connection_serves_many_requests(lines: Lines) -> None:
    with Peer(answering(OK)) as peer:
        for _ in range(20):
            assert got(lines, f"{peer.url}/x") == (200, b"ok")
            assert sent(lines, f"{peer.url}/x", b"12", b"3") == (200, b"ok")

    assert peer.connections == 1
    assert [heard.line for heard in peer.heard[:2]] == ["GET /x HTTP/1.1", "PUT /x HTTP/1.1"]
    assert peer.bodies[:2] == [b"", b"123"]


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", b"ok", id="chunked"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"", id="nothing"),
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", b"", id="204"),
        pytest.param(b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", b"", id="204, chunked"),
        pytest.param(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", b"", id="304"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b"ok", id="100"),
        pytest.param(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK, b"ok", id="103"),
    ],
)
def test_however_an_answer_ends_the_connection_is_used_again(lines: Lines, answer: bytes, body: bytes) -> None:
    with Peer(answering(answer)) as peer:
        answers = [got(lines, peer.url)[1] for _ in range(3)]

    assert (answers, peer.connections) == ([body] * 3, 1)


def test_an_answer_to_head_has_no_body_whatever_its_length(lines: Lines) -> None:
    with Peer(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n")) as peer:
        assert [got(lines, peer.url, "HEAD") for _ in range(2)] == [(200, b"")] * 2

    assert peer.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", id="it says so"),
        pytest.param(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", id="HTTP/1.0"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\nok", id="its end is the end of the connection"),
    ],
)
def test_a_connection_that_ends_with_its_answer_is_not_used_again(lines: Lines, answer: bytes) -> None:
    with Peer(closing_after(answer)) as peer:
        assert [got(lines, peer.url) for _ in range(2)] == [(200, b"ok")] * 2

    assert peer.connections == 2


def test_a_connection_that_the_server_has_closed_meanwhile_is_not_used_again(lines: Lines) -> None:
    closed = threading.Event()
    with Peer(closing_after(OK, closed)) as peer:
        for _ in range(3):
            assert sent(lines, peer.url, b"x") == (200, b"ok")
            assert closed.wait(10)
            closed.clear()

    assert (peer.connections, len(peer.heard)) == (3, 3)


def test_a_connection_on_which_something_was_said_unasked_is_not_used_again(lines: Lines) -> None:
    was_read, was_said = threading.Event(), threading.Event()

    def script(peer: Peer, talk: Talk) -> None:
        while peer.hear(talk):
            talk.say(OK)
            assert was_read.wait(10)
            was_read.clear()
            talk.say(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
            was_said.set()

    with Peer(script) as peer:
        for _ in range(3):
            assert got(lines, peer.url) == (200, b"ok")
            was_read.set()
            assert was_said.wait(10)
            was_said.clear()

    assert peer.connections == 3


def test_an_answer_that_nobody_reads_to_its_end_costs_the_connection(lines: Lines) -> None:
    with Peer(answering(OK)) as peer:
        reply = lines.ask("GET", peer.url, {})
        reply.close()
        reply.close()
        assert got(lines, peer.url) == (200, b"ok")

    assert peer.connections == 2


def test_closing_closes_what_nobody_uses() -> None:
    left: list[object] = []

    def script(peer: Peer, talk: Talk) -> None:
        while peer.hear(talk):
            talk.say(OK)
        left.append("closed")
        ended.set()

    ended = threading.Event()
    with Peer(script) as peer:
        lines = Lines()
        got(lines, peer.url)
        assert left == []
        lines.close()
        assert ended.wait(10)


# how many


def test_who_needs_one_more_connection_than_there_may_be_waits_for_one() -> None:
    most, together = 2, threading.Barrier(2)
    broken: list[Broken] = []

    def script(peer: Peer, talk: Talk) -> None:
        while peer.hear(talk):
            together.wait(10)  # so both connections are in use at a time
            talk.say(OK)

    with Peer(script) as peer, closing(Lines(per_host=most)) as lines:

        def ask() -> None:
            try:
                got(lines, peer.url)
            except Broken as problem:
                broken.append(problem)

        threads = [threading.Thread(target=ask) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)

    assert broken == []
    assert (peer.connections, len(peer.heard)) == (most, 12)


def test_each_origin_has_its_own_connections(lines: Lines) -> None:
    with Peer(answering(OK)) as one, Peer(answering(OK)) as other:
        reply = lines.ask("GET", one.url, {})
        assert got(lines, other.url) == (200, b"ok")
        reply.close()


# bodies


def hears_only_the_head(_: Peer, talk: Talk) -> None:
    if talk.hear_head():
        talk.say(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")


def test_an_answer_that_comes_before_all_was_sent_is_read(lines: Lines) -> None:
    piece = b"x" * (1 << 20)

    def body() -> Iterator[bytes]:
        for number in range(64):
            taken.append(number)
            yield piece

    taken: list[int] = []
    with Peer(hears_only_the_head) as peer:
        for _ in range(2):
            reply = lines.ask("PUT", peer.url, {"Content-Length": str(64 * len(piece))}, body())
            assert (reply.status, reply.read()) == (403, b"no")

    assert len(taken) < 128
    assert peer.connections == 2


class Unreadable(OSError):
    pass


@pytest.mark.parametrize("problem", [ValueError("the body's"), Unreadable("the body's"), KeyboardInterrupt()])
def test_what_a_body_raises_goes_through_and_leaves_no_half_request(lines: Lines, problem: BaseException) -> None:
    def body() -> Iterator[bytes]:
        yield b"12"
        raise problem

    with Peer(answering(OK)) as peer:
        got(lines, peer.url)
        with pytest.raises(type(problem)) as raised:
            lines.ask("PUT", peer.url, {"Content-Length": "5"}, body())
        assert got(lines, peer.url) == (200, b"ok")

    assert raised.value is problem
    assert peer.connections == 2


@pytest.mark.parametrize("size", [1, JOINED, JOINED + 1, 3 * JOINED])
def test_a_body_arrives_as_it_is_whether_it_is_joined_with_the_head_or_not(lines: Lines, size: int) -> None:
    pieces = (b"a" * (size // 2), b"b" * (size - size // 2))
    with Peer(answering(OK)) as peer:
        assert sent(lines, peer.url, *pieces) == (200, b"ok")

    assert peer.bodies == [b"".join(pieces)]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", id="a length"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf", id="within a chunk"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", id="between chunks"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nmany\r\nhalf\r\n", id="no size"),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 1 << 20])
def test_a_body_that_ends_early_is_no_answer(lines: Lines, answer: bytes, size: int) -> None:
    with Peer(closing_after(answer)) as peer:
        reply = lines.ask("GET", peer.url, {})
        with pytest.raises(Broken, match="IncompleteRead"):
            list(reply.pieces(size))
        with pytest.raises(Broken):  # the one connection was given back, so this does not wait for ever
            got(lines, peer.url)


@pytest.mark.parametrize("said", [b"many", b"-1", b"-5", b"0x4", b"+4", b"", b"4 4", b"1" * 17, b"f" * LONGEST])
def test_what_is_no_size_of_a_chunk_breaks(lines: Lines, said: bytes) -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%s\r\nhalf\r\n0\r\n\r\n" % said
    with Peer(closing_after(answer)) as peer:
        for _ in range(2):  # the one connection was given back, so this does not wait for ever
            with pytest.raises(Broken, match="IncompleteRead"):
                lines.ask("GET", peer.url, {}).read()


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", id="chunked, twice"),
        pytest.param(b"Content-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n", id="a length, which is none"),
        pytest.param(b"transfer-encoding: Chunked\nX-A: b\n\n", id="lines without CR"),
        pytest.param(b"X-A: b\x01\r\nTransfer-Encoding: chunked\r\n\r\n", id="a value of anything"),
    ],
)
def test_a_head_that_can_be_read_in_one_way_only_is_read(lines: Lines, head: bytes) -> None:
    with Peer(answering(b"HTTP/1.1 200 OK\r\n" + head + b"2;a=b\r\nok\r\n0\r\n\r\n")) as peer:
        assert [got(lines, peer.url) for _ in range(2)] == [(200, b"ok")] * 2

    assert peer.connections == 1


@pytest.mark.parametrize(
    ("quick", "sizes"),
    [(float("inf"), [FIRST, 2 * FIRST, 3 * FIRST, FIRST]), (0.0, [FIRST] * 7)],
    ids=["each is quick", "each takes long"],
)
def test_pieces_grow_as_long_as_they_come_quickly(
    lines: Lines, monkeypatch: pytest.MonkeyPatch, quick: float, sizes: list[int]
) -> None:
    monkeypatch.setattr("bridge.net.lines.QUICK", quick)
    body = bytes(7 * FIRST)
    with Peer(answering(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body), body)) as peer:
        assert [len(piece) for piece in lines.ask("GET", peer.url, {}).pieces(3 * FIRST)] == sizes


def test_pieces_are_of_the_size_that_was_asked_for(lines: Lines) -> None:
    chunks = b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"
    with (
        Peer(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nabcdefg")) as plain,
        Peer(answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", chunks)) as chunked,
    ):
        for peer in (plain, chunked):
            assert list(lines.ask("GET", peer.url, {}).pieces(3)) == [b"abc", b"def", b"g"]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", id="another protocol"),
        pytest.param(b"HTTP/1.1 2x0 OK\r\n\r\n", id="no status"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", id="half a head"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok", id="no length"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", id="two lengths"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA B: c\r\nContent-Length: 2\r\n\r\nok", id="no name"),
        pytest.param(b"HTTP/1.1 103 Early Hints\r\n\r\n" * EARLY + OK, id="endless answers before it"),
        pytest.param(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + OK, id="an upgrade"
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: " + bytes(LONGEST) + b"\r\n" + OK, id="an endless line"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * (MOST + 1) + b"\r\n", id="endless lines"),
    ],
)
def test_what_is_no_answer_breaks(lines: Lines, answer: bytes) -> None:
    with Peer(closing_after(answer)) as peer:
        for _ in range(2):
            with pytest.raises(Broken):
                got(lines, peer.url)


def test_where_nobody_listens_it_breaks(lines: Lines) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    for _ in range(2):
        with pytest.raises(Broken, match="ConnectionRefusedError"):
            got(lines, f"http://127.0.0.1:{port}")


def test_names_of_headers_are_in_lower_case_and_the_first_value_counts(lines: Lines) -> None:
    said = b"HTTP/1.1 200 OK\r\nx-GOOG-hash: a=\xe9\r\nContent-Length: 0\r\nX-Goog-Hash:b\r\n\r\n"
    with Peer(answering(said)) as peer:
        reply = lines.ask("GET", peer.url, {})
        assert reply.headers == {"x-goog-hash": "a=é", "content-length": "0"}
        reply.close()


# URLs


@pytest.mark.parametrize(
    ("url", "line"),
    [
        ("", "GET / HTTP/1.1"),
        ("/", "GET / HTTP/1.1"),
        ("?a=b", "GET /?a=b HTTP/1.1"),
        ("/a%2Fb//c?d=%20#e", "GET /a%2Fb//c?d=%20 HTTP/1.1"),
    ],
)
def test_a_target_is_spelled_as_it_was_given(lines: Lines, url: str, line: str) -> None:
    with Peer(answering(OK)) as peer:
        got(lines, peer.url + url)

    assert [heard.line for heard in peer.heard] == [line]
    assert peer.heard[0].headers == {"host": f"127.0.0.1:{peer.port}"}


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "//127.0.0.1/x",
        "http://",
        "http:///x",
        "ftp://127.0.0.1/x",
        "file:///etc/passwd",
        "http://127.0.0.1:port/x",
        "http://127.0.0.1:99999/x",
        "http://[::1/x",
        "http://127.0.0.1:1/a b",
        "http://127.0.0.1:1/a\tb",
        "http://127.0.0.1:1/a\r\nX-Forged: yes",
        "http://127.0.0.1:1/?a=\x7f",
        "http://local host:1/",
        "http://127.0.0.1\n:1/",
    ],
)
def test_what_is_no_url_is_not_asked_for(lines: Lines, url: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  http.client's, and urllib's, say it in their own words
        got(lines, url)


def test_a_target_that_is_not_ascii_is_not_asked_for(lines: Lines) -> None:
    with Peer(answering(OK)) as peer:
        for _ in range(2):
            with pytest.raises(ValueError, match="ascii"):
                got(lines, f"{peer.url}/ä")

    assert peer.heard == []


@pytest.mark.parametrize("headers", [{"X-A": "b\r\nX-Forged: yes"}, {"X-A\r\nX-Forged": "yes"}, {"X-A": "\u20ac"}])
def test_no_header_forges_another(lines: Lines, headers: dict[str, str]) -> None:
    with Peer(answering(OK)) as peer:
        with pytest.raises(ValueError):  # noqa: PT011  http.client says it in its own words
            lines.ask("GET", peer.url, headers)
        assert got(lines, peer.url) == (200, b"ok")

    assert len(peer.heard) == 1


def test_an_address_of_six_is_spelled_in_brackets(lines: Lines) -> None:
    try:
        peer = Peer(answering(OK), host="::1")
    except OSError:
        pytest.skip("this machine has no IPv6")
    with peer:
        assert got(lines, peer.url) == (200, b"ok")

    assert peer.heard[0].headers["host"] == f"[::1]:{peer.port}"


# certificates


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return certificate(tmp_path_factory.mktemp("certificate"))


def test_a_certificate_that_nobody_vouches_for_is_refused(lines: Lines, certified: Certificate) -> None:
    with Peer(answering(OK), tls=certified.server) as peer:
        for _ in range(2):
            with pytest.raises(Broken, match="SSLCertVerificationError"):
                got(lines, peer.url)

    assert peer.heard == []


def test_a_certificate_is_not_looked_at_if_nobody_wants_it(certified: Certificate) -> None:
    with Peer(answering(OK), tls=certified.server) as peer, closing(Lines(verify=False)) as lines:
        assert [got(lines, peer.url) for _ in range(3)] == [(200, b"ok")] * 3

    assert peer.connections == 1


@pytest.mark.parametrize("name", BUNDLES)
@pytest.mark.parametrize("in_folder", [False, True], ids=["file", "folder"])
def test_certificates_are_trusted_as_requests_is_told_to(
    lines: Lines,
    certified: Certificate,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    *,
    in_folder: bool,
) -> None:
    (tmp_path / certified.hashed).write_bytes(certified.text)
    monkeypatch.setenv(name, str(tmp_path if in_folder else tmp_path / certified.hashed))
    with Peer(answering(OK), tls=certified.server) as peer:
        assert [got(lines, peer.url) for _ in range(3)] == [(200, b"ok")] * 3

    assert peer.connections == 1


def test_a_certificate_of_another_host_is_refused(
    lines: Lines, certified: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bundle").write_bytes(certified.text)
    monkeypatch.setenv(BUNDLES[0], str(tmp_path / "bundle"))
    with (
        Peer(answering(OK), tls=certified.server, host="127.0.0.2") as peer,
        pytest.raises(Broken, match="SSLCertVerificationError"),
    ):
        got(lines, peer.url)


@pytest.mark.parametrize("text", [None, b"", b"nonsense"], ids=["missing", "empty", "none"])
def test_a_bundle_that_cannot_be_read_is_named(
    lines: Lines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: bytes | None
) -> None:
    if text is not None:
        (tmp_path / "bundle").write_bytes(text)
    monkeypatch.setenv(BUNDLES[0], str(tmp_path / "bundle"))
    for _ in range(2):
        with pytest.raises(Broken, match=r"no certificates can be read from .*bundle"):
            got(lines, "https://127.0.0.1:1")


def test_over_tls_an_answer_that_comes_before_all_was_sent_is_read_or_the_connection_broke(
    certified: Certificate,
) -> None:
    """Which of them is up to the order in which its last bytes come; what could not be sent is never what is told."""

    def come() -> object:
        try:
            reply = lines.ask("PUT", peer.url, {"Content-Length": str(64 << 20)}, iter([bytes(1 << 20)] * 64))
        except Broken as broken:
            return str(broken)
        return reply.status, reply.read()

    with Peer(hears_only_the_head, tls=certified.server) as peer, closing(Lines(verify=False)) as lines:
        for _ in range(4):
            assert come() in ((403, b"no"), "RemoteDisconnected", "ConnectionResetError")


# proxies


def test_a_proxy_is_asked_for_the_whole_url(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    with Peer(answering(OK)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        for at in ("storage.test", "storage.test:81", "[2001:db8::1]:81", "bücher.test"):
            assert got(lines, f"http://{at}/a?b") == (200, b"ok")

    assert [(heard.line, heard.headers["host"]) for heard in proxy.heard] == [
        ("GET http://storage.test/a?b HTTP/1.1", "storage.test"),
        ("GET http://storage.test:81/a?b HTTP/1.1", "storage.test:81"),
        ("GET http://[2001:db8::1]:81/a?b HTTP/1.1", "[2001:db8::1]:81"),
        ("GET http://xn--bcher-kva.test/a?b HTTP/1.1", "xn--bcher-kva.test"),
    ]


@pytest.mark.parametrize("spelled", ["{}", "http://{}"])
def test_a_proxy_for_all_is_one_for_each(lines: Lines, monkeypatch: pytest.MonkeyPatch, spelled: str) -> None:
    with Peer(answering(OK)) as proxy:
        monkeypatch.setenv("all_proxy", spelled.format(f"127.0.0.1:{proxy.port}"))
        assert got(lines, "http://storage.test/a") == (200, b"ok")


def test_a_proxy_is_told_who_we_are_and_nobody_else_is(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    with Peer(answering(OK)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("://", "://us%40er:pa%3Ass@"))
        got(lines, "http://storage.test/a")
        monkeypatch.setenv("no_proxy", f"127.0.0.1:{proxy.port}")
        got(lines, proxy.url)

    who = base64.b64encode(b"us@er:pa:ss").decode()
    assert [heard.headers.get("proxy-authorization") for heard in proxy.heard] == [f"Basic {who}", None]


@pytest.mark.parametrize("without", ["127.0.0.1", "*", "localhost, 127.0.0.1"])
def test_who_needs_no_proxy_is_asked_straight(lines: Lines, monkeypatch: pytest.MonkeyPatch, without: str) -> None:
    with Peer(answering(OK)) as peer, Peer(answering(OK)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", without)
        got(lines, f"{peer.url}/a")

    assert ([heard.line for heard in peer.heard], proxy.heard) == (["GET /a HTTP/1.1"], [])


def tunnel(to: Peer) -> Callable[[Peer, Talk], None]:
    """Connect whoever asks to one peer, wherever they wanted to go."""

    def script(proxy: Peer, talk: Talk) -> None:
        proxy.hear(talk)
        with socket.create_connection(("127.0.0.1", to.port)) as onward:
            talk.say(b"HTTP/1.1 200 Connection established\r\nX-Via: us\r\n\r\n")
            threading.Thread(target=_pour, args=(talk.connection, onward), daemon=True).start()
            _pour(onward, talk.connection)

    return script


def _pour(from_: socket.socket, to: socket.socket) -> None:
    try:
        while piece := from_.recv(1 << 16):
            to.sendall(piece)
        to.shutdown(socket.SHUT_WR)
    except OSError:  # the other thread was faster
        pass


def test_a_proxy_is_asked_for_a_tunnel_and_sees_nothing_else(
    lines: Lines, certified: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bundle").write_bytes(certified.text)
    monkeypatch.setenv(BUNDLES[0], str(tmp_path / "bundle"))
    with Peer(answering(OK), tls=certified.server) as peer, Peer(tunnel(peer)) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url.replace("://", "://user:pass@"))
        url = f"https://localhost:{peer.port}/a"
        assert [got(lines, url) for _ in range(3)] == [(200, b"ok")] * 3
        lines.close()

    assert [heard.line for heard in proxy.heard] == [f"CONNECT localhost:{peer.port} HTTP/1.0"]
    assert "proxy-authorization" in proxy.heard[0].headers
    assert [heard.line for heard in peer.heard] == ["GET /a HTTP/1.1"] * 3
    assert all(heard.headers == {"host": f"localhost:{peer.port}"} for heard in peer.heard)


def test_a_proxy_that_opens_no_tunnel_breaks_and_costs_nothing(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    denied = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    with Peer(closing_after(denied)) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        for _ in range(2):
            with pytest.raises(Broken, match="OSError"):
                got(lines, "https://storage.test/a")


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "https://127.0.0.1:1", "http://127.0.0.1:port", "http://:1"])
def test_a_proxy_that_cannot_be_used_breaks_and_says_so(
    lines: Lines, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("all_proxy", proxy)
    for _ in range(2):
        with pytest.raises(Broken, match="prox"):
            got(lines, "http://storage.test/a")


def test_nothing_of_an_address_is_in_what_breaks(lines: Lines) -> None:
    with ScriptedServer(lambda _: Reply(cut=0, body=b"x")) as server, pytest.raises(Broken) as raised:
        got(lines, f"{server.url}/upload?upload_id=a-secret")

    assert "a-secret" not in repr(raised.value)
