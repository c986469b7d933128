"""What diversity and meaning are measured with."""

import numpy as np
import pytest
from helpers import tiny

from patchrl.errors import BackboneError
from patchrl.models.embeddings import Embedder
from patchrl.models.scoring import Score

SCORES = [Score(1.0, np.array([1.0, 0.0])), Score(2.0, np.array([0.0, 1.0]))]


def test_the_backbone_embeds_with_what_scoring_gave():
    assert Embedder().embed(["a", "b"], SCORES).tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_a_sentence_transformers_folder_reads_the_text_alone(tmp_path):
    embedder = Embedder(str(tiny.sentence_model(tmp_path)), "cpu")
    first, second, again = embedder.embed(
        ["Ana has 3 apples.", "The sky is blue.", "Ana has 3 apples."], SCORES + SCORES[:1]
    )
    assert first.shape == (16,)
    assert np.allclose(first, again, atol=1e-6) and not np.allclose(first, second, atol=1e-3)


def test_an_embedder_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(BackboneError, match=r"reward\.embedder: .* could not be loaded"):
        Embedder(str(tmp_path / "nothing"), "cpu")
