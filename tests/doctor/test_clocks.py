"""Our clock is compared with the dates of whoever answers."""

from __future__ import annotations

from datetime import timedelta
from email.utils import format_datetime

import pytest

from bridge.doctor.clocks import look_at_clock
from bridge.testing.clock import FakeClock
from tests.sources.servers import HANG_UP, Reply, ScriptedServer


def told(reply: Reply, clock: FakeClock, path: str = "") -> str:
    with ScriptedServer(lambda _: reply) as server:
        [result] = look_at_clock(f"{server.url}{path}", clock)
        assert [asked.path for asked in server.asked] == ["/"]
        return str(result).replace(server.url, "URL")


@pytest.mark.parametrize(
    ("theirs", "said"),
    [
        (0, "ok       clock, by URL: ours differs by 0 s"),
        (60, "ok       clock, by URL: ours differs by 60 s"),
        (
            61,
            "problem  clock, by URL: ours is 61 s behind; set the clock of this machine by NTP",
        ),
        (
            -300,
            "problem  clock, by URL: ours is 300 s ahead; set the clock of this machine by NTP",
        ),
    ],
)
def test_a_clock_may_differ_by_a_minute(theirs: int, said: str) -> None:
    clock = FakeClock()
    date = format_datetime(clock.now() + timedelta(seconds=theirs), usegmt=True)

    assert told(Reply(403, headers={"Date": date}), clock, "/api/") == said


@pytest.mark.parametrize("headers", [{}, {"Date": "yesterday"}])
def test_an_answer_without_a_date_tells_nothing(headers: dict[str, str]) -> None:
    said = "unknown  clock, by URL: its answers have no date; compare the clocks by hand: date -u"
    assert told(Reply(headers=headers), FakeClock()) == said


def test_no_answer_tells_nothing() -> None:
    said = told(HANG_UP, FakeClock())

    assert said.startswith("unknown  clock, by URL: there was no answer to compare it with (")
    assert said.endswith("); see its connection")


def test_what_is_no_address_tells_nothing() -> None:
    [result] = look_at_clock("http://ann:hunter2@a b", FakeClock())

    assert "hunter2" not in str(result)
    assert str(result).startswith("unknown  clock, by http://a b")
