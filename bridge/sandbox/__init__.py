"""Local stand-ins for W&B, Vertex AI and GCS that the real SDKs can be pointed at, offline."""
