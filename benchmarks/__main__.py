"""`python -m benchmarks` is the same as the console script `mixnet`."""

import sys

from benchmarks.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
