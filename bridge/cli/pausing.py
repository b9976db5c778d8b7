"""`bridge pause`, `bridge resume` and `bridge retry`: at a running service, or on the store beside it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.lookup import opened
from bridge.cli.options import DEFAULT_CONFIG, REFERENCES, ConfigPath, Json, load_config, read_span
from bridge.cli.outcome import finish
from bridge.cli.printing import asker, say, say_json
from bridge.cli.remote import server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bridge.core.model import ModelKey
    from bridge.core.ports import Store
    from bridge.reconcile.pausing import Pauses

Subject = Annotated[str, typer.Argument(metavar="MAPPING[/MODEL]", help="A mapping, or one of its models.")]
OfAlias = Annotated[
    str | None, typer.Option("--alias", metavar="ALIAS", help="This alias alone, as it is called in Vertex.")
]


def pause(
    subject: Subject,
    config: ConfigPath = DEFAULT_CONFIG,
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why; everybody who asks is told.")],
    lasts: Annotated[str | None, typer.Option("--for", metavar="8h", help="It ends by itself after that.")] = None,
    alias: OfAlias = None,
    as_json: Json = False,
) -> None:
    """Let nothing of a mapping, a model or an alias be changed in Vertex, for a time or until it is resumed."""
    if not reason.strip():
        raise typer.BadParameter("say why", param_hint="--reason")
    span = read_span(lasts, "--for") if lasts is not None else None
    mapping, model = _parts(subject)
    if (service := server()) is not None:
        until = service.pause(mapping, model, alias, lasts, reason)["until"]
    else:
        with _pauses(config, mapping, model) as (pauses, key):
            until = pauses.begin(key, asker(), reason.strip(), span, alias).until
    if as_json:
        say_json({"mapping": mapping, "model": model, "alias": alias, "until": until, "reason": reason})
    else:
        say(f"{_named(subject, alias)} is paused until {until or 'it is resumed'}")


def resume(
    subject: Subject, config: ConfigPath = DEFAULT_CONFIG, *, alias: OfAlias = None, as_json: Json = False
) -> None:
    """End the pause of a mapping and all its models, of one model or of an alias; what has changed since follows."""
    mapping, model = _parts(subject)
    if (service := server()) is not None:
        was_paused = service.resume(mapping, model, alias)["was_paused"]
    else:
        with _pauses(config, mapping, model) as (pauses, key):
            was_paused = pauses.end(key, asker(), alias)
    if as_json:
        say_json({"mapping": mapping, "model": model, "alias": alias, "was_paused": was_paused})
    else:
        say(f"{_named(subject, alias)} {'is resumed' if was_paused else 'was not paused'}")


def retry(
    ref: Annotated[str, typer.Argument(help=f"MAPPING/MODEL, {REFERENCES}")],
    config: ConfigPath = DEFAULT_CONFIG,
    *,
    as_json: Json = False,
) -> None:
    """Try a model again now, whenever its next try is due; a version or an alias means its model."""
    if (service := server()) is not None:
        answer = service.retry(ref)
        if as_json:
            say_json(answer)
        else:
            model = f"{answer['mapping']}/{answer['model']}"
            say(f"{model} {'is tried again' if answer['queued'] else 'was to be tried again anyhow'}")
        return
    from bridge.app import Bridge
    from bridge.cli.following import following
    from bridge.core.refs import model_to_retry

    with Bridge(load_config(config)) as built, following(built) as bridge, bridge.renewing():
        key = model_to_retry(ref, bridge.store.statuses(), {spec.name for spec in bridge.specs([])})
        reports = bridge.passes.sync(bridge.specs([key.mapping]), why="bridge retry", full=True, only=(key,))
    finish(reports, as_json=as_json)


def _parts(subject: str) -> tuple[str, str | None]:
    mapping, _, model = subject.partition("/")
    return mapping, model or None


def _named(subject: str, alias: str | None) -> str:
    return subject if alias is None else f"alias {alias} of {subject}"


@contextmanager
def _pauses(config: Path, mapping: str, model: str | None) -> Iterator[tuple[Pauses, ModelKey]]:
    from bridge.config.choosing import chosen
    from bridge.core.model import EVERY, ModelKey
    from bridge.reconcile.pausing import Pauses
    from bridge.run.clock import SystemClock

    loaded = load_config(config)
    chosen(loaded, [mapping])
    with opened(loaded) as store:
        key = ModelKey(mapping, EVERY) if model is None else _known(store, mapping, model)
        yield Pauses(store, SystemClock()), key


def _known(store: Store, mapping: str, model: str) -> ModelKey:
    from bridge.core.errors import NotFound
    from bridge.core.model import ModelKey

    key = ModelKey(mapping, model)
    if store.status(key) is None:
        raise NotFound(f"the store knows no model {model!a} of mapping {mapping!a}", "see what it knows: bridge status")
    return key
