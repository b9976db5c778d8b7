"""Looks at the world that the configuration names, with ends that cannot write, and says what is wrong with it."""
