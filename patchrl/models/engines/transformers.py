"""The engine in this process: batches by length on the backbone's own weights, each prompt read once for all its samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from transformers import LogitsProcessor, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

from patchrl.models.engines.drawing import Drawn, Draws
from patchrl.models.engines.interface import Keep, Sample, SampleRequest, Watch
from patchrl.models.engines.static_decoding import StaticDecoder, decodes_statically, rows_that_fit
from patchrl.models.kv_cache import preallocated_cache
from patchrl.models.scoring import Reading, core_of, left_padded, reads_ahead

TOKENS_PER_BATCH = 32_768  # padded tokens in one generation batch
ROWS_PER_BATCH = 256
STATIC_ROWS = 512  # in one batch where the GPU decodes from a static cache
PARAMETER_TOKENS_KEPT = 5e11  # parameters × tokens sampled on a CPU and kept in one piece: about 40 s on two cores


class _WatchCriteria(StoppingCriteria):
    """Shows the completions to a `Watch` after every token."""

    def __init__(self, watch: Watch, prompt_width: int) -> None:
        self.watch, self.prompt_width = watch, prompt_width

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        ended = self.watch(input_ids[:, self.prompt_width :])
        return torch.full((len(input_ids),), ended, dtype=torch.bool, device=input_ids.device)


class _LogProbabilities(LogitsProcessor):
    """Adds up −log p of what is sampled, from the logits as the model gave them: no further forward is needed."""

    def __init__(self, stop_ids: set[int]) -> None:
        self.stop_ids = sorted(stop_ids)
        self._last_BV: torch.Tensor | None = None
        self._nll_B = self._open_B = torch.zeros(0)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        self._add(input_ids)
        self._last_BV = scores.float().log_softmax(-1)
        return scores

    def _add(self, ids_BT: torch.Tensor) -> None:
        """Count the last token of rows that have not ended."""
        if self._last_BV is None:
            self._nll_B = torch.zeros(len(ids_BT), device=ids_BT.device)
            self._open_B = torch.ones_like(self._nll_B, dtype=torch.bool)
            return
        token_B = ids_BT[:, -1]
        stops = torch.tensor([i for i in self.stop_ids if i < self._last_BV.shape[-1]], device=ids_BT.device)
        ends_B = torch.isin(token_B, stops)
        chosen_B = self._last_BV.gather(1, token_B[:, None])[:, 0]
        chosen_B = torch.where(ends_B, self._last_BV[:, stops].logsumexp(-1), chosen_B)
        self._nll_B -= torch.where(self._open_B, chosen_B, 0.0)
        self._open_B &= ~ends_B

    def of(self, out_BT: torch.Tensor) -> list[float]:
        """−log p of every row of what was generated; NaN where it did not end."""
        self._add(out_BT)
        return self._nll_B.masked_fill(self._open_B, math.nan).tolist()


class TransformersEngine:
    """Samples from `model`, its adapter as it is found; `tokenizer` pads, `stop_ids` end a turn."""

    def __init__(self, model: Any, tokenizer: Any, stop_ids: set[int], reading: Reading) -> None:
        self.model, self.stop_ids, self.reading = model, stop_ids, reading
        self.pad, self.device = tokenizer.pad_token_id, next(model.parameters()).device
        self.static = reading == "shared prompts" and decodes_statically(core_of(model), self.device)

    def sample(
        self,
        prompts: Sequence[list[int]],
        request: SampleRequest,
        seed: int,
        on_progress: Callable[[int], None] | None = None,
        keep: Keep | None = None,
    ) -> list[list[Sample]]:
        """The completions of each prompt's ids, a batch at a time, which has a seed of its own (`interface.Engine`).

        Of prompts outside `request.part` there are none.
        """
        order = sorted(range(len(prompts)), key=lambda i: -len(prompts[i]))
        answers: list[list[Sample]] = [[] for _ in prompts]
        sampled = 0
        while sampled < len(order):
            rows = self._rows(len(prompts[order[sampled]]), request, keep is not None)
            batch = order[sampled : sampled + max(1, rows // request.samples)]
            own = [place for place, i in enumerate(batch) if request.part is None or i in request.part]
            ids, batch_seed = [prompts[i] for i in batch], seed + sampled
            make = partial(self._sample_batch, ids, request, batch_seed, own)
            groups = make() if keep is None else keep(request.source(ids, batch_seed), make)
            for i, group in zip([batch[place] for place in own], groups, strict=True):
                answers[i] = [(completion, nll) for completion, nll in group]
            sampled += len(batch)
            if on_progress:
                on_progress(sampled)
        return answers

    def _rows(self, prompt_tokens: int, request: SampleRequest, kept: bool) -> int:
        """Rows in one batch; on a CPU, one that is kept must not take long."""
        width = prompt_tokens + request.max_new_tokens
        if self.static:
            return min(STATIC_ROWS, rows_that_fit(core_of(self.model), width, self.device))
        rows = min(ROWS_PER_BATCH, TOKENS_PER_BATCH // width)
        if kept and self.device.type == "cpu":
            parameters = sum(weights.numel() for weights in self.model.parameters())
            rows = min(rows, int(PARAMETER_TOKENS_KEPT / (parameters * request.max_new_tokens)))
        return rows

    def _sample_batch(
        self, prompts: list[list[int]], request: SampleRequest, seed: int, own: list[int]
    ) -> list[list[Sample]]:
        """The completions of those prompts of a batch whose places are `own`."""
        if not own:
            return []
        tokens_PT, mask_PT = left_padded([prompts[place] for place in own], self.pad, self.device)
        rows, samples = len(prompts) * request.samples, request.samples
        own_rows = [place * samples + k for place in own for k in range(samples)] if len(own) < len(prompts) else None
        draws = Draws(request, seed, self.device, rows, own_rows)
        if self.static:
            with torch.no_grad():
                decoder = StaticDecoder(self.model, self.pad, self.stop_ids)
                completions_BT, nll = decoder.decode(tokens_PT, mask_PT, request, draws)
        else:
            shared = None if own_rows is None else draws
            completions_BT, nll = self._generate(tokens_PT, mask_PT, request, seed, shared)
        groups: list[list[Sample]] = [[] for _ in own]
        for row, ids in enumerate(completions_BT.tolist()):
            end = next((i for i, token in enumerate(ids) if token in self.stop_ids), len(ids))
            groups[row // request.samples].append((ids[: end + 1], nll[row]))
        return groups

    def _generate(
        self,
        tokens_BT: torch.Tensor,
        mask_BT: torch.Tensor,
        request: SampleRequest,
        seed: int,
        draws: Draws | None = None,
    ) -> tuple[torch.Tensor, list[float]]:
        """Completions by Transformers' own loop, as `StaticDecoder.decode` returns them; `draws` draws as that loop would in
        the whole batch."""
        watched = StoppingCriteriaList([_WatchCriteria(request.watch, tokens_BT.shape[1])] if request.watch else [])
        log_probabilities = [_LogProbabilities(self.stop_ids)] if request.with_nll else []
        drawn = [Drawn(draws)] if draws else []
        # The model's own generation defaults (top-k 50 and the like) would bend the distribution.
        sampling = {"do_sample": True, "temperature": request.temperature, "top_k": 0, "top_p": request.top_p}
        with torch.random.fork_rng(enabled=True), torch.no_grad():
            torch.manual_seed(seed)
            out = self.model.generate(
                input_ids=tokens_BT.repeat_interleave(request.samples, 0),
                attention_mask=mask_BT.repeat_interleave(request.samples, 0),
                max_new_tokens=request.max_new_tokens,
                pad_token_id=self.pad,
                eos_token_id=sorted(self.stop_ids),
                stopping_criteria=watched,
                logits_processor=LogitsProcessorList([*log_probabilities, *drawn]),
                **self._read_ahead(tokens_BT, mask_BT, request.samples),
                **(sampling if request.temperature > 0 else {"do_sample": False}),
            )
        nll = log_probabilities[0].of(out) if log_probabilities else [math.nan] * len(out)
        return out[:, tokens_BT.shape[1] :], nll

    def _read_ahead(self, tokens_BT: torch.Tensor, mask_BT: torch.Tensor, samples: int) -> dict[str, Any]:
        """A cache that holds each prompt but its last token, read once for all its samples; nothing where a model
        cannot continue one."""
        core = core_of(self.model)
        if self.reading != "shared prompts" or not reads_ahead(core):
            return {}
        cache = preallocated_cache(core.config.get_text_config())
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
