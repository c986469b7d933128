"""The playground's chat: one question, answered by the backbone and by models that were fine-tuned from it."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from patchrl.config import BackboneSection
from patchrl.errors import BackboneError, ConfigError, StopRequested
from patchrl.models.backbone import Backbone
from patchrl.playground.groups import EMIT_SECONDS, Emit
from patchrl.types import ChatModel

MAX_TUNED = 2  # loaded at a time, beside the backbone


class TunedModels:
    """Fine-tuned models that are loaded when they are asked; the ones asked last stay."""

    def __init__(self) -> None:
        self._loaded: OrderedDict[tuple[str, int], Backbone] = OrderedDict()

    def holds(self, model: ChatModel) -> bool:
        """Whether a model is loaded."""
        return _version(model) in self._loaded

    def load(self, section: BackboneSection, model: ChatModel) -> Backbone:
        """A model, freshly loaded unless it is held; raises BackboneError where its weights cannot be read."""
        version = _version(model)
        if version not in self._loaded:
            while len(self._loaded) >= MAX_TUNED:
                self._loaded.popitem(last=False)
            tuned = section.model_copy(update={"model": model.weights, "revision": None})
            self._loaded[version] = Backbone.load(tuned)
        self._loaded.move_to_end(version)
        return self._loaded[version]


def _version(model: ChatModel) -> tuple[str, int]:
    """The folder of a model's weights, and when they were written."""
    folder = Path(model.weights or "")
    try:
        return str(folder), (folder / "config.json").stat().st_mtime_ns
    except OSError:
        raise BackboneError(f"{model.name}: its weights are gone; reload the page and choose another model.") from None


def answer_question(
    backbone: Backbone,
    question: str,
    model: ChatModel,
    options: dict[str, Any],
    *,
    emit: Emit,
    stopped: Callable[[], bool],
) -> dict[str, Any]:
    """One model's answer: its `text`, and whether it was `clipped` by the length limit.

    Args:
        backbone: The model, loaded; an adapter that it may carry is off.
        question: What it is asked; nothing else is before it.
        model: Its key and name, for the events.
        options: temperature, max_new_tokens and seed.
        emit: Gets the text so far (`writing`).
        stopped: Whether to end.

    Raises StopRequested as soon as `stopped()` says so, ConfigError for a question that leaves no room for an answer.
    """
    if not backbone.fits(question, options["max_new_tokens"]):
        raise ConfigError(f"Question: {model.name} has no room for an answer to so long a text; shorten it.")
    emitted = time.monotonic()

    def watch(ids_KT: torch.Tensor) -> bool:
        nonlocal emitted
        if time.monotonic() - emitted >= EMIT_SECONDS:
            emitted = time.monotonic()
            text = backbone.decode(backbone.completion_ids(ids_KT[0].tolist()))
            emit("writing", writer=model.key, name=model.name, texts=[text])
        return stopped()

    with backbone.frozen():
        ((generation,),) = backbone.generate([question], samples=1, watch=watch, **options)
    if stopped():
        raise StopRequested("Cancelled.")
    return {"text": generation.text, "clipped": generation.clipped}
