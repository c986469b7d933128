"""`python -m patchrl`."""

import sys

from patchrl.cli import main

if __name__ == "__main__":
    sys.exit(main())
