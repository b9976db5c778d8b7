"""What is known of the model in a version: what the source tells, and what an MLmodel file among its files says."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace
from typing import TYPE_CHECKING

from bridge.core.errors import NeedsPerson
from bridge.core.serving import MLMODEL
from bridge.sources.mlmodel import MOST_BYTES, read_mlmodel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.core.model import ArtifactFile, Facts, SourceVersion
    from bridge.core.ports import Source


def facts_in(source: Source, version: SourceVersion, files: Sequence[ArtifactFile], told: Facts) -> Facts:
    """
    Add to what a source tells of a version what the MLmodel file at its root says, if there is one.

    Its bytes are not verified here: they are when they are copied, and a version whose copy fails is not registered.
    """
    at = bisect_left(files, MLMODEL, key=lambda file: file.path)  # files are by path, and may be a million
    if at == len(files) or files[at].path != MLMODEL:
        return told
    content = bytearray()
    with source.open(version, files[at]) as pieces:
        for piece in pieces:
            content += piece
            if len(content) > MOST_BYTES:
                break  # read_mlmodel refuses it
    try:
        said = read_mlmodel(bytes(content), f"{MLMODEL} of {version}")
    except NeedsPerson as problem:
        return replace(told, unread=problem.reason)  # it stops the layouts that must know, and no other
    return replace(
        told,
        flavors=said.flavors,
        python=said.python or told.python,
        signature=said.signature,
        run_id=told.run_id or said.run_id,
    )
