"""How names are spelled between systems: every spelling is injective, or refuses."""

from __future__ import annotations

import hashlib
import re
import string
import unicodedata
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, example, given, strategies as st

from bridge.core.errors import NeedsPerson
from bridge.core.model import DEFAULT, Alias, AliasRules
from bridge.core.naming import (
    MANIFEST_NAME,
    MAX_PATH_BYTES,
    adopted_uri,
    alias_problem,
    artifact_uri,
    check_path,
    check_paths,
    copied_uri,
    is_our_name,
    is_version_alias,
    label_value,
    model_id,
    serving_uri,
    slug_alias,
    sources_of,
    spell_alias,
)
from tests.core.builders import BASE, version

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.core.model import SourceVersion

PASS, SLUG = AliasRules({}), AliasRules({}, "slug")
ANY_TEXT = st.text(st.characters())  # lone surrogates and controls too
WORDS = st.text(string.ascii_letters + string.digits + "-_. /é", max_size=70)  # what people write, and near misses
NAMES = WORDS | ANY_TEXT
LEGAL_ALIASES = st.from_regex(r"[a-z][a-zA-Z0-9-]{0,126}[a-z0-9]", fullmatch=True).map(Alias)


def legal_alias(name: str) -> bool:
    """Tell Vertex's rule, as product.md quotes it."""
    return re.fullmatch(r"[a-z][a-zA-Z0-9-]{0,126}[a-z0-9]", name) is not None


# Aliases


@pytest.mark.parametrize(
    "name",
    ["production", "best-model", "ab", "a1", "aB1", "v1-2", "a--b", "default", "a" * 128],
)
def test_an_alias_that_vertex_takes_has_no_problem(name: str) -> None:
    assert alias_problem(name) is None


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        pytest.param("", "at least two characters are needed", id="empty"),
        pytest.param("a", "at least two characters are needed", id="one character"),
        pytest.param("a" * 129, "at most 128 characters are allowed", id="129 characters"),
        pytest.param("best_model", "'_' is not allowed", id="underscore"),
        pytest.param("v1.2", "'.' is not allowed", id="dot"),
        pytest.param("best model", "' ' is not allowed", id="space"),
        pytest.param("caf\u00e9", r"'\xe9' is not allowed", id="accent"),
        pytest.param("production\n", r"'\n' is not allowed", id="a newline at the end"),
        pytest.param("ab\u0663", r"'\u0663' is not allowed", id="a digit of another script"),
        pytest.param("Champion", "it must begin with a lower-case letter", id="begins with a capital"),
        pytest.param("2024", "it must begin with a lower-case letter", id="begins with a digit"),
        pytest.param("-ab", "it must begin with a lower-case letter", id="begins with a hyphen"),
        pytest.param("champioN", "it must end with a lower-case letter or a digit", id="ends with a capital"),
        pytest.param("champion-", "it must end with a lower-case letter or a digit", id="ends with a hyphen"),
    ],
)
def test_an_alias_that_vertex_refuses_says_which_rule_it_breaks(name: str, problem: str) -> None:
    assert alias_problem(name) == problem


@given(NAMES | LEGAL_ALIASES)
def test_an_alias_has_no_problem_exactly_if_it_is_legal(name: str) -> None:
    assert (alias_problem(name) is None) is legal_alias(name)


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("best_model", "best-model"),
        ("Prod EU", "prod-eu"),
        ("v1.2", "v1-2"),
        ("2024", "a-2024"),
        ("--x__y--", "x-y"),
        ("production\n", "production"),
        ("a" * 127 + "_b", "a" * 127),
    ],
)
def test_a_slug_is_the_nearest_legal_alias(name: str, slug: str) -> None:
    assert slug_alias(name) == slug


@given(NAMES)
@example("")
@example("Default")
@example("a")
@example("\u65e5\u672c")
@example("-" * 200)
@example("9" * 200)
@example("A" * 126 + "--" + "b")
def test_a_slug_is_always_legal_and_never_default(name: str) -> None:
    slug = slug_alias(name)
    assert legal_alias(slug)
    assert slug != DEFAULT


@pytest.mark.parametrize("name", ["latest", "v0", "v7", "v123456"])
def test_a_source_makes_latest_and_v_numbers_by_itself(name: str) -> None:
    assert is_version_alias(name)
    assert spell_alias(name, PASS) is None
    assert spell_alias(name, SLUG) is None


@pytest.mark.parametrize(
    "name",
    [
        "v",
        "v1-2",
        "v7a",
        "latest2",
        "release-v7",
        "v7\n",
        "v\u0667",
    ],
)
def test_a_person_made_every_other_alias(name: str) -> None:
    assert not is_version_alias(name)


def test_a_named_rule_wins_over_every_other() -> None:
    rules = AliasRules({"latest": Alias("newest"), "v7": Alias("seventh"), "default": Alias("main"), "ab": None})
    assert [spell_alias(name, rules) for name in rules.named] == ["newest", "seventh", "main", None]


def test_a_name_that_no_rule_names_is_dropped_if_the_mapping_lists_its_aliases() -> None:
    rules = AliasRules({"production": Alias("production")}, "drop")
    assert [spell_alias(name, rules) for name in ("production", "staging", "best_model", "default")] == [
        "production",
        None,
        None,
        None,
    ]


@pytest.mark.parametrize("rules", [PASS, SLUG], ids=["pass", "slug"])
def test_a_source_alias_called_default_is_never_passed_on(rules: AliasRules) -> None:
    with pytest.raises(NeedsPerson, match="'default' is never passed on") as refused:
        spell_alias("default", rules)
    assert "default_from" in refused.value.remedy


def test_an_illegal_alias_is_an_error_that_names_the_rule_and_suggests_a_spelling() -> None:
    with pytest.raises(NeedsPerson) as refused:
        spell_alias("best_model", PASS)
    assert str(refused.value) == (
        "'best_model' is not a legal Vertex AI version alias ('_' is not allowed); "
        "write 'best_model: best-model' under aliases, or 'best_model: null' to drop it"
    )


@given(NAMES | LEGAL_ALIASES)
def test_a_legal_alias_passes_unchanged_and_every_other_is_refused(name: str) -> None:
    assume(not is_version_alias(name))
    if legal_alias(name) and name != DEFAULT:
        assert spell_alias(name, PASS) == name
    else:
        with pytest.raises(NeedsPerson):
            spell_alias(name, PASS)


@given(NAMES | LEGAL_ALIASES)
def test_with_slugs_every_alias_but_default_has_a_legal_spelling(name: str) -> None:
    assume(name != DEFAULT and not is_version_alias(name))
    spelled = spell_alias(name, SLUG)
    assert spelled is not None
    assert legal_alias(spelled)
    assert spelled == name or not legal_alias(name)


@given(
    LEGAL_ALIASES.filter(lambda alias: alias != DEFAULT) | st.sampled_from([Alias("latest"), Alias("v7"), Alias("ab")]),
    st.dictionaries(st.sampled_from(["ab", "latest", "best_model"]), st.sampled_from([None, Alias("ab"), Alias("cd")])),
    st.sampled_from(["pass", "slug", "drop"]),
)
def test_the_sources_of_an_alias_are_those_that_are_spelled_so(
    alias: Alias, named: dict[str, Alias | None], others: str
) -> None:
    rules = AliasRules(named, others)  # type: ignore[arg-type]  # sampled_from has no literals
    known = sources_of(alias, rules)
    assert len(set(known)) == len(known)
    assert all(spell_alias(name, rules) == alias for name in known)
    candidates = {alias, "ab", "latest", "best_model"} - ({"best_model"} if others != "pass" else set())
    for name in candidates - set(known):
        assert _spelled(name, rules) != alias


def _spelled(name: str, rules: AliasRules) -> Alias | None:
    try:
        return spell_alias(name, rules)
    except NeedsPerson:
        return None


# Model ids and label values


@pytest.mark.parametrize("name", ["fraud", "fraud-2", "_x", "a_b-", "ab", "a" * 63, "a-x0123456789a"])
def test_a_legal_model_id_is_kept(name: str) -> None:
    assert model_id(name) == name


@pytest.mark.parametrize(
    ("name", "beginning"),
    [
        pytest.param("Fraud Detector", "fraud-detector-x", id="capitals and spaces"),
        pytest.param("", "m-x", id="empty"),
        pytest.param("a", "a-x", id="one character, which the SDK refuses to read"),
        pytest.param("2fast", "m-2fast-x", id="begins with a digit"),
        pytest.param("\u65e5\u672c", "m-x", id="nothing legal in it"),
        pytest.param("a" * 64, "a" * 51 + "-x", id="too long"),
        pytest.param("fraud-x0123456789", "fraud-x0123456789-x", id="looks like our hashed form"),
        pytest.param("a.b/c", "a-b-c-x", id="punctuation"),
    ],
)
def test_any_other_name_becomes_a_slug_with_a_hash(name: str, beginning: str) -> None:
    assert re.fullmatch(re.escape(beginning) + r"[0-9a-f]{10}", model_id(name))


@pytest.mark.parametrize("text", ["7", "v7", "-", "_", "a" * 63])
def test_a_legal_label_value_is_kept(text: str) -> None:
    assert label_value(text) == text


@pytest.mark.parametrize("text", ["", "Fraud", "a/b", "a" * 64, "fraud-x0123456789"])
def test_any_other_text_becomes_a_label_value_with_a_hash(text: str) -> None:
    assert re.fullmatch(r"[a-z0-9_-]*-x[0-9a-f]{10}", label_value(text))
    assert label_value(text) != text


def test_ids_and_labels_are_the_same_for_ever() -> None:
    assert model_id("Fraud Detector") == f"fraud-detector-x{hashlib.sha256(b'Fraud Detector').hexdigest()[:10]}"
    assert label_value("Fraud Detector") == model_id("Fraud Detector")


@given(NAMES)
def test_a_model_id_is_always_legal_in_vertex_and_its_sdk(name: str) -> None:
    assert re.fullmatch(r"[a-z_][a-z0-9_-]{1,62}", model_id(name))


@given(NAMES)
def test_a_label_value_is_always_legal(text: str) -> None:
    assert re.fullmatch(r"[a-z0-9_-]{1,63}", label_value(text))


@pytest.mark.parametrize("spell", [model_id, label_value])
@given(one=NAMES, other=NAMES)
def test_two_names_have_two_spellings(spell: Callable[[str], str], one: str, other: str) -> None:
    assume(one != other)
    assert spell(one) != spell(other)


@pytest.mark.parametrize("spell", [model_id, label_value])
@given(
    NAMES,
    st.sampled_from(
        [str.upper, str.swapcase, str.strip, "{}-".format, "{} ".format, "{}_".format, model_id, slug_alias]
    ),
)
def test_a_name_and_a_near_miss_of_it_have_two_spellings(
    spell: Callable[[str], str], name: str, change: Callable[[str], str]
) -> None:
    near = change(name)
    assume(near != name)
    assert spell(near) != spell(name)


# Folders

DIGESTS = st.integers(0, 2**64).map(lambda number: hashlib.sha256(b"\0%d" % number).hexdigest()[:32])
VERSIONS = st.builds(
    lambda label, digest, number: version(label, digest=digest, version_id=f"id-{number}"),
    st.from_regex(r"v?[0-9]{1,6}", fullmatch=True) | NAMES,
    st.none() | DIGESTS | WORDS.filter(bool),
    st.integers(0, 9),
)


def test_a_folder_tells_model_version_and_content() -> None:
    v7 = version("v7", digest="9f86d081884c7d659a2feaa0c55ad015")
    assert artifact_uri("gs://acme-models/registry", "fraud", v7) == "gs://acme-models/registry/fraud/v7-9f86d081884c/"
    assert artifact_uri("gs://acme-models/registry/", "fraud", v7) == artifact_uri(BASE, "fraud", v7)


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        pytest.param(version("v7", version_id="other"), True, id="id, where there is a digest"),
        pytest.param(replace(version("v7"), url="https://elsewhere/"), True, id="address"),
        pytest.param(version("v8", digest=version("v7").digest), False, id="label"),
        pytest.param(version("v7", digest="0" * 32), False, id="digest"),
        pytest.param(version("v7", digest=None), False, id="no digest"),
        pytest.param(version("v7", digest="md5:abc"), False, id="a digest that is not hexadecimal"),
    ],
)
def test_a_folder_depends_on_label_and_content(changed: SourceVersion, *, same: bool) -> None:
    assert (artifact_uri(BASE, "fraud", changed) == artifact_uri(BASE, "fraud", version("v7"))) is same


def test_a_folder_of_a_version_without_a_digest_depends_on_its_id() -> None:
    one, other = (version("3", digest=None, version_id=each) for each in ("a", "b"))
    assert artifact_uri(BASE, "fraud", one) != artifact_uri(BASE, "fraud", other)


@given(VERSIONS, NAMES.map(model_id))
def test_a_folder_can_always_be_part_of_an_objects_name(each: SourceVersion, model: str) -> None:
    folder = artifact_uri(BASE, model, each)
    assert folder.startswith(f"{BASE}/{model}/")
    assert folder.endswith("/")
    name = folder.removeprefix(BASE + "/")
    assert re.fullmatch(r"[a-z0-9_-]+/[a-z0-9_-]+/", name)
    assert check_path(name + "model.pkl") == name + "model.pkl"


@given(VERSIONS, VERSIONS, st.sampled_from(["fraud", "churn"]), st.sampled_from(["fraud", "churn"]))
def test_two_versions_have_two_folders(one: SourceVersion, other: SourceVersion, here: str, there: str) -> None:
    def content(each: SourceVersion) -> tuple[str, str | None, str]:
        return each.label, each.digest, each.id if each.digest is None else ""

    assume((here, content(one)) != (there, content(other)))
    assert artifact_uri(BASE, here, one) != artifact_uri(BASE, there, other)


def test_a_label_in_digits_of_another_script_is_spelled_in_ascii() -> None:
    assert artifact_uri(BASE, "fraud", version("v\u0667")).isascii()


# Paths

ORDINARY = [
    "model.pkl",
    "data/model.safetensors",
    "a/b/c/d/e",
    "with space (1).txt",
    "..hidden",
    "a..b",
    "...",
    ".gitignore",
    "-rf",
    "~root",
    "100%.txt",
    "a:b",
    "a\\b",
    "C",
    "caf\u00e9/mod\u00e8le.bin",
    "cafe\u0301",
    "\u65e5\u672c\u8a9e/\u30e2\u30c7\u30eb.bin",
    "\u0645\u0631\u062d\u0628\u0627.txt",
    "\U0001f389.txt",
    "sub/" + MANIFEST_NAME,
    "a.well-known/acme-challenge/x",
    ".well-known/other",
    "x" * 1024,
    "\u00e9" * 512,
]
HOSTILE = {
    "empty": "",
    "absolute": "/etc/passwd",
    "absolute, twice": "//x",
    "absolute on Windows": "C:\\x",
    "absolute on Windows, with a slash": "c:/x",
    "climbs": "../x",
    "climbs twice": "../../x",
    "climbs inside": "a/../../x",
    "climbs at the end": "a/..",
    "nothing but ..": "..",
    "climbs with backslashes": "..\\x",
    "climbs with backslashes inside": "a\\..\\x",
    "climbs with both": "a/..\\b",
    "a dot": "./x",
    "a dot inside": "a/./x",
    "an empty part": "a//b",
    "a slash at the end": "a/",
    "NUL": "a\0b",
    "CR": "a\rb",
    "LF": "a\nb",
    "a tab": "a\tb",
    "an escape sequence": "\x1b[2J",
    "DEL": "a\x7fb",
    "NEL": "a\x85b",
    "a lone high surrogate": "a\ud800",
    "a lone low surrogate": "\udfffa",
    "over 1,024 bytes": "x" * 1025,
    "over 1,024 bytes in fewer characters": "\u00e9" * 513,
    "GCS's own place": ".well-known/acme-challenge/x",
    "our manifest": MANIFEST_NAME,
    **{f"bidirectional {ord(c):04x}": f"a{c}b" for c in "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e"},
    **{f"isolate {ord(c):04x}": f"a{c}b" for c in "\u2066\u2067\u2068\u2069"},
}


@pytest.mark.parametrize("path", ORDINARY, ids=ascii)
def test_an_ordinary_name_is_kept_as_it_is(path: str) -> None:
    assert check_path(path) == path


@pytest.mark.parametrize("path", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_name_is_refused_and_escaped_where_it_is_told(path: str) -> None:
    with pytest.raises(NeedsPerson) as refused:
        check_path(path)
    assert ascii(path) in refused.value.reason
    assert str(refused.value).isascii()
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("path", HOSTILE.values(), ids=HOSTILE)
def test_one_hostile_name_among_ordinary_ones_refuses_them_all(path: str) -> None:
    with pytest.raises(NeedsPerson):
        check_paths(["model.pkl", path, "conda.yaml"])


@given(ANY_TEXT | st.text("./\\ab:\n\u202e", max_size=8))
def test_a_name_that_is_kept_is_harmless(path: str) -> None:
    try:
        kept = check_path(path)
    except NeedsPerson:
        return
    assert kept == path
    assert 0 < len(path.encode()) <= MAX_PATH_BYTES
    assert not {"", ".", ".."} & set(path.split("/"))
    assert ".." not in re.split(r"[/\\]", path)
    assert not any(unicodedata.category(each) in ("Cc", "Cs") for each in path)
    assert not any(unicodedata.bidirectional(each) in BIDI_CLASSES for each in path)


BIDI_CLASSES = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")


@given(
    st.text(st.characters(categories=["L", "M", "N", "P", "S"], exclude_characters="/\\.:"), min_size=1, max_size=99)
)
def test_letters_marks_numbers_and_punctuation_of_any_script_are_ordinary(name: str) -> None:
    assert check_path(name) == name
    assert check_path(f"{name}/{name}.bin") == f"{name}/{name}.bin"


def test_names_that_differ_may_lie_side_by_side() -> None:
    check_paths([])
    check_paths(ORDINARY[:-1])
    check_paths(["Model.pkl", "model.pkl", "a", "a/b"])  # case is kept; a bucket has no folders


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("caf\u00e9", "cafe\u0301", id="composed and decomposed"),
        pytest.param("\ud55c/x", "\u1112\u1161\u11ab/x", id="Hangul"),
        pytest.param("\u212b", "\u00c5", id="the Angstrom sign"),
        pytest.param("K", "\u212a", id="the Kelvin sign"),
    ],
)
def test_two_names_that_are_one_in_nfc_are_refused_with_both(one: str, other: str) -> None:
    for paths in ([one, "between", other], [other, one]):
        with pytest.raises(NeedsPerson) as refused:
            check_paths(paths)
        assert ascii(one) in refused.value.reason
        assert ascii(other) in refused.value.reason


def test_a_name_that_comes_twice_is_refused() -> None:
    with pytest.raises(NeedsPerson):
        check_paths(["model.pkl", "conda.yaml", "model.pkl"])


@given(st.lists(st.text("ae\u0301\u00e9\u030a\u00e5", min_size=1, max_size=3), unique=True))
def test_names_pass_together_exactly_if_they_differ_in_nfc(paths: list[str]) -> None:
    differ = len({unicodedata.normalize("NFC", path) for path in paths}) == len(paths)
    try:
        check_paths(paths)
    except NeedsPerson:
        assert not differ
    else:
        assert differ


@pytest.mark.parametrize("label", ["v7", "3", "7-prebuilt", "prebuilt"])
def test_the_folder_of_the_faithful_copy_is_known_from_either(label: str) -> None:
    copied = artifact_uri(BASE, "fraud", version(label))
    assert copied_uri(copied) == copied
    assert copied_uri(serving_uri(copied)) == copied


# Folders that a person has filled


def test_a_folder_has_our_name_in_whatever_bucket_and_layout() -> None:
    own = artifact_uri("gs://any/where", "fraud", version("v7"))
    assert is_our_name(own, "fraud", version("v7"))
    assert is_our_name(serving_uri(own), "fraud", version("v7"))
    assert not is_our_name(own, "churn", version("v7"))
    assert not is_our_name(f"{own}more/", "fraud", version("v7"))
    assert not is_our_name(own, "fraud", replace(version("v7"), digest="f" * 32))
    assert not is_our_name("gs://team/models/july/", "fraud", version("v7"))


def test_manifests_of_such_folders_are_kept_in_places_of_their_own() -> None:
    july, june = (adopted_uri("gs://b/registry/", "fraud", f"gs://team/{month}/") for month in ("july", "june"))
    assert july != june
    assert re.fullmatch(r"gs://b/registry/fraud/adopted-[0-9a-f]{12}/", july)
    assert not is_our_name(july, "fraud", version("v7"))
