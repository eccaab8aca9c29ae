"""The kinds of cell: what each takes, runs and leaves."""
