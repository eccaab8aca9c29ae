"""What surrounds the algorithms: the state of a training, its curves, the fitted state."""
