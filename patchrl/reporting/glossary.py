"""The words of the method, each with one meaning, which the page and the docs share."""

from __future__ import annotations

import re

from patchrl.reporting import markup

TERMS = {
    "backbone": "the instruction-tuned language model that you want to fine-tune",
    "expert solution": "the target text of a training row, often in a style that the backbone would not use",
    "rewrite": "a new target text for the same question, with the same answer",
    "rewriter": "the backbone with a LoRA adapter, trained with GRPO to write rewrites",
    "gate": "the check that a rewrite has the right answer and that its arithmetic holds",
    "study": "the whole comparison: scan, train, rewrite, fine-tune, evaluate, report",
    "arm": "a way to make training text and to train on it",
    "plain SFT": "the arm `expert`: SFT on the expert's text",
    "ℓ": "how much a text surprises the frozen backbone given the question alone, in nats per token",
    "mismatch": "the distance in ℓ between the expert solutions and the backbone's own answers",
    "own style": "text written as the backbone writes its own answers",
    "GRPO": "a method of reinforcement learning: of the texts sampled for one question, those with more reward become likelier",
    "group": "the rewrites that are sampled together for one question",
    "reward": "the number that the rewriter is trained to raise: 0 without the gate, more for a low ℓ and for varied wording",
    "warm start": "training the rewriter on the backbone's own verified answers before GRPO",
    "fallback": "the expert's text in place of a rewrite that fails the gate",
    "target": "the task that is trained on, per cent right",
    "general": "the mean over skills that are not trained on, per cent right",
    "forgotten": "general score before fine-tuning minus after it, in points",
}
_MARKED = re.compile(r"\[([^\]|]+)(?:\|([^\]]+))?\]")


def explained(sentence: str) -> str:
    """The sentence as HTML in which each `[term]`, or `[term|as written]`, shows its meaning under a pointer or in focus."""
    parts = _MARKED.split(sentence)
    texts, terms, written = parts[::3], parts[1::3], parts[2::3]
    words = [_word(term, shown or term) for term, shown in zip(terms, written, strict=True)]
    return "".join(markup.escape(text) + word for text, word in zip(texts, [*words, ""], strict=True))


def _word(term: str, shown: str) -> str:
    label = markup.escape(f"{shown}: {TERMS[term].replace('`', '')}.")
    return f'<button type="button" class="term" aria-label="{label}">{markup.escape(shown)}</button>'
