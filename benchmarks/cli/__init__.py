"""The command ``mixnet``."""
