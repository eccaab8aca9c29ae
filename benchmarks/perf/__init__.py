"""Timings of what takes the time: ``pytest benchmarks/perf``. None asserts on time."""
