"""An example as the backbone will read it: the chat template rendered and cut into tokens, without torch."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from patchrl import nano

FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "config.json")


def formatted_example(model: str, revision: str | None, question: str, solution: str) -> dict[str, list[str]] | None:
    """Tokens of q(x) and of the solution, as texts: `prompt` and `completion`.

    None where the backbone has no readable tokenizer.json on this machine: this is for looking, and loading
    the model says what is wrong with it.
    """
    try:
        found = _files(model, revision)
    except ValueError:  # no Hub id
        return None
    if "tokenizer.json" not in found:
        return None
    from jinja2 import TemplateError
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(found["tokenizer.json"]))
        settings = _json(found.get("tokenizer_config.json"))
        special = "|".join(map(re.escape, sorted(_special(tokenizer), key=len, reverse=True))) or r"(?!)"
        # As Backbone.plain does it: data can never act as a turn or an end marker.
        question, solution = (
            re.sub(special, lambda m: f"{m[0][0]}\u200b{m[0][1:]}", text) for text in (question, solution)
        )
        prompt = _rendered(found, settings, question)
    except (ValueError, KeyError, OSError, TemplateError):
        return None
    except Exception as error:  # the tokenizers library raises bare Exception for a file it cannot read
        if type(error) is not Exception:
            raise
        return None

    def cut(text: str) -> list[str]:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        return [tokenizer.decode([token], skip_special_tokens=False) for token in ids]

    return {"prompt": cut(prompt), "completion": cut(solution)}


def known_here(model: str, revision: str | None) -> bool:
    """Whether a backbone's config.json is on this machine."""
    try:
        return "config.json" in _files(model, revision)
    except ValueError:  # no Hub id
        return False


def context_of(model: str, revision: str | None) -> int | None:
    """The most tokens a backbone reads; None where its config.json is not on this machine or does not tell."""
    try:
        config = _json(_files(model, revision).get("config.json"))
    except ValueError:
        return None
    most = config.get("text_config", config).get("max_position_embeddings")
    return most if isinstance(most, int) else None


def _files(model: str, revision: str | None) -> dict[str, Path]:
    folder = nano.BACKBONE if model == "nano" else Path(model)
    if folder.is_dir():
        return {name: folder / name for name in FILES if (folder / name).is_file()}
    from huggingface_hub import try_to_load_from_cache

    # What is on this machine only: a check neither downloads nor waits for a network.
    cached = {name: try_to_load_from_cache(model, name, revision=revision) for name in FILES}
    return {name: Path(path) for name, path in cached.items() if isinstance(path, str)}


def _rendered(found: dict[str, Path], settings: dict[str, Any], question: str) -> str:
    template = settings.get("chat_template")
    if isinstance(template, list):  # several named ones
        template = next((t["template"] for t in template if t.get("name") == "default"), None)
    if "chat_template.jinja" in found:
        template = found["chat_template.jinja"].read_text(encoding="utf-8")
    marks = {name: _content(settings.get(name)) for name in ("bos_token", "eos_token")}
    if not template:
        return f"{marks['bos_token']}Question: {question}\nAnswer:"
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    # A template comes with a model and is code: the sandbox Transformers uses too.
    rules = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    turns = [{"role": "user", "content": question}]
    return rules.from_string(template).render(messages=turns, add_generation_prompt=True, **marks)


def _special(tokenizer: Any) -> list[str]:
    return [token.content for token in tokenizer.get_added_tokens_decoder().values()]


def _content(token: Any) -> str:
    return token.get("content", "") if isinstance(token, dict) else token or ""


def _json(path: Path | None) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path else {}
