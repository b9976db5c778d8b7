"""The harness itself: the same seed does the same, what is broken is told, and a short storm breaks nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.chaos.__main__ import asked_for, spelled
from tests.chaos.doings import Author, Break, Point, Publish, Rename, Stop, Unpoint, Withdraw
from tests.chaos.scene import SECRETS, ShelteredFaults, leaked

HOUSE = Path(__file__).parents[2]


def test_a_seed_writes_the_same_storms_and_another_seed_writes_others() -> None:
    def written(seed: int) -> list[str]:
        author = Author(seed, services=2)
        return [str(each) for each in (*author.opening(), *author.storm(60), *author.storm(60))]

    assert written(7) == written(7)
    assert written(7) != written(8)


def test_what_users_do_can_always_be_done() -> None:
    author = Author(3)
    there: dict[str, set[str]] = {}
    aliases: dict[str, dict[str, str]] = {}
    for _, doing in (*author.opening(), *author.storm(600)):
        match doing:
            case Publish(collection, label):
                assert label not in there.setdefault(collection, set())
                there[collection].add(label)
            case Point(collection, alias, label):
                assert label in there[collection]
                aliases.setdefault(collection, {})[alias] = label
            case Unpoint(collection, alias, label):
                assert aliases[collection].pop(alias) == label
            case Withdraw(collection, label):
                there[collection].remove(label)
                held = aliases.get(collection, {})
                aliases[collection] = {alias: named for alias, named in held.items() if named != label}
            case Rename(collection, name):
                there[name], aliases[name] = there.pop(collection), aliases.pop(collection, {})
            case _:
                pass  # not of users


def test_a_long_storm_has_all_that_can_go_wrong_in_it() -> None:
    author = Author(5, services=2)
    doings = [doing for _, doing in author.storm(1200)]
    kinds = Counter(type(doing).__name__ for doing in doings)
    assert len(kinds) == 14
    faults = {doing.fault.kind for doing in doings if isinstance(doing, Break)}
    assert faults >= {"status", "timeout_before", "timeout_after", "reset", "half_body", "slow"}
    assert faults >= {"corrupt_byte", "stale_list", "empty", "operation_fails"}
    assert {doing.kill for doing in doings if isinstance(doing, Stop)} == {True, False}
    assert any(doing.rotten for doing in doings if isinstance(doing, Publish))


def test_a_broken_promise_is_told_with_the_last_doings_and_the_command_that_does_the_same_again() -> None:
    asked = asked_for(["--seed", "9", "--minutes", "0.5", "--services", "2", "--storm", "10"])
    assert spelled(["P2: fraud@1, fraud@2 are one source version"], ["12.5 Mend()"], asked) == [
        "BROKEN P2: fraud@1, fraud@2 are one source version",
        "the last doings:",
        "  12.5 Mend()",
        "again: python -m tests.chaos --seed 9 --minutes 0.5 --services 2 --storm 10",
    ]


def test_the_command_names_the_store_if_it_is_another_than_the_usual_one() -> None:
    asked = asked_for(["--seed", "9", "--minutes", "1", "--store", "postgresql+psycopg://u@h/d"])
    assert asked.command.endswith("--storm 30 --store 'postgresql+psycopg://u@h/d'")


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_found_wherever_it_lies(name: str) -> None:
    places = {"service-0.log": b"nothing", "bridge.db": b"\0\1" + SECRETS[name].encode() + b"\2"}
    assert leaked(places) == (f"bridge.db ({name})",)


def test_a_fault_does_not_strike_who_asks_for_the_harness() -> None:
    faults = ShelteredFaults()
    fault = next(doing.fault for _, doing in Author(1).storm(600) if isinstance(doing, Break))
    faults.arm(fault)
    with faults.sheltering(fault.service):
        assert faults.strike(fault.service, fault.method) is None
    assert faults.strike(fault.service, fault.method) == fault


@pytest.mark.sandbox
def test_a_short_storm_breaks_no_promise(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    arguments = ["--seed", "134", "--minutes", "0.1", "--storm", "9", "--report", str(report)]
    done = subprocess.run(  # noqa: S603  the arguments are ours
        [sys.executable, "-m", "tests.chaos", *arguments], cwd=HOUSE, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(report.read_text())
    assert (told["storms"], told["violations"]) == (1, [])
    assert {"Publish", "Point", "Break", "Stop"} <= told["actions"].keys()
