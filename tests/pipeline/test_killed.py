"""A study that is killed again and again ends as one that never was: rows, adapter, weights, figures.

PATCHRL_KILLS is the number of kills in each of the six stages; 20 take about half an hour. Without it three stages are killed
once each.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.kills import STAGES

TESTS = Path(__file__).parents[1]


@pytest.mark.slow
def test_killed_stages_end_as_uninterrupted_ones(tmp_path):
    kills = os.environ.get("PATCHRL_KILLS", "1")
    stages = STAGES if "PATCHRL_KILLS" in os.environ else ("train", "rewrite", "finetune")
    paths = os.pathsep.join([str(TESTS.parent), str(TESTS)])
    done = subprocess.run(
        [sys.executable, "-m", "helpers.kills", str(tmp_path), kills, *stages],
        env=os.environ | {"PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    assert [report["stage"] for report in reports] == list(stages)
    for report in reports:
        assert report["kills"] >= int(kills) and not report["different"], report
        # A checkpoint follows every step, so that a kill costs the step in progress at most.
        assert report["repeated_steps"] <= report["kills"]
