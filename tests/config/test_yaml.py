"""What text that is no plain YAML gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bridge.config.load import load
from bridge.config.report import Report
from bridge.config.yaml_reader import read_yaml
from bridge.core.errors import ConfigErrors

if TYPE_CHECKING:
    from pathlib import Path

    from tests.config.folders import Folder

NO_ANCHORS = "anchors and aliases ('&', '*') are not allowed; write the value out"
NO_TAGS = "tags ('!') are not allowed; write the plain value"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "1:1: this file is empty"),
        ("# nothing\n\n", "1:1: this file is empty"),
        ("---\n", "1:1: this file is empty"),
        ("mappings: [\n", "2:1: this is not YAML: expected the node content, but found '<stream end>'"),
        ("a: b: c\n", "1:5: this is not YAML: mapping values are not allowed here"),
        ("a:\n\t- b\n", "2:1: this is not YAML: found character '\\t' that cannot start any token"),
        ('a: "\\UFFFFFFFF"\n', "1:1: this is not YAML: it cannot be parsed"),
        ("a: 1\r\nb: \x1b[2J\n", "2:4: the character '\\x1b' is not allowed in YAML"),
        (b"a: 1\nb: \xc3\xa9\xff\n", "2:5: byte 0xff is not UTF-8; save the file as UTF-8"),
        ("a: 1\n---\nb: 2\n", "2:1: a second YAML document begins here; write one per file"),
        ("a: !!python/object/apply:os.system [ls]\n", f"1:4: {NO_TAGS}"),
        ("!x a: 1\n", f"1:1: {NO_TAGS}"),
        ("a: &a [x]\nb: [*a, *a]\n", f"1:4: {NO_ANCHORS}"),
        ("a: *a\n", f"1:4: {NO_ANCHORS}"),
        ("*a : 1\n", f"1:1: {NO_ANCHORS}"),
        ("? [a, b]\n: 1\n", "1:3: a key must be a text, not a list or a mapping"),
        ('a: "\\0"\n', "1:4: a text must hold neither NUL nor half of a surrogate pair"),
        ('"\\ud800": 1\n', "1:1: a text must hold neither NUL nor half of a surrogate pair"),
        ("[" * 100_000, "1:33: this is nested deeper than 32 levels"),
        ("{a: " * 100_000, "1:129: this is nested deeper than 32 levels"),
        ("- " * 100_000, "1:65: this is nested deeper than 32 levels"),
        ("#" * (1024 * 1024 + 1), "1:1: this file is larger than 1 MiB; is it a configuration?"),
    ],
)
def test_what_a_text_gets(folder: Folder, text: str | bytes, message: str) -> None:
    folder.write("mappings/fraud.yaml", text)
    assert folder.wrong() == [f"mappings/fraud.yaml:{message}"]


def test_bridge_yaml_and_mappings_are_both_read_even_if_neither_is_yaml(folder: Folder) -> None:
    folder.write("bridge.yaml", "")
    folder.write("mappings/fraud.yaml", "[")
    assert folder.wrong() == [
        "bridge.yaml:1:1: this file is empty",
        "mappings/fraud.yaml:1:2: this is not YAML: expected the node content, but found '<stream end>'",
    ]


def test_connections_are_not_missed_where_bridge_yaml_cannot_be_read(folder: Folder) -> None:
    folder.write("bridge.yaml", "[")
    assert [message.split(":")[0] for message in folder.wrong()] == ["bridge.yaml"]


def test_duplicate_keys_are_errors_that_show_both_lines(folder: Folder) -> None:
    folder.mapping(drift="heal\n    drift: report\n    policy: sync")
    assert folder.wrong() == [
        "mappings/fraud.yaml:8:5: duplicate key 'drift'; it is already in line 7",
        "mappings/fraud.yaml:9:5: duplicate key 'policy'; it is already in line 5",
    ]


def test_a_merge_key_is_a_key_like_any_other(folder: Folder) -> None:
    folder.mapping(serving="{<<: {image: x}, image: img}")
    (found,) = folder.wrong()
    assert found.startswith("mappings/fraud.yaml:6:15: unknown key '<<'; known keys: layout, image, port,")


def test_yaml_1_1_is_not_brought_back_by_a_directive(folder: Folder) -> None:
    text = (folder.path / "mappings/fraud.yaml").read_text().replace("registry: model", "registry: no")
    folder.write("mappings/fraud.yaml", f"%YAML 1.1\n---\n{text}")
    assert folder.load().mappings[0].source.place == "wandb-registry-no"


def test_a_byte_order_mark_and_carriage_returns_are_no_mistake(folder: Folder) -> None:
    folder.mapping(policy="p")
    raw = (folder.path / "mappings/fraud.yaml").read_bytes()
    folder.write("mappings/fraud.yaml", b"\xef\xbb\xbf" + raw.replace(b"\n", b"\r\n"))
    (error,) = folder.errors()
    assert (str(error.at), error.excerpt) == ("mappings/fraud.yaml:5:13", "    policy: p")


def test_numbers_are_numbers_and_what_only_looks_like_one_is_a_text(folder: Folder) -> None:
    folder.mapping(serving="{image: img, ports: [80, +81, 082]}", default_from="0x1F")
    assert folder.load().mappings[0].serving.ports == (80, 81, 82)
    assert folder.load().mappings[0].default_from == "0x1F"
    folder.mapping(serving=f"{{image: img, ports: [1e3, .5, {'9' * 5000}]}}")
    assert folder.wrong() == [
        "mappings/fraud.yaml:6:35: expected a whole number, found a decimal number",
        "mappings/fraud.yaml:6:40: expected a whole number, found a decimal number",
        "mappings/fraud.yaml:6:44: expected a whole number, found a text",
    ]


def test_a_key_cannot_forge_a_line_of_output(folder: Folder) -> None:
    folder.mapping(aliases='{"a\\nb\\e[2J\\u202e": "x y"}')
    (found,) = folder.wrong()
    assert found == (
        "mappings/fraud.yaml:7:34: 'x y' is not a legal Vertex AI version alias (' ' is not allowed); "
        r"write 'a\nb\x1b[2J\u202e: x-y'"
    )


def test_a_line_is_shown_without_what_cannot_be_seen(folder: Folder) -> None:
    folder.write("mappings/fraud.yaml", "a:\t\x1b[2J")
    (error,) = folder.errors()
    assert error.excerpt == "a:\t\\x1b[2J"


def test_a_folder_in_place_of_a_file_is_no_file(folder: Folder) -> None:
    with pytest.raises(ConfigErrors, match=r"no mappings here; write one"):
        load(folder.path / "mappings")


def test_a_file_that_goes_away_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    report = Report()
    assert read_yaml(tmp_path / "gone.yaml", report) is None
    assert str(report.errors()) == "gone.yaml:1:1: cannot be read: No such file or directory"


def test_a_folder_that_cannot_be_read_is_reported(folder: Folder) -> None:
    name = "x" * 300 + ".yaml"
    folder.bridge(f"mappings: {name}\n")
    assert folder.wrong() == [f"bridge.yaml:4:11: the folder {name} of mappings cannot be read: File name too long"]


def test_a_word_of_pydantic_for_a_key_is_a_key_like_any_other(folder: Folder) -> None:
    folder.bridge("'[key]': 1\n")
    (found,) = folder.wrong()
    assert found.startswith("bridge.yaml:4:1: unknown key '[key]'; known keys: store,")
    folder.bridge("  '[key]': 1\n")
    assert [message.split(";")[0] for message in folder.wrong()] == [
        "bridge.yaml:4:3: '[key]' is not a name",
        "bridge.yaml:4:12: expected a mapping, found a number",
    ]
