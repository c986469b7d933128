"""Loads a study's models and reads its first example once, in a process of its own: `python -m patchrl.jobs.probe`.

The settings, the example and a token for the Hub come as JSON on standard input; what was found goes as one JSON line to standard output.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import Any

from patchrl.config import StudyConfig, resolve
from patchrl.jobs.environment import environment, login_token
from patchrl.models.hub_access import hand_over

PROBE_TIMEOUT = 600.0  # seconds; loading a large backbone from a slow disk takes minutes


def probe(config: StudyConfig, question: str, solution: str) -> dict[str, Any]:
    """Read a question and its solution once with the study's own backbone and embedder.

    Returns:
        `problems` (sentences), and without any: `nll`, ℓ of the solution in nats per token, `device`, and `note` about how it
        is read (empty without one).
    """
    example = {"question": question, "solution": solution}
    request = json.dumps({"config": config.model_dump(mode="json"), "token": login_token(), **example})
    command = [sys.executable, "-m", "patchrl.jobs.probe"]
    try:
        process = subprocess.run(
            command,
            input=request,
            capture_output=True,
            text=True,
            timeout=PROBE_TIMEOUT,
            env=environment(),
            check=False,
        )
        return json.loads(process.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        return {"problems": [f"backbone.model: reading the first example took more than {PROBE_TIMEOUT:.0f} s."]}
    except (ValueError, IndexError):
        last = (process.stderr.strip().splitlines() or [f"exit code {process.returncode}"])[-1]
        return {"problems": [f"backbone.model: reading the first example ended with: {last}"]}


def read_once(config: StudyConfig, question: str, solution: str) -> dict[str, Any]:
    """What `probe` returns, found in this process."""
    from patchrl.errors import PatchRLError
    from patchrl.models.backbone import Backbone
    from patchrl.models.embeddings import Embedder

    try:
        backbone = Backbone.load(config.backbone)
        scores = backbone.score([question], [solution])
        Embedder(config.reward.embedder, config.backbone.device).embed([solution], scores)
    except PatchRLError as error:
        return {"problems": [str(error)]}
    nll = scores[0].nll
    if not math.isfinite(nll):
        return {
            "problems": ["backbone.model: ℓ of the first example is not a finite number; check the weights and dtype."]
        }
    return {"problems": [], "nll": round(nll, 4), "device": backbone.device_name, "note": backbone.reading_note}


if __name__ == "__main__":
    request = json.load(sys.stdin)
    hand_over(request["token"])
    print(json.dumps(read_once(resolve(request["config"]), request["question"], request["solution"])))
