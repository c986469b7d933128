"""ℓ, embeddings and next-token probabilities of rows of token ids under a causal LM, in few forwards."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from transformers import DynamicCache

from patchrl.types import TokenSurprisal

Reading = Literal["shared prompts", "whole rows", "own forward"]

ROWS_ON_GPU = 128  # in one forward
ROWS_ON_CPU = 5  # in float32 these keep a CPU busy and take little memory beside the weights
WIDTH_IN_BF16 = 5120  # rows × hidden size on a CPU under bfloat16, whose faster products want more
PIECE_BATCHES = 2  # forwards whose rows are one piece
# 64 MB of float32: glibc maps blocks over 32 MiB and gives them back; just below, its heap kept every chunk (9 GB).
LOGITS_PER_CHUNK = 16_000_000
END_OF_TURN = -1  # the end of the turn, among token ids
# How rows are read: each prompt once for all its completions; each row whole; or by the model's own forward. The first two
# put the base model's hidden states through the output head themselves, for the tokens of completions only.
READINGS: tuple[Reading, ...] = ("shared prompts", "whole rows", "own forward")
# Nats by which a reading may differ from the model's own forward.
TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.1}

T = TypeVar("T")
# A batch of rows with, of each row from its last prompt token on, the last hidden states (T + 1, D) and, where the model's
# own forward made them, the logits (T + 1, V).
Batch = tuple[list["TokenRow"], list[torch.Tensor], list[torch.Tensor] | None]
TokenRow = tuple[tuple[int, ...], tuple[int, ...]]  # token ids of a prompt and of a completion
Piece = tuple[
    list[tuple[int, ...]], list[TokenRow]
]  # rows, with their prompts where each is read once for all its rows


@dataclass(frozen=True)
class Score:
    """ℓ of one completion in nats per token (NaN when it has no tokens), its embedding of shape (D,), the surprisal
    of each of its T tokens and of the end of the turn after them in nats, shape (T + 1,), and its tokens when asked for."""

    nll: float
    embedding: np.ndarray
    surprisal: np.ndarray = field(default_factory=lambda: np.zeros(0))
    tokens: tuple[TokenSurprisal, ...] = ()


class SharedPrompts(DynamicCache):
    """Keys and values of a few prompts, each read by many rows: lent to a layer while it works, never grown; with gradient
    where the prompts were read with one."""

    def __init__(self, cache: DynamicCache, of_row: torch.Tensor) -> None:
        super().__init__()
        self.layers, self.of_row = cache.layers, of_row

    def update(self, key_states, value_states, layer_idx: int, *args, **kwargs) -> tuple[torch.Tensor, torch.Tensor]:
        layer: Any = self.layers[layer_idx]
        return (
            torch.cat([layer.keys.index_select(0, self.of_row), key_states], dim=-2),
            torch.cat([layer.values.index_select(0, self.of_row), value_states], dim=-2),
        )


def core_of(model: Any) -> Any:
    """The causal LM itself, under whatever adapter is in it."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def gather_weights(model: Any) -> None:
    """Make weights that FSDP2 has divided among processes whole until the next backward pass, so that any part can be read.

    Where they are divided, all processes must call it.
    """
    if not hasattr(model, "unshard"):
        return
    model._get_fsdp_state()._lazy_init()  # else the part that is read first counts as the whole model
    for module in model.modules():
        if hasattr(module, "unshard"):
            module.unshard()


def reads_ahead(core: Any) -> bool:
    """Whether completions can continue a prompt's cache at given positions (not so in recurrent models)."""
    takes = inspect.signature(core.base_model.forward).parameters
    return not core._is_stateful and {"position_ids", "past_key_values", "attention_mask"} <= set(takes)


def logit_scale_and_cap(core: Any) -> tuple[float, float | None]:
    """By what a causal LM's own forward multiplies its logits, and the soft cap that it puts on them then."""
    text = core.config.get_text_config()
    scale = (getattr(text, "logit_scale", None) or 1.0) / (getattr(text, "logits_scaling", None) or 1.0)
    return scale, getattr(text, "final_logit_softcapping", None)  # Cohere, Granite; Gemma 2


def left_padded(rows: Sequence[Sequence[int]], pad: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask, each of shape (B, T)."""
    width = max(len(row) for row in rows)
    tokens = torch.tensor([[*[pad] * (width - len(row)), *row] for row in rows], device=device)
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=device)
    return tokens, mask


def in_batches(items: Sequence[T], size: int) -> Iterator[list[T]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])


def choose_reading(model: Any, tokenizer: Any, stop_ids: set[int], rows: list[TokenRow]) -> Reading:
    """The fastest reading that gives some rows the surprisal of the model's own forward, within TOLERANCE.

    A model's forward may do more than its base model and its output head do: scale or cap the logits, or read a prompt in
    another way than it continues one.

    Args:
        rows: Two completions of one prompt.
    """
    reference = Scorer(model, tokenizer, stop_ids, "own forward").scores(rows, 0)
    tolerance = TOLERANCE.get(next(model.parameters()).dtype, TOLERANCE[torch.bfloat16])
    for reading in READINGS[:-1]:
        try:
            scores = Scorer(model, tokenizer, stop_ids, reading).scores(rows, 0)
        except (TypeError, AttributeError, ValueError, RuntimeError, IndexError):
            continue  # this architecture cannot be read so
        if all(np.abs(scores[row].surprisal - reference[row].surprisal).max() <= tolerance for row in rows):
            return reading
    return READINGS[-1]


class Scorer:
    """Reads rows with `model`, its adapter as it is found; `tokenizer` pads and spells tokens, `stop_ids` end a turn."""

    def __init__(self, model: Any, tokenizer: Any, stop_ids: set[int], reading: Reading = READINGS[0]) -> None:
        self.core, self.stop_ids, self.reading = core_of(model), stop_ids, reading
        self.pad, self.decode = tokenizer.pad_token_id, tokenizer.decode
        self.device = next(model.parameters()).device

    def scores(self, rows: list[TokenRow], top: int) -> dict[TokenRow, Score]:
        """The score of each distinct row; a prompt with several completions is read once."""
        return {row: score for piece in self.pieces(rows) for row, score in self.piece_scores(piece, top).items()}

    def pieces(self, rows: list[TokenRow]) -> list[Piece]:
        """Distinct rows in pieces that are scored one by one; scores do not depend on where scoring begins."""
        prompts = {prompt for prompt, _ in rows}
        if 2 * len(prompts) <= len(rows) and self.reading == "shared prompts" and reads_ahead(self.core):
            pieces = []
            for members in in_batches(sorted(prompts, key=len), self._scoring_rows):
                pieces.append((members, [row for row in rows if row[0] in set(members)]))
            return pieces
        by_length = sorted(rows, key=lambda row: len(row[0]) + len(row[1]))
        return [([], piece) for piece in in_batches(by_length, self.piece_rows)]

    def piece_scores(self, piece: Piece, top: int) -> dict[TokenRow, Score]:
        """The score of each row of a piece."""
        prompts, rows = piece
        scores: dict[TokenRow, Score] = {}
        for batch, states, logits in self._read_prompts_once(prompts, rows) if prompts else self._read_whole_rows(rows):
            scores |= zip(batch, self._score_batch(states, logits, batch, top), strict=True)
        return scores

    def next_token(
        self, prompts: list[tuple[int, ...]], choices: Sequence[Sequence[int]]
    ) -> dict[tuple[int, ...], tuple[float, ...]]:
        """Of each distinct prompt the probability that one of the ids of each choice comes next."""
        probabilities: dict[tuple[int, ...], tuple[float, ...]] = {}
        for batch, states, logits in self._read_whole_rows([(prompt, ()) for prompt in prompts]):
            logits_BV = torch.cat(logits).float() if logits else self._logits(torch.cat(states))
            probabilities_BV = logits_BV.softmax(-1)
            sums = [probabilities_BV[:, list(ids)].sum(-1).tolist() for ids in choices]
            probabilities |= zip((prompt for prompt, _ in batch), zip(*sums, strict=True), strict=True)
        return probabilities

    def _read_whole_rows(self, rows: list[TokenRow]) -> Iterator[Batch]:
        """Batches of rows of like length, each row read from its beginning."""
        for batch in in_batches(sorted(rows, key=lambda row: len(row[0]) + len(row[1])), self._scoring_rows):
            # Padding is on the right of causal rows, where no real token can see it: no mask is needed.
            tokens_BT = self._right_padded([prompt + target for prompt, target in batch])
            parts = [slice(len(prompt) - 1, len(prompt) + len(target)) for prompt, target in batch]
            logits = None
            if self.reading == "own forward":
                output = self.core(input_ids=tokens_BT, use_cache=False, output_hidden_states=True)
                hidden_BTD = output.hidden_states[-1]
                logits = [logits_TV[part] for logits_TV, part in zip(output.logits, parts, strict=True)]
            else:
                hidden_BTD = self.core.base_model(input_ids=tokens_BT, use_cache=False).last_hidden_state
            yield batch, [hidden_TD[part] for hidden_TD, part in zip(hidden_BTD, parts, strict=True)], logits

    def _read_prompts_once(self, prompts: list[tuple[int, ...]], rows: list[TokenRow]) -> Iterator[Batch]:
        """Batches of rows; the keys and values of each of their distinct prompts serve all its completions."""
        index_of = {prompt: i for i, prompt in enumerate(prompts)}
        # Left padding leaves no gap between prompt and completion, so sliding windows stay exact.
        tokens_PT, mask_PT = left_padded(prompts, self.pad, self.device)
        output = self.core.base_model(
            input_ids=tokens_PT,
            attention_mask=mask_PT,
            position_ids=(mask_PT.cumsum(-1) - 1).clamp(min=0),
            use_cache=True,
        )
        for batch in in_batches(sorted(rows, key=lambda row: len(row[1])), self._scoring_rows):
            of_row = torch.tensor([index_of[prompt] for prompt, _ in batch], device=self.device)
            last_B1D = output.last_hidden_state[of_row, -1:]
            width = max(len(target) for _, target in batch)
            if width == 0:
                yield batch, list(last_B1D), None
                continue
            start_B1 = torch.tensor([[len(prompt)] for prompt, _ in batch], device=self.device)
            hidden_BTD = self.core.base_model(
                input_ids=self._right_padded([target for _, target in batch]),
                attention_mask=torch.cat([mask_PT[of_row], mask_PT.new_ones(len(batch), width)], dim=1),
                position_ids=start_B1 + torch.arange(width, device=self.device),
                past_key_values=SharedPrompts(output.past_key_values, of_row),
                use_cache=True,
            ).last_hidden_state
            hidden_BTD = torch.cat([last_B1D, hidden_BTD], dim=1)
            parts = [1 + len(target) for _, target in batch]
            yield batch, [hidden_TD[:part] for hidden_TD, part in zip(hidden_BTD, parts, strict=True)], None

    @property
    def piece_rows(self) -> int:
        """Rows of one piece where each is read whole."""
        return PIECE_BATCHES * self._scoring_rows

    @property
    def _scoring_rows(self) -> int:
        """Rows of one scoring forward."""
        if self.device.type != "cpu":
            return ROWS_ON_GPU
        if not torch.is_autocast_enabled("cpu"):
            return ROWS_ON_CPU
        return max(ROWS_ON_CPU, WIDTH_IN_BF16 // self.core.config.get_text_config().hidden_size)

    def _right_padded(self, rows: Sequence[Sequence[int]]) -> torch.Tensor:
        width = max(map(len, rows))
        return torch.tensor([[*row, *[self.pad] * (width - len(row))] for row in rows], device=self.device)

    def _score_batch(
        self, states: list[torch.Tensor], logits: list[torch.Tensor] | None, rows: list[TokenRow], top: int
    ) -> list[Score]:
        lengths = [len(target) + 1 for _, target in rows]
        ids = [i for _, target in rows for i in (*target, END_OF_TURN)]
        logits_NV = torch.cat(logits) if logits else None
        surprisal_N, tokens = self._surprisal(torch.cat(states), logits_NV, ids, top)
        scores, end = [], 0
        split = zip(states, lengths, surprisal_N.split(lengths), strict=True)
        for hidden_TD, length, nll_T in split:
            start, end = end, end + length
            surprisal_T = nll_T.cpu().numpy()
            if length == 1:
                scores.append(Score(float("nan"), np.zeros(hidden_TD.shape[-1]), surprisal_T))
                continue
            embedding = hidden_TD[1:].float().mean(0).cpu().numpy()
            scores.append(Score(float(nll_T[:-1].mean()), embedding, surprisal_T, tuple(tokens[start : end - 1])))
        return scores

    def _logits(self, hidden_TD: torch.Tensor) -> torch.Tensor:
        """What the model's own forward makes of its last hidden state, as float32 of shape (T, V)."""
        logits = self.core.get_output_embeddings()(hidden_TD).float()
        scale, cap = logit_scale_and_cap(self.core)
        logits = logits if scale == 1 else logits * scale
        return torch.tanh(logits / cap) * cap if cap else logits

    def _surprisal(
        self, hidden_TD: torch.Tensor, known_TV: torch.Tensor | None, ids: list[int], top: int
    ) -> tuple[torch.Tensor, list[TokenSurprisal]]:
        """−log p of each id after its hidden state, or after the logits that are known already, shape (T,), and the tokens
        with `top` alternatives.

        The id END_OF_TURN is any token that ends the turn.
        """
        ids_T = torch.tensor(ids, dtype=torch.long, device=hidden_TD.device)
        step = max(1, LOGITS_PER_CHUNK // self.core.config.get_text_config().vocab_size)
        stops = [i for i in self.stop_ids if i < self.core.config.get_text_config().vocab_size]
        surprisal: list[torch.Tensor] = []
        tokens: list[TokenSurprisal] = []
        for start in range(0, len(ids), step):
            part = slice(start, start + step)
            logits_TV = self._logits(hidden_TD[part]) if known_TV is None else known_TV[part].float()
            ends, chunk = ids_T[start : start + step] == END_OF_TURN, ids_T[start : start + step].clamp(min=0)
            nll = torch.nn.functional.cross_entropy(logits_TV, chunk, reduction="none")
            nll[ends] = logits_TV[ends].logsumexp(-1) - logits_TV[ends][:, stops].logsumexp(-1)
            surprisal.append(nll)
            if top:
                tokens += self._alternatives(chunk.tolist(), nll.tolist(), logits_TV.softmax(-1).topk(top, dim=-1))
        return torch.cat(surprisal), tokens

    def _alternatives(self, ids: list[int], surprisal: list[float], best) -> list[TokenSurprisal]:
        return [
            TokenSurprisal(
                self.decode([i]), nll, tuple((self.decode([a]), p) for a, p in zip(others, probs, strict=True))
            )
            for i, nll, others, probs in zip(ids, surprisal, best.indices.tolist(), best.values.tolist(), strict=True)
        ]
