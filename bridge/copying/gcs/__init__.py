"""Google Cloud Storage: the only room that imports `google.cloud.storage`. Buckets to read from, and to write to."""

from bridge.copying.gcs.objects import GcsObjects
from bridge.copying.gcs.storage import GcsStorage

__all__ = ["GcsObjects", "GcsStorage"]
