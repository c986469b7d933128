"""Processes that share prompts sample what one process alone would have sampled for them."""

import pytest
from helpers import tiny

from patchrl.models.backbone import Backbone

QUESTIONS = ["What is 2 + 3?", "What is 4 + 1, if you count every apple twice?", "Is it 7?", "How many, and why?", "2?"]


@pytest.mark.parametrize("options", [{}, {"temperature": 0.7, "top_p": 0.8}, {"temperature": 0.0}])
def test_parts_of_the_prompts_give_the_samples_of_all(options):
    words = tiny.tokenizer()
    backbone = Backbone(tiny.model("qwen2", len(words)), words)
    prompts = [backbone.prompt_ids(question) for question in QUESTIONS]
    options = {"samples": 3, "temperature": 1.0, "max_new_tokens": 12, "seed": 5} | options
    alone = backbone.sample_with_nll(prompts, **options)
    for parts in ([range(2), range(2, 5)], [range(1), range(1, 4), range(4, 5)]):
        shared = [backbone.sample_with_nll(prompts, part=part, **options) for part in parts]
        for part, groups in zip(parts, shared, strict=True):
            for place, (group, expected) in enumerate(zip(groups, alone, strict=True)):
                if place not in part:
                    assert group == []
                    continue
                assert [ids for ids, _ in group] == [ids for ids, _ in expected]
                assert [nll for _, nll in group] == pytest.approx([nll for _, nll in expected], abs=1e-3, nan_ok=True)
