"""`copying` in bridge.yaml: what it says, and what it gets for limits that make no sense."""

from __future__ import annotations

import re
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bridge.core.settings import CopySettings

if TYPE_CHECKING:
    from tests.config.folders import Folder

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"


def test_what_is_not_said_of_copying_has_a_default(folder: Folder) -> None:
    folder.bridge("copying: {parallel_files: 8, max_bandwidth: null}\n")
    assert folder.load().copying == CopySettings(parallel_files=8)


def test_the_defaults_are_those_that_are_told_to_people(folder: Folder) -> None:
    told = OPERATIONS.read_text(encoding="utf-8").partition("# bridge.yaml\ncopying:\n")[2]
    block = f"copying:\n{told.partition('```')[0]}"

    folder.bridge(block)

    assert folder.load().copying == CopySettings()
    assert set(re.findall(r"^  (\w+):", block, re.MULTILINE)) == {field.name for field in fields(CopySettings)}


def test_every_limit_of_copying_can_be_said(folder: Folder) -> None:
    folder.bridge(
        """copying:
  parallel_files: 16
  parallel_versions: 2
  per_host: 8
  memory: 1GB
  max_bandwidth: 200MB/s
  one_request: 1.5MiB
  parts_above: 2GiB
  slow_stream: 40MiB/s
  part: 5.25MiB
  leftovers_after: 36h
"""
    )
    assert folder.load().copying == CopySettings(
        parallel_files=16,
        parallel_versions=2,
        per_host=8,
        memory=1_000_000_000,
        max_bandwidth=200_000_000,
        one_request=3 << 19,
        parts_above=2 << 30,
        slow_stream=40 << 20,
        part=21 << 18,
        leftovers_after=timedelta(hours=36),
    )


ONE_REQUEST = "one_request must be more than nothing and at most half of memory, which holds such files whole"
PARTS_ABOVE = "parts_above must be more than one_request, up to which a file goes whole"
PART = "part must be at least 5MiB, as Cloud Storage wants it, and a multiple of 0.25MiB"


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("[64]", "10: expected a mapping, found a list"),
        ("null", "1: expected a mapping, found nothing"),
        ("{memori: 1GiB}", "11: unknown key 'memori'; did you mean 'memory'?"),
        ("{parallel_files: 0}", "27: expected at least 1"),
        ("{parallel_versions: many}", "30: expected a whole number, found a text"),
        ("{per_host: true}", "21: expected a whole number, found true"),
        ("{memory: 268435456}", "19: expected a size such as 8MiB or 1GiB, found a number"),
        ("{memory: 256}", "19: expected a size such as 8MiB or 1GiB, found a number"),
        (
            "{memory: 256M}",
            "19: '256M' is not a size; write a number and MB, MiB, GB or GiB: 8MiB, 1.5GB",
        ),
        ("{max_bandwidth: []}", "26: expected a rate such as 200MB/s, found a list"),
        (
            "{max_bandwidth: 1gbit}",
            "26: '1gbit' is not a rate; write a number and MB/s, MiB/s, GB/s or GiB/s: 200MB/s",
        ),
        ("{max_bandwidth: 0MB/s}", "26: max_bandwidth must be more than nothing; leave it out for no limit"),
        ("{slow_stream: 0GB/s}", "24: slow_stream must be at least 1"),
        ("{slow_stream: null}", "11: expected a rate such as 200MB/s, found nothing"),
        ("{one_request: 0MB}", f"24: {ONE_REQUEST}"),
        ("{one_request: 129MiB}", f"24: {ONE_REQUEST}"),
        ("{memory: 15MiB}", f"10: {ONE_REQUEST}"),  # one_request is where its default is: nowhere
        ("{parts_above: 8MiB}", f"24: {PARTS_ABOVE}"),
        ("{part: 4.75MiB}", f"17: {PART}"),
        ("{part: 16MB}", f"17: {PART}"),
        ("{leftovers_after: 7}", "28: expected a duration such as 90s, 10m, 2h or 1d, found a number"),
        (
            "{leftovers_after: 0d}",
            "28: leftovers_after must be at least 1h, or what is being sent would be removed",
        ),
    ],
)
def test_what_a_limit_of_copying_gets(folder: Folder, said: str, message: str) -> None:
    folder.bridge(f"copying: {said}\n")
    assert folder.wrong() == [f"bridge.yaml:4:{message}"]


def test_limits_that_do_not_fit_are_reported_all_at_once(folder: Folder) -> None:
    folder.bridge("copying:\n  part: 1MiB\n  one_request: 1GiB\n")
    assert folder.wrong() == [
        f"bridge.yaml:5:3: {PARTS_ABOVE}",
        f"bridge.yaml:5:9: {PART}",
        f"bridge.yaml:6:16: {ONE_REQUEST}",
    ]
