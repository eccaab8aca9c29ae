"""Which cells there are, how they stand, and running them."""
