"""The reward inside TRL's trainer: complete groups, exactly the formula, however the work is cut up."""

import gc
import itertools
import json
import math
import os
import socket
import subprocess
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from helpers import rollouts, tiny
from helpers.contexts import context_of
from helpers.rollouts import ALL_FAIL, EXAMPLES, NO_REFERENCE, K, Watched, fixed_rollouts, train
from transformers import Qwen2ForCausalLM

from patchrl.config import resolve
from patchrl.errors import ConfigError
from patchrl.grading.gate import Gate
from patchrl.models.backbone import Backbone
from patchrl.rewards import group_rewards
from patchrl.rewards.alignment import alignment
from patchrl.rewards.trl import EXAMPLE_COLUMNS, GatedReward
from patchrl.training.ranks import Ranks
from patchrl.training.shared_prompts import SharedPromptTrainer
from patchrl.training.train_rewriter import train_rewriter

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PARTS = ("consistency", "alignment", "diversity")


def same(a: dict, b: dict) -> None:
    assert a.keys() == b.keys() and len(a) > K
    for key, value in a.items():
        assert (value is None) == (b[key] is None), key
        assert value is None or value == pytest.approx(b[key], abs=1e-5), key


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """One process, one batch a step: what was scored, and the events."""
    with fixed_rollouts():
        recorder = train(tmp_path_factory.mktemp("plain"))
    return dict(Watched.scored), recorder.events


def test_what_trl_gets_is_the_formula_of_each_whole_group(plain):
    scored, _ = plain
    words = tiny.tokenizer()
    backbone = Backbone(tiny.model("qwen2", len(words)), words)
    seen = 0
    for n, example in enumerate(EXAMPLES):
        if f"{example.question}|0|consistency" not in scored:
            continue
        seen += 1
        texts = rollouts.rewrites(n)
        scores = backbone.score([example.question] * K, texts)
        passed = [None] * K if n == NO_REFERENCE else [n != ALL_FAIL] * (K - 1) + [False]
        want = group_rewards(passed, [s.nll for s in scores], np.stack([s.embedding for s in scores]))
        for part, k in itertools.product(PARTS, range(K)):
            got = scored[f"{example.question}|{k}|{part}"]
            assert got == (None if passed[k] is None else pytest.approx(getattr(want, part)[k], abs=1e-5))
    assert seen == 8  # two steps of four prompts: every example once


def test_the_logged_reward_is_the_weighted_sum_of_the_three_logged_parts(plain):
    scored, events = plain
    steps = [e for e in events if e["kind"] == "train"]
    assert len(steps) == 2
    for step in steps:
        want = step["consistency"] + 0.35 * step["alignment"] + 0.5 * step["diversity"]
        assert step["reward"] == pytest.approx(want, abs=1e-5)
    totals = {}
    for key, value in scored.items():
        question, k, part = key.split("|")
        if value is not None:
            weight = dict(zip(PARTS, (1, 0.35, 0.5), strict=True))[part]
            totals[question, k] = totals.get((question, k), 0.0) + weight * value
    # TRL averages over the scorable rewrites of a step; both steps have as many but for the unscorable group.
    counts = [4 * K - s["unscorable"] for s in steps]
    mean = sum(s["reward"] * c for s, c in zip(steps, counts, strict=True)) / sum(counts)
    assert mean == pytest.approx(sum(totals.values()) / len(totals), abs=1e-5)


def test_groups_that_all_failed_or_have_no_verdict_are_counted(plain):
    steps = [e for e in plain[1] if e["kind"] == "train"]
    assert sum(s["failed_groups"] for s in steps) == 1
    assert sum(s["unscorable_groups"] for s in steps) == 1
    assert sum(s["unscorable"] for s in steps) == K
    assert [s["monitor_shares"]["failed"] for s in steps] == [s["failed_groups"] / 4 for s in steps]
    assert [s["monitor_shares"]["undecided"] for s in steps] == [s["unscorable"] / (4 * K) for s in steps]


@pytest.mark.parametrize("size", [2, K, 2 * K])
def test_gradient_accumulation_changes_no_reward(plain, tmp_path, size):
    with fixed_rollouts():
        train(tmp_path, f"rewriter.microbatch_size={size}")
    same(Watched.scored, plain[0])
    assert set(Watched.calls) == {4 * K}  # the whole step is scored at once


def test_gradient_checkpointing_changes_no_reward_and_no_loss(plain, tmp_path):
    with fixed_rollouts(gradient_checkpointing=True):
        recorder = train(tmp_path)
    same(Watched.scored, plain[0])
    losses = [[step["loss"] for step in steps_of(events)] for events in (recorder.events, plain[1])]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5) and any(losses[0])


def test_several_generation_batches_a_step_change_no_reward_and_are_all_counted(plain, tmp_path):
    with fixed_rollouts(steps_per_generation=1):
        recorder = train(tmp_path, f"rewriter.microbatch_size={K}")
    same(Watched.scored, plain[0])
    assert set(Watched.calls) == {K}
    steps = [e for e in recorder.events if e["kind"] == "train"]
    assert sum(s["failed_groups"] for s in steps) == sum(s["unscorable_groups"] for s in steps) == 1


def test_bfloat16_scoring_moves_nll_by_its_rounding_and_changes_no_verdict(plain, tmp_path):
    with fixed_rollouts():
        recorder = train(tmp_path, "reward.bf16_scoring=true")
    steps, exact = ([e for e in events if e["kind"] == "train"] for events in (recorder.events, plain[1]))
    assert [s["consistency"] for s in steps] == [e["consistency"] for e in exact]
    assert [s["nll"] for s in steps] == pytest.approx([e["nll"] for e in exact], abs=0.05)
    assert [s["nll"] for s in steps] != [e["nll"] for e in exact]


def test_an_evaluation_scores_whole_groups_and_is_no_part_of_the_step(plain, tmp_path):
    class Evaluating(SharedPromptTrainer):
        def train(self, *args, **options):
            Watched.scored.clear()
            self.evaluate(self.train_dataset)
            assert len(Watched.scored) == len(EXAMPLES) * K * 3
            return super().train(*args, **options)

    with fixed_rollouts(trainer=Evaluating):
        recorder = train(tmp_path)
    same(Watched.scored, plain[0])
    steps = [e for e in recorder.events if e["kind"] == "train"]
    assert [s["unscorable_groups"] for s in steps] == [e["unscorable_groups"] for e in plain[1] if e["kind"] == "train"]


def test_two_processes_give_the_rewards_of_one(plain, tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = os.environ | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    env["PYTHONPATH"] = os.pathsep.join((str(ROOT), str(ROOT / "tests")))  # for patchrl and helpers
    command = [sys.executable, "-m", "helpers.rollouts", str(tmp_path)]
    workers = [
        subprocess.Popen(
            command,
            env=env | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        for worker in workers:
            said, _ = worker.communicate(timeout=300)
            assert worker.returncode == 0, said[-3000:]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    halves = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    assert not halves[0]["scored"].keys() & halves[1]["scored"].keys()  # each scored its own groups
    same(halves[0]["scored"] | halves[1]["scored"], plain[0])
    for ours, theirs in zip(steps_of(halves[0]["events"]), steps_of(plain[1]), strict=True):
        assert ours["reward"] == pytest.approx(theirs["reward"], abs=1e-5)
    assert not steps_of(halves[1]["events"])  # one process writes the run's events
    assert (tmp_path / "training" / "adapter_model.safetensors").exists()


def steps_of(events: list[dict]) -> list[dict]:
    return [e for e in events if e["kind"] == "train"]


@pytest.mark.parametrize("settings", [{"prompts_per_step": 3, "group_size": 4, "microbatch_size": 5}])
def test_a_microbatch_that_splits_a_group_is_refused_with_the_setting_to_change(settings):
    with pytest.raises(ConfigError, match=r"rewriter\.microbatch_size: 5 does not divide the 12 rollouts.*1, 2, 3, 4"):
        resolve({"rewriter": settings})


def test_processes_that_cannot_share_the_prompts_are_refused_before_training(tmp_path):
    config = resolve({"rewriter": {"prompts_per_step": 3}})
    with Gate(config, None) as gate, pytest.raises(ConfigError, match=r"rewriter\.prompts_per_step: 3 prompts cannot"):
        train_rewriter(context_of(config, gate, tmp_path), EXAMPLES, 0, tmp_path, Ranks(0, 2))


def test_a_call_with_a_split_group_is_an_error_and_not_a_reward():
    config = resolve({})
    with Gate(config, None) as gate:
        consistency = GatedReward(gate, config.reward, group_size=2).functions[0]
        columns = {name: ["a", "b"] for name in EXAMPLE_COLUMNS}
        with pytest.raises(ValueError, match="split groups; make the batch a multiple of K = 2"):
            consistency(completion_ids=[[5], [6]], **columns)
        with pytest.raises(ValueError, match="split groups"):
            consistency(completion_ids=[[5]], **{name: ["a"] for name in EXAMPLE_COLUMNS})


def test_policy_reference_and_scorer_are_one_copy_of_the_backbone(tmp_path):
    alive = []

    def count():
        alive.append(sum(type(o) is Qwen2ForCausalLM for o in gc.get_objects()))

    class Counting(SharedPromptTrainer):
        def train(self, *args, **options):
            count()
            return super().train(*args, **options)

    gc.collect()
    count()  # what other tests left behind
    with fixed_rollouts(trainer=Counting):
        train(tmp_path, "rewriter.beta=0.1")  # with a reference model in the loss
    before, while_training = alive
    assert while_training == before + 1


def test_a_passing_rewrite_without_a_finite_score_is_unscorable():
    words = tiny.tokenizer()
    backbone = Backbone(tiny.model("qwen2", len(words)), words)
    config = resolve({})
    ids = [words(t, add_special_tokens=False)["input_ids"] for t in ("It is 1.", "It is 2.")]
    columns = {name: [getattr(EXAMPLES[0], name)] * 2 for name in EXAMPLE_COLUMNS} | {"prompts": ["Rewrite."] * 2}
    with Gate(config, backbone) as gate:
        reward = GatedReward(gate, config.reward, group_size=2)
        score_all = backbone.score

        def score(questions, completions, **options):
            first, *rest = score_all(questions, completions, **options)
            return [type(first)(math.inf, first.embedding), *rest]

        backbone.score = score
        assert reward.functions[0](completion_ids=ids, **columns) == [None, 0.0]


def test_the_measure_and_what_it_is_held_against_reach_the_reward(tmp_path):
    """Alignment by kl: from the same rollouts, other values than by the mean; the own answers' figures are recorded."""
    with fixed_rollouts():
        train(tmp_path / "mean")
        mean = dict(Watched.scored)
    with fixed_rollouts():
        recorder = train(tmp_path / "kl", "reward.alignment=kl", 'rewriter.more_instructions=["polish"]')
        kl = dict(Watched.scored)
    assert {k: v for k, v in kl.items() if k.endswith("consistency")} == {
        k: v for k, v in mean.items() if k.endswith("consistency")
    }
    differing = [k for k, v in kl.items() if k.endswith("alignment") and v and abs(v - mean[k]) > 1e-3]
    assert len(differing) > len(EXAMPLES)
    step = next(e for e in recorder.events if e["kind"] == "train")
    assert step["text_nll"] > step["nll"] > 0 and step["max_token_nll"] > step["nll"]
    assert 0 <= step["own_style_share"] <= 1 and 0 < step["own_distance"] <= 1


def test_absolute_alignment_is_that_of_the_backbones_own_answers(tmp_path):
    anchors = []

    def recorded(values, anchor=None):
        anchors.append(anchor)
        return alignment(values, anchor)

    with fixed_rollouts(), mock.patch("patchrl.rewards.group.alignment", recorded):
        train(tmp_path, "reward.alignment_scale=own")
    assert len(set(anchors)) == 1 and anchors[0][0] > 0 and anchors[0][1] > 0
