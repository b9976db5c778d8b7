"""Which addresses are special, in all their spellings, and which are not."""

from __future__ import annotations

import pytest

from bridge.net.addresses import METADATA, kind_of, kinds_at

LOOPBACK, LINK_LOCAL = "a loopback address", "a link-local address"
UNSPECIFIED, MULTICAST, RESERVED = "the unspecified address", "a multicast address", "a reserved address"


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        ("127.0.0.1", LOOPBACK),
        ("127.255.255.254", LOOPBACK),
        ("::1", LOOPBACK),
        ("169.254.0.1", LINK_LOCAL),
        ("fe80::1", LINK_LOCAL),
        ("febf::1%eth0", LINK_LOCAL),
        ("0.0.0.0", UNSPECIFIED),  # noqa: S104  nobody listens there
        ("::", UNSPECIFIED),
        ("224.0.0.1", MULTICAST),
        ("ff02::1", MULTICAST),
        ("240.0.0.1", RESERVED),
        ("255.255.255.255", RESERVED),
        ("::7f00:1", RESERVED),  # IPv4-compatible, which nobody speaks any more
        ("64:ff9b:1::7f00:1", RESERVED),  # RFC 8215
        ("169.254.169.254", METADATA),
        ("169.254.170.2", METADATA),
        ("100.100.100.200", METADATA),
        ("fd00:ec2::254", METADATA),
        ("fd20:ce:0::0:254", METADATA),
    ],
)
def test_a_special_address_is_of_a_kind(host: str, kind: str) -> None:
    assert kind_of(host) == kind


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        ("::ffff:127.0.0.1", LOOPBACK),
        ("::ffff:a9fe:1", LINK_LOCAL),
        ("::ffff:169.254.169.254", METADATA),
        ("64:ff9b::127.0.0.1", LOOPBACK),
        ("64:ff9b::a9fe:a9fe", METADATA),
        ("64:ff9b::a9fe:a9fe%1", METADATA),
        ("64:ff9b::e000:1", MULTICAST),
        ("127.1", LOOPBACK),
        ("0x7f.1", LOOPBACK),
        ("2852039166", METADATA),
        ("0251.0376.0251.0376", METADATA),
        ("0", UNSPECIFIED),
    ],
)
def test_a_special_address_is_one_in_each_of_its_spellings(host: str, kind: str) -> None:
    assert kind_of(host) == kind


@pytest.mark.parametrize(
    "host",
    [
        *("10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fd00::1"),
        *("199.36.153.8", "203.0.113.5", "2600:1901::1"),
        *("::ffff:10.0.0.1", "::ffff:142.250.0.1", "64:ff9b::142.250.0.1", "64:ff9b::10.0.0.1"),
        *("localhost", "storage.test", "127.0.0.1.test", "", "a b", "\u0661", "x" * 300),
    ],
)
def test_private_and_public_addresses_and_names_are_of_none(host: str) -> None:
    assert kind_of(host) is None


def test_a_name_is_of_the_kinds_of_its_addresses() -> None:
    assert kinds_at("localhost") == {LOOPBACK}
    assert kinds_at("127.0.0.9") == {LOOPBACK}
    assert kinds_at("203.0.113.5") == frozenset()


@pytest.mark.parametrize("host", ["nowhere.invalid", "x" * 300, "a..b"])
def test_a_name_that_nobody_knows_is_of_none(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(host: str, _: None) -> list[object]:
        host.encode("idna")
        raise OSError("nobody was asked")

    monkeypatch.setattr("socket.getaddrinfo", getaddrinfo)
    assert kinds_at(host) == frozenset()
