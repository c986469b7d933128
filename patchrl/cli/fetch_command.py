"""`patchrl fetch`: brings a model into PatchRL's cache and shows how far it is."""

from __future__ import annotations

import os
import sys

from patchrl.cli.arguments import AddCommand, argument_name
from patchrl.config import SMOLLM2
from patchrl.models.fetch import SIZE, fetch
from patchrl.models.model_cache import origin_of

SHARE_PER_LINE = 0.1  # where standard error is not a terminal


def add(command: AddCommand) -> None:
    """Add `fetch`."""
    sub = command("fetch", "bring a model into PatchRL's cache: smollm2-135m, or a GGUF file, folder or Hub id")
    sub.add_argument(
        "model", type=argument_name, metavar="MODEL", help="smollm2-135m, or what backbone.model names as GGUF"
    )
    sub.set_defaults(do=lambda options: fetch_model(options.model))


def fetch_model(model: str) -> int:
    """Fetch a model and print its folder; the size is said before, the progress goes to standard error."""
    if model == SMOLLM2:
        print(f"{model}: {SIZE}", file=sys.stderr, flush=True)
    os.environ |= {"TQDM_DISABLE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "TRANSFORMERS_VERBOSITY": "error"}
    shown: tuple[str, int] | None = None

    def show(step: str, done: float, total: float) -> None:
        nonlocal shown
        text = f"{step}, {done:,.0f} of {total:,.0f} MB" if total else step
        if sys.stderr.isatty():
            print(f"\r{text:<70}", end="", file=sys.stderr, flush=True)
            return
        part = (step, int(done / total / SHARE_PER_LINE) if total else 0)
        if part != shown:
            print(text, file=sys.stderr, flush=True)
        shown = part

    folder = fetch(model, show)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    print(f"{folder}\nweights {origin_of(model)}")
    return 0
