"""The purity gate: is the code as good as it was? See `rule` for what that means."""
