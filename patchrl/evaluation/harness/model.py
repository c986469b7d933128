"""The backbone as lm-evaluation-harness sees it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from lm_eval.models.utils import normalize_gen_kwargs

from patchrl.models.backbone import Backbone
from patchrl.models.pieces import made_now
from patchrl.models.prompts import MARK
from patchrl.models.scoring import in_batches

ProgressCallback = Callable[[int, int], None]  # requests done, and in all
LIKELIHOOD_TOKENS = 1024  # tokens of a likelihood request
# Rows × tokens × vocabulary of one likelihood forward: the harness makes all its logits at once.
LOGITS_ON_CPU, LOGITS_ON_GPU = 2**28, 2**31
MAX_BATCH_ROWS = 64
LIKELIHOOD_PIECE = 64  # requests that are kept together
STOP_CHECK_TOKENS = 8  # tokens between two looks for a stop sequence


class StopSequences:
    """Ends a batch once every row of it has ended or contains a stop sequence; `name` says which these are."""

    def __init__(self, stops: Sequence[str], backbone: Backbone) -> None:
        self.name, self.stops = json.dumps(stops), stops
        self.ends, self.tokenizer = backbone.stop_ids, backbone.tokenizer

    def __call__(self, tokens_BT: torch.Tensor) -> bool:
        if tokens_BT.shape[1] % STOP_CHECK_TOKENS:
            return False
        open_rows = [row for row in tokens_BT.tolist() if not self.ends.intersection(row)]
        return all(any(stop in text for stop in self.stops) for text in self.tokenizer.batch_decode(open_rows))


class HarnessModel(HFLM):
    """Answers by `Backbone`, so that they are those of our own evaluation; likelihoods by the harness's own code.

    Answers are greedy whatever a task says, and may be at least `max_new_tokens` long. After a run, `clipped`
    holds the prompts whose answer ended only by that limit, `shortened` those that lost their beginning
    because they did not fit the context.
    """

    def __init__(self, backbone: Backbone, max_new_tokens: int, on_progress: ProgressCallback) -> None:
        vocabulary = backbone.model.get_output_embeddings().weight.shape[0]
        logits = LOGITS_ON_CPU if backbone.device.type == "cpu" else LOGITS_ON_GPU
        rows = max(1, min(MAX_BATCH_ROWS, logits // (LIKELIHOOD_TOKENS * vocabulary)))
        super().__init__(pretrained=backbone.model, tokenizer=backbone.tokenizer, backend="causal", batch_size=rows)
        self.backbone, self.max_new_tokens, self.on_progress = backbone, max_new_tokens, on_progress
        self.clipped: set[str] = set()
        self.shortened: set[str] = set()
        self._done = self._total = 0
        self.set_cache_hook(self)  # the harness tells it of every answer

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """The prompt of a conversation as the backbone writes it, with marks around special tokens that data spells."""
        return self.backbone.format.marked_prompt(chat_history)

    def tok_encode(self, string: str, *args: Any, **options: Any) -> list[int]:
        """Token ids of a text; what is marked in it is plain text."""
        return self.backbone.format.ids(string) if MARK in string else super().tok_encode(string, *args, **options)

    def add_partial(self, attr: str, request: Any, answer: Any) -> None:
        """Called by the harness after every likelihood."""
        self._advance(1)

    def _advance(self, count: int) -> None:
        self._done += count
        self.on_progress(self._done, self._total)

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = True) -> list[tuple[float, bool]]:
        self._done, self._total = 0, len(requests)
        keep, answers = self.backbone.keep or made_now, []
        for piece in in_batches(requests, LIKELIHOOD_PIECE):
            finished = self._done
            likelihood = partial(super().loglikelihood, piece, disable_tqdm=True)
            kept = keep(["likelihood", [request.args for request in piece]], likelihood)
            answers += [(float(nll), bool(greedy)) for nll, greedy in kept]
            self._advance(finished + len(piece) - self._done)  # what was kept was not counted
        return answers

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = True) -> list[str]:
        """A greedy answer to each request, cut at its first stop sequence."""
        self._done, self._total = 0, len(requests)
        by_options: dict[str, list[int]] = defaultdict(list)
        for i, request in enumerate(requests):
            by_options[json.dumps(request.args[1], sort_keys=True, default=str)].append(i)
        answers = [""] * len(requests)
        for rows in by_options.values():
            options = normalize_gen_kwargs(requests[rows[0]].args[1], self.max_new_tokens)
            length = max(options["max_gen_toks"], self.max_new_tokens)
            prompts = list(dict.fromkeys(requests[i].args[0] for i in rows))  # greedy repeats are the same
            completions = dict(zip(prompts, self._answers(prompts, options["until"], length), strict=True))
            for i in rows:
                answers[i] = completions[requests[i].args[0]]
            self._advance(len(rows))
        return answers

    def _answers(self, prompts: Sequence[str], stops: Sequence[str], length: int) -> list[str]:
        stops = [stop for stop in stops if stop]
        length = min(length, self.max_length // 2)  # a model of short context keeps half of it for the prompt
        finished = self._done
        groups = self.backbone.complete(
            [self._prompt_ids(prompt, self.max_length - length) for prompt in prompts],
            max_new_tokens=length,
            on_progress=lambda done: self.on_progress(finished + done, self._total),
            watch=StopSequences(stops, self.backbone) if stops else None,
        )
        texts = []
        for prompt, (generation,) in zip(prompts, groups, strict=True):
            ends = [at for stop in stops if (at := generation.text.find(stop)) >= 0]
            if generation.clipped and not ends:
                self.clipped.add(prompt)
            texts.append(generation.text[: min(ends, default=None)])
        return texts

    def _prompt_ids(self, prompt: str, room: int) -> list[int]:
        templated = bool(self.tokenizer.chat_template)  # a template brings its own beginning
        ids = self.backbone.format.ids(prompt if templated else self.backbone.format.begin + prompt)
        if len(ids) > room:
            self.shortened.add(prompt)
        return ids[-room:]
