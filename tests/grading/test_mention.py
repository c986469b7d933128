"""`mention`: the first sentence of an answer names the reference; for evaluation items of chatty backbones."""

import pytest

from patchrl.config import resolve
from patchrl.errors import ConfigError
from patchrl.grading.verify import verify_answer


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        ("Paris", "Paris"),
        ("Paris", "The capital of France is Paris, which is located in Europe. It has 2 million inhabitants."),
        ("New York City", "The Statue of Liberty is located in New York City, New York."),
        ("cold", 'The opposite of hot is "cold". This is a fundamental concept.'),
        ("H2O", "The chemical formula of water is H2O."),
    ],
)
def test_a_first_sentence_that_names_the_reference_passes(reference, text):
    assert verify_answer("mention", reference, text).passed


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        ("Paris", "France is a country in Europe. Its capital is Paris."),
        ("Paris", "It is Lyon.\nParis is the second city."),
        ("Paris", "It is not Paris."),
        ("Paris", "It isn't Paris."),
        ("Oman", "It lies beside the Romans' Omani coast."),
        ("fruit", "A fruitcake."),
        ("Paris", "40 / 2 = 20\n#### 20"),
        ("Paris", ""),
    ],
)
def test_another_one_does_not(reference, text):
    assert not verify_answer("mention", reference, text).passed


def test_training_data_cannot_be_judged_by_it():
    """A rewrite that names the answer somewhere says nothing of its reasoning."""
    with pytest.raises(ConfigError, match=r"data\.task"):
        resolve({"data": {"task": "mention"}})
