"""What a Vertex version says of where it came from."""

from __future__ import annotations

import re
from dataclasses import replace

from hypothesis import given, strategies as st

from bridge.core.describing import FLAVOR_LABEL, MOST, RUN_LABEL, description_of, facts_line, labels_of
from bridge.core.model import Facts, SourceVersion
from bridge.core.naming import SOURCE_LABEL, label_value

CHURN = SourceVersion("ml", "models:/churn", "3", "3@1-a", None, "http://ml/#/models/churn/versions/3")
FACTS = Facts(
    flavors={"xgboost": {"xgb_version": "2.1.4"}, "python_function": {"python_version": "3.11.7"}},
    python="3.11.7",
    run_id="c0ffee",
    metrics={"auc": 0.93, "loss": 1 / 3},
)


def test_a_description_names_the_version_its_page_and_what_is_known_of_the_model() -> None:
    assert description_of(CHURN, FACTS) == (
        "models:/churn/3 http://ml/#/models/churn/versions/3; "
        "xgboost 2.1.4; python 3.11.7; run c0ffee; auc 0.93, loss 0.333333"
    )


def test_where_nothing_is_known_the_version_and_its_page_are_named() -> None:
    assert description_of(CHURN, Facts()) == "models:/churn/3 http://ml/#/models/churn/versions/3"
    assert facts_line(Facts()) == ""


def test_what_a_person_wrote_stands_in_for_flavors() -> None:
    assert facts_line(Facts(framework="sklearn", framework_version="1.5")) == "sklearn 1.5"
    assert facts_line(Facts(framework="sklearn")) == "sklearn"
    assert facts_line(replace(FACTS, framework="sklearn", metrics={}, run_id=None)) == "xgboost 2.1.4; python 3.11.7"


def test_many_metrics_are_counted() -> None:
    line = facts_line(Facts(metrics={f"m{n:02}": n for n in range(12)}))
    assert line.startswith("m00 0, m01 1, ")
    assert line.endswith("m09 9 and 2 more metrics")


def test_control_characters_are_left_out_and_a_long_text_is_cut() -> None:
    hostile = replace(CHURN, url="http://ml/\x1b[31m\u202e\n")
    assert "\x1b" not in description_of(hostile, FACTS)
    assert len(description_of(replace(CHURN, url="x" * 5000), FACTS)) == MOST


def test_labels_say_where_it_came_from_its_run_and_its_flavor() -> None:
    assert labels_of(CHURN, FACTS) == {
        SOURCE_LABEL: label_value("models:/churn/3"),
        RUN_LABEL: "c0ffee",
        FLAVOR_LABEL: "xgboost",
    }


def test_a_model_of_several_flavors_has_no_label_for_one() -> None:
    two = replace(FACTS, flavors={"sklearn": {}, "xgboost": {}})
    assert FLAVOR_LABEL not in labels_of(CHURN, two)


@given(
    st.builds(
        Facts,
        st.dictionaries(st.text(), st.dictionaries(st.text(), st.text(), max_size=2), max_size=3),
        st.none() | st.text(),
        st.none(),
        st.none() | st.text(),
        st.dictionaries(st.text(), st.floats(allow_nan=False), max_size=3),
        st.none() | st.text(),
        st.none() | st.text(),
    )
)
def test_whatever_is_known_labels_are_legal_and_the_description_printable(facts: Facts) -> None:
    assert all(re.fullmatch(r"[a-z0-9_-]{1,63}", value) for value in labels_of(CHURN, facts).values())
    assert "\n" not in description_of(CHURN, facts)
    description_of(CHURN, facts).encode()
