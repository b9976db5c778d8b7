"""The manifest's JSON: what it looks like, that it streams, and what is not taken for one."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import google_crc32c
import pytest

from bridge.copying import manifests
from bridge.copying.manifests import LONGEST, ManifestText, NotAManifest, read_header, read_manifest
from bridge.core.model import Facts, Manifest, StoredFile

if TYPE_CHECKING:
    from collections.abc import Iterator

FILES = (
    StoredFile('a/\u00e4\u2028\U0001f600"\\.bin', 3, "AAAAAA==", md5="1B2M2Y8AsgTpgAmY7PhCfg=="),
    StoredFile("b", 0, "AAAAAA==", xxh128="mapAtfJsABYAAAAAAAAAAA=="),
    StoredFile("c", 1 << 50, "AAAAAA==", sha256="x"),
)
FACTS = Facts(
    flavors={"files": {"files": ' "files": ['}},
    signature='{\n "files": [\n]}',
    metrics={"files": float("-inf"), "\n": 0.1},
)
MANIFEST = Manifest("models:/churn", "3", "id-3", None, FILES, "2026-01-05T09:00:00+00:00", FACTS)
EMPTY = replace(MANIFEST, files=())


def text_of(manifest: Manifest = MANIFEST) -> bytes:
    return b"".join(ManifestText(manifest).pieces())


def cut(text: bytes, size: int) -> Iterator[bytes]:
    return (text[at : at + size] for at in range(0, len(text), size))


def edited(old: str, new: str) -> bytes:
    text = text_of()
    assert old.encode() in text
    return text.replace(old.encode(), new.encode(), 1)


# written


def test_a_manifest_is_one_json_document_with_a_file_on_each_line() -> None:
    text = text_of().decode()
    read = json.loads(text)

    assert list(read)[-3:] == ["count", "size", "files"]
    assert (read["label"], read["count"], read["size"]) == ("3", 3, 3 + (1 << 50))
    lines = text.split("\n")
    assert [json.loads(line.rstrip(","))["path"] for line in lines[-5:-2]] == [file.path for file in FILES]
    assert lines[-6:-5] + lines[-2:] == [' "files": [', "]}", ""]


def test_what_a_file_does_not_have_is_left_out() -> None:
    assert json.loads(text_of())["files"][1] == {
        "path": "b",
        "size": 0,
        "crc32c": "AAAAAA==",
        "xxh128": "mapAtfJsABYAAAAAAAAAAA==",
    }


@pytest.mark.parametrize("manifest", [MANIFEST, EMPTY], ids=["some files", "none"])
def test_the_bytes_are_those_that_were_told_each_time(manifest: Manifest) -> None:
    text = ManifestText(manifest)
    first, second = b"".join(text.pieces()), b"".join(text.pieces())

    assert first == second
    assert len(first) == text.size
    assert base64.b64encode(google_crc32c.value(first).to_bytes(4, "big")).decode() == text.crc32c


def test_a_long_manifest_is_written_in_pieces_and_read_again() -> None:
    files = tuple(StoredFile(f"part-{number:05}", number, "AAAAAA==") for number in range(10_000))
    pieces = list(ManifestText(replace(MANIFEST, files=files)).pieces())

    assert max(len(piece) for piece in pieces) < sum(len(piece) for piece in pieces) / 2
    assert read_manifest(pieces) == replace(MANIFEST, files=files)


# read


@pytest.mark.parametrize("size", [1, 2, 7, 1 << 20])
@pytest.mark.parametrize("manifest", [MANIFEST, EMPTY], ids=["some files", "none"])
def test_a_manifest_is_read_in_pieces_of_any_size(manifest: Manifest, size: int) -> None:
    assert read_manifest(cut(text_of(manifest), size)) == manifest


@pytest.mark.parametrize("indent", [None, 1, 4], ids=str)
def test_what_an_earlier_release_wrote_is_read(indent: int | None) -> None:
    """In the order of its fields: the files before the facts, and all digests that a file does not have as null."""
    written = {name: getattr(MANIFEST, name) for name in MANIFEST.__dataclass_fields__}
    written |= {"files": [asdict(file) for file in FILES], "facts": {"metrics": {"auc": "NaN", "loss": 0.5}}}
    text = json.dumps(written, indent=indent).encode()

    read = read_manifest(cut(text, 100))
    assert replace(read, facts=FACTS) == MANIFEST
    assert read.facts.metrics["loss"] == pytest.approx(0.5)
    assert read_header(text) is None, "it must be read whole"


def test_a_manifest_that_somebody_has_reformatted_is_read() -> None:
    assert read_manifest([json.dumps(json.loads(text_of())).encode()]) == MANIFEST


def test_a_header_is_read_from_the_beginning_alone() -> None:
    text = text_of()
    begun = text[: text.index(b'{"path"')]

    assert read_header(begun) == MANIFEST.header
    assert read_header(text) == MANIFEST.header
    assert read_header(begun[:-1]) is None
    assert read_header(b"") is None


# refused


@pytest.mark.parametrize("manifest", [MANIFEST, EMPTY], ids=["some files", "none"])
def test_no_part_of_a_manifest_is_taken_for_the_whole(manifest: Manifest) -> None:
    text = text_of(manifest)
    for end in range(len(text) - 1):
        with pytest.raises(NotAManifest):
            read_manifest([text[:end]])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param('"path":"b"', '"path":"d"', id="not by path"),
        pytest.param('"path":"b"', '"path":"c"', id="one twice"),
        pytest.param('"path":"b"', '"path":1', id="a path that is a number"),
        pytest.param('"path":"b",', "", id="no path"),
        pytest.param('"path":"b"', '"path":"\\ud800"', id="half a character"),
        pytest.param('"size":0', '"size":"0"', id="a size that is text"),
        pytest.param('"size":0', '"size":0.5', id="half a byte"),
        pytest.param('"size":0', '"size":-1', id="a negative size"),
        pytest.param('"size":0', '"size":1', id="another size"),
        pytest.param('"count": 3', '"count": 4', id="another count"),
        pytest.param('"count": 3', '"count": null', id="no count"),
        pytest.param('"count": 3,\n', "", id="no word of a count"),
        pytest.param('"label": "3"', '"label": 3', id="a label that is a number"),
        pytest.param('"label": "3"', '"label": "3', id="a header that is no JSON"),
        pytest.param('},\n{"path":"c"', '}\n{"path":"c"', id="no comma"),
        pytest.param("}\n]}", "},\n]}", id="a comma too much"),
        pytest.param("\n]}", "\n]}{}", id="more on the last line"),
        pytest.param("]}\n", "]}\n\n{}", id="more after the last line"),
        pytest.param('{"path":"c"', '\n{"path":"c"', id="an empty line"),
        pytest.param('{"path":"c"', '{"secret":\n"path":"c"', id="a file on two lines"),
    ],
)
def test_a_damaged_manifest_is_none_and_nothing_of_it_is_repeated(old: str, new: str) -> None:
    text = edited(old, new)
    for pieces in ([text], cut(text, 3)):
        with pytest.raises(NotAManifest) as caught:
            read_manifest(pieces)
        assert "secret" not in str(caught.value)


def test_an_earlier_release_wrote_its_files_by_path_too() -> None:
    written = json.loads(text_of())
    written["files"].reverse()

    with pytest.raises(NotAManifest, match="by path"):
        read_manifest([json.dumps(written).encode()])


def endless(begun: bytes, filler: bytes, taken: list[int]) -> Iterator[bytes]:
    yield begun
    piece = filler * ((1 << 20) // len(filler))
    while True:
        taken.append(len(piece))
        yield piece


@pytest.mark.parametrize(
    ("begun", "filler"),
    [
        pytest.param(text_of()[:-4], b" ", id="a line"),
        pytest.param(text_of()[:20], b" " * 15 + b"\n", id="a header of many lines"),
        pytest.param(text_of()[:20], b" ", id="a header of one line"),
    ],
)
def test_what_has_no_end_is_given_up_soon(begun: bytes, filler: bytes) -> None:
    taken: list[int] = []

    with pytest.raises(NotAManifest, match=f"more than {LONGEST}|longer than {LONGEST}"):
        read_manifest(endless(begun, filler, taken))
    assert sum(taken) <= LONGEST + (2 << 20)


def test_what_must_be_read_whole_is_given_up_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifests, "WHOLE", 4 << 20)
    taken: list[int] = []

    with pytest.raises(NotAManifest, match="longer than 4194304 bytes"):
        read_manifest(endless(b"{", b" ", taken))
    assert sum(taken) <= 5 << 20
