"""Estimators and data of the harness's tests; `Box` copies them, so that a test may edit."""
