"""What trackers get of a run: every point of its curves, under names that keep seeds and arms apart."""

import sys
from types import SimpleNamespace

import pytest

from patchrl import api
from patchrl.cli.main import main
from patchrl.cli.trackers import numbers_of


def test_a_point_has_its_curve_its_numbers_and_its_step():
    event = {
        "t": 1.5,
        "kind": "train",
        "seed": 0,
        "step": 7,
        "reward": 0.5,
        "kl": None,
        "monitor_shares": {"copied": 0.25},
    }
    assert numbers_of(event) == ("train/seed-0", {"reward": 0.5, "monitor_shares/copied": 0.25}, 7)
    tuned = {"kind": "finetune", "seed": 1, "arm": "rl", "rate": 1e-3, "step": 4, "loss": 2}
    assert numbers_of(tuned) == ("finetune/seed-1/rl/lr-0.001", {"loss": 2.0}, 4)
    scores = {"kind": "evaluation", "seed": None, "arm": "base", "target": 0.5, "by_task": {"held-out": 0.5}}
    assert numbers_of(scores) == ("evaluation/base", {"target": 0.5, "by_task/held-out": 0.5}, 0)
    assert numbers_of({"kind": "message", "step": 3, "text": "…"}) is None


def test_tail_hands_a_recorded_run_to_trackio(monkeypatch, capsys):
    logged, calls = [], []
    fake = SimpleNamespace(
        __spec__=True,
        init=lambda **options: calls.append(options["name"]),
        log=lambda numbers, step: logged.append((numbers, step)),
        finish=lambda: calls.append("finish"),
    )
    monkeypatch.setitem(sys.modules, "trackio", fake)
    assert main(["tail", api.RECORDED_ID, "--report-to", "trackio"]) == 0
    assert calls == [api.RECORDED_ID, "finish"]
    events = [e for e in api.open_run(api.RECORDED_ID).events()[0] if e["kind"] == "train" and e["seed"] == 0]
    rewards = [(step, n["train/seed-0/reward"]) for n, step in logged if "train/seed-0/reward" in n]
    assert rewards == [(e["step"], e["reward"]) for e in events] and rewards


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["tail", api.RECORDED_ID, "--report-to", "wandb"], "pip install wandb"),
        (["run", "nano-quick", "--detach", "--report-to", "trackio"], "does not follow the run"),
    ],
)
def test_a_tracker_that_gets_nothing_is_one_sentence(arguments, sentence, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "trackio", SimpleNamespace(__spec__=True))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "wandb" else object())
    assert main(arguments) == 2
    assert sentence in capsys.readouterr().err
