"""The embedded lab: its world, its backbone, and a recorded run of it."""

from pathlib import Path

BACKBONE_FOLDER = Path(__file__).parent / "backbone"  # weights, tokenizer and chat template
RECORDED_RUN = Path(__file__).parent / "recorded-nano"  # a run's folder without weights; its name is the run's id
