"""Methods that the paper compares its mixture with, each an estimator in its own file."""
