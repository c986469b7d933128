"""SFT losses against hand-computed values, and the trainer that carries them against TRL's own."""

import math

import pytest
import torch
from datasets import Dataset
from helpers import tiny
from trl import SFTConfig

from patchrl.models.backbone import Backbone
from patchrl.training import losses


def logits(*rows):
    return torch.log(torch.tensor(rows))


def test_eaft_weight_is_the_normalised_entropy():
    # p = (0.9, 0.1): H = 0.32508 nats, over ln 2 0.46900; the token's loss is −ln 0.1 = 2.30259.
    (got,) = losses.eaft(logits([0.9, 0.1]), torch.tensor([1]))
    assert got == pytest.approx(0.46900 * 2.30259, rel=1e-4)


def test_eaft_reads_only_the_likeliest_tokens_renormalised():
    # Top 2 of (0.6, 0.2, 0.2): (0.75, 0.25), H = 0.56234, over ln 2 0.81128; −ln 0.2 = 1.60944 is of all three.
    (got,) = losses.eaft(logits([0.6, 0.2, 0.2]), torch.tensor([2]), top=2)
    assert got == pytest.approx(0.81128 * 1.60944, rel=1e-4)


def test_eaft_is_plain_loss_where_the_model_is_unsure_and_nothing_where_it_is_sure():
    unsure, sure = torch.zeros(1, 50), torch.full((1, 50), -40.0)
    sure[0, 3] = 0.0
    assert losses.eaft(unsure, torch.tensor([7])).item() == pytest.approx(math.log(50))
    assert losses.eaft(sure, torch.tensor([7])).item() == pytest.approx(0.0, abs=1e-10)


def test_no_gradient_flows_through_the_eaft_weight():
    logits_BV = logits([0.9, 0.1]).requires_grad_()
    losses.eaft(logits_BV, torch.tensor([1])).sum().backward()
    # Of H̃·CE with H̃ held: H̃·(p − onehot) = 0.469·(0.9, −0.9).
    assert logits_BV.grad[0].tolist() == pytest.approx([0.46900 * 0.9, -0.46900 * 0.9], rel=1e-4)


def test_kl_by_hand():
    # KL((0.5, 0.5) ‖ (0.8, 0.2)) = 0.5 ln(0.5/0.8) + 0.5 ln(0.5/0.2) = 0.22314; −ln 0.2 = 1.60944.
    (got,) = losses.kl(logits([0.8, 0.2]), torch.tensor([1]), logits([0.5, 0.5]), beta=2.0)
    assert got == pytest.approx(1.60944 + 2 * 0.22314, rel=1e-4)


def test_kl_is_nothing_where_the_model_is_the_backbone_and_does_not_pull():
    logits_BV = torch.randn(4, 9, requires_grad=True)
    labels = torch.arange(4)
    plain = torch.nn.functional.cross_entropy(logits_BV, labels, reduction="sum")
    (slope,) = torch.autograd.grad(plain, logits_BV)
    got = losses.kl(logits_BV, labels, logits_BV.detach().clone(), beta=3.0).sum()
    assert got.item() == pytest.approx(plain.item(), rel=1e-5)
    assert torch.allclose(torch.autograd.grad(got, logits_BV)[0], slope, atol=1e-6)


# --- inside the trainer -----------------------------------------------------------------------------


PAIRS = [("What is 1 + 1?", "It is 2."), ("And 3 + 4?", "3 + 4 = 7, so it is 7.")]


@pytest.fixture
def backbone():
    words = tiny.tokenizer()
    return Backbone(tiny.model("qwen2", len(words)), words)


def trainer_of(backbone, folder, loss):
    settings = SFTConfig(
        output_dir=str(folder),
        loss_type=loss if isinstance(loss, str) else "nll",
        report_to="none",
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        remove_unused_columns=False,
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    rows = Dataset.from_list([backbone.row(*pair).training(512) for pair in PAIRS])
    logits_BV = losses.ArmTrainer(
        model=backbone.model, args=settings, train_dataset=rows, processing_class=backbone.tokenizer
    )
    logits_BV.token_loss = None if isinstance(loss, str) else loss
    return logits_BV


def batch_loss(trainer):
    batch = trainer.data_collator([trainer.train_dataset[i] for i in range(len(PAIRS))])
    return trainer.compute_loss(trainer.model, dict(batch)).item(), batch


def token_log_p(backbone, batch):
    with torch.no_grad():
        log_p = backbone.model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits.log_softmax(
            -1
        )
    labels = batch["labels"][:, 1:]
    kept = labels != -100
    return log_p[:, :-1].gather(-1, labels.clamp(min=0)[..., None])[..., 0][kept]


def test_trl_losses_are_what_their_papers_say(backbone, tmp_path):
    nll, batch = batch_loss(trainer_of(backbone, tmp_path, "nll"))
    log_p = token_log_p(backbone, batch)
    assert nll == pytest.approx(-log_p.mean().item(), rel=1e-4)
    dft, _ = batch_loss(trainer_of(backbone, tmp_path, "dft"))
    assert dft == pytest.approx(-(log_p.exp() * log_p).mean().item(), rel=1e-4)  # −sg(p)·log p


def test_a_loss_of_ours_sees_the_same_tokens_as_trl(backbone, tmp_path):
    def plain(logits_BV, labels, reference):
        return torch.nn.functional.cross_entropy(logits_BV, labels, reduction="none")

    ours, _ = batch_loss(trainer_of(backbone, tmp_path, plain))
    theirs, _ = batch_loss(trainer_of(backbone, tmp_path, "nll"))
    assert ours == pytest.approx(theirs, rel=1e-4)


@pytest.mark.parametrize("adapter", [False, True])
def test_the_reference_stays_the_backbone_while_the_model_moves(backbone, adapter):
    batch = {"input_ids": torch.tensor([[5, 6, 7, 8]])}
    start = backbone.model(**batch).logits.detach().clone()
    if adapter:
        from peft import LoraConfig, get_peft_model

        backbone.model = get_peft_model(backbone.model, LoraConfig(target_modules="all-linear", task_type="CAUSAL_LM"))
    reference = losses.frozen_reference(backbone)
    with torch.no_grad():
        for weight in backbone.model.parameters():
            if weight.requires_grad:
                weight.add_(0.1)
    assert not torch.allclose(backbone.model(**batch).logits, start, atol=1e-3)
    assert torch.allclose(reference(batch), start, atol=1e-5)
