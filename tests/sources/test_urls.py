"""Signed URLs of files: few requests, few URLs kept."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from bridge.core.model import ArtifactFile, SourceVersion
from bridge.core.packed import Packed, pack_files
from bridge.sources.wandb.urls import BATCH, MOST_URLS, PAGE, FileUrls

VERSION = SourceVersion("acme", "acme_org/wandb-registry-model/fraud", "v7", "id-7", "d7", "")
OTHER = SourceVersion("acme", "acme_org/wandb-registry-model/fraud", "v8", "id-8", "d8", "")


def files(count: int) -> Packed[ArtifactFile]:
    return pack_files(ArtifactFile(f"{number:06}", 0, None) for number in range(count))


@dataclass
class Service:
    """Gives URLs, each time others; `asked` are the names, None for all."""

    files: Packed[ArtifactFile]
    asked: list[list[str] | None] = field(default_factory=list)

    def __call__(self, _: SourceVersion, names: list[str] | None) -> dict[str, str]:
        self.asked.append(names)
        known = [file.path for file in self.files[:PAGE]] if names is None else names
        return {path: f"{path}?{len(self.asked)}" for path in known if path != "unknown"}


def test_the_urls_of_a_small_version_are_asked_for_once() -> None:
    service = Service(files(PAGE))
    urls = FileUrls(service)

    for file in service.files:
        assert urls.url(VERSION, file.path) == f"{file.path}?1"
    assert service.asked == [None]


def test_the_urls_of_a_large_version_are_asked_for_by_the_batch_and_few_are_kept() -> None:
    service = Service(files(MOST_URLS + 3 * BATCH))
    urls = FileUrls(service)
    urls.know(VERSION, service.files)

    for file in service.files:
        assert (urls.url(VERSION, file.path) or "").startswith(file.path)
    assert len(service.asked) == MOST_URLS // BATCH + 3
    assert urls.url(VERSION, "000000") == f"000000?{len(service.asked)}"
    assert len(service.asked) == MOST_URLS // BATCH + 4, "the oldest were let go, and are asked for again"


def test_files_that_are_read_a_little_out_of_order_cost_no_more() -> None:
    service = Service(files(PAGE + BATCH))
    urls = FileUrls(service)
    urls.know(VERSION, service.files)
    paths = [file.path for file in service.files]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda path: urls.url(VERSION, path), reversed(paths)))
    assert len(service.asked) == len(paths) // BATCH


def test_a_file_of_a_version_that_nobody_described_is_asked_for_alone() -> None:
    service = Service(files(2 * PAGE))
    urls = FileUrls(service)
    path = service.files[-1].path

    assert urls.url(VERSION, path) == f"{path}?2"
    assert service.asked == [None, [path]]


def test_a_list_of_files_is_known_only_as_long_as_somebody_else_needs_it() -> None:
    service = Service(files(1))
    urls = FileUrls(service)
    described = files(2 * PAGE)
    urls.know(VERSION, described)
    del described

    urls.url(VERSION, "000000")
    assert service.asked == [None]


def test_urls_that_were_refused_are_renewed_together() -> None:
    service = Service(files(10))
    urls = FileUrls(service)
    urls.know(VERSION, service.files)
    old = {file.path: urls.url(VERSION, file.path) for file in service.files}

    new = {path: urls.url(VERSION, path, refused=url) for path, url in old.items()}
    assert new == {path: f"{path}?2" for path in old}
    assert len(service.asked) == 2


def test_a_file_without_a_url_has_none() -> None:
    urls = FileUrls(Service(files(1)))

    assert urls.url(VERSION, "unknown") is None
    assert urls.url(VERSION, "000000") == "000000?1"


def test_the_urls_of_other_versions_are_let_go_first() -> None:
    service = Service(files(PAGE))
    urls = FileUrls(service)
    versions = [SourceVersion("acme", "c", f"v{n}", f"id-{n}", None, "") for n in range(MOST_URLS // PAGE)]
    for version in versions:
        urls.url(version, "000000")
    urls.url(OTHER, "000000")
    service.asked.clear()

    assert urls.url(OTHER, "000001") is not None
    assert urls.url(versions[-1], "000001") is not None
    assert service.asked == []
    urls.url(versions[0], "000001")
    assert service.asked == [None]
