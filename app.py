"""Launch the PatchRL app."""

from patchrl.ui.app import launch

if __name__ == "__main__":
    launch()
