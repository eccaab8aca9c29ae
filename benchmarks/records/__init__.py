"""What is known: records and their arrays, who made them, how files are written whole."""
