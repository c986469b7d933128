"""Decoding on a GPU with a static cache: the kernels of one token are captured as a CUDA graph and launched at once."""

from __future__ import annotations

import math
from typing import Any

import torch
from transformers import DynamicCache, StaticCache
from transformers.cache_utils import DynamicLayer

from patchrl.errors import BackboneError
from patchrl.models.engines.drawing import Draws
from patchrl.models.engines.interface import SampleRequest
from patchrl.models.scoring import core_of

TOKENS_BETWEEN_CHECKS = 8  # asking the GPU whether all rows have ended makes it wait
MEMORY_SHARE = 0.3  # of the free memory that keys, values and logits of one batch may take
LOGIT_COPIES = 6  # float32 tensors of shape (B, V) alive while a token is chosen


def decodes_statically(core: Any, device: torch.device) -> bool:
    """Whether a model can be decoded so: on CUDA, every layer attends to all tokens by a mask, no control flow by values."""
    masks = core.config.get_text_config()._attn_implementation in ("sdpa", "eager")
    full = all(type(layer) is DynamicLayer for layer in DynamicCache(config=core.config.get_text_config()).layers)
    return device.type == "cuda" and masks and full and getattr(core, "_can_compile_fullgraph", False)


def rows_that_fit(core: Any, width: int, device: torch.device) -> int:
    """Rows of `width` tokens whose keys, values and logits take MEMORY_SHARE of what is free on the GPU."""
    config = core.config.get_text_config()
    heads = config.num_attention_heads
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // heads
    key_value_heads = getattr(config, "num_key_value_heads", None) or heads
    cached = 2 * config.num_hidden_layers * key_value_heads * head_dim * next(core.parameters()).element_size()
    free = torch.cuda.mem_get_info(device)[0]
    return max(1, int(MEMORY_SHARE * free / (width * cached + config.vocab_size * 4 * LOGIT_COPIES)))


class StaticDecoder:
    """Samples a batch of left-padded prompts with `model`, its adapter as it is found.

    On CUDA every token after the second costs one launch; elsewhere each runs as it is, which serves tests.
    """

    def __init__(self, model: Any, pad: int, stop_ids: set[int]) -> None:
        self.model, self.pad = model, pad
        vocabulary = core_of(model).config.get_text_config().vocab_size
        self.device = next(model.parameters()).device
        self.stops = torch.tensor(sorted(i for i in stop_ids if i < vocabulary), device=self.device)

    def decode(
        self, tokens_PT: torch.Tensor, mask_PT: torch.Tensor, request: SampleRequest, draw: Draws
    ) -> tuple[torch.Tensor, list[float]]:
        """Completions of shape (P · samples, T), padded after their end, and −log p of each row at temperature 1 in nats,
        NaN where it did not end.

        Args:
            tokens_PT: Ids of P prompts, padded on the left; each is read once for all its samples.
            mask_PT: 1 where a token is real.
            draw: Draws the tokens.

        Raises BackboneError where the model's probabilities are not finite.
        """
        samples, max_new_tokens = request.samples, request.max_new_tokens
        logits_BV = self._read(tokens_PT, mask_PT, samples, max_new_tokens)
        rows = len(logits_BV)
        out_BT = torch.full((rows, max_new_tokens), self.pad, dtype=torch.long, device=self.device)
        nll_B, finite = torch.zeros(rows, device=self.device), torch.ones((), dtype=torch.bool, device=self.device)
        open_B = torch.ones(rows, dtype=torch.bool, device=self.device)
        length = max_new_tokens
        for step in range(max_new_tokens):
            logits_BV = logits_BV.float()
            finite &= logits_BV.isfinite().all()
            log_p_BV = logits_BV.log_softmax(-1)
            token_B = draw(logits_BV)
            ends_B = torch.isin(token_B, self.stops)
            chosen_B = log_p_BV.gather(1, token_B[:, None])[:, 0]
            chosen_B = torch.where(ends_B, log_p_BV[:, self.stops].logsumexp(-1), chosen_B)
            nll_B -= torch.where(open_B, chosen_B, 0.0)
            out_BT[:, step] = torch.where(open_B, token_B, self.pad)
            open_B = open_B & ~ends_B
            last = step + 1 == max_new_tokens
            if request.watch is not None and request.watch(out_BT[:, : step + 1]):
                last = True
            elif step % TOKENS_BETWEEN_CHECKS == 0 or last:
                if not bool(finite):
                    raise BackboneError(
                        f"backbone: the probabilities of token {step + 1} are not finite; "
                        "set backbone.dtype to float32, or lower the learning rate."
                    )
                last = last or not bool(open_B.any())
            if last:
                length = step + 1
                break
            logits_BV = self._next(token_B)
        nll = nll_B.masked_fill(open_B, math.nan).tolist()
        return out_BT[:, :length], nll if request.with_nll else [math.nan] * rows

    def _read(self, tokens_PT: torch.Tensor, mask_PT: torch.Tensor, samples: int, more: int) -> torch.Tensor:
        """Read the prompts into a static cache with room for `more` tokens; returns the logits after them, (B, V)."""
        config = core_of(self.model).config.get_text_config()
        positions_PT = (mask_PT.cumsum(-1) - 1).clamp(min=0)
        output = self.model(
            input_ids=tokens_PT,
            attention_mask=mask_PT,
            position_ids=positions_PT,
            past_key_values=DynamicCache(config=config),
            use_cache=True,
            logits_to_keep=1,
        )
        width = tokens_PT.shape[1]
        cache = StaticCache(config, max_cache_len=width + more)
        for layer, read in zip(cache.layers, output.past_key_values.layers, strict=True):
            shape = (len(tokens_PT) * samples, *read.keys.shape[1:])
            layer.lazy_initialization(read.keys.new_empty(shape), read.values.new_empty(shape))
            layer.keys[:, :, :width] = read.keys.repeat_interleave(samples, 0)
            layer.values[:, :, :width] = read.values.repeat_interleave(samples, 0)
            layer.cumulative_length.fill_(width)
        mask_BL = torch.zeros(len(tokens_PT) * samples, width + more, dtype=torch.bool, device=self.device)
        mask_BL[:, :width] = mask_PT.bool().repeat_interleave(samples, 0)
        self._cache, self._mask_BL, self._position = cache, mask_BL, width
        self._token_B1 = torch.zeros(len(mask_BL), 1, dtype=torch.long, device=self.device)
        self._position_B1 = positions_PT[:, -1:].repeat_interleave(samples, 0)
        self._graph: torch.cuda.CUDAGraph | None = None
        self._steps = 0
        return output.logits[:, -1].repeat_interleave(samples, 0)

    def _next(self, token_B: torch.Tensor) -> torch.Tensor:
        """The logits after one more token of each row, shape (B, V)."""
        self._token_B1.copy_(token_B[:, None])
        self._position_B1 += 1
        self._mask_BL[:, self._position] = True
        self._position += 1
        self._steps += 1
        if self.device.type != "cuda" or self._steps == 1:  # the first makes all that a capture must not
            return self._forward()
        if self._graph is None:
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._logits_BV = self._forward()
        self._graph.replay()
        return self._logits_BV

    def _forward(self) -> torch.Tensor:
        output = self.model(
            input_ids=self._token_B1,
            attention_mask=self._mask_BL[:, None, None, :],
            position_ids=self._position_B1,
            past_key_values=self._cache,
            use_cache=True,
        )
        return output.logits[:, -1]
