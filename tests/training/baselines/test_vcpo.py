"""VCPO: its sample size and its baseline against known values and brute force, and a real GRPO run on stale rollouts."""

import pytest
import torch
from helpers import tiny
from helpers.contexts import context_of
from hypothesis import given
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from scipy.optimize import minimize_scalar

from patchrl.config import resolve
from patchrl.grading.gate import Gate
from patchrl.models.backbone import Backbone
from patchrl.training.baselines.vcpo import (
    EssScaling,
    StalenessTrainer,
    effective_sample_size,
    minimum_variance_baseline,
    rate_factor,
    square_norms,
)
from patchrl.training.train_rewriter import train_rewriter
from patchrl.types import Example, Verdict


def ess(*weights):
    return effective_sample_size(torch.tensor(weights).log())


def test_effective_sample_size_of_known_weights():
    assert ess(1.0, 1.0, 1.0, 1.0) == pytest.approx(1.0)
    assert ess(5.0, 0.0, 0.0, 0.0) == pytest.approx(0.25)  # one rollout carries the whole update
    assert ess(3.0, 1.0) == pytest.approx(16 / (2 * 10))


@given(st.lists(st.floats(-5000, 5000), min_size=1, max_size=8), st.floats(-1000, 1000))
def test_effective_sample_size_has_bounds_and_no_scale(logs, shift):
    got = effective_sample_size(torch.tensor(logs, dtype=torch.float64))
    assert 1 / len(logs) - 1e-9 <= got <= 1 + 1e-9
    moved = effective_sample_size(torch.tensor(logs, dtype=torch.float64) + shift)
    assert moved == pytest.approx(got, rel=1e-6)


def test_rate_falls_with_the_root_of_the_sample_size_and_never_rises():
    assert rate_factor(0.25, 1.0) == 0.5
    assert rate_factor(0.2, 0.8) == pytest.approx(0.5)
    assert rate_factor(0.9, 0.8) == 1.0


@pytest.mark.parametrize("seed", range(5))
def test_the_baseline_minimises_the_variance_of_the_stale_gradient(seed):
    random = torch.Generator().manual_seed(seed)
    policy_logits, sampling_logits, rewards = torch.randn(3, 6, generator=random, dtype=torch.float64)
    policy, sampled_from = policy_logits.softmax(-1), sampling_logits.softmax(-1)
    weights = policy / sampled_from
    scores = torch.eye(6, dtype=torch.float64) - policy  # row i: the gradient of log π(i) with respect to the logits

    def variance(baseline):
        """Of w·∇log π·(r − b), summed over the parameters, by going through all actions."""
        estimates = (weights * (rewards - baseline))[:, None] * scores
        mean = (sampled_from[:, None] * estimates).sum(0)
        return float((sampled_from * (estimates - mean).square().sum(-1)).sum())

    expected_norms = sampled_from * weights**2 * scores.square().sum(-1)
    baseline = float(minimum_variance_baseline(rewards, expected_norms))
    assert baseline == pytest.approx(minimize_scalar(variance).x, abs=1e-6)
    assert variance(baseline) < variance(float((sampled_from * rewards).sum()))  # the mean reward varies more


def test_equal_norms_give_the_mean_reward_and_zero_norms_too():
    rewards = torch.tensor([0.0, 1.0, 5.0])
    for norms in (torch.full((3,), 7.0), torch.zeros(3)):
        assert float(minimum_variance_baseline(rewards, norms)) == pytest.approx(2.0)


@pytest.mark.parametrize("architecture", ["qwen2", "gpt2"])
def test_the_norms_of_a_batch_are_those_of_one_backward_pass_for_each_row(architecture):
    words = tiny.tokenizer()
    lora = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
    model = get_peft_model(tiny.model(architecture, len(words)), lora)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    ids_BT = torch.randint(len(words), (3, 7), generator=torch.Generator().manual_seed(0))

    def total(ids):
        return model(ids).logits[:, :-1].log_softmax(-1).gather(-1, ids[:, 1:, None]).sum()

    with square_norms(model) as norms:
        torch.autograd.grad(total(ids_BT), trained)
    alone = [sum(g.square().sum() for g in torch.autograd.grad(total(row[None]), trained)) for row in ids_BT]
    assert norms["rows"].tolist() == pytest.approx([float(norm) for norm in alone], rel=1e-4)
    assert all(parameter.grad is None for parameter in trained)


def test_each_group_gets_its_own_baseline_however_its_rollouts_are_spread():
    class Trainer(StalenessTrainer):
        def __init__(self):  # no model: only the norms are asked for
            self.num_generations = 2

        def _square_norms(self, rollouts):
            return rollouts["norms"]

    def microbatch(groups, advantages, norms):
        columns = {"advantages": torch.tensor(advantages), "norms": torch.tensor(norms)}
        return {"member": 2 * torch.tensor(groups), **columns}

    microbatches = [
        microbatch([1, 0, 1], [2.0, 1.0, -1.0], [1.0, 3.0, 2.0]),
        microbatch([0, 0], [-1.0, 0.0], [1.0, 9.0]),
    ]
    Trainer()._subtract_baselines(microbatches)
    assert microbatches[0]["advantages"].tolist() == [2.0, 0.5, -1.0]  # group 1: (2·1 − 1·2) / 3 = 0
    assert microbatches[1]["advantages"].tolist() == [-1.5, 0.0]  # group 0: (3 − 1) / 4; the last one has no reward


def test_the_setting_is_read_by_its_older_name():
    assert resolve({"rewriter": {"ess_scaling": True}}).rewriter.vcpo


class Events:
    def __init__(self):
        self.seen = []

    def event(self, kind, **fields):
        self.seen.append({"kind": kind, **fields})

    def progress(self, done, total, note=""):
        pass

    def stop_requested(self):
        return False

    def of(self, kind):
        return [e for e in self.seen if e["kind"] == kind]


@pytest.mark.slow
@pytest.mark.parametrize("scales", [True, False])
def test_stale_updates_are_measured_and_slowed_where_asked(scales, tmp_path, monkeypatch):
    words = tiny.tokenizer()
    backbone = Backbone(tiny.model("qwen2", len(words)), words)
    rewriter = {"steps": 4, "prompts_per_step": 2, "group_size": 4, "max_new_tokens": 8, "learning_rate": 0.05}
    stale = {"updates_per_rollout": 2, "vcpo": scales, "warmup_steps": 0, "microbatch_size": 4}
    # No gate on reasoning, and a reference that half of random texts may hold, so that rewards differ.
    config = resolve(
        {
            "rewriter": rewriter | stale | {"warm_start_steps": 0},
            "gate": {"reasoning": "none"},
            "reward": {"lambda_div": 5.0},
        }
    )
    examples = [Example(str(n), f"What is {n} + 1?", f"It is {n + 1}.", str(n + 1)) for n in range(8)]

    class Passing(Gate):
        def check(self, examples, texts, embeddings=None):
            return [Verdict(len(text) % 2 == 0, "") for text in texts]

    events = Events()
    baselines = []
    subtract = StalenessTrainer._subtract_baselines
    monkeypatch.setattr(
        StalenessTrainer, "_subtract_baselines", lambda self, batches: baselines.append(subtract(self, batches))
    )
    with Passing(config, backbone) as gate:
        tokens = train_rewriter(context_of(config, gate, tmp_path, events), examples, 0, tmp_path)
    assert len(baselines) == (4 if scales else 0)  # one a step
    recorded = events.of("staleness")
    assert [e["step"] for e in recorded] == [1, 2, 3, 4]
    assert [e["ess"] for e in recorded[::2]] == pytest.approx([1.0, 1.0], abs=1e-4)  # just sampled
    assert all(e["ess"] < 0.999 for e in recorded[1::2])  # the policy has moved since
    expected = [rate_factor(e["ess"], recorded[i - i % 2]["ess"]) if scales else 1.0 for i, e in enumerate(recorded)]
    assert [e["rate_factor"] for e in recorded] == pytest.approx(expected, abs=1e-5)
    assert [e["samples"] for e in events.of("train")][-1] == 16 and tokens <= 16 * 9


def test_a_stale_update_uses_the_lower_rate_and_the_next_has_its_own_again():
    from types import SimpleNamespace as Plain

    callback = EssScaling(Events(), 0, scales=True)
    callback.trainer = Plain(log_weights=[torch.tensor([1.0, 0.0, 0.0, 0.0]).log()])
    optimizer = Plain(param_groups=[{"lr": 0.1}, {"lr": 0.2}])
    state = Plain(global_step=1, is_world_process_zero=True)
    callback.on_pre_optimizer_step(Plain(num_iterations=2), state, None, optimizer=optimizer)
    assert [group["lr"] for group in optimizer.param_groups] == [0.05, 0.1]
    assert callback.trainer.log_weights == []
    callback.on_optimizer_step(Plain(num_iterations=2), state, None, optimizer=optimizer)
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.2]
