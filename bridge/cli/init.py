"""`bridge init`: a first configuration, from flags and, on a terminal, from answers."""

from __future__ import annotations

import re
import sys
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.options import DEFAULT_CONFIG, ConfigPath, Json, load_config
from bridge.cli.printing import say, say_json

if TYPE_CHECKING:
    from bridge.config.writing import First

VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,127}")
WANDB = "https://api.wandb.ai"


class Kind(StrEnum):
    """Where models are published."""

    WANDB = "wandb"
    MLFLOW = "mlflow"


def init(
    config: ConfigPath = DEFAULT_CONFIG,
    *,
    source: Annotated[Kind | None, typer.Option("--source", help="Where models are published.")] = None,
    source_url: Annotated[str | None, typer.Option(help=f"Of its server; {WANDB} if left out for W&B.")] = None,
    organization: Annotated[str | None, typer.Option(help="Of W&B.")] = None,
    registry: Annotated[str, typer.Option(help="Of W&B.")] = "model",
    api_key_env: Annotated[str, typer.Option(help="The variable that holds the key of W&B.")] = "WANDB_API_KEY",
    collection: Annotated[str | None, typer.Option(help="Of the registry; of MLflow, the registered model.")] = None,
    stage: Annotated[list[str] | None, typer.Option(help="Of MLflow, to follow as an alias; may be repeated.")] = None,
    project: Annotated[str | None, typer.Option(help="In Google Cloud.")] = None,
    location: Annotated[str | None, typer.Option(help="Of Vertex AI, such as europe-west4.")] = None,
    bucket: Annotated[str | None, typer.Option(help="gs://BUCKET or gs://BUCKET/FOLDER.")] = None,
    model: Annotated[str | None, typer.Option(help="In Vertex AI; called like the collection if left out.")] = None,
    name: Annotated[str | None, typer.Option(help="Of the mapping; called like the model if left out.")] = None,
    policy: Annotated[str | None, typer.Option(help="sync, upsert-only or create-only.")] = None,
    alias: Annotated[list[str] | None, typer.Option(help="SOURCE or SOURCE=VERTEX; may be repeated.")] = None,
    default_from: Annotated[str | None, typer.Option(help="The alias at the source that default follows.")] = None,
    image: Annotated[str | None, typer.Option(help="Of the container that serves it.")] = None,
    port: Annotated[int | None, typer.Option(help="Of that container.")] = None,
    layout: Annotated[str | None, typer.Option(help="mirror, prebuilt, custom-mlflow or auto.")] = None,
    endpoint: Annotated[str | None, typer.Option(help="HOST:PORT of a stand-in for Vertex AI.")] = None,
    storage_endpoint: Annotated[str | None, typer.Option(help="URL of a stand-in for Cloud Storage.")] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Speak to that stand-in without TLS.")] = False,
    as_json: Json = False,
) -> None:
    """Write bridge.yaml and a first mapping; on a terminal, ask for what the flags leave open. Overwrites nothing."""
    from bridge.config.writing import First

    _refuse_existing(config, config.parent / "mappings")
    kind = Kind(_asked("source", source, "wandb or mlflow", choices=tuple(Kind)))
    of_wandb = kind is Kind.WANDB
    url = _asked("source-url", source_url, "URL of the server", default=WANDB if of_wandb else None)
    organization = _asked("organization", organization, "organization of W&B") if of_wandb else None
    collection = _asked("collection", collection, "collection" if of_wandb else "registered model")
    project = _asked("project", project, "project in Google Cloud")
    location = _asked("location", location, "location of Vertex AI")
    bucket = _asked("bucket", bucket, "bucket, gs://…")
    model = _asked("model", model, "model in Vertex AI", default=collection)
    policy = _asked("policy", policy, "policy: sync, upsert-only (nothing goes) or create-only (nothing goes or moves)")
    if image is None and layout not in ("prebuilt", "auto"):
        image = _asked("image", image, "container image (or pass --layout auto)")
    first = First(
        source=kind.value,
        source_url=url,
        collection=collection,
        project=project,
        location=location,
        bucket=bucket,
        model=model,
        policy=policy,
        name=name or re.sub(r"[^A-Za-z0-9_-]+", "-", model).strip("-"),
        organization=organization,
        registry=registry,
        api_key_env=api_key_env,
        stages=tuple(stage or ()),
        aliases=_pairs(alias or []),
        default_from=default_from,
        image=image,
        port=port,
        layout=layout,
        endpoint=endpoint,
        storage_endpoint=storage_endpoint,
        insecure=insecure,
    )
    _refuse_secrets(first)
    written = _write(first, config)
    if as_json:
        say_json({"written": list(map(str, written))})
        return
    for path in written:
        say(f"{path} is written")
    key = f"set {api_key_env}, then: " if of_wandb else ""
    say(f"next: {key}bridge doctor, bridge plan, bridge sync")


def _asked(
    flag: str, given: str | None, what: str, *, default: str | None = None, choices: tuple[str, ...] = ()
) -> str:
    """Return what a flag says; if nothing, and somebody is there, ask; else its default, or refuse."""
    if given:
        return given
    if sys.stdin.isatty() and sys.stderr.isatty():
        answer = ""
        while not answer or (choices and answer not in choices):
            answer = _answer(f"{what} [{default}]: " if default else f"{what}: ") or default or ""
        return answer
    if default is not None:
        return default
    raise typer.BadParameter(f"it is needed, and nobody can be asked here: {what}", param_hint=f"--{flag}")


def _answer(question: str) -> str:
    """Ask on stderr: stdout is for data, and typer's own prompt puts a blank there."""
    sys.stderr.write(question)
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        raise typer.Abort
    return line.strip()


def _pairs(aliases: list[str]) -> tuple[tuple[str, str], ...]:
    pairs = (alias.partition("=") for alias in aliases)
    return tuple((name, spelled if between else name) for name, between, spelled in pairs)


def _refuse_secrets(first: First) -> None:
    """Let nothing that may be a secret get as far as a file; neither is it repeated."""
    if not VARIABLE.fullmatch(first.api_key_env):
        raise typer.BadParameter("it is not the name of a variable, in capitals", param_hint="--api-key-env")
    for flag, url in (("source-url", first.source_url), ("storage-endpoint", first.storage_endpoint)):
        if url is not None and "@" in url:
            raise typer.BadParameter("write the URL without user and password", param_hint=f"--{flag}")


def _refuse_existing(config: Path, folder: Path) -> None:
    from bridge.core.errors import NeedsPerson

    others = sorted(path for pattern in ("*.yaml", "*.yml") for path in folder.glob(pattern))
    for path in (config, *others):
        if path.exists() or path.is_symlink():
            raise NeedsPerson(
                f"{path} is there already, and nothing is overwritten",
                "go on from it, or name another folder: --config",
            )


def _write(first: First, config: Path) -> tuple[Path, Path]:
    """Write both files, once they are known to be valid. Raises ConfigErrors or NeedsPerson, with nothing written."""
    from bridge.config.writing import bridge_yaml, mapping_yaml
    from bridge.core.errors import NeedsPerson

    texts = {"bridge": bridge_yaml(first), "mapping": mapping_yaml(first)}
    mapping = config.parent / "mappings" / f"{first.name}.yaml"
    with tempfile.TemporaryDirectory(prefix="bridge-init-") as scratch:
        trial = Path(scratch, "bridge.yaml")
        trial.write_text(texts["bridge"], encoding="utf-8")
        (trial.parent / "mappings").mkdir()
        (trial.parent / "mappings" / "first.yaml").write_text(texts["mapping"], encoding="utf-8")
        _check(trial)
    written: list[Path] = []
    try:
        mapping.parent.mkdir(parents=True, exist_ok=True)
        for path, text in ((mapping, texts["mapping"]), (config, texts["bridge"])):
            with path.open("x", encoding="utf-8") as file:  # not over what somebody else has written since
                written.append(path)
                file.write(text)
    except OSError as problem:
        for path in written:
            path.unlink(missing_ok=True)
        raise NeedsPerson(
            f"{problem.filename} cannot be written: {problem.strerror}", "name another folder: --config"
        ) from problem
    return config, mapping


def _check(trial: Path) -> None:
    from bridge.core.errors import ConfigError, ConfigErrors

    try:
        load_config(trial)
    except ConfigErrors as wrong:
        # The place is one in files that never come to be, so only the message and the line are of use.
        errors = tuple(ConfigError(f"nothing is written: {each.message}", None, each.excerpt) for each in wrong.errors)
        raise ConfigErrors(errors) from None
