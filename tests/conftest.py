"""What every test starts from, and the order of the files.

No dataset of a user's own is seen, whoever runs the tests. Files that take longest come first, so
that two processes end together.
"""

import os

import hypothesis

os.environ["MIXNET_OWN"] = ""

# The same examples each time, and no verdict by the clock: hypothesis fails what takes 0.2 s, else.
hypothesis.settings.register_profile(
    "project",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("project")

LONGEST = (
    "test_notebooks.py",
    "test_faults.py",
    "test_scheduler.py",
    "test_dispatch.py",
    "test_gate.py",
    "test_methods.py",
    "test_verify.py",
    "test_fuzz.py",
    "test_guide.py",
)


def pytest_collection_modifyitems(items):
    """Whole files move; ``--no-loadscope-reorder`` keeps the order when they are handed out."""
    items.sort(key=lambda item: item.path.name not in LONGEST)
