"""`bridge restore REF --to-dir DIR`: a version's files, back from the bucket, byte by byte as they were registered."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.following import following
from bridge.cli.lookup import graves_of, known_or
from bridge.cli.options import DEFAULT_CONFIG, REFERENCES, ConfigPath, Json, load_config
from bridge.cli.printing import say, say_json, size

if TYPE_CHECKING:
    from bridge.config.model import Config
    from bridge.core.model import MappingRecord
    from bridge.core.ports import Store


def restore(
    ref: Annotated[str, typer.Argument(help=f"{REFERENCES}; one version.")],
    config: ConfigPath = DEFAULT_CONFIG,
    *,
    to_dir: Annotated[Path, typer.Option("--to-dir", metavar="DIR", help="Where to; empty, or not there yet.")],
    as_json: Json = False,
) -> None:
    """Bring a version's files back from the bucket to a folder, verified; what was interrupted is gone on with."""
    from bridge.app import Bridge

    with Bridge(load_config(config), read_only=True) as opened, following(opened) as bridge:
        record = _one(bridge.config, bridge.store, ref)
        folder, manifest = bridge.restore(record, to_dir)
    total = sum(file.size for file in manifest.files)
    if as_json:
        data = {"source": str(record.source), "folder": folder, "directory": str(to_dir.absolute())}
        say_json(data | {"files": len(manifest.files), "bytes": total})
        return
    files = f"{len(manifest.files)} file{'' if len(manifest.files) == 1 else 's'}"
    say(f"restored  {record.source} to {to_dir}: {files}, {size(total)}, all verified")


def _one(config: Config, store: Store, ref: str) -> MappingRecord:
    """Return the one version that a reference means, whether or not it is still in Vertex."""
    from bridge.core.errors import NeedsPerson

    graves = graves_of(config, store, ref)
    records = known_or(graves, config, store, ref)
    there = {record.artifact_uri: record for record in (*(grave.record for grave in graves), *records)}
    if len(there) > 1:
        names = ", ".join(sorted(f"{record.key.model}@{record.version_id}" for record in there.values()))
        raise NeedsPerson(f"{ref!a} means {len(there)} versions: {names}", "name one of them")
    [(folder, record)] = there.items()
    lost = [grave for grave in graves if grave.files_removed and grave.record.artifact_uri == folder]
    if lost and not records:
        raise NeedsPerson(
            f"the files of {record.source} were removed from the bucket on {lost[-1].files_removed}: {lost[-1].why}",
            "look for them in a backup, or in the bucket's soft-deleted objects",
        )
    return record
