"""The frozen backbone: the only place that loads a model. Generates, scores ℓ and embeds, adapter on or off."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

from patchrl import nano
from patchrl.config import BackboneSection
from patchrl.errors import BackboneError, first_line
from patchrl.models.engines.interface import Engine, Keep, Sample, SampleRequest, Watch
from patchrl.models.engines.transformers import TransformersEngine
from patchrl.models.gguf import keep_gguf
from patchrl.models.hub_access import hub_access
from patchrl.models.model_cache import gguf_file, is_hub_gguf, model_folder, name_problem
from patchrl.models.pieces import made_now, next_token_in_pieces, score_in_pieces
from patchrl.models.prompts import ChatFormat, Row, Turns, acting_tokens
from patchrl.models.scoring import READINGS, Reading, Score, Scorer, choose_reading, gather_weights
from patchrl.types import Generation

NANO_FOLDER = nano.BACKBONE_FOLDER


def resolve_source(model: str, revision: str | None = None) -> str:
    """Folder or Hub id behind `backbone.model`; a GGUF file is converted at its first use. Raises BackboneError otherwise."""
    if folder := model_folder(model, revision):
        return str(folder)
    if problem := name_problem(model):
        raise BackboneError(problem)
    if gguf_file(model) is not None or is_hub_gguf(model):
        return str(keep_gguf(model, revision))
    return model


def pick_device(name: str) -> torch.device:
    """The torch device for `auto`, `cpu`, `cuda`, `cuda:N`."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise BackboneError(f"backbone.device: {name!r} is not a device; use auto, cpu, cuda or mps.") from None
    count = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if (device.index or 0) >= count.get(device.type, 0):
        raise BackboneError(
            f"backbone.device: {name} was asked for, but this machine does not have it; use auto or cpu."
        )
    return device


def _check_weights(model: Any, tokenizer: Any, name: str) -> None:
    """Raise BackboneError for weights that cannot answer: not finite, or without a row for every token."""
    rows, template = model.get_input_embeddings().weight.shape[0], str(tokenizer.chat_template or "")
    control_ids = {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id}
    # A special token that no template writes is never read: Transformers adds such tokens by itself.
    unread = {
        index
        for index, token in tokenizer.added_tokens_decoder.items()
        if token.special and index not in control_ids and token.content not in template
    }
    last = max(set(tokenizer.get_vocab().values()) - unread)
    if last >= rows:
        token = tokenizer.convert_ids_to_tokens(last)
        raise BackboneError(
            f"backbone.model: the tokenizer of {name!r} has token {last:,} ({token!r}), its weights have rows for {rows:,} "
            "tokens; they are not of one model, or the embeddings were not resized."
        )
    for parameter, values in model.named_parameters():
        if not values.isfinite().all():
            raise BackboneError(f"backbone.model: {name!r} has numbers that are not finite, in {parameter}.")


def chat_format(tokenizer: Any, thoughts: bool = False) -> ChatFormat:
    """How a Transformers tokenizer writes a turn (`patchrl.models.prompts`)."""

    def render(turns: Turns, ask: bool, thoughts: bool) -> str:
        # Templates call their switch by one of these names, and leave out names that they do not know.
        switch = {"enable_thinking": thoughts, "thinking": thoughts}
        return tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=ask, **switch)

    def encode(text: str) -> list[int]:
        return tokenizer(text, add_special_tokens=False)["input_ids"]

    template = tokenizer.chat_template
    added = [(token.content, token.special) for token in tokenizer.added_tokens_decoder.values()]
    begins = tokenizer.bos_token_id is not None and tokenizer("a")["input_ids"][:1] == [tokenizer.bos_token_id]
    return ChatFormat(
        encode,
        render if template else None,
        acting_tokens(added, tokenizer.all_special_tokens, str(template or "")),
        begin=tokenizer.bos_token if begins else "",
        end=tokenizer.eos_token,
        thoughts=thoughts,
    )


class Backbone:
    """A causal LM with its tokenizer. `model` may carry a LoRA adapter; scoring always switches it off.

    `dtype` is the number format it was loaded in and computes in; full fine-tuning keeps its weights in float32 meanwhile.
    """

    def __init__(self, model: torch.nn.Module, tokenizer, thoughts: bool = False) -> None:
        """Raises BackboneError for a tokenizer or chat template whose answers could not end."""
        self.model: Any = model
        self.dtype = next(model.parameters()).dtype
        self.tokenizer = tokenizer
        self.format = chat_format(tokenizer, thoughts)
        self.reading: Reading = READINGS[0]
        self.gradient_checkpointing = False  # where it is trained
        self.keep: Keep | None = None  # keeps what is sampled and scored, piece by piece
        self.engines: dict[bool, Engine] = {}  # that sample for it elsewhere, with its adapter on (True) or off
        self._adapter_off = False
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(self.format.end_ids[-1])

    @classmethod
    def load(cls, section: BackboneSection, quantization: str = "none") -> Backbone:
        """Load weights (safetensors only) and tokenizer; raises BackboneError with the way out.

        `quantization` is that of `rewriter.quantization`.
        """
        device, dtype = pick_device(section.device), getattr(torch, section.dtype)
        options: dict[str, Any] = {} if section.attention == "auto" else {"attn_implementation": section.attention}
        if quantization != "none":  # NF4 as in QLoRA, arXiv 2305.14314
            options["device_map"] = {"": device}
            options["quantization_config"] = BitsAndBytesConfig(
                load_in_8bit=quantization == "8-bit",
                load_in_4bit=quantization == "4-bit",
                bnb_4bit_quant_type="nf4",
                bnb_4bit_compute_dtype=dtype,
            )
        try:
            with hub_access():
                source = resolve_source(section.model, section.revision)
                tokenizer = AutoTokenizer.from_pretrained(source, revision=section.revision)
                model = AutoModelForCausalLM.from_pretrained(
                    source, revision=section.revision, dtype=dtype, use_safetensors=True, **options
                )
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise BackboneError(
                f"backbone.model: {section.model!r} could not be loaded: {first_line(error).rstrip('.')}. Give a Hub id "
                "that this machine can reach, a folder, or 'nano', which needs no download."
            ) from error
        _check_weights(model, tokenizer, section.model)
        if quantization == "none":
            model = model.to(device)
        backbone = cls(model.eval(), tokenizer, section.thoughts)
        backbone.gradient_checkpointing = section.gradient_checkpointing
        backbone.check_scoring(section.model)
        return backbone

    def check_scoring(self, name: str) -> None:
        """Choose how rows are read, by what agrees with the model's own forward; raises BackboneError where that fails."""
        prompt = tuple(self.prompt_ids("What is 2 + 3?"))
        rows = [(prompt, tuple(self.completion_ids(text))) for text in ("2 + 3 = 5.", "It is 5, since 2 + 3 = 5.")]
        try:
            with self.frozen() as model:
                self.reading = choose_reading(model, self.tokenizer, self.stop_ids, rows)
        except (TypeError, AttributeError, ValueError, RuntimeError, IndexError) as error:
            kind = type(self.model).__name__
            raise BackboneError(
                f"backbone.model: {name!r} is a {kind}, whose forward cannot score text ({error}); use a text-only causal LM."
            ) from error

    @property
    def reading_note(self) -> str:
        """Why scoring takes longer with this architecture, empty where it does not."""
        if self.reading == READINGS[0]:
            return ""
        way = {"whole rows": "from whole rows", "own forward": "by the model's own forward"}[self.reading]
        return f"backbone.model: ℓ is read {way}: the faster way differs from what this architecture does; scoring takes longer."

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def device_name(self) -> str:
        """The device for a report: `cpu`, or the GPU's name."""
        return torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else self.device.type

    @property
    def in_bf16(self) -> bool:
        """Whether it computes in bfloat16."""
        return self.dtype == torch.bfloat16

    @property
    def stop_ids(self) -> set[int]:
        """Ids that end an answer: the chat template's, the generation config's and the tokenizer's."""
        configured = getattr(self.model, "generation_config", None)
        extra = getattr(configured, "eos_token_id", None)
        extra = [] if extra is None else [extra] if isinstance(extra, int) else list(extra)
        eos = () if self.tokenizer.eos_token_id is None else (self.tokenizer.eos_token_id,)
        return {self.format.end_ids[-1], *extra, *eos}

    # --- rows ---------------------------------------------------------------------------------

    def prompt_ids(self, user: str) -> list[int]:
        """Token ids of q(x), which bring the template's own beginning."""
        return self.format.prompt_ids(user)

    def completion_ids(self, completion: str | Sequence[int]) -> list[int]:
        """Token ids of a completion, a text or ids that were sampled, without the end of its turn."""
        if isinstance(completion, str):
            return self.format.completion_ids(completion)
        stops = self.stop_ids
        return list(itertools.takewhile(lambda token: token not in stops, completion))

    def row(self, question: str, completion: str) -> Row:
        """The row of a question and an answer: what is scored, and what fine-tuning reads."""
        return self.format.row(question, completion)

    def decode(self, ids: Sequence[int]) -> str:
        return self.tokenizer.decode(ids, skip_special_tokens=True).strip()

    def fits(self, user: str, more: int = 1) -> bool:
        """Whether a user turn and `more` tokens of answer fit the model's context."""
        limit = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        return limit is None or len(self.prompt_ids(user)) + more <= limit

    # --- adapter ------------------------------------------------------------------------------

    @contextlib.contextmanager
    def frozen(self, adapted: bool = False) -> Iterator[Any]:
        """The model as the frozen backbone: adapter off unless `adapted`, eval mode, no gradient; all restored after."""
        gather_weights(self.model)
        training = self.model.training
        self.model.eval()
        carries = hasattr(self.model, "disable_adapter") and not adapted
        off = self.model.disable_adapter() if carries else contextlib.nullcontext()
        was_off, self._adapter_off = self._adapter_off, self._adapter_off or carries
        try:
            with off, torch.no_grad():
                yield self.model
        finally:
            self._adapter_off = was_off
            self.model.train(training)

    def fingerprint(self) -> str:
        """A hash of all that makes a backbone answer as it does: weights, adapter, configuration, tokenizer, template, and
        whether another engine samples."""
        digest = hashlib.sha256()
        for name, tensor in self.model.state_dict().items():
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
        config = self.model.config.to_dict() | {"_name_or_path": None, "transformers_version": None}
        words = sorted(self.tokenizer.get_vocab().items())
        prompt = self.format.prompt_text("A question")  # the template, and whether it asks for thoughts
        identity = [config, words, prompt, sorted(self.stop_ids), *(["served"] if self.engines else [])]
        digest.update(json.dumps(identity, sort_keys=True, default=str).encode())
        return digest.hexdigest()

    @contextlib.contextmanager
    def kept(self, keep: Keep) -> Iterator[None]:
        """Inside, `keep` keeps what is sampled and scored; its weights must not change meanwhile."""
        weights, before = self.fingerprint(), self.keep
        self.keep = lambda source, make: keep([weights, self._adapter_off, source], make)
        try:
            yield
        finally:
            self.keep = before

    # --- generation ---------------------------------------------------------------------------

    def generate(self, users: Sequence[str], **options: Any) -> list[list[Generation]]:
        """Answers to each user turn; options as in `complete`."""
        return self.complete([self.prompt_ids(user) for user in users], **options)

    def complete(self, prompts: Sequence[list[int]], **options: Any) -> list[list[Generation]]:
        """Completions of each prompt's ids; options as in `sample`."""
        return [[self._read(ids) for ids in group] for group in self.sample(prompts, **options)]

    def _read(self, ids: list[int]) -> Generation:
        completion = self.completion_ids(ids)
        return Generation(self.decode(completion), tuple(completion), clipped=len(completion) == len(ids))

    def sample(self, prompts: Sequence[list[int]], **options: Any) -> list[list[list[int]]]:
        """Ids of completions of each prompt's ids, with whatever adapter is on; options as in `sample_with_nll`."""
        return [[ids for ids, _ in group] for group in self.sample_with_nll(prompts, with_nll=False, **options)]

    def sample_with_nll(
        self,
        prompts: Sequence[list[int]],
        *,
        with_nll: bool = True,
        samples: int = 1,
        temperature: float = 0.0,
        top_p: float = 1.0,
        max_new_tokens: int = 96,
        seed: int = 0,
        on_progress: Callable[[int], None] | None = None,
        watch: Watch | None = None,
        part: range | None = None,
    ) -> list[list[Sample]]:
        """`samples` completions of each prompt's ids (greedy at temperature 0) with their −log p, whatever adapter is on.

        A completion ends with the token that ended its turn, unless it was cut off by the limit. Its −log p, in nats, is that
        of all its tokens under the model at temperature 1 without top-p, however they were sampled, the end of the turn being
        any token that ends it; NaN where it was cut off, or with `with_nll` off. `on_progress` gets the number of prompts
        done; `watch` sees every batch grow and can end it. `part` are the places of the prompts that this process samples, of
        those that several share (`SampleRequest`).
        """
        request = SampleRequest(samples, temperature, top_p, max_new_tokens, with_nll, watch, part)
        adapted = hasattr(self.model, "disable_adapter") and not self._adapter_off
        if engine := self.engines.get(adapted):
            return engine.sample(prompts, request, seed, on_progress, self.keep)
        gather_weights(self.model)
        training = self.model.training
        self.model.eval()
        try:
            here = TransformersEngine(self.model, self.tokenizer, self.stop_ids, self.reading)
            return here.sample(prompts, request, seed, on_progress, self.keep)
        finally:
            self.model.train(training)

    # --- scoring ------------------------------------------------------------------------------

    def score(
        self,
        questions: Sequence[str],
        completions: Sequence[str | Sequence[int]],
        *,
        top: int = 0,
        adapted: bool = False,
        bf16: bool = False,
    ) -> list[Score]:
        """ℓ and embedding of each completion given q(x), under the frozen backbone, from one forward.

        ℓ is the mean −log p of the completion's tokens in nats, end-of-turn left out; the embedding is
        the mean last hidden state over the same tokens. `top` > 0 adds per-token surprisal with that
        many alternatives. `adapted` leaves the adapter on. A question with
        several completions is read once; rows go in batches of like length; logits are made for completion
        tokens only, a chunk at a time. `bf16` computes under autocast: faster, |Δℓ| of about 1e-2.
        """
        prompts = {question: tuple(self.prompt_ids(question)) for question in dict.fromkeys(questions)}
        wanted = [(prompts[q], tuple(self.completion_ids(c))) for q, c in zip(questions, completions, strict=True)]
        rows = list(dict.fromkeys(wanted))  # the same text twice costs once, and ties stay exact
        with self.frozen(adapted) as model, torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
            scorer = Scorer(model, self.tokenizer, self.stop_ids, self.reading)
            scores = (
                scorer.scores(rows, top) if self.keep is None else score_in_pieces(scorer, self.keep, rows, top, bf16)
            )
        return [scores[row] for row in wanted]

    def next_token_probabilities(self, users: Sequence[str], choices: Sequence[Sequence[int]]) -> np.ndarray:
        """Probability that the frozen backbone's answer to each user turn begins with one of the ids of
        each choice, shape (N, C)."""
        prompts = [tuple(self.prompt_ids(user)) for user in users]
        with self.frozen() as model:
            scorer = Scorer(model, self.tokenizer, self.stop_ids, self.reading)
            probabilities = next_token_in_pieces(scorer, self.keep or made_now, list(dict.fromkeys(prompts)), choices)
        return np.array([probabilities[prompt] for prompt in prompts]).reshape(len(prompts), len(choices))
