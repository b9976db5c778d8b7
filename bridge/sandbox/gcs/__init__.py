"""A Google Cloud Storage stand-in: JSON and XML API, metadata in SQLite, bodies in files."""
