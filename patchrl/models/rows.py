"""Questions and targets as TRL reads them. Special tokens in either are plain text."""

from __future__ import annotations

from typing import Any

from patchrl.models.backbone import Backbone


def prompt(backbone: Backbone, user: str) -> list[dict[str, str]] | str:
    """A user turn: messages where there is a chat template, else the plain prompt text."""
    if backbone.tokenizer.chat_template:
        return [{"role": "user", "content": backbone.plain(user)}]
    return backbone.prompt_text(user)


def sft_row(backbone: Backbone, question: str, target: str) -> dict[str, Any]:
    """A prompt and its completion."""
    text = backbone.plain(target)
    chat = [{"role": "assistant", "content": text}]
    completion = chat if backbone.tokenizer.chat_template else f" {text}{backbone.tokenizer.eos_token}"
    return {"prompt": prompt(backbone, question), "completion": completion}


def row_tokens(backbone: Backbone, question: str, target: str, max_length: int) -> dict[str, list[int]]:
    """Token ids of a row and their labels, −100 on the prompt: what TRL makes of `sft_row`."""
    row, tokenizer = sft_row(backbone, question, target), backbone.tokenizer
    if tokenizer.chat_template:
        template: dict[str, Any] = {"tokenize": True, "return_dict": False}
        start = tokenizer.apply_chat_template(row["prompt"], add_generation_prompt=True, **template)
        ids = tokenizer.apply_chat_template(row["prompt"] + row["completion"], **template)
    else:
        start = tokenizer(row["prompt"])["input_ids"]
        ids = tokenizer(row["prompt"] + row["completion"])["input_ids"]
    labels = [-100] * len(start) + ids[len(start) :]
    return {"input_ids": ids[:max_length], "labels": labels[:max_length]}
