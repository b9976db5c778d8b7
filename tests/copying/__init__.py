"""Copying and the bucket, beyond what the ports promise."""
