"""The frozen backbone as a judge: P(yes) against P(no), its question never cut."""

import pytest
import torch
from helpers import tiny

from patchrl.errors import BackboneError
from patchrl.grading.judge import MEANING, REASONING, Judge
from patchrl.models.backbone import Backbone
from patchrl.types import Example

EXAMPLES = [Example(str(n), f"What is {n} + 1?", f"{n} + 1 = {n + 1}.", str(n + 1)) for n in range(3)]
TEXTS = ["It is 1.", "So the answer is 2, as one sees.", "x"]


def test_the_judge_gives_yes_over_yes_and_no_as_one_example_at_a_time_does():
    backbone = tiny.judging_backbone()
    words = backbone.tokenizer
    for ask, form in ((Judge(backbone).reasoning, REASONING), (Judge(backbone).meaning, MEANING)):
        for example, text, got in zip(EXAMPLES, TEXTS, ask(EXAMPLES, TEXTS), strict=True):
            user = form.format(question=example.question, solution=example.solution, text=text)
            with torch.no_grad():
                last = backbone.model(torch.tensor([backbone.prompt_ids(user)])).logits[0, -1].double().softmax(-1)
            yes, no = (last[words.convert_tokens_to_ids(word)].item() for word in ("yes", "no"))
            assert got == pytest.approx(yes / (yes + no), abs=1e-5)


def test_every_spelling_that_is_one_token_counts():
    backbone = tiny.judging_backbone("yes", "Yes", "no", " no")
    ids = [[backbone.tokenizer.convert_tokens_to_ids(w) for w in pair] for pair in (("yes", "Yes"), ("no", " no"))]
    assert Judge(backbone)._ids == [sorted(i) for i in ids]


def test_a_tokenizer_that_splits_yes_or_no_is_refused_with_a_way_out():
    words = tiny.tokenizer()
    with pytest.raises(BackboneError, match="needs `yes` and `no` as single tokens"):
        Judge(Backbone(tiny.model("qwen2", len(words)), words))


def test_what_does_not_fit_is_undecided_and_never_cut():
    judge = Judge(tiny.judging_backbone())
    long = "and then one sees that " * 1000
    alone = judge.reasoning(EXAMPLES[:1], TEXTS[:1])
    assert judge.reasoning([EXAMPLES[1], EXAMPLES[0]], [long, TEXTS[0]]) == [None, pytest.approx(alone[0], abs=1e-6)]


def test_the_judge_asks_with_the_adapter_off():
    from peft import LoraConfig, get_peft_model

    backbone = tiny.judging_backbone()
    before = Judge(backbone).reasoning(EXAMPLES, TEXTS)
    lora = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
    backbone.model = get_peft_model(backbone.model, lora).train()
    assert Judge(backbone).reasoning(EXAMPLES, TEXTS) == pytest.approx(before, abs=1e-6)
    assert backbone.model.training
