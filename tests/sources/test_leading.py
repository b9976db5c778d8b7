"""Where sources may lead a download: to themselves and to private storage, not to what only this machine can ask."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from bridge.core.errors import NeedsPerson
from bridge.net.lines import Lines
from bridge.sources.leading import LedInside, led_by_peer, led_by_source
from bridge.sources.streams import fetch, open_url
from tests.net.peers import OK, Peer, answering
from tests.sources.servers import Asked, Reply, ScriptedServer, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTENT = bytes(range(256))
WHAT = "'model.bin' of fraud:v7"
ELSEWHERE = "http://203.0.113.5"  # a source that is not on this machine
SECRET = "/path?X-Signature=a-secret"


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with closing(Lines()) as opened:
        yield opened


def read(lines: Lines, url: str, source: str | None = None) -> bytes:
    with open_url(lines, lambda _: url, WHAT, source=source) as pieces:
        return b"".join(pieces)


def leading_to(*urls: str) -> ScriptedServer:
    """Make a server that leads to the first of these, and where that is asked of it, to the next."""
    left = list(urls)
    return ScriptedServer(lambda _: Reply(302, headers={"Location": left.pop(0)}))


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        ("169.254.169.254", "a cloud's metadata server"),
        ("[::ffff:169.254.169.254]", "a cloud's metadata server"),
        ("[64:ff9b::a9fe:a9fe]", "a cloud's metadata server"),
        ("[fd00:ec2::254]", "a cloud's metadata server"),
        ("169.254.0.9", "a link-local address"),
        ("[fe80::1]", "a link-local address"),
        ("0.0.0.0", "the unspecified address"),  # noqa: S104  nobody listens there
        ("255.255.255.255", "a reserved address"),
    ],
)
def test_a_redirect_does_not_lead_inside(lines: Lines, host: str, kind: str) -> None:
    with leading_to(f"http://{host}{SECRET}") as server, pytest.raises(LedInside) as refused:
        read(lines, server.url)

    assert str(refused.value) == (
        f"{WHAT} is not read from '{host.strip('[]')}', where its source leads: that is {kind}, which only this "
        "machine and its network are meant to reach; ask who runs the source why it leads there, and have it give an "
        "address of its storage"
    )


def test_a_second_redirect_does_not_either(lines: Lines) -> None:
    with leading_to("/again", f"http://169.254.169.254{SECRET}") as server:
        with pytest.raises(LedInside):
            read(lines, server.url)
        assert len(server.asked) == 2


def test_a_redirect_to_nowhere_is_refused(lines: Lines) -> None:
    with leading_to("http://[::1/x") as server, pytest.raises(NeedsPerson) as refused:
        read(lines, server.url)

    assert str(refused.value) == f"{WHAT} cannot be read: its address is no URL; look where the source keeps it"


def test_a_source_on_this_machine_may_lead_to_storage_on_this_machine(lines: Lines) -> None:
    with ScriptedServer(serving(CONTENT)) as storage, leading_to(f"{storage.url}/there") as server:
        assert read(lines, server.url, source=server.url.replace("127.0.0.1", "localhost")) == CONTENT


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1"])
def test_a_signed_url_does_not_lead_inside(lines: Lines, host: str) -> None:
    with ScriptedServer(serving(CONTENT)) as server:
        with pytest.raises(LedInside, match=f"from '{host}'.* a loopback address") as refused:
            read(lines, server.url.replace("127.0.0.1", host) + SECRET, source=ELSEWHERE)
        assert server.asked == []

    assert "secret" not in str(refused.value)


def test_a_metadata_server_is_near_to_nobody(lines: Lines) -> None:
    for check in (led_by_source("http://169.254.169.254", WHAT), led_by_peer("169.254.169.254", WHAT)):
        with pytest.raises(LedInside):
            fetch(lines, "http://169.254.169.254/", {}, WHAT, check)


@pytest.mark.parametrize("peer", ["203.0.113.5", "10.0.0.1", "storage.test", ""])
def test_a_name_does_not_hide_an_address(lines: Lines, peer: str) -> None:
    with Peer(answering(OK)) as server:
        for _ in range(2):
            with pytest.raises(LedInside, match="'localhost'"):
                fetch(lines, f"http://localhost:{server.port}{SECRET}", {}, WHAT, led_by_peer(peer, WHAT))

    assert server.heard == []


def test_a_kept_connection_is_not_asked_either(lines: Lines) -> None:
    with Peer(answering(OK)) as server:
        url = f"http://localhost:{server.port}/"
        assert lines.ask("GET", url, {}).read() == b"ok"
        with pytest.raises(LedInside):
            fetch(lines, url, {}, WHAT, led_by_peer("203.0.113.5", WHAT))

    assert (server.connections, len(server.heard)) == (1, 1)


def test_private_storage_is_led_to() -> None:
    for check in (led_by_source(ELSEWHERE, WHAT), led_by_peer("203.0.113.5", WHAT)):
        for address in ("10.0.0.1", "192.168.0.1", "fd00::1"):
            check("storage.test", address)


def test_behind_a_proxy_an_address_in_the_url_is_looked_at(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    def script(asked: Asked) -> Reply:
        if asked.path.startswith("http://files.test"):
            return Reply(302, headers={"Location": asked.path.partition("?")[2]})
        return Reply(200, CONTENT)

    with ScriptedServer(script) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("https_proxy", proxy.url)
        assert read(lines, "http://files.test/?http://storage.test/a", ELSEWHERE) == CONTENT
        assert read(lines, "http://files.test/?http://10.0.0.1/a", ELSEWHERE) == CONTENT
        for inside in ("http://127.0.0.1/a", "https://169.254.169.254/a", "http://0x7f.1/a"):
            with pytest.raises(LedInside):
                read(lines, f"http://files.test/?{inside}", ELSEWHERE)
        assert [asked.path[:17] for asked in proxy.asked if "files.test" not in asked.path] == [
            "http://storage.te",
            "http://10.0.0.1/a",
        ]
