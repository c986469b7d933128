"""Text embeddings, for diversity and for meaning: the backbone's own, or a sentence-transformers model's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from patchrl.errors import BackboneError
from patchrl.models.backbone import pick_device
from patchrl.models.hub_access import hub_access
from patchrl.models.scoring import Score


class Embedder:
    """`backbone` takes the mean last hidden state that scoring gives anyway; any other name is a
    sentence-transformers model (folder or Hub id), which reads the text alone."""

    def __init__(self, name: str = "backbone", device: str = "auto") -> None:
        """Raises BackboneError when the model cannot be loaded."""
        self._model: Any = None
        if name == "backbone":
            return
        from sentence_transformers import SentenceTransformer

        try:
            with hub_access():
                self._model = SentenceTransformer(name, device=str(pick_device(device)), trust_remote_code=False)
        except (OSError, ValueError, KeyError) as error:
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise BackboneError(f"reward.embedder: {name!r} could not be loaded: {first}") from error

    def embed(self, texts: Sequence[str], scores: Sequence[Score]) -> np.ndarray:
        """Vectors of shape (N, D); `scores` are those of the same texts."""
        if self._model is None:
            return np.stack([score.embedding for score in scores])
        return self._model.encode(list(texts), convert_to_numpy=True, show_progress_bar=False)
