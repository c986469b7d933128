"""Pretrain the nano backbone from the synthetic world: `python -m examples.nano_lab.pretrain --out DIR`.

Byte-level BPE tokenizer, Llama-shaped model of about 2 M parameters, Muon on the matrices and
AdamW on the rest, packed rows with a block-diagonal attention mask, loss on the answers only.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from patchrl.nano import world

PAD, USER, ASSISTANT, END = SPECIALS = ("<|pad|>", "<|user|>", "<|assistant|>", "<|end|>")
CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
ROW, ROWS, VOCABULARY = 256, 16, 1024
PEAK_LR, WARMUP, DECAY = 4e-3, 50, 0.4


def train_tokenizer(seed: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE with single digits, trained on a sample of the pretraining stream."""
    stream = islice(world.pretraining(random.Random(f"tokenizer-{seed}")), 20_000)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIALS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((f"{c.question}\n{c.answer}" for c in stream), trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=[USER, ASSISTANT],
        model_max_length=1024,
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


def build_model(seed: int, pad: int, eos: int) -> LlamaForCausalLM:
    """The randomly initialised backbone: 4 layers of width 192, tied embeddings."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=192,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=6,
        num_key_value_heads=6,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        pad_token_id=pad,
        bos_token_id=None,
        eos_token_id=eos,
    )
    return LlamaForCausalLM(config)


def packed_batches(tokenizer: PreTrainedTokenizerFast, seed: int) -> Iterator[tuple[torch.Tensor, ...]]:
    """Endless (tokens_BT, labels_BT, positions_BT, documents_BT): whole chats packed into rows of 256."""
    ids = {t: tokenizer.convert_tokens_to_ids(t) for t in SPECIALS}
    stream = world.pretraining(random.Random(f"pretraining-{seed}"))
    rows: list[tuple[list[int], ...]] = []
    row: tuple[list[int], ...] = ([], [], [], [])
    while True:
        chats = list(islice(stream, 512))
        questions = tokenizer([c.question for c in chats], add_special_tokens=False)["input_ids"]
        answers = tokenizer([c.answer for c in chats], add_special_tokens=False)["input_ids"]
        for question, answer in zip(questions, answers, strict=True):
            prompt = [ids[USER], *question, ids[END], ids[ASSISTANT]]
            tokens = [*prompt, *answer, ids[END]]
            if len(tokens) > ROW:
                continue
            if len(row[0]) + len(tokens) > ROW:
                space = ROW - len(row[0])
                document = row[3][-1] + 1
                rows.append(
                    (
                        row[0] + [ids[PAD]] * space,
                        row[1] + [-100] * space,
                        row[2] + [0] * space,
                        row[3] + [document] * space,
                    )
                )
                row = ([], [], [], [])
            document = row[3][-1] + 1 if row[3] else 0
            row[0].extend(tokens)
            row[1].extend([-100] * len(prompt) + tokens[len(prompt) :])
            row[2].extend(range(len(tokens)))
            row[3].extend([document] * len(tokens))
        while len(rows) >= ROWS:
            batch, rows = rows[:ROWS], rows[ROWS:]
            yield tuple(torch.tensor([r[i] for r in batch]) for i in range(4))


def block_mask(documents_BT: torch.Tensor) -> torch.Tensor:
    """Causal attention inside each packed chat only, as a boolean mask of shape (B, 1, T, T)."""
    same = documents_BT[:, :, None] == documents_BT[:, None, :]
    return (same & torch.ones(ROW, ROW, dtype=torch.bool, device=same.device).tril())[:, None]


def make_optimizers(model: LlamaForCausalLM) -> list[torch.optim.Optimizer]:
    """Muon on the layers' matrices, AdamW on embeddings and norms."""
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    rest = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
    muon = torch.optim.Muon(matrices, lr=PEAK_LR, weight_decay=0.05, adjust_lr_fn="match_rms_adamw")
    return [muon, torch.optim.AdamW(rest, lr=PEAK_LR, betas=(0.9, 0.95), weight_decay=0.0)]


def learning_rate(step: int, steps: int) -> float:
    """Warm-up, constant, then linear decay over the last 40 % of steps."""
    return PEAK_LR * min(1.0, (step + 1) / WARMUP, (steps - step) / (DECAY * steps))


def pretrain(seed: int, steps: int, out: Path, device: str = "cpu") -> None:
    """Train for `steps` updates of 16 rows and save tokenizer, weights and training log to `out`."""
    tokenizer = train_tokenizer(seed)
    model = build_model(seed, tokenizer.pad_token_id, tokenizer.eos_token_id).to(device)
    optimizers = make_optimizers(model)
    model.train()
    started, log, running = time.time(), [], 0.0
    for step, batch in enumerate(islice(packed_batches(tokenizer, seed), steps)):
        tokens, labels, positions, documents = (part.to(device) for part in batch)
        rate = learning_rate(step, steps)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
        with torch.autocast(model.device.type, torch.bfloat16):
            hidden = model.model(input_ids=tokens, attention_mask=block_mask(documents), position_ids=positions)[0]
            keep = labels[:, 1:] != -100  # logits only where an answer token is predicted
            logits = model.lm_head(hidden[:, :-1][keep])
        loss = torch.nn.functional.cross_entropy(logits.float(), labels[:, 1:][keep])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        running += loss.item()
        if (step + 1) % 100 == 0:
            speed = (step + 1) * ROW * ROWS / (time.time() - started)
            left = (steps - step - 1) * ROW * ROWS / speed / 60
            log.append({"step": step + 1, "loss": round(running / 100, 4), "tokens_per_second": round(speed)})
            print(
                f"step {step + 1}/{steps}  loss {running / 100:.4f}  {speed:,.0f} tokens/s  {left:.1f} min left",
                flush=True,
            )
            running = 0.0
    out.mkdir(parents=True, exist_ok=True)
    model.eval().save_pretrained(out)
    tokenizer.save_pretrained(out)
    minutes = round((time.time() - started) / 60, 1)
    record = {"seed": seed, "steps": steps, "device": device, "minutes": minutes, "log": log}
    (out / "pretraining.json").write_text(json.dumps(record) + "\n")


def measure(out: Path) -> dict[str, float]:
    """Scores of the saved backbone: each general skill, the target task, and prompted rewriting.

    `rewrite/<instruction>/gate` is the share of prompted rewrites that pass the gate, `.../own` the
    share that are in the backbone's own style.
    """
    from patchrl.config import BackboneSection
    from patchrl.config.instructions import rewrite_prompt
    from patchrl.grading.verify import Verifier
    from patchrl.models.backbone import Backbone

    backbone = Backbone.load(BackboneSection(model=str(out)))
    items = world.general_eval(600) + world.downstream_eval(300)
    answers = backbone.generate([item.question for item in items], max_new_tokens=96)
    scores: dict[str, float] = {}
    with Verifier(reasoning="none") as verifier:
        verdicts = verifier.verify_many([(i.task, i.reference, a[0].text) for i, a in zip(items, answers, strict=True)])
    for skill in [*world.SKILLS, "word-problems"]:
        passed = [bool(v.passed) for i, v in zip(items, verdicts, strict=True) if i.skill == skill]
        scores[skill] = sum(passed) / len(passed)
    examples = world.downstream_examples("foreign", 256, seed=99)
    for instruction in world.OWN_SHARE:
        prompts = [rewrite_prompt(instruction, e.question, e.solution) for e in examples]
        texts = [g[0].text for g in backbone.generate(prompts, temperature=1.0, max_new_tokens=96)]
        with Verifier(reasoning="equations") as verifier:
            passed = [
                bool(v.passed)
                for v in verifier.verify_many([(e.task, e.reference, t) for e, t in zip(examples, texts, strict=True)])
            ]
        scores[f"rewrite/{instruction}/gate"] = sum(passed) / len(passed)
        scores[f"rewrite/{instruction}/own"] = sum(world.style(t) == "own" for t in texts) / len(texts)
    return scores


def write_card(out: Path, record: dict, scores: dict[str, float]) -> None:
    """The model card, with the scores just measured."""
    rows = "\n".join(f"| {name} | {score:.3f} |" for name, score in scores.items())
    device = record.get("device", "cpu")
    where, option = ("2 CPU cores", "") if device == "cpu" else (device, f" --device {device}")
    (out / "README.md").write_text(
        f"""---
license: apache-2.0
pipeline_tag: text-generation
---
# PatchRL nano backbone

A Llama-shaped language model of about 2 M parameters (4 layers, width 192, tied embeddings) that makes
distribution mismatch and forgetting visible on a laptop.

**How it was made.** `python -m examples.nano_lab.pretrain --seed {record["seed"]} --steps {record["steps"]}{option}`:
{record["steps"] * ROW * ROWS / 1e6:.0f} M tokens of the synthetic world in `patchrl/nano/world.py` (ten small
skills, two-step word problems with known verbs, an imperfect rewriting skill, copying), {record["minutes"]}
minutes on {where}. Questions held out for evaluation never occur in its training text. The people in it
are invented.

**What it is not.** Not a general model: it knows nothing outside its world, and its answers there can be wrong.

| skill (held-out accuracy, greedy; rewriting at temperature 1) | score |
|---|---|
{rows}
""",
        encoding="utf-8",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "backbone", help="folder to write")
    parser.add_argument("--seed", type=int, default=0, help="data order, tokenizer sample and initial weights")
    parser.add_argument("--steps", type=int, default=4500, help="updates of 16 rows of 256 tokens")
    parser.add_argument("--device", default="cpu", help="cpu, of which the weights that come with PatchRL are, or cuda")
    parser.add_argument("--measure-only", action="store_true", help="score an existing folder and rewrite its card")
    arguments = parser.parse_args()
    if not arguments.measure_only:
        pretrain(arguments.seed, arguments.steps, arguments.out, arguments.device)
    scores = measure(arguments.out)
    for name, score in scores.items():
        print(f"{name:28s} {score:.3f}")
    write_card(arguments.out, json.loads((arguments.out / "pretraining.json").read_text()), scores)


if __name__ == "__main__":
    main()
