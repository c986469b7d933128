"""The rewriter's warm start: from which answers, how they are counted, how it stops and is not repeated."""

from unittest import mock

import pytest
import torch
from helpers import tiny
from helpers.answering import Recorder
from helpers.contexts import context_of
from helpers.rollouts import fixed_rollouts, train
from peft import LoraConfig, get_peft_model

from patchrl.config import resolve
from patchrl.config.instructions import rewrite_prompt
from patchrl.errors import StopRequested
from patchrl.grading.gate import Gate
from patchrl.models.backbone import Backbone
from patchrl.training import train_rewriter as stage
from patchrl.training import warm_start as warm
from patchrl.types import Example, Generation

pytestmark = pytest.mark.slow

EXAMPLES = [Example(f"e{n}", f"What is {n} + 1?", f"Thus {n} + 1 = {n + 1}. QED", str(n + 1)) for n in range(4)]
ASKED = [rewrite_prompt("polish", e.question, e.solution) for e in EXAMPLES]
CONFIG = resolve({"rewriter": {"warm_start_steps": 3, "warm_start_samples": 2, "instruction": "polish"}})


def answering(backbone, texts):
    """A backbone whose answers to example n are `texts(n)`."""

    def generate(users, *, samples, **_):
        assert samples == 2
        started = []
        for user in users:
            n = int(user.split()[2])
            started.append([Generation(t, tuple(backbone.completion_ids(t))) for t in texts(n)])
        return started

    return mock.patch.object(backbone, "generate", generate)


def backbone_with_adapter():
    words = tiny.tokenizer()
    backbone = Backbone(tiny.model("qwen2", len(words)), words)
    config = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")
    backbone.model = get_peft_model(backbone.model, config)
    return backbone


def test_only_answers_that_pass_the_gate_are_shown_and_all_are_counted(tmp_path):
    backbone = backbone_with_adapter()
    texts = {0: ("It is 1.", "It is 9."), 1: ("It is 7.", "Two."), 2: ("So 2 + 1 = 3.", "It is 3."), 3: ("", "So?")}
    with Gate(CONFIG, backbone) as gate, answering(backbone, texts.__getitem__):
        pairs, tokens = warm.own_pairs(context_of(CONFIG, gate, tmp_path), EXAMPLES, ASKED, 0)
    assert [question for question, _ in pairs] == [ASKED[0], ASKED[2]]
    assert pairs[0][1] == "It is 1." and pairs[1][1] in texts[2]
    assert tokens == sum(len(backbone.completion_ids(t)) + 1 for group in texts.values() for t in group)


@pytest.mark.parametrize("rates", [{"learning_rate": 1e-2}, {"learning_rate": 1e-9, "warm_start_rate": 1e-2}])
def test_the_adapter_learns_the_own_answers_and_the_backbone_stays(tmp_path, rates):
    backbone, recorder = backbone_with_adapter(), Recorder()
    answers = [f"It is {n + 1}." for n in range(4)]
    config = resolve({"rewriter": {"warm_start_steps": 20, "warm_start_samples": 2} | rates})
    prompts = [rewrite_prompt("own-words", e.question, e.solution) for e in EXAMPLES]
    before = [s.nll for s in backbone.score(prompts, answers)]
    with Gate(config, backbone) as gate, answering(backbone, lambda n: [answers[n]] * 2):
        warm.warm_start(context_of(config, gate, tmp_path, recorder), EXAMPLES, prompts, 0, tmp_path)
    assert [s.nll for s in backbone.score(prompts, answers)] == pytest.approx(before, abs=1e-6)
    assert sum(s.nll for s in backbone.score(prompts, answers, adapted=True)) < 0.5 * sum(before)
    assert [event["kind"] for event in recorder.events[:3]] == ["phase", "message", "phase"] and recorder.events[-1][
        "kind"
    ] == "warm"


def test_without_a_right_answer_it_says_so_and_leaves_the_adapter(tmp_path):
    backbone, recorder = backbone_with_adapter(), Recorder()
    before = [p.clone() for p in backbone.model.parameters()]
    with Gate(CONFIG, backbone) as gate, answering(backbone, lambda n: ["It is 99."] * 2):
        assert warm.warm_start(context_of(CONFIG, gate, tmp_path, recorder), EXAMPLES, ASKED, 0, tmp_path) > 0
    assert [e["level"] for e in recorder.events if e["kind"] != "phase"] == ["warning"]
    assert all(torch.equal(a, b) for a, b in zip(before, backbone.model.parameters(), strict=True))


def test_a_stop_inside_is_heeded(tmp_path):
    backbone = backbone_with_adapter()
    with (
        Gate(CONFIG, backbone) as gate,
        answering(backbone, lambda n: [f"It is {n + 1}."] * 2),
        pytest.raises(StopRequested, match="warm start"),
    ):
        warm.warm_start(context_of(CONFIG, gate, tmp_path, Recorder(stop_after=1)), EXAMPLES, ASKED, 0, tmp_path)


def test_it_comes_before_the_first_step_and_not_again_after_a_checkpoint(tmp_path):
    """Tokens sampled before a stop are counted with those after it."""
    started = mock.Mock(return_value=1000)
    with fixed_rollouts(), mock.patch.object(stage, "warm_start", started):
        train(tmp_path / "whole", "rewriter.warm_start_steps=1", "rewriter.more_instructions=['clarify']")
    assert started.call_count == 1
    _, examples, prompts, *_ = started.call_args.args
    by_turns = ("own-words", "clarify") * len(examples)
    assert prompts == [rewrite_prompt(i, e.question, e.solution) for i, e in zip(by_turns, examples, strict=False)]
    with fixed_rollouts(), mock.patch.object(stage, "warm_start", started):
        train(tmp_path / "cold", "rewriter.warm_start_steps=0")
    assert started.call_count == 1
