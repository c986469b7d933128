"""A backbone's files read without torch: its tokenizer, for a look at a row of tokens, and the length of its context."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from patchrl.models.model_cache import model_folder
from patchrl.models.prompts import ChatFormat, Render, Turns, acting_tokens

NAMED_TOKENS = ("bos_token", "eos_token", "pad_token", "unk_token")
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "config.json",
    "generation_config.json",
)


@dataclass(frozen=True)
class TokenizerOnDisk:
    """A tokenizer read from its files alone: how it writes a turn, and how a token is spelled."""

    format: ChatFormat
    decode: Callable[[Sequence[int]], str]

    def texts(self, ids: Sequence[int]) -> list[str]:
        """The spelling of each token."""
        return [self.decode([token]) for token in ids]


def tokenizer_on_disk(model: str, revision: str | None, thoughts: bool = False) -> TokenizerOnDisk | None:
    """The tokenizer of a backbone, None where it has no readable tokenizer.json on this machine.

    Raises BackboneError for a template that cannot write a conversation; loading the model says what else is wrong.
    """
    try:
        files = _files(model, revision)
    except ValueError:  # not a Hub id
        return None
    if "tokenizer.json" not in files:
        return None
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(files["tokenizer.json"]))
        settings = _json(files.get("tokenizer_config.json"))
    except (ValueError, KeyError, OSError):
        return None
    except Exception as error:  # the tokenizers library raises bare Exception for a file it cannot read
        if type(error) is not Exception:
            raise
        return None
    template = _template(files, settings)
    named_tokens = {name: _content(settings.get(name)) for name in NAMED_TOKENS}
    added = [(token.content, token.special) for token in tokenizer.get_added_tokens_decoder().values()]
    begin = named_tokens["bos_token"]
    begins = begin and tokenizer.encode("a").tokens[:1] == [begin]

    def encode(text: str) -> list[int]:
        return tokenizer.encode(text, add_special_tokens=False).ids

    def decode(ids: Sequence[int]) -> str:
        return tokenizer.decode(list(ids), skip_special_tokens=False)

    chat = ChatFormat(
        encode,
        _renderer(template, named_tokens) if template else None,
        acting_tokens(added, list(named_tokens.values()), template),
        begin=begin if begins else "",
        end=named_tokens["eos_token"] or None,
        thoughts=thoughts,
    )
    return TokenizerOnDisk(chat, decode)


def known_here(model: str, revision: str | None) -> bool:
    """Whether a backbone's config.json is on this machine."""
    try:
        return "config.json" in _files(model, revision)
    except ValueError:  # no Hub id
        return False


def generation_settings(model: str, revision: str | None) -> dict[str, Any]:
    """A backbone's generation config; empty where it is not on this machine."""
    try:
        return _json(_files(model, revision).get("generation_config.json"))
    except ValueError:  # not a Hub id, or not JSON
        return {}


def context_of(model: str, revision: str | None) -> int | None:
    """The most tokens a backbone reads; None where its config.json is not on this machine or does not say."""
    return _config_number(model, revision, "max_position_embeddings")


def config_of(model: str, revision: str | None) -> dict[str, Any]:
    """The config.json of a backbone's text model; empty where it is not on this machine."""
    try:
        config = _json(_files(model, revision).get("config.json"))
    except ValueError:  # not a Hub id
        return {}
    return config.get("text_config", config)


def _config_number(model: str, revision: str | None, key: str) -> int | None:
    value = config_of(model, revision).get(key)
    return value if isinstance(value, int) else None


def _files(model: str, revision: str | None) -> dict[str, Path]:
    if folder := model_folder(model, revision):
        return {name: folder / name for name in TOKENIZER_FILES if (folder / name).is_file()}
    from huggingface_hub import try_to_load_from_cache

    # What is on this machine only: a check neither downloads nor waits for a network.
    cached = {name: try_to_load_from_cache(model, name, revision=revision) for name in TOKENIZER_FILES}
    return {name: Path(path) for name, path in cached.items() if isinstance(path, str)}


def _template(files: dict[str, Path], settings: dict[str, Any]) -> str:
    """The source of the chat template, empty without one."""
    if "chat_template.jinja" in files:
        return files["chat_template.jinja"].read_text(encoding="utf-8")
    template = settings.get("chat_template")
    if isinstance(template, list):  # several named ones
        template = next((t["template"] for t in template if t.get("name") == "default"), None)
    return template or ""


def _renderer(template: str, named_tokens: dict[str, str]) -> Render:
    """Renders a chat template as Transformers does."""
    from jinja2 import TemplateError, nodes
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """`{% generation %} … {% endgeneration %}` marks what an assistant wrote; here it is its body."""

        tags = {"generation"}  # noqa: RUF012

        def parse(self, parser: Any) -> nodes.Node | list[nodes.Node]:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    def refuse(message: str) -> None:
        raise TemplateError(message)

    # A template comes with a model and is code: the sandbox Transformers uses too.
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, Generation]
    )
    environment.filters["tojson"] = lambda value, indent=None: json.dumps(value, ensure_ascii=False, indent=indent)
    environment.globals["raise_exception"] = refuse
    environment.globals["strftime_now"] = lambda format: datetime.now().strftime(format)

    def render(turns: Turns, ask: bool, thoughts: bool) -> str:
        switch = {"enable_thinking": thoughts, "thinking": thoughts}
        return environment.from_string(template).render(
            messages=turns, add_generation_prompt=ask, **named_tokens, **switch
        )

    return render


def _content(token: Any) -> str:
    return token.get("content", "") if isinstance(token, dict) else token or ""


def _json(path: Path | None) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path else {}
