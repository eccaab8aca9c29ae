"""The pictures of the figures, drawn from records alone."""
