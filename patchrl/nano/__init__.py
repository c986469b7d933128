"""The embedded lab: its world and its backbone."""

from pathlib import Path

BACKBONE_FOLDER = Path(__file__).parent / "backbone"  # weights, tokenizer and chat template
