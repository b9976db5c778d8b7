"""One file per port; every end of it passes the same tests."""
