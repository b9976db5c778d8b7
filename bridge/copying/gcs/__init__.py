"""Google Cloud Storage: the only room that imports `google.cloud.storage`. Buckets to read from, and to write to."""

from bridge.copying.gcs.objects import GcsObjects
from bridge.copying.gcs.storage import GcsStorage
from bridge.copying.gcs.uploading import MULTIPART_LIMIT

__all__ = ["MULTIPART_LIMIT", "GcsObjects", "GcsStorage"]
