"""Brings files from a source into the bucket: streams, verification, the manifest; the Storage port over GCS."""
