"""Launch the PatchRL app: `python app.py [--port N]`, the same as `patchrl ui`."""

import sys

from patchrl.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["ui", *sys.argv[1:]]))
