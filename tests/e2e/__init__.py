"""The command line over the sandbox, through the real SDKs, as a person would use it."""
