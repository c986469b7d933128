"""The embedded lab: its world, its backbone, and a recorded run of it."""

from pathlib import Path

BACKBONE = Path(__file__).parent / "backbone"  # weights, tokenizer and chat template
RECORDED = Path(__file__).parent / "recorded-nano"  # a run's folder without weights; its name is the run's id
