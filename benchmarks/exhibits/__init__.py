"""What the figures show, computed from the outputs and models of other cells, one function each."""
