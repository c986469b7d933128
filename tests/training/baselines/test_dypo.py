"""DYPO's routing and group alignment by hand, and its whole loss against a slow, obvious reference."""

import math
from unittest import mock

import pytest
import torch
from helpers import on_policy_runs
from helpers.on_policy_runs import ANSWERS, EXAMPLES, K
from hypothesis import given
from hypothesis import strategies as st

from patchrl.config import resolve
from patchrl.models.backbone import Backbone
from patchrl.training.baselines import dypo
from patchrl.training.baselines.dypo import DypoTrainer, group_alignment_loss, route

UNKNOWN = math.nan


@pytest.mark.parametrize(
    ("rewards", "way"),
    [
        ([1, 1, 1], "solved"),
        ([0, 0, 0], "failed"),
        ([0, 1, 0], "mixed"),
        ([UNKNOWN, 1], "solved"),
        ([UNKNOWN, 0], "failed"),
        ([0, UNKNOWN, 1], "mixed"),
        ([UNKNOWN, UNKNOWN], "undecided"),
    ],
)
def test_a_group_goes_where_its_right_answers_send_it(rewards, way):
    assert route(rewards) == way


def test_group_alignment_by_hand():
    # Pairs (0.5, 0) and (0, 0): −ln σ(0.5) = 0.47408, −ln σ(0) = 0.69315; with β = 2, −ln σ(1) = 0.31326.
    right, wrong = torch.tensor([0.5, 0.0]), torch.tensor([0.0])
    assert group_alignment_loss(right, wrong).item() == pytest.approx((0.47408 + 0.69315) / 2, rel=1e-4)
    assert group_alignment_loss(right, wrong, beta=2.0).item() == pytest.approx((0.31326 + 0.69315) / 2, rel=1e-4)


@given(st.lists(st.floats(-20, 20), min_size=2, max_size=6), st.integers(1, 5))
def test_alignment_pushes_right_answers_up_and_wrong_ones_down_by_as_much(ratios, cut):
    right, wrong = ratios[: min(cut, len(ratios) - 1)], ratios[min(cut, len(ratios) - 1) :]
    right_S, wrong_F = (torch.tensor(r, dtype=torch.float64, requires_grad=True) for r in (right, wrong))
    group_alignment_loss(right_S, wrong_F).backward()
    assert (right_S.grad <= 0).all() and (wrong_F.grad >= 0).all()
    assert right_S.grad.sum().item() == pytest.approx(-wrong_F.grad.sum().item())


# --- the whole loss, on fixed answers ----------------------------------------------------------------


class Recording(DypoTrainer):
    """Keeps, for every step, the weights as they were, the loss and its gradient."""

    seen: list[tuple]

    def _compute_loss(self, model, inputs):
        was = {name: weight.detach().clone() for name, weight in self.model.state_dict().items()}
        loss = super()._compute_loss(model, inputs)
        weights = [weight for weight in self.model.parameters() if weight.requires_grad]
        grads = torch.autograd.grad(loss, weights, retain_graph=True)
        Recording.seen.append((was, loss.item(), grads))
        return loss


def log_p(model, words, example, answer):
    """log p of each token of an answer and its end, given the question."""
    turn = [{"role": "user", "content": example.question}]
    text = words.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
    prompt = words(text, add_special_tokens=False)["input_ids"]
    ids = [*words(answer, add_special_tokens=False)["input_ids"], words.eos_token_id]
    logits = model(input_ids=torch.tensor([prompt + ids])).logits[0, len(prompt) - 1 : -1]
    return logits.log_softmax(-1).gather(-1, torch.tensor(ids)[:, None])[:, 0]


def slow_loss(model, base, backbone, alpha):
    """α·GRPO + (1 − α)·GAL on the mixed group and NLL on the failed one, each a third of the step."""
    policy = {(e.id, a): log_p(model, backbone.tokenizer, e, a) for e in EXAMPLES for a in ANSWERS[int(e.id[1])]}
    frozen = {
        (e.id, a): log_p(base, backbone.tokenizer, e, a).detach() for e in EXAMPLES for a in ANSWERS[int(e.id[1])]
    }
    mixed, failed = EXAMPLES[1], EXAMPLES[2]
    reward = dict(zip(ANSWERS[1], (1.0, 0.0, 1.0), strict=True))  # answers alone count: 3 + 3 = 2 is right
    tokens = sum(len(p) for p in policy.values())
    grpo = -sum((reward[a] - 2 / 3) * policy[mixed.id, a].sum() for a in reward) / tokens
    ratio = {a: (policy[mixed.id, a] - frozen[mixed.id, a]).sum() for a in reward}
    right, wrong = [ratio[a] for a in reward if reward[a]], [ratio[a] for a in reward if not reward[a]]
    gal = -sum(torch.sigmoid(r - w).log() for r in right for w in wrong) / (len(right) * len(wrong))
    row = backbone.row(failed.question, failed.solution).training(64)
    logits = model(input_ids=torch.tensor([row["input_ids"]])).logits[0, :-1]
    nll = torch.nn.functional.cross_entropy(logits, torch.tensor(row["labels"][1:]))
    return alpha * grpo + (1 - alpha) * gal / 3 + nll / 3, (alpha * grpo).detach()


@pytest.mark.slow
@pytest.mark.parametrize("alpha", ["0.5", "0.9"])
def test_the_whole_loss_is_what_the_paper_says(alpha, tmp_path):
    Recording.seen = []
    with mock.patch.object(dypo, "DypoTrainer", Recording), on_policy_runs.FIXED:
        backbone, _, _ = on_policy_runs.train_on_policy(f"dypo={alpha}", tmp_path, steps=3)
    section = resolve({"backbone": {"model": str(tmp_path / "backbone"), "device": "cpu"}}).backbone
    base, was = (Backbone.load(section).model for _ in range(2))
    assert len(Recording.seen) == 3
    for weights, loss, grads in Recording.seen:
        was.load_state_dict(weights)
        expected, grpo = slow_loss(was, base, backbone, float(alpha))
        # TRL's GRPO has the same slope as −A·log p, but its value is that of ratios of 1.
        tokens = sum(len(backbone.tokenizer(a)["input_ids"]) + 1 for answers in ANSWERS.values() for a in answers)
        advantages = zip(ANSWERS[1], (1 / 3, -2 / 3, 1 / 3), strict=True)
        value = -sum(a * (len(backbone.tokenizer(t)["input_ids"]) + 1) for t, a in advantages) / tokens
        assert loss == pytest.approx((expected - grpo).item() + float(alpha) * value, rel=1e-4)
        slopes = torch.autograd.grad(expected, [w for w in was.parameters() if w.requires_grad])
        for ours, theirs in zip(grads, slopes, strict=True):
            assert torch.allclose(ours, theirs, atol=1e-5)
    assert len(ANSWERS[1]) == K
