"""Reading each prompt once gives TRL's log-probabilities, entropies and gradients; microbatches keep groups together."""

import pytest
import torch
from helpers import rollouts, tiny
from peft import LoraConfig, get_peft_model
from trl.trainer.utils import add_fused_lm_head

from patchrl.models.scoring import core_of
from patchrl.training.shared_prompts import MEMBER, SharedPromptTrainer, add_group_reading

PROMPTS, COMPLETIONS, WIDTH = (24, 17), (6, 1, 9, 4), 9  # lengths in tokens; the second is also its longest
TEMPERATURE = 0.7


def batch(vocabulary, prompts):
    """Ids and mask of rows as TRL makes them, in no order; the prompts' rows alternate."""
    random = torch.Generator().manual_seed(1)
    rows, masks = [], []
    for length in prompts:
        prompt = torch.randint(3, vocabulary, (length,), generator=random)
        for size in COMPLETIONS:
            completion = torch.randint(3, vocabulary, (size,), generator=random)
            parts = [(max(prompts) - length, 2, 0), (length, prompt, 1), (size, completion, 1), (WIDTH - size, 2, 0)]
            rows.append(torch.cat([torch.full((n,), ids) if isinstance(ids, int) else ids for n, ids, _ in parts]))
            masks.append(torch.cat([torch.full((n,), kept) for n, _, kept in parts]))
    order = torch.randperm(len(rows), generator=random)
    return torch.stack(rows)[order], torch.stack(masks)[order]


@pytest.mark.parametrize("kind", [*tiny.CONFIGS, "windowed"])
def test_log_probabilities_and_gradients_are_those_of_trl(kind):
    """Of the adapter and of all weights, which on-policy arms train."""
    core = tiny.model(kind, 300)
    add_fused_lm_head(core, temperature=TEMPERATURE, outputs=("log_probs", "entropy"))
    add_group_reading(core, TEMPERATURE)
    model = get_peft_model(core, LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False))
    trained = {name: parameter.requires_grad_() for name, parameter in model.named_parameters()}
    # TRL gives GPT-2 the positions of padded rows, which are not those at which the rows were sampled.
    ids_BL, mask_BL = batch(300, (PROMPTS[0], PROMPTS[0]) if kind == "gpt2" else PROMPTS)
    labels_BL = ids_BL.masked_fill(mask_BL == 0, -100)
    labels_BL[:, :-WIDTH] = -100
    whole = model(input_ids=ids_BL, attention_mask=mask_BL, labels=labels_BL, fused_lm_head=True)
    shared = model(input_ids=ids_BL, attention_mask=mask_BL, completion_width=WIDTH)
    weights_BT = torch.randn(len(ids_BL), WIDTH, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(shared.log_probs, whole.log_probs[:, -WIDTH:], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(shared.entropy, whole.entropy[:, -WIDTH:], atol=1e-5, rtol=1e-5)
    losses = [(weights_BT * read).mean() for read in (shared.log_probs, whole.log_probs[:, -WIDTH:])]
    ours, theirs = (torch.autograd.grad(loss, list(trained.values())) for loss in losses)
    for name, our, their in zip(trained, ours, theirs, strict=True):
        torch.testing.assert_close(our, their, atol=1e-5, rtol=1e-5, msg=lambda text, name=name: f"{name}: {text}")


def test_microbatches_hold_whole_groups_and_read_each_prompt_once(tmp_path):
    class Watched(SharedPromptTrainer):
        rows, prompts = [], []

        def _compute_loss(self, model, inputs):
            def count(module, arguments, options):
                Watched.prompts.append(len(options["input_ids"]))

            Watched.rows.append(inputs[MEMBER].tolist())
            handle = core_of(self.model).base_model.register_forward_pre_hook(count, with_kwargs=True)
            try:
                return super()._compute_loss(model, inputs)
            finally:
                handle.remove()

    with rollouts.fixed_rollouts(trainer=Watched):
        rollouts.train(tmp_path, f"rewriter.microbatch_size={rollouts.K}")
    k = rollouts.K
    assert (
        Watched.rows == [list(range(start, start + k)) for start in range(0, rollouts.PROMPTS * k, k)] * rollouts.STEPS
    )
    assert Watched.prompts == [1, k] * rollouts.PROMPTS * rollouts.STEPS  # a prompt, then its completions
