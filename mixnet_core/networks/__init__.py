"""Networks besides the paper's dense ones: convolutional ones, and any torch module."""
