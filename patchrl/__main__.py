"""`python -m patchrl`."""

import sys

from patchrl.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
