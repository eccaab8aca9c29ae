"""The speed gate (``tox -e perf``): ratios and rates, measured side by side in one run."""
