"""What the bridge promises, as tests; a name is a sentence."""
