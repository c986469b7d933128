"""The plan of a study: what it holds, and what proves a step done."""

import json

import pytest

from patchrl.config import resolve
from patchrl.pipeline.plan import STAGES, plan
from patchrl.runs.folder import RunFolder

ARMS = ["expert", "rl", "replay"]


@pytest.fixture
def study(runs_dir):
    config = resolve({"study": {"arms": ARMS, "seeds": [0, 1]}, "finetune": {"learning_rate": [3e-4, 1e-3]}})
    return config, RunFolder.create(runs_dir, config)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_stages_come_in_order_and_every_step_has_a_proof_of_its_own(study):
    config, folder = study
    steps = list(plan(config))
    first_seen = list(dict.fromkeys(step.stage for step in steps))
    assert set(first_seen) == set(STAGES) and first_seen[0] == "scan" and first_seen[-1] == "report"
    assert len({step.proof(folder) for step in steps}) == len(steps)
    assert not any(step.is_done(folder) for step in steps)


@pytest.mark.parametrize("damage", ["", "{", "[]", "null", "{}", '{"tokens": 1}', "7"])
def test_a_damaged_proof_proves_nothing(study, damage):
    config, folder = study
    for step in plan(config):
        write(step.proof(folder), damage)
        assert not step.is_done(folder), step


def test_whole_proofs_prove_every_step(study):
    config, folder = study
    fields = ("expert_nll", "own_nll", "tokens", "seconds", "steps", "target", "general", "by_task", "no_answer")
    write(folder.result, "{}")
    for step in plan(config):
        write(step.proof(folder), json.dumps(dict.fromkeys(fields)))
        assert step.is_done(folder), step
