"""`python -m fixedpoint.cli` is the command `fixedpoint`."""

import sys

from fixedpoint.cli import main

if __name__ == "__main__":
    sys.exit(main())
