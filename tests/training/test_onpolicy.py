"""On-policy arms on a tiny backbone: what is rewarded, what is counted, what the teacher reads, how they stop."""

import copy
import types
from unittest import mock

import pytest
import torch
from helpers import tiny
from helpers.on_policy_runs import ANSWERS, EXAMPLES, FIXED, Recorder, train_on_policy

from patchrl.config import resolve
from patchrl.config.instructions import rewrite_prompt
from patchrl.errors import StopRequested
from patchrl.grading.gate import Gate
from patchrl.models.backbone import Backbone
from patchrl.training import onpolicy
from patchrl.training.baselines import sdft
from patchrl.types import Verdict

pytestmark = pytest.mark.slow


class Coin:
    """A gate that finds every other answer right."""

    def check(self, examples, texts, embeddings=None):
        return [Verdict(i % 2 == 0, "") for i in range(len(texts))]


def test_the_final_answer_alone_is_rewarded_and_the_undecided_has_no_reward():
    words = tiny.tokenizer()
    backbone = Backbone(tiny.model("qwen2", len(words)), words)
    rows = [("So 2 + 2 = 5. It is 4.", "4"), ("It is 5.", "4"), ("It is 5.", None)]  # text, reference
    ids = [[*words(text)["input_ids"], words.eos_token_id] for text, _ in rows]
    columns = {"id": list("abc"), "question": ["2 + 2?"] * 3, "solution": ["4"] * 3, "task": ["math"] * 3}
    with Gate(resolve({}), backbone, answers_only=True) as gate:
        reward = onpolicy.RightAnswer(types.SimpleNamespace(backbone=backbone, gate=gate))
        assert reward(completion_ids=ids, **columns, reference=[r for _, r in rows]) == [1.0, 0.0, None]


def test_what_is_sampled_is_counted_and_told(tmp_path):
    with FIXED:
        backbone, recorder, cost = train_on_policy("grpo", tmp_path, steps=2)
    events = [e for e in recorder.events if e["kind"] == "finetune"]
    assert [e["step"] for e in events] == [1, 2]
    assert all(e["reward"] == pytest.approx(5 / 9, abs=1e-5) and "loss" not in e for e in events)
    assert all(e["no_signal"] == pytest.approx(2 / 3, abs=1e-5) for e in events)
    lengths = [len(backbone.tokenizer(answer)["input_ids"]) + 1 for group in ANSWERS.values() for answer in group]
    assert cost.tokens == 2 * sum(lengths) and cost.seconds > 0
    assert events[0]["length"] == pytest.approx(sum(lengths) / len(lengths), abs=1e-4)


def test_few_examples_are_repeated_until_they_fill_a_batch(tmp_path):
    with FIXED:
        _, recorder, _ = train_on_policy("grpo", tmp_path, steps=2, examples=EXAMPLES[1:2])
    assert [e["reward"] for e in recorder.events] == [pytest.approx(2 / 3, abs=1e-5)] * 2


def test_supervision_comes_first_and_then_practice(tmp_path):
    with FIXED:
        _, recorder, cost = train_on_policy("sft-then-rl=0.67", tmp_path, steps=12)
    steps = [(e["step"], "loss" in e) for e in recorder.events]
    assert steps == [(4, True), (8, True), (9, False), (10, False), (11, False), (12, False)]
    with FIXED:
        assert cost.tokens == train_on_policy("grpo", tmp_path / "grpo", steps=4)[2].tokens


@pytest.mark.parametrize(("name", "after"), [("grpo", 2), ("sft-then-rl", 1), ("sft-then-rl", 3), ("sdft", 2)])
def test_an_arm_stops_between_steps(name, after, tmp_path):
    recorder = Recorder(stop_after=after)
    with FIXED, pytest.raises(StopRequested, match=f"Stopped while fine-tuning {name}"):
        train_on_policy(name, tmp_path, steps=16, recorder=recorder)
    assert len(recorder.events) <= after + 1 and recorder.events[-1]["step"] < 16  # a stopped step is still told


class Watched(sdft.RowSdftTrainer):
    """Keeps what each step was about: inputs, student, teacher and loss."""

    seen: list[tuple]

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        loss = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        was = copy.deepcopy(self.model), copy.deepcopy(self.teacher_model)
        Watched.seen.append((inputs, *was, loss.item()))
        return loss


@pytest.mark.parametrize("template", [True, False])
def test_the_teacher_reads_the_target_and_follows_the_student(template, tmp_path):
    Watched.seen = []
    instruction = "Say {it} anew."
    with mock.patch.object(sdft, "RowSdftTrainer", Watched):
        backbone, _, cost = train_on_policy(
            "sdft", tmp_path, f"rewriter.instruction={instruction}", steps=3, template=template
        )
    (inputs, *first), (_, *second), (_, *third) = Watched.seen
    prompts = {backbone.format.prompt_text(e.question) for e in EXAMPLES}
    shown = {backbone.format.prompt_text(rewrite_prompt(instruction, e.question, e.solution)) for e in EXAMPLES}

    def texts(ids, mask):
        return {backbone.tokenizer.decode(row[keep.bool()]) for row, keep in zip(ids, mask, strict=True)}

    assert texts(inputs["prompt_ids"], inputs["prompt_mask"]) == prompts
    width = inputs["completion_ids"].shape[1]
    assert texts(inputs["teacher_input_ids"][:, :-width], inputs["teacher_attention_mask"][:, :-width]) == shown
    assert cost.tokens == sum(int(i["completion_mask"].sum()) for i, *_ in Watched.seen)
    for before, after in ((first, second), (second, third)):  # the teacher moves by 0.05 of its way to the student
        for old, student, new in zip(*(m.parameters() for m in (before[1], after[0], after[1])), strict=True):
            assert torch.allclose(new, 0.95 * old + 0.05 * student, atol=1e-6)


def test_the_student_is_pulled_by_the_reverse_divergence(tmp_path):
    Watched.seen = []
    with mock.patch.object(sdft, "RowSdftTrainer", Watched):
        train_on_policy("sdft", tmp_path, steps=2)
    for inputs, student, teacher, loss in Watched.seen:
        width, losses = inputs["completion_ids"].shape[1], []
        for i in range(len(EXAMPLES)):
            length = int(inputs["completion_mask"][i].sum())
            ids = torch.cat([inputs["prompt_ids"][i], inputs["completion_ids"][i]])[None]
            mask = torch.cat([inputs["prompt_mask"][i], inputs["completion_mask"][i]])[None]
            own = student(input_ids=ids, attention_mask=mask).logits[0, -width - 1 :][:length]
            theirs = teacher(
                input_ids=inputs["teacher_input_ids"][i][None], attention_mask=inputs["teacher_attention_mask"][i][None]
            ).logits[0, -width - 1 :][:length]
            top = own.topk(100).indices
            p, q = own.gather(-1, top).log_softmax(-1), theirs.gather(-1, top).log_softmax(-1)
            losses.append((p.exp() * (p - q)).sum(-1).mean())
        assert loss == pytest.approx(torch.stack(losses).mean().item(), rel=1e-3)


@pytest.mark.parametrize("name", ["grpo+lora=4", "dypo+lora=4", "sdft+lora=4", "sft-then-rl+lora=4", "grpo+wise-ft"])
def test_methods_and_tunings_run_together(name, tmp_path):
    backbone, _, _ = train_on_policy(name, tmp_path, steps=4, gate=Coin())
    start = Backbone.load(resolve({"backbone": {"model": str(tmp_path / "backbone")}}).backbone).model.state_dict()
    now = backbone.model.state_dict()
    assert start.keys() == now.keys()  # no adapter is left
    assert all(torch.isfinite(weight).all() for weight in now.values())
    assert any(not torch.equal(start[key].cpu(), now[key].cpu()) for key in start)


@pytest.mark.parametrize("name", ["grpo", "dypo", "sft-then-rl"])
def test_a_bfloat16_backbone_practises_and_stays_one(name, tmp_path):
    backbone, _, cost = train_on_policy(name, tmp_path, "backbone.dtype=bfloat16", steps=2)
    assert {weight.dtype for weight in backbone.model.parameters()} == {torch.bfloat16} and cost.tokens > 0


def test_student_and_teacher_of_a_bfloat16_backbone_learn_in_float32(tmp_path):
    Watched.seen = []
    with mock.patch.object(sdft, "RowSdftTrainer", Watched):
        backbone, _, _ = train_on_policy("sdft", tmp_path, "backbone.dtype=bfloat16", steps=1)
    ((_, student, teacher, _),) = Watched.seen
    assert {weight.dtype for model in (student, teacher) for weight in model.parameters()} == {torch.float32}
    assert {weight.dtype for weight in backbone.model.parameters()} == {torch.bfloat16}
