"""The same texts get the same rewards in training, in the playground and in stored rows, whatever the settings."""

import itertools

import pytest
import torch
from helpers import tiny
from peft import LoraConfig, get_peft_model

from patchrl.config import resolve
from patchrl.config.instructions import rewrite_prompt
from patchrl.grading.gate import Gate
from patchrl.models.backbone import Backbone
from patchrl.playground import groups
from patchrl.rewards.group import part_weights
from patchrl.rewards.own_answers import OwnAnswers
from patchrl.rewards.trl import EXAMPLE_COLUMNS, REWARD_PARTS, GatedReward
from patchrl.rewriting.sources import rewrite_examples
from patchrl.types import Example, Generation

EXAMPLE = Example("a", "What is 3 + 1?", "One adds: 3 + 1 = 4. #### 4", "4")
TEXTS = ["So 3 + 1 = 4, as one sees.", "It is 4.", "4", "It is 5.", ""]
SETTINGS = [
    {"alignment": alignment, "alignment_scale": scale, "lambda_dist": 0.7, "diversity_scale": "group"}
    for alignment, scale in itertools.product(("kl", "mean"), ("group", "own"))
] + [{"kind": "gain", "lambda_div": 0.4}]


@pytest.fixture
def backbone():
    """With a random adapter as the rewriter, so that `kl` differs from the prompted backbone's."""
    words = tiny.tokenizer()
    fixed = Backbone(tiny.model("qwen2", len(words)), words)
    lora = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
    torch.manual_seed(0)
    fixed.model = get_peft_model(fixed.model, lora).eval()
    return fixed


def configured(reward):
    return resolve({"reward": reward, "rewriter": {"group_size": 2, "prompts_per_step": 1, "max_new_tokens": 12}})


def in_training(config, gate, texts, seed=0):
    """The parts of the reward that TRL gets for a group of texts."""
    backbone = gate.backbone
    own = OwnAnswers.sample(backbone, [EXAMPLE.question], config.rewriter, seed)
    reward = GatedReward(gate, config.reward, len(texts), own)
    columns = {name: [getattr(EXAMPLE, name)] * len(texts) for name in EXAMPLE_COLUMNS}
    columns["prompts"] = [prompt(config)] * len(texts)
    ids = [backbone.completion_ids(text) for text in texts]
    return {function.__name__: function(completion_ids=ids, **columns) for function in reward.functions}


def prompt(config):
    return rewrite_prompt(config.rewriter.instruction, EXAMPLE.question, EXAMPLE.solution)


@pytest.mark.slow
@pytest.mark.parametrize("reward", SETTINGS)
def test_the_playground_scores_a_group_as_training_does(backbone, reward):
    config = configured(reward)
    with Gate(config, backbone) as gate:
        generations = [Generation(text, tuple(backbone.completion_ids(text))) for text in TEXTS]
        shown = groups.candidates(groups.score_group(config, gate, EXAMPLE, generations))
        trained = in_training(config, gate, TEXTS)
    for part in REWARD_PARTS:
        assert [c[part] for c in shown] == trained[part]
    weights = part_weights(config.reward)
    total = [
        sum(weight * value for weight, value in zip(weights, parts, strict=True))
        for parts in zip(*(trained[part] for part in REWARD_PARTS), strict=True)
    ]
    assert [c["reward"] for c in shown] == pytest.approx(total)


@pytest.mark.slow
@pytest.mark.parametrize("reward", SETTINGS)
def test_a_stored_row_has_the_rewards_of_training_beside_the_expert(backbone, reward):
    config = configured(reward)

    written = [[Generation(TEXTS[0], tuple(backbone.completion_ids(TEXTS[0])))]]
    with Gate(config, backbone) as gate:
        trained = in_training(config, gate, [TEXTS[0], EXAMPLE.solution])
        sample = backbone.generate
        backbone.generate = lambda users, **options: written if users == [prompt(config)] else sample(users, **options)
        (row,), _ = rewrite_examples(config, gate, [EXAMPLE], candidates=1, seed=0)
    for part in REWARD_PARTS:
        assert row.rewards[part] == pytest.approx(trained[part][0], abs=1e-6)


def test_typed_texts_are_compared_with_the_prompted_backbone_and_not_with_an_adapter_that_is_loaded(backbone):
    config = configured(SETTINGS[0])
    with Gate(config, backbone) as gate:
        adapted = groups.score_texts(config, gate, EXAMPLE, TEXTS)
        plain = Backbone(backbone.model.unload(), backbone.tokenizer)
        gate.backbone = plain
        assert adapted.rewards == groups.score_texts(config, gate, EXAMPLE, TEXTS).rewards
