"""Where versions and aliases are published: the Source port's adapters."""
