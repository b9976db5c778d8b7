"""In-memory end of each port; public, so that users can test their own configuration."""
