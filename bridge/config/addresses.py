"""Addresses in a configuration: functions from a text to itself that raise Wrong. None may carry a secret."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, parse_qsl, urlsplit

from bridge.config.wrong import Fault, Wrong

MLFLOW_VARIABLES = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
STORE_ADVICE = "a password does not belong in this file; put the whole URL into a variable and write {env: NAME}"


def store(text: str) -> str:
    """Accept the URL of a SQLite file or a PostgreSQL database, without a password."""
    url = _split(text)
    # Not url.password: an unescaped "/" or "#" in a password ends the part that urlsplit looks at.
    in_front = not text.startswith("sqlite") and re.search(r"://[^@]*:.*@", text, re.DOTALL)
    if in_front or any("pass" in key.lower() for key, _ in parse_qsl(url.query if url else "")):
        raise Wrong(Fault(STORE_ADVICE, secret=True))
    if url is None or not re.match(r"sqlite:///.|postgresql\+psycopg://", text):
        raise Wrong("expected a URL like sqlite:///bridge.db or postgresql+psycopg://host/database")
    return text


def http_url(text: str) -> str:
    """Accept an http or https URL without credentials, query or fragment."""
    if "@" in text:
        raise Wrong(Fault("credentials do not belong in a URL; take out what stands before '@'", secret=True))
    return _plain_http(text, "https://api.wandb.ai")


def tracking_uri(text: str) -> str:
    """Accept the URL of an MLflow tracking server, `databricks`, or `databricks://profile`."""
    scheme = text.partition(":")[0].lower()
    if scheme == "databricks-uc":
        raise Wrong("models of Unity Catalog ('databricks-uc') are not supported yet; use databricks for the others")
    if scheme == "databricks":
        if not re.fullmatch(r"databricks(://[\w.-]+)?", text, re.ASCII):
            raise Wrong(Fault("expected databricks or databricks://profile", secret=True))  # a token may stand there
        return text
    if scheme not in ("http", "https"):
        message = "the bridge speaks to a tracking server, not to its files or its database; write its URL"
        raise Wrong(Fault(f"{message}, like http://mlflow:5000", secret="@" in text or "?" in text))
    if "@" in text:
        message = f"credentials do not belong in this URL; set MLflow's own variables {MLFLOW_VARIABLES}"
        raise Wrong(Fault(message, secret=True))
    return _plain_http(text, "http://mlflow:5000")


def storage_endpoint(text: str) -> str:
    """Accept an https URL, or an http URL of this machine: a token is never sent in the clear."""
    url = urlsplit(http_url(text))
    if url.scheme == "http" and not is_loopback(url.hostname or ""):
        raise Wrong("http is only for a stand-in on this machine, such as http://127.0.0.1:9023; use https")
    return text


def bucket(text: str) -> str:
    """Accept `gs://bucket` or `gs://bucket/prefix`; parts of the prefix are plain names."""
    return _bucket(text, ("gs",))


def artifact_store(text: str) -> str:
    """Accept `s3://bucket`, `gs://bucket`, or a prefix in one of them."""
    return _bucket(text, ("s3", "gs"))


def _bucket(text: str, schemes: tuple[str, ...]) -> str:
    scheme, _, rest = text.partition("://")
    if "@" in text:
        raise Wrong(
            Fault("credentials do not belong in a bucket's address; take out what stands before '@'", secret=True)
        )
    if scheme not in schemes or not text.startswith(f"{scheme}://"):
        raise Wrong(f"expected a bucket like {' or '.join(f'{each}://bucket/prefix' for each in schemes)}")
    first, *prefix = rest.removesuffix("/").split("/")
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]", first):
        raise Wrong(f"{first!r} is not a bucket's name; expected {scheme}://bucket/prefix")
    if bad := next((p for p in prefix if p in ("", ".", "..") or not re.fullmatch(r"[\w.=+-]+", p, re.ASCII)), None):
        raise Wrong(f"{bad!r} cannot be a part of the prefix; use letters, digits and any of _ . = + -")
    if "" in prefix:
        raise Wrong("the prefix has an empty part: '//'")
    return text


def endpoint(text: str) -> str:
    """Accept `host:port`."""
    host, port = _host_and_port(text)
    if not host or not 0 < port < 65_536:  # noqa: PLR2004  ports
        raise Wrong("expected host:port, such as localhost:9022")
    return text


def listen(text: str) -> str:
    """Accept where the service listens; beyond this machine it does so only if a token keeps others out."""
    host, port = _host_and_port(text)
    if not host or not 0 <= port < 65_536:  # noqa: PLR2004  ports; 0 is a free one
        raise Wrong("expected host:port, such as 127.0.0.1:8470")
    return text


def is_loopback(host: str) -> bool:
    """Tell whether a host, or a host and port, is this machine by its very name."""
    bare = _host_and_port(host)[0] or host
    if bare == "localhost":
        return True
    try:
        return ipaddress.ip_address(bare.strip("[]")).is_loopback
    except ValueError:
        return False


def location(text: str) -> str:
    """Accept the name of a region."""
    if not re.fullmatch(r"[a-z]+(-[a-z]+)+[0-9]+", text):
        raise Wrong(f"{text!r} is not a location; expected one like europe-west4")
    return text


def _plain_http(text: str, example: str) -> str:
    url = _split(text)
    if (
        url is None
        or url.scheme not in ("http", "https")
        or not url.hostname
        or re.search(r"[\s?#]", text)
        or not text.isprintable()
    ):
        raise Wrong(Fault(f"expected a URL like {example}", secret="?" in text or "#" in text))
    return text


def _split(text: str) -> SplitResult | None:
    try:
        url = urlsplit(text)
        _ = url.port  # raises ValueError if it is no number below 65,536
    except ValueError:
        return None
    return url


def _host_and_port(text: str) -> tuple[str, int]:
    found = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):([0-9]{1,5})", text, re.ASCII)
    return (found[1], int(found[2])) if found else ("", 0)
