"""Data as the networks see them: checked, in units, from memory or disk, with a few labels."""
