"""Verifiers that a module's tests share: with the equation check, and of answers alone."""

import pytest

from patchrl.grading.verify import Verifier


@pytest.fixture(scope="module")
def verifier():
    with Verifier(reasoning="equations") as fixture:
        yield fixture


@pytest.fixture(scope="module")
def answers():
    with Verifier(reasoning="none") as fixture:
        yield fixture
