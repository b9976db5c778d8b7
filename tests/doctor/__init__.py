"""The room that looks at the world."""
