"""Order of the tests: files that take longest come first, so that two processes end together."""

LONGEST = ("test_notebooks.py", "test_faults.py", "test_scheduler.py", "test_dispatch.py",
           "test_gate.py", "test_methods.py", "test_verify.py", "test_fuzz.py", "test_guide.py")


def pytest_collection_modifyitems(items):
    """Whole files move; ``--no-loadscope-reorder`` keeps the order when they are handed out."""
    items.sort(key=lambda item: item.path.name not in LONGEST)
