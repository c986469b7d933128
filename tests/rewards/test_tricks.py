"""What real rewriters found on SmolLM2 (docs/real-model.md), in texts of our own: each trick earns little or nothing.

Skipped where `patchrl fetch smollm2-135m` has not been run.
"""

import pytest

from patchrl.config import BackboneSection, resolve
from patchrl.grading.gate import Gate
from patchrl.models.backbone import Backbone
from patchrl.models.model_cache import model_folder
from patchrl.rewards.group_score import CUT_OFF, Group, judge_completions, score_groups
from patchrl.types import Example, Generation

QUESTION = "A baker made 54 rolls in the morning. He sold some of them. If he still has 13 rolls left. How many rolls did he sell?"
EXAMPLE = Example("baker", QUESTION, "54 - 13 = 41\n#### 41", "41", "math")
OWN_STYLE = "To find out how many rolls the baker sold, we need to subtract the rolls he has left from the rolls he made.\n54 - 13 = 41\nSo, the baker sold 41 rolls."
OWN_ANSWERS = (0.44, 0.1)  # ℓ of SmolLM2's own answers on such questions, as the gain measures it: mean, deviation
TRICKS = {
    "a copy without the marks": "54 - 13 = 41",
    "the answer alone": "He sold 41 rolls.\n#### 41\nThe answer is: 41",
    "one sentence up to the limit": "54 - 13 = 41\n" + "The baker sold 41 rolls.\n#### 41\nThe answer is: 41\n" * 6,
    "the equation twice": "54 - 13 = 41 rolls and 54 - 13 = 41 rolls.",
    "the question, then the equation": "A baker made 54 rolls in the morning. He sold some of them. He still has 13 rolls left. So, 54 - 13 = 41.",
}


@pytest.mark.slow
@pytest.mark.skipif(not model_folder("smollm2-135m"), reason="patchrl fetch smollm2-135m brings the model")
def test_no_trick_of_a_real_rewriter_earns_what_the_backbones_own_style_earns():
    changes = {
        "gate": {"reasoning": "derivation"},
        "reward": {"kind": "gain"},
        "rewriter": {"temperature": 0.5, "max_new_tokens": 64, "group_size": 4},
    }
    config = resolve(changes | {"backbone": {"model": "smollm2-135m"}, "data": {"dataset": "word-problems"}})
    backbone = Backbone.load(BackboneSection(model="smollm2-135m"))
    with Gate(config, backbone) as gate:
        texts = [OWN_STYLE, *TRICKS.values()]
        generations = [
            Generation(
                text, tuple(backbone.completion_ids(text)), clipped=text == TRICKS["one sentence up to the limit"]
            )
            for text in texts
        ]
        judged = judge_completions(gate, [EXAMPLE] * len(texts), generations)
        (scored,) = score_groups(gate, config.reward, [Group(EXAMPLE, "", judged)], anchor=OWN_ANSWERS)
    rewards = dict(zip(["own style", *TRICKS], scored.rewards.reward, strict=True))
    assert rewards["own style"] > 0.6, rewards
    for trick in TRICKS:
        assert rewards[trick] < 0.75 * rewards["own style"], rewards
    assert rewards["a copy without the marks"] < 0.25 and not rewards["the answer alone"], rewards


def test_a_right_rewrite_that_does_not_end_fails():
    backbone = Backbone.load(BackboneSection())
    example = Example("sum", "What is 2 + 3?", "2 + 3 = 5. The answer is 5.", "5", "math")
    ids = tuple(backbone.completion_ids(example.solution))
    generations = [Generation(example.solution, ids, clipped=clipped) for clipped in (False, True)]
    with Gate(resolve({}), backbone) as gate:
        whole, cut = judge_completions(gate, [example] * 2, generations)
    assert whole.verdict.passed is True and cut.verdict.passed is False
    assert cut.verdict.reason == CUT_OFF
