"""A line per event: JSON for machines, short ones for people; with the id of the submission that it is about."""

from __future__ import annotations

import io
import json
import logging
from typing import TYPE_CHECKING

import pytest

from bridge.core.model import ModelKey
from bridge.run.queue import AT_WORK, CAUSE, Submission
from bridge.service.logs import set_up_logging

if TYPE_CHECKING:
    from collections.abc import Iterator

FRAUD = Submission(ModelKey("fraud", "fraud-eu"), "it has changed", "0a1b2c3d")
log = logging.getLogger("bridge.anything")


def fail(text: str) -> None:
    try:
        int(text)
    except ValueError:
        log.exception("unexpected")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _loggers_as_they_were() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("bridge", "uvicorn.error", "")]
    were = [(logger, logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    yield
    for logger, handlers, level, propagate in were:
        logger.handlers[:] = handlers
        logger.setLevel(level)
        logger.propagate = propagate


@pytest.fixture
def stream() -> io.StringIO:
    made = io.StringIO()
    set_up_logging(made)
    return made


@pytest.fixture
def terminal() -> Terminal:
    made = Terminal()
    set_up_logging(made)
    return made


@pytest.fixture
def _at_work() -> Iterator[None]:
    token, cause = AT_WORK.set(FRAUD), CAUSE.set(FRAUD.id)
    yield
    AT_WORK.reset(token)
    CAUSE.reset(cause)


@pytest.mark.usefixtures("_at_work")
def test_a_line_of_a_submission_says_which_it_is(stream: io.StringIO) -> None:
    log.info("%s is SYNCED", FRAUD.key)

    values = json.loads(stream.getvalue())
    assert values.pop("at").endswith("+00:00")
    assert values == {
        "level": "info",
        "id": "0a1b2c3d",
        "mapping": "fraud",
        "model": "fraud-eu",
        "why": "it has changed",
        "event": "fraud/fraud-eu is SYNCED",
    }


def test_other_lines_have_no_id(stream: io.StringIO) -> None:
    log.warning("stopping")

    values = json.loads(stream.getvalue())
    assert (values["level"], values["event"], "id" in values) == ("warning", "stopping", False)


def test_a_name_from_outside_forges_no_line(stream: io.StringIO) -> None:
    log.info("%s", 'evil\n{"level": "error"}\x1b[2J')

    assert len(stream.getvalue().splitlines()) == 1
    assert json.loads(stream.getvalue())["event"] == 'evil\n{"level": "error"}\x1b[2J'


def test_an_exception_is_one_line_too(stream: io.StringIO) -> None:
    fail("a bug")

    (line,) = stream.getvalue().splitlines()
    assert json.loads(line)["error"].endswith("literal for int() with base 10: 'a bug'")


@pytest.mark.usefixtures("_at_work")
def test_a_person_gets_short_lines(terminal: Terminal) -> None:
    log.info("+ version  v7")
    log.warning("evil\x1b[2J\nname")

    first, second = terminal.getvalue().splitlines()
    assert first[8:] == " fraud/fraud-eu: + version  v7"
    assert second[8:] == r" warning: fraud/fraud-eu: evil\x1b[2J\nname"


def test_a_person_gets_a_traceback_whose_lines_are_as_safe(terminal: Terminal) -> None:
    fail("evil\x1b[2J")

    assert terminal.getvalue().splitlines()[-1] == r"ValueError: invalid literal for int() with base 10: 'evil\x1b[2J'"


def test_libraries_are_not_heard_for_they_may_name_addresses_that_open_files(stream: io.StringIO) -> None:
    logging.getLogger("urllib3.connectionpool").warning("Retrying GET /file?signature=secret")
    logging.getLogger("uvicorn.error").error("Exception in ASGI application")

    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["Exception in ASGI application"]
