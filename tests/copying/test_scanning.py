"""A scanner is a program; only if it takes all and ends with 0 is a version clean."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bridge.copying.budget import Budget
from bridge.copying.scanning import Scanner
from bridge.core.errors import IntegrityError, NeedsPerson, TryAgain
from bridge.core.model import Scan
from bridge.testing.clock import FakeClock
from bridge.testing.source import MemorySource
from bridge.testing.storage import MemoryStorage
from tests.readers import copier_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.core.model import SourceVersion

PATH = "acme_org/wandb-registry-model/fraud"
FOLDER = "gs://models/prod/fraud/v0-x/"
LARGE = os.urandom(1 << 20)
FILES = {"model.bin": LARGE, "conf/a b é.json": b"{}", "empty": b""}
READS = "import sys; sys.stdin.buffer.read(); "
COMPARES = """
import os, sys, tarfile
with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as tar:
    found = {each.name: tar.extractfile(each).read() for each in tar}
sys.exit(found != WANTED or bool(os.listdir()))
"""


@pytest.fixture
def bucket() -> MemoryStorage:
    return MemoryStorage()


def publish(bucket: MemoryStorage, files: Mapping[str, bytes] = FILES) -> SourceVersion:
    source = MemorySource()
    version = source.publish(PATH, files)
    copier_of(source, bucket, FakeClock()).copy(version, FOLDER)
    return version


def scanner(bucket: MemoryStorage, program: str, within: float = 60) -> Scanner:
    return Scanner(bucket, Budget(FakeClock()), Scan((sys.executable, "-c", program), within))


def refused(bucket: MemoryStorage, version: SourceVersion, program: str, within: float = 60) -> str:
    with pytest.raises(NeedsPerson) as caught:
        scanner(bucket, program, within).scan(version, FOLDER)
    head = f"{version} is not registered, since the scanner {sys.executable!a} did not call it clean: "
    assert caught.value.reason.startswith(head)
    assert caught.value.remedy.endswith("run: bridge retry")
    return caught.value.reason.removeprefix(head)


@pytest.mark.parametrize("files", [FILES, {}], ids=["files", "none"])
def test_a_version_whose_scanner_takes_all_and_ends_with_0_is_clean(
    bucket: MemoryStorage, files: Mapping[str, bytes]
) -> None:
    scanner(bucket, READS).scan(publish(bucket, files), FOLDER)


def test_the_scanner_gets_every_file_under_its_name_in_an_empty_folder(bucket: MemoryStorage) -> None:
    small = {"a/model.bin": LARGE[:3000], "conf/a b é.json": b"{}", "empty": b""}
    version = publish(bucket, small)
    scanner(bucket, COMPARES.replace("WANTED", repr(small))).scan(version, FOLDER)
    assert refused(bucket, version, COMPARES.replace("WANTED", repr({**small, "empty": b"x"}))) == "it ended with 1"


@pytest.mark.parametrize(
    ("program", "why"),
    [
        pytest.param("sys.exit(1)", "it ended with 1", id="says no"),
        pytest.param(
            "print('looked'); print('model.bin: os.system'); sys.exit(3)",
            "it ended with 3 and said 'model.bin: os.system'",
            id="says why",
        ),
        pytest.param("sys.exit('skipped')", "it ended with 1 and said 'skipped'", id="on stderr"),
        pytest.param("import os; os.kill(os.getpid(), 9)", "it ended with -9", id="dies"),
        pytest.param(
            r"print('\x1b[2Jall is well\x07'); sys.exit(1)",
            r"it ended with 1 and said '\x1b[2Jall is well\x07'",
            id="speaks to the terminal",
        ),
        pytest.param("print('x' * 10_000_000); sys.exit(1)", f"it ended with 1 and said '{'x' * 200}'", id="says much"),
    ],
)
def test_any_other_end_is_not_clean(bucket: MemoryStorage, program: str, why: str) -> None:
    assert refused(bucket, publish(bucket), READS + program) == why


def test_a_scanner_that_does_not_read_all_has_not_looked_at_all(bucket: MemoryStorage) -> None:
    program = "import os; os.read(0, 600)"
    assert refused(bucket, publish(bucket), program) == "it ended before it had read all of it"


@pytest.mark.parametrize("program", ["import signal; signal.pause()", READS + "import signal; signal.pause()"])
def test_a_scanner_that_does_not_end_is_ended(bucket: MemoryStorage, program: str) -> None:
    assert refused(bucket, publish(bucket), program, within=0.5) == "it had not ended after 0.5 s"


def test_what_a_scanner_has_started_ends_with_it(bucket: MemoryStorage, tmp_path: Path) -> None:
    note = tmp_path / "child"
    starts = f"import os, signal; child = os.fork(); child and open({str(note)!r}, 'w').write(str(child))"
    refused(bucket, publish(bucket), f"{READS}{starts}; signal.pause()", within=1)

    stat = Path(f"/proc/{note.read_text()}/stat")
    for _ in range(1000):
        if not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] in "ZX":
            return
        threading.Event().wait(0.01)
    pytest.fail("it runs on")


def test_a_scanner_gets_no_credentials(bucket: MemoryStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "a-secret")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/a/secret")
    program = "import os; sys.exit(' '.join(sorted(os.environ)))"
    names = refused(bucket, publish(bucket), READS + program).removeprefix("it ended with 1 and said ").strip("'")
    assert {"PATH"} <= set(names.split()) <= {"PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR"}


@pytest.mark.parametrize(
    ("command", "why"),
    [("/not/there", "No such file or directory"), (os.devnull, "Permission denied"), ("a\0b", "embedded null byte")],
)
def test_a_scanner_that_cannot_be_started_is_told(bucket: MemoryStorage, command: str, why: str) -> None:
    version = publish(bucket)
    with pytest.raises(NeedsPerson) as caught:
        Scanner(bucket, Budget(FakeClock()), Scan((command,), 60)).scan(version, FOLDER)
    told = f"{version} is not registered, since the scanner {command!a} cannot be started: {why}"
    assert (caught.value.reason, caught.value.remedy.partition(",")[0]) == (
        told,
        "install it where the bridge runs",
    )


@pytest.mark.parametrize("content", [b"", LARGE[:-1], LARGE + b"!", b"!" + LARGE[1:]])
def test_bytes_that_are_not_the_manifests_are_never_called_clean(bucket: MemoryStorage, content: bytes) -> None:
    version = publish(bucket)
    bucket.objects[f"{FOLDER}model.bin"] = content
    with pytest.raises(IntegrityError, match=r"model\.bin: its bytes are not those that the manifest tells of"):
        scanner(bucket, READS).scan(version, FOLDER)


def test_a_folder_that_is_not_whole_is_not_scanned(bucket: MemoryStorage) -> None:
    version = publish(bucket)
    del bucket.manifests[FOLDER]
    with pytest.raises(TryAgain, match="has no manifest any more"):
        scanner(bucket, READS).scan(version, FOLDER)


def test_a_scan_ends_with_the_service(bucket: MemoryStorage) -> None:
    version, halted = publish(bucket), scanner(bucket, READS)
    halted.budget.halted.set()
    with pytest.raises(TryAgain, match="was stopped"):
        halted.scan(version, FOLDER)
