"""What is written as a row or as JSON is read back as it was."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import get_args

import pytest
from hypothesis import given, strategies as st

from bridge.core.changes import (
    AdoptVersion,
    ArrangeFiles,
    CopyFiles,
    DeleteFiles,
    DeleteVersion,
    MarkDuplicate,
    MoveAlias,
    RegisterVersion,
    RemoveAlias,
)
from bridge.core.deeds import Deed, Paused, Resumed, deed_kind, deed_to_json
from bridge.core.errors import NeedsPerson
from bridge.core.model import Alias, Container, SourceVersion, VersionRef
from bridge.store.changes import change_from_json, deed_from_json

words = st.text()
maybe = st.none() | words
versions = st.builds(SourceVersion, words, words, words, words, maybe, words)
references = st.builds(VersionRef, words, maybe)
aliases = st.builds(Alias, words)
pairs = st.lists(st.tuples(words, words)).map(tuple)
containers = st.builds(Container, words, st.lists(st.integers(1, 65_535)).map(tuple), maybe, maybe, pairs)
kinds: dict[type[Deed], st.SearchStrategy[Deed]] = {
    CopyFiles: st.builds(CopyFiles, versions, words),
    ArrangeFiles: st.builds(ArrangeFiles, versions, words, words, pairs),
    RegisterVersion: st.builds(RegisterVersion, versions, words, containers, words),
    AdoptVersion: st.builds(AdoptVersion, versions, words, words, words, st.booleans()),
    MoveAlias: st.builds(MoveAlias, aliases, versions, words, st.none() | references),
    RemoveAlias: st.builds(RemoveAlias, aliases, references),
    MarkDuplicate: st.builds(MarkDuplicate, words, words),
    DeleteVersion: st.builds(DeleteVersion, versions, words, words),
    DeleteFiles: st.builds(DeleteFiles, versions, words, st.lists(words).map(tuple)),
    Paused: st.builds(Paused, words, maybe, words),
    Resumed: st.builds(Resumed, words),
}


def test_no_kind_of_line_is_left_out_here() -> None:
    assert set(kinds) == set(get_args(Deed))


@given(st.one_of(*kinds.values()))
def test_what_the_journal_tells_survives_json(deed: Deed) -> None:
    assert deed_from_json(json.loads(json.dumps(deed_to_json(deed)))) == deed


@given(st.one_of(*kinds.values()))
def test_its_kind_survives_json(deed: Deed) -> None:
    assert deed_kind(deed_from_json(deed_to_json(deed))) == deed_to_json(deed)["change"]


def test_a_registration_from_before_there_were_layouts_is_still_read() -> None:
    version = SourceVersion("a", "b", "v1", "c", None, "d")
    read = change_from_json({"change": "register", "version": asdict(version), "artifact_uri": "gs://b/f/"})
    assert read == RegisterVersion(version, "gs://b/f/", Container(""))


def test_a_change_of_a_newer_bridge_is_for_a_person() -> None:
    with pytest.raises(NeedsPerson, match="'deploy', which this bridge does not know; upgrade the bridge"):
        change_from_json({"change": "deploy", "endpoint": "1"})
