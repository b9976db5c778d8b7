"""Google Cloud Storage: the only room that imports `google.cloud.storage`. Buckets to read from, and to write to."""

from bridge.copying.gcs.objects import GcsObjects
from bridge.copying.gcs.storage import CHUNK, MULTIPART_LIMIT, GcsStorage

__all__ = ["CHUNK", "MULTIPART_LIMIT", "GcsObjects", "GcsStorage"]
