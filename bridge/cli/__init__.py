"""The command line: one small module per command; parses, calls, prints. No logic lives here."""
