"""
What a request is called in the tally, and whether it may change anything.

    request                                               name
    GET    /api/2.0/mlflow/registered-models/search       registered-models/search             read
    POST   /api/2.0/mlflow/runs/search                    runs/search                          read
    POST   /api/2.0/mlflow/model-versions/create          model-versions/create                write
    GET    /api/2.0/mlflow/registered-models/alias        registered-models/alias GET          read
    POST   /api/2.0/mlflow/registered-models/alias        registered-models/alias POST         write
    DELETE /api/2.0/mlflow/webhooks/<id>                  webhooks/{id} DELETE                 write
    GET    /api/2.0/mlflow-artifacts/artifacts?path=1/m   mlflow-artifacts/artifacts LIST      read
    GET    /api/2.0/mlflow-artifacts/artifacts/1/m/MLmodel  mlflow-artifacts/artifacts GET     read
    PUT    /api/2.0/mlflow-artifacts/artifacts/1/m/MLmodel  mlflow-artifacts/artifacts PUT     write
    GET    /api/2.0/mlflow-artifacts/presigned/1/m/MLmodel  mlflow-artifacts/presigned         read
    GET    /health                                        health                               read

A path that ends in a verb is its own name; one that ends in a noun has the HTTP method in it. The pages of the
UI ask the same below /ajax-api/, and get the same names.
"""

from __future__ import annotations

import re

ARTIFACTS = "mlflow-artifacts/artifacts"
_PREFIX = re.compile(r"^/(?:(?:ajax-)?api/\d\.\d/(?:mlflow/)?)?")
_FILE = re.compile(r"^(mlflow-artifacts/(?:artifacts|presigned|mpu/[^/]+)|static-files)/.*", re.DOTALL)
_ID = re.compile(r"\b(logged-models/(?=m-)|traces/(?=tr-)|webhooks/|workspaces/|assessments/|/tags/)[^/]+")
_NOUNS = ("alias", "assessments", "logged-models", "params", "tags", "traces", "webhooks", "workspaces", "{id}")
_READING = ("GET", "HEAD", "OPTIONS")
_ASKING = re.compile(r"(?:^|/)(?:(?:search|get|batchGet)[^/]*|presigned-download-url|calculate-[^/]+|metrics|graphql)$")


def method_name(verb: str, path: str) -> str:
    """Return the name of a request; `path` is decoded, without the query."""
    name = _PREFIX.sub("", path)
    if name == ARTIFACTS:
        return f"{ARTIFACTS} LIST"
    if in_folder := _FILE.match(name):
        name = in_folder.group(1)
    name = _ID.sub(r"\1{id}", name)
    return f"{name} {verb}" if name == ARTIFACTS or name.rpartition("/")[2] in _NOUNS else name


def is_write(verb: str, name: str) -> bool:
    """Say whether a request of this name may change anything: all but GET, and those POSTs that only ask."""
    if verb in _READING:
        return False
    return verb != "POST" or not _ASKING.search(name)
