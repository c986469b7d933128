"""The frozen backbone: the only place that loads a model. Generates, scores ℓ and embeds, adapter on or off."""

from __future__ import annotations

import contextlib
import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache, StoppingCriteria, StoppingCriteriaList

import patchrl.nano
from patchrl.cache import roomy_cache
from patchrl.config import BackboneSection
from patchrl.errors import BackboneError
from patchrl.types import Generation, TokenSurprisal

NANO = Path(patchrl.nano.__file__).parent / "backbone"
HUB_ID = re.compile(r"^[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?$")
TOKENS_PER_BATCH = 32_768  # padded tokens in one generation batch
ROWS_PER_BATCH = 256
ROWS_ON_GPU = 32  # in one scoring forward
ROWS_ON_CPU = 5  # there, in float32: they keep a CPU busy and take little memory beside the weights
WIDTH_IN_BF16 = 5120  # rows × hidden size there under bfloat16, whose faster products want more
# 64 MB of float32: glibc maps blocks over 32 MiB and gives them back; just below, its heap kept every chunk (9 GB).
LOGITS_PER_CHUNK = 16_000_000
END = -1  # stands for the end of the turn among token ids


T = TypeVar("T")
Watch = Callable[[torch.Tensor], bool]  # sees a batch's completions so far, shape (B, T); True ends the batch
Row = tuple[tuple[int, ...], tuple[int, ...]]  # token ids of a prompt and of a completion


@dataclass(frozen=True)
class Score:
    """ℓ of one completion in nats per token (NaN when it has no tokens), its embedding of shape (D,), the surprisal
    of each of its T tokens and of the end of the turn after them in nats, shape (T + 1,), the entropy of the
    distribution each was drawn from, of the same shape (empty unless asked for), and its tokens when asked for."""

    nll: float
    embedding: np.ndarray
    surprisal: np.ndarray = field(default_factory=lambda: np.zeros(0))
    entropy: np.ndarray = field(default_factory=lambda: np.zeros(0))
    tokens: tuple[TokenSurprisal, ...] = ()


def resolve_source(model: str) -> str:
    """Folder or Hub id behind `backbone.model`; raises BackboneError for anything else."""
    if model == "nano":
        return str(NANO)
    if Path(model).is_dir():
        return model
    if HUB_ID.match(model) and not model.startswith("."):
        return model
    raise BackboneError(
        f"backbone.model: {model!r} is neither `nano`, an existing folder, nor a Hub id such as org/name."
    )


def pick_device(name: str) -> torch.device:
    """The torch device for `auto`, `cpu`, `cuda`, `cuda:N`."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise BackboneError(f"backbone.device: {name!r} is no device; use auto, cpu or cuda.") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise BackboneError("backbone.device: cuda was asked for but this machine has no CUDA device; use auto or cpu.")
    return device


class _SharedPrompts(DynamicCache):
    """Keys and values of a few prompts, each read by many rows: lent to a layer while it works, never grown."""

    def __init__(self, read: DynamicCache, of_row: torch.Tensor) -> None:
        super().__init__()
        self.layers, self.of_row = read.layers, of_row

    def update(self, key_states, value_states, layer_idx: int, *args, **kwargs) -> tuple[torch.Tensor, torch.Tensor]:
        layer: Any = self.layers[layer_idx]
        return (
            torch.cat([layer.keys[self.of_row], key_states], dim=-2),
            torch.cat([layer.values[self.of_row], value_states], dim=-2),
        )


class _Watched(StoppingCriteria):
    """Shows the completions to a `Watch` after every token."""

    def __init__(self, watch: Watch, prompt_width: int) -> None:
        self.watch, self.prompt_width = watch, prompt_width

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        ended = self.watch(input_ids[:, self.prompt_width :])
        return torch.full((len(input_ids),), ended, dtype=torch.bool, device=input_ids.device)


def _reads_ahead(core: Any) -> bool:
    """Whether completions can continue a prompt's cache at given positions (not so in recurrent models)."""
    takes = inspect.signature(core.base_model.forward).parameters
    return not core._is_stateful and {"position_ids", "past_key_values", "attention_mask"} <= set(takes)


def _check_weights(model: Any, tokenizer: Any, name: str) -> None:
    """Raise BackboneError for weights that cannot answer: not finite, or without a row for every token."""
    rows, words = model.get_input_embeddings().weight.shape[0], tokenizer.vocab_size  # added tokens may stay unused
    if words > rows:
        raise BackboneError(
            f"backbone.model: the tokenizer of {name!r} has {words:,} tokens, its weights know {rows:,}; they are not of "
            "one model."
        )
    for parameter, values in model.named_parameters():
        if not values.isfinite().all():
            raise BackboneError(f"backbone.model: {name!r} holds numbers that are not finite, in {parameter}.")


def _in_batches(items: Sequence[T], size: int) -> Iterator[list[T]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])


class Backbone:
    """A causal LM with its tokenizer. `model` may carry a LoRA adapter; scoring always switches it off."""

    def __init__(self, model: torch.nn.Module, tokenizer) -> None:
        self.model: Any = model
        self.tokenizer = tokenizer
        if tokenizer.eos_token_id is None:
            raise BackboneError("backbone.model: its tokenizer has no end-of-sequence token, so answers could not end.")
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token

    @classmethod
    def load(cls, section: BackboneSection) -> Backbone:
        """Load weights (safetensors only) and tokenizer; raises BackboneError with the way out."""
        source = resolve_source(section.model)
        try:
            tokenizer = AutoTokenizer.from_pretrained(source, revision=section.revision)
            model = AutoModelForCausalLM.from_pretrained(
                source, revision=section.revision, dtype=getattr(torch, section.dtype), use_safetensors=True
            )
        except (OSError, ValueError, KeyError) as error:
            first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise BackboneError(f"backbone.model: {section.model!r} could not be loaded: {first}") from error
        _check_weights(model, tokenizer, section.model)
        return cls(model.to(pick_device(section.device)).eval(), tokenizer)

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def stop_ids(self) -> set[int]:
        """Ids that end an answer: the tokenizer's and the generation config's end tokens."""
        configured = getattr(self.model, "generation_config", None)
        extra = getattr(configured, "eos_token_id", None)
        extra = [] if extra is None else [extra] if isinstance(extra, int) else list(extra)
        return {self.tokenizer.eos_token_id, *extra}

    # --- prompts ------------------------------------------------------------------------------

    @cached_property
    def _special(self) -> re.Pattern[str]:
        """Every token that can act as a turn or an end: marked special, or spelled in the chat template.

        Other added tokens (runs of spaces, HTML tags) are ordinary text.
        """
        added = self.tokenizer.added_tokens_decoder.values()
        template = str(self.tokenizer.chat_template or "")
        acting = {t.content for t in added if t.special or (t.content.strip() and t.content in template)}
        names = sorted({*self.tokenizer.all_special_tokens, *acting} - {""}, key=len, reverse=True)
        return re.compile("|".join(map(re.escape, names)) or r"(?!)")

    def plain(self, text: str) -> str:
        """`text` with every special token's spelling broken by a zero-width space after its first
        character, so that data can never act as a turn or an end marker."""
        return self._special.sub(lambda found: f"{found[0][0]}\u200b{found[0][1:]}", text)

    def prompt_text(self, user: str) -> str:
        """q(x): the chat template with one user turn and the generation prompt (plain fallback without one)."""
        if self.tokenizer.chat_template:
            turns = [{"role": "user", "content": self.plain(user)}]
            return self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        return f"{self.tokenizer.bos_token or ''}Question: {self.plain(user)}\nAnswer:"

    def prompt_ids(self, user: str) -> list[int]:
        """Token ids of `prompt_text`; the template brings its own BOS."""
        return self.tokenizer(self.prompt_text(user), add_special_tokens=False)["input_ids"]

    def completion_ids(self, completion: str | Sequence[int]) -> list[int]:
        """Ids of a completion without its end-of-turn token; text is tokenised apart from the prompt."""
        if isinstance(completion, str):
            ids = self.tokenizer(self.plain(completion), add_special_tokens=False)["input_ids"]
        else:
            ids = list(completion)
        stops = self.stop_ids
        end = next((i for i, token in enumerate(ids) if token in stops), len(ids))
        return ids[:end]

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
        training = self.model.training
        self.model.eval()
        carries = hasattr(self.model, "disable_adapter") and not adapted
        off = self.model.disable_adapter() if carries else contextlib.nullcontext()
        try:
            with off, torch.no_grad():
                yield self.model
        finally:
            self.model.train(training)

    # --- generation ---------------------------------------------------------------------------

    def generate(self, users: Sequence[str], **options: Any) -> list[list[Generation]]:
        """Answers to each user turn; options as in `complete`."""
        return self.complete([self.prompt_ids(user) for user in users], **options)

    def complete(self, prompts: Sequence[list[int]], **options: Any) -> list[list[Generation]]:
        """Completions of each prompt's ids; options as in `sample`."""
        return [[self._read(ids) for ids in group] for group in self.sample(prompts, **options)]

    def _read(self, ids: list[int]) -> Generation:
        kept = self.completion_ids(ids)
        return Generation(self.decode(kept), tuple(kept), clipped=len(kept) == len(ids))

    def sample(
        self,
        prompts: Sequence[list[int]],
        *,
        samples: int = 1,
        temperature: float = 0.0,
        max_new_tokens: int = 96,
        seed: int = 0,
        on_progress: Callable[[int], None] | None = None,
        watch: Watch | None = None,
    ) -> list[list[list[int]]]:
        """Ids of `samples` completions of each prompt's ids (greedy at temperature 0), with whatever adapter is on.

        A completion ends with the token that ended its turn, unless it was cut off by the limit. Rows are batched by
        length; `on_progress` gets the number of prompts done; `watch` sees every batch grow and can end it.
        """
        order = sorted(range(len(prompts)), key=lambda i: -len(prompts[i]))
        answers: list[list[list[int]]] = [[] for _ in prompts]
        training = self.model.training
        self.model.eval()
        done = 0
        try:
            while done < len(order):
                width = len(prompts[order[done]]) + max_new_tokens
                rows = max(1, min(ROWS_PER_BATCH, TOKENS_PER_BATCH // width) // samples)
                chunk = order[done : done + rows]
                groups = self._sample_batch(
                    [prompts[i] for i in chunk], samples, temperature, max_new_tokens, seed + done, watch
                )
                for i, group in zip(chunk, groups, strict=True):
                    answers[i] = group
                done += len(chunk)
                if on_progress:
                    on_progress(done)
        finally:
            self.model.train(training)
        return answers

    def _sample_batch(
        self,
        prompts: list[list[int]],
        samples: int,
        temperature: float,
        max_new_tokens: int,
        seed: int,
        watch: Watch | None,
    ) -> list[list[list[int]]]:
        tokens_BT, mask_BT = self._left_padded(prompts)
        watched = StoppingCriteriaList([_Watched(watch, tokens_BT.shape[1])] if watch else [])
        # The model's own generation defaults (top-k 50 and the like) would bend the distribution.
        sampling = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}
        with torch.random.fork_rng(enabled=True), torch.no_grad():
            torch.manual_seed(seed)
            out = self.model.generate(
                input_ids=tokens_BT.repeat_interleave(samples, 0),
                attention_mask=mask_BT.repeat_interleave(samples, 0),
                max_new_tokens=max_new_tokens,
                pad_token_id=self.tokenizer.pad_token_id,
                eos_token_id=sorted(self.stop_ids),
                stopping_criteria=watched,
                **self._read_ahead(tokens_BT, mask_BT, samples),
                **(sampling if temperature > 0 else {"do_sample": False}),
            )
        stops = self.stop_ids
        groups: list[list[list[int]]] = [[] for _ in prompts]
        for row, ids in enumerate(out[:, tokens_BT.shape[1] :].tolist()):
            end = next((i for i, token in enumerate(ids) if token in stops), len(ids))
            groups[row // samples].append(ids[: end + 1])
        return groups

    def _read_ahead(self, tokens_BT: torch.Tensor, mask_BT: torch.Tensor, samples: int) -> dict[str, Any]:
        """A cache that holds each prompt but its last token, read once for all its samples; nothing where a model
        cannot continue one."""
        core = self._core(self.model)
        if not _reads_ahead(core):
            return {}
        cache = roomy_cache(core.config.get_text_config())
        if tokens_BT.shape[1] > 1:
            before_BT = mask_BT[:, :-1]
            core.base_model(
                input_ids=tokens_BT[:, :-1],
                attention_mask=before_BT,
                position_ids=(before_BT.cumsum(-1) - 1).clamp(min=0),
                past_key_values=cache,
                use_cache=True,
            )
            cache.batch_repeat_interleave(samples)
        return {"past_key_values": cache}

    @staticmethod
    def _core(model: Any) -> Any:
        """The causal LM itself, under whatever adapter is in it."""
        return model.get_base_model() if hasattr(model, "get_base_model") else model

    def _left_padded(self, rows: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        width = max(len(row) for row in rows)
        pad = self.tokenizer.pad_token_id
        tokens = torch.tensor([[*[pad] * (width - len(row)), *row] for row in rows], device=self.device)
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=self.device)
        return tokens, mask

    # --- scoring ------------------------------------------------------------------------------

    def score(
        self,
        questions: Sequence[str],
        completions: Sequence[str | Sequence[int]],
        *,
        top: int = 0,
        entropy: bool = False,
        adapted: bool = False,
        bf16: bool = False,
    ) -> list[Score]:
        """ℓ and embedding of each completion given q(x), under the frozen backbone, from one forward.

        ℓ is the mean −log p of the completion's tokens in nats, end-of-turn left out; the embedding is
        the mean last hidden state over the same tokens. `top` > 0 adds per-token surprisal with that
        many alternatives, `entropy` that of the next token. `adapted` leaves the adapter on. A question with several completions is read once; rows go in batches of like
        length; logits are made for completion tokens only, a chunk at a time. `bf16` computes under
        autocast: faster, |Δℓ| of about 1e-2.
        """
        prompts = {question: tuple(self.prompt_ids(question)) for question in dict.fromkeys(questions)}
        asked = [(prompts[q], tuple(self.completion_ids(c))) for q, c in zip(questions, completions, strict=True)]
        rows = list(dict.fromkeys(asked))  # the same text twice costs once, and ties stay exact
        scores: dict[Row, Score] = {}
        with self.frozen(adapted) as model, torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
            core = self._core(model)
            shared = 2 * len({prompt for prompt, _ in rows}) <= len(rows) and _reads_ahead(core)
            read = self._read_prompts_once if shared else self._read_whole_rows
            for batch, states in read(core, rows):
                scores |= zip(batch, self._score_batch(core, states, batch, top, entropy), strict=True)
        return [scores[row] for row in asked]

    def next_token_probabilities(self, users: Sequence[str], choices: Sequence[Sequence[int]]) -> np.ndarray:
        """Probability that the frozen backbone's answer to each user turn begins with one of the ids of
        each choice, shape (N, C)."""
        rows: list[Row] = [(tuple(self.prompt_ids(user)), ()) for user in users]
        found: dict[Row, tuple[float, ...]] = {}
        with self.frozen() as model:
            core = self._core(model)
            for batch, states in self._read_whole_rows(core, list(dict.fromkeys(rows))):
                probabilities_BV = self._logits(core, torch.cat(states)).softmax(-1)
                sums = [probabilities_BV[:, list(ids)].sum(-1).tolist() for ids in choices]
                found |= zip(batch, zip(*sums, strict=True), strict=True)
        return np.array([found[row] for row in rows]).reshape(len(rows), len(choices))

    def _read_whole_rows(self, core, rows: list[Row]) -> Iterator[tuple[list[Row], list[torch.Tensor]]]:
        """Batches of rows with each row's last hidden states from its last prompt token on, shape (T + 1, D)."""
        for batch in _in_batches(sorted(rows, key=lambda row: len(row[0]) + len(row[1])), self._scoring_rows):
            # Padding stands on the right of causal rows, where no real token can see it: no mask is needed.
            tokens_BT = self._right_padded([prompt + target for prompt, target in batch])
            hidden_BTD = core.base_model(input_ids=tokens_BT, use_cache=False).last_hidden_state
            yield (
                batch,
                [
                    hidden_TD[len(prompt) - 1 : len(prompt) + len(target)]
                    for hidden_TD, (prompt, target) in zip(hidden_BTD, batch, strict=True)
                ],
            )

    def _read_prompts_once(self, core, rows: list[Row]) -> Iterator[tuple[list[Row], list[torch.Tensor]]]:
        """The same; the keys and values of each distinct prompt serve all its completions."""
        for prompts in _in_batches(sorted({prompt for prompt, _ in rows}, key=len), self._scoring_rows):
            place = {prompt: i for i, prompt in enumerate(prompts)}
            # Left padding leaves no gap between prompt and completion, so sliding windows stay exact.
            tokens_PT, mask_PT = self._left_padded(prompts)
            read = core.base_model(
                input_ids=tokens_PT,
                attention_mask=mask_PT,
                position_ids=(mask_PT.cumsum(-1) - 1).clamp(min=0),
                use_cache=True,
            )
            theirs = sorted((row for row in rows if row[0] in place), key=lambda row: len(row[1]))
            for batch in _in_batches(theirs, self._scoring_rows):
                of_row = torch.tensor([place[prompt] for prompt, _ in batch], device=self.device)
                last_B1D = read.last_hidden_state[of_row, -1:]
                width = max(len(target) for _, target in batch)
                if width == 0:
                    yield batch, list(last_B1D)
                    continue
                start_B1 = torch.tensor([[len(prompt)] for prompt, _ in batch], device=self.device)
                hidden_BTD = core.base_model(
                    input_ids=self._right_padded([target for _, target in batch]),
                    attention_mask=torch.cat([mask_PT[of_row], mask_PT.new_ones(len(batch), width)], dim=1),
                    position_ids=start_B1 + torch.arange(width, device=self.device),
                    past_key_values=_SharedPrompts(read.past_key_values, of_row),
                    use_cache=True,
                ).last_hidden_state
                hidden_BTD = torch.cat([last_B1D, hidden_BTD], dim=1)
                yield (
                    batch,
                    [hidden_TD[: 1 + len(target)] for hidden_TD, (_, target) in zip(hidden_BTD, batch, strict=True)],
                )

    @property
    def _scoring_rows(self) -> int:
        """Rows of one scoring forward."""
        if self.device.type != "cpu":
            return ROWS_ON_GPU
        if not torch.is_autocast_enabled("cpu"):
            return ROWS_ON_CPU
        return max(ROWS_ON_CPU, WIDTH_IN_BF16 // self.model.config.get_text_config().hidden_size)

    def _right_padded(self, rows: Sequence[Sequence[int]]) -> torch.Tensor:
        width, pad = max(map(len, rows)), self.tokenizer.pad_token_id
        return torch.tensor([[*row, *[pad] * (width - len(row))] for row in rows], device=self.device)

    def _score_batch(self, core, states: list[torch.Tensor], rows: list[Row], top: int, entropy: bool) -> list[Score]:
        lengths = [len(target) + 1 for _, target in rows]
        ids = [i for _, target in rows for i in (*target, END)]
        surprisal_N, entropy_N, tokens = self._surprisal(core, torch.cat(states), ids, top, entropy)
        scores, end = [], 0
        split = zip(states, lengths, surprisal_N.split(lengths), strict=True)
        for hidden_TD, length, nll_T in split:
            start, end = end, end + length
            read = nll_T.cpu().numpy(), entropy_N[start:end].cpu().numpy()
            if length == 1:
                scores.append(Score(float("nan"), np.zeros(hidden_TD.shape[-1]), *read))
                continue
            embedding = hidden_TD[1:].float().mean(0).cpu().numpy()
            scores.append(Score(float(nll_T[:-1].mean()), embedding, *read, tuple(tokens[start : end - 1])))
        return scores

    def _logits(self, core, hidden_TD: torch.Tensor) -> torch.Tensor:
        """What the model's own forward makes of its last hidden state, as float32 of shape (T, V)."""
        logits = core.get_output_embeddings()(hidden_TD).float()
        text = core.config.get_text_config()
        if scale := getattr(text, "logit_scale", None):  # Cohere
            logits = logits * scale
        if scale := getattr(text, "logits_scaling", None):  # Granite
            logits = logits / scale
        if cap := getattr(text, "final_logit_softcapping", None):  # Gemma 2
            logits = torch.tanh(logits / cap) * cap
        return logits

    def _surprisal(
        self, core, hidden_TD: torch.Tensor, ids: list[int], top: int, entropy: bool
    ) -> tuple[torch.Tensor, torch.Tensor, list[TokenSurprisal]]:
        """−log p of each id after its hidden state and, when asked for, the entropy there, each of shape (T,), and
        the tokens with `top` alternatives. The id END is any token that ends the turn."""
        ids_T = torch.tensor(ids, dtype=torch.long, device=hidden_TD.device)
        step = max(1, LOGITS_PER_CHUNK // core.config.get_text_config().vocab_size)
        stops = [i for i in self.stop_ids if i < core.config.get_text_config().vocab_size]
        surprisal, entropies = [], [hidden_TD.new_zeros(0, dtype=torch.float32)]
        tokens: list[TokenSurprisal] = []
        for start in range(0, len(ids), step):
            logits_TV = self._logits(core, hidden_TD[start : start + step])
            ends, chunk = ids_T[start : start + step] == END, ids_T[start : start + step].clamp(min=0)
            nll = torch.nn.functional.cross_entropy(logits_TV, chunk, reduction="none")
            nll[ends] = logits_TV[ends].logsumexp(-1) - logits_TV[ends][:, stops].logsumexp(-1)
            surprisal.append(nll)
            if entropy:
                logp_TV = logits_TV.log_softmax(-1)
                entropies.append(-(logp_TV.exp() * logp_TV).sum(-1))
            if top:
                tokens += self._alternatives(chunk.tolist(), nll.tolist(), logits_TV.softmax(-1).topk(top, dim=-1))
        return torch.cat(surprisal), torch.cat(entropies), tokens

    def _alternatives(self, ids: list[int], surprisal: list[float], best) -> list[TokenSurprisal]:
        piece = self.tokenizer.decode
        return [
            TokenSurprisal(piece([i]), nll, tuple((piece([a]), p) for a, p in zip(others, probs, strict=True)))
            for i, nll, others, probs in zip(ids, surprisal, best.indices.tolist(), best.values.tolist(), strict=True)
        ]
