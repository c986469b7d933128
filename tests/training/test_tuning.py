"""Ways of tuning on their own maths, and resampled rows inside a real fine-tune."""

import pytest
import torch
from helpers import tiny
from helpers.contexts import context_of

from patchrl.config import resolve
from patchrl.config.arms import parse
from patchrl.errors import DataError
from patchrl.grading.gate import Gate
from patchrl.models.backbone import Backbone
from patchrl.training.finetune import FinetuneInputs, finetune
from patchrl.training.supervised import shared_settings
from patchrl.training.train_rewriter import trainer_config
from patchrl.training.tuning import Lora, LowRate, Replay, Tuning, WeightInterpolation, replay_count, tunings_of
from patchrl.types import Example

pytestmark = pytest.mark.slow

EXAMPLES = [Example(str(n), f"What is {n} + 1?", f"It is {n + 1}.", str(n + 1)) for n in range(8)]
PAIRS = [(e.question, e.solution) for e in EXAMPLES]


class Silent:
    def __init__(self):
        self.messages = []

    def event(self, kind, **fields):
        if kind == "message":
            self.messages.append(fields["text"])

    def progress(self, done, total, note=""):
        pass

    def stop_requested(self):
        return False


def small():
    words = tiny.tokenizer()
    return Backbone(tiny.model("qwen2", len(words)), words)


def weights(model):
    return {name: weight.detach().clone() for name, weight in model.named_parameters()}


def tune(name, folder, *, steps=3, epochs=1, rate=1e-2, examples=EXAMPLES, recorder=None, backbone=None, **extra):
    backbone = backbone or small()
    config = resolve({"finetune": {"epochs": epochs, "batch_size": 4, "max_length": 64}})
    with Gate(config, backbone) as gate:
        inputs = FinetuneInputs(parse(name), examples, steps, rate, 0, folder, **extra)
        finetune(context_of(config, gate, folder, recorder), inputs)
    return backbone.model


def test_interpolated_weights_lie_on_the_line():
    model, way = small().model, WeightInterpolation(0.25)
    start = weights(way.before(model))
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(1.0)
    for name, weight in way.after(model).named_parameters():
        assert torch.allclose(weight, start[name] + 0.25, atol=1e-6)


def test_a_real_fine_tune_is_interpolated_between_its_two_ends(tmp_path):
    start, tuned = weights(small().model), weights(tune("expert", tmp_path))
    half = weights(tune("wise-ft=0.5", tmp_path))
    for name in start:
        assert torch.allclose(half[name], (start[name] + tuned[name]) / 2, atol=1e-6)
    assert any(not torch.equal(start[name], tuned[name]) for name in start)


def test_a_merged_adapter_answers_as_it_did_before_merging():
    model, way = small().model, Lora(4)
    adapted = way.before(model)
    assert sum(w.numel() for w in adapted.parameters() if w.requires_grad) < 0.2 * sum(
        w.numel() for w in model.parameters()
    )
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.1)
    adapted.eval()
    ids = torch.tensor([[5, 6, 7]])
    before = adapted(input_ids=ids).logits
    merged = way.after(adapted)
    assert torch.allclose(merged(input_ids=ids).logits, before, atol=1e-4)
    assert not any("lora" in name for name, _ in merged.named_parameters())


def test_an_adapter_is_merged_before_weights_are_interpolated(tmp_path):
    start, tuned = weights(small().model), weights(tune("lora=4", tmp_path))
    half = weights(tune("lora=4+wise-ft=0.5", tmp_path))
    assert start.keys() == tuned.keys() == half.keys()
    for name in start:
        assert torch.allclose(half[name], (start[name] + tuned[name]) / 2, atol=1e-5)


def test_low_rate_is_a_factor_and_moves_the_weights_less(tmp_path):
    assert LowRate(0.1).rate(1e-3) == pytest.approx(1e-4) and Tuning().rate(1e-3) == 1e-3
    start = weights(small().model)

    def moved(name):
        return sum((weight - start[key]).abs().sum().item() for key, weight in tune(name, tmp_path).named_parameters())

    assert moved("low-lr=0.01") < 0.1 * moved("expert")


@pytest.mark.parametrize("name", ["expert", "expert+lora", "expert+wise-ft"])
def test_bfloat16_weights_move_as_far_as_float32_ones(name, tmp_path):
    """At a rate at which an update is less than bfloat16 tells apart, and would be rounded away."""
    moves = {}
    for dtype in (torch.float32, torch.bfloat16):
        backbone = Backbone(small().model.bfloat16().to(dtype), tiny.tokenizer())
        start = weights(backbone.model)
        tuned = tune(name, tmp_path, steps=40, rate=1e-4, backbone=backbone)
        assert {weight.dtype for weight in tuned.parameters()} == {dtype}
        moves[dtype] = torch.cat([(w.float() - start[n].float()).flatten() for n, w in weights(tuned).items()])
    exact, coarse = moves.values()
    assert 0.8 < float(coarse @ exact / (exact @ exact)) < 1.2


@pytest.mark.parametrize(("dtype", "bf16"), [(torch.float32, False), (torch.bfloat16, True)])
def test_trainers_compute_in_the_backbones_own_number_format(dtype, bf16, tmp_path):
    backbone = Backbone(small().model.to(dtype), tiny.tokenizer())
    assert shared_settings(backbone, tmp_path, steps=1, seed=0)["bf16"] is bf16
    assert trainer_config(resolve({}), 0, tmp_path, backbone).bf16 is bf16
    backbone.model.float()  # as while it is fine-tuned
    assert shared_settings(backbone, tmp_path, steps=1, seed=0)["bf16"] is bf16


def test_replayed_rows_are_the_share_they_claim():
    assert replay_count(512, 0.25) == 171  # 171 of 683 rows
    replay = [(f"q{n}", "a") for n in range(100)]
    rows = Replay(0.5).rows(PAIRS, replay)
    assert rows[: len(PAIRS)] == PAIRS and rows[len(PAIRS) :] == replay[: len(PAIRS)]
    assert Tuning().rows(PAIRS, replay) == PAIRS


def test_tunings_come_in_the_order_in_which_they_prepare():
    assert [type(t) for t in tunings_of(parse("lora+wise-ft+low-lr"))] == [LowRate, WeightInterpolation, Lora]


@pytest.mark.parametrize("name", ["eaft", "kl", "kl+lora", "dft+replay"])
def test_losses_and_tunings_run_together(name, tmp_path):
    start = weights(small().model)
    got = weights(tune(name, tmp_path, replay=[("Say hello.", "hello")] * 9))
    assert all(torch.isfinite(weight).all() for weight in got.values())
    assert any(not torch.equal(start[key], got[key]) for key in start)


def test_rows_are_taken_anew_before_every_epoch_but_the_first(tmp_path):
    requests = []

    def resample(epoch):
        requests.append(epoch)
        return PAIRS[:3] if epoch == 1 else []  # none: the rows of before are kept

    tune("self-resampled", tmp_path, steps=6, epochs=3, resample=resample)
    assert requests == [1, 2]


def test_resampling_the_same_rows_trains_the_same_as_keeping_them(tmp_path):
    kept = weights(tune("self", tmp_path, steps=4, epochs=2))
    again = weights(tune("self-resampled", tmp_path, steps=4, epochs=2, resample=lambda epoch: PAIRS))
    for name in kept:
        assert torch.allclose(kept[name], again[name], atol=1e-5)


def test_an_arm_without_rows_is_one_sentence(tmp_path):
    with pytest.raises(DataError, match="Arm self: no example is left"):
        tune("self", tmp_path, examples=[])


@pytest.mark.parametrize(
    ("rate", "steps", "diverges"), [(1e-2, 8, False), (1.0, 8, True), (1.0, 4, False)]
)  # one figure tells nothing
def test_a_fine_tune_that_diverges_is_told(tmp_path, rate, steps, diverges):
    recorder = Silent()
    tune("low-lr=0.9999", tmp_path, rate=rate, steps=steps, recorder=recorder)
    messages = " ".join(recorder.messages)
    assert ("Fine-tuning, seed 0, arm low-lr=0.9999: the loss went from " in messages) == diverges
