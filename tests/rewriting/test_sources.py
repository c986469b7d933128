"""Sources of targets on a backbone whose answers are written down: who is kept, who falls back, what it costs."""

import numpy as np
import pytest

from patchrl.config import resolve
from patchrl.models.scoring import Score
from patchrl.rewriting.dataset import drop_fallbacks
from patchrl.rewriting.sources import REWRITE_METHODS, best_feasible, first_passing, resample_own
from patchrl.types import Example, Generation, Verdict

EXAMPLES = [Example(str(n), f"q{n}", f"expert {n}", "right") for n in range(3)]


class Written:
    """Answers each prompt with the texts given for its question; the guided prompt holds the solution."""

    def __init__(self, own, guided):
        self.own, self.guided, self.asked = own, guided, []

    def generate(self, users, *, samples=1, seed=0, **settings):
        self.asked.append((len(users), samples, seed))
        made = []
        for user in users:
            guided = "Solution: " in user
            number = next(e.id for e in EXAMPLES if e.question in user)
            texts = (self.guided if guided else self.own)[int(number)][:samples]
            made.append([Generation(text, tuple(range(len(text.split())))) for text in texts])
        return made

    def completion_ids(self, completion):
        return completion.split()

    def score(self, questions, completions, **options):
        return [Score(float(len(c)), np.ones(2)) for c in completions]


class Gate:
    def __init__(self, backbone):
        self.backbone, self.embedder = backbone, self

    def embed(self, texts, scores):
        return np.ones((len(texts), 2))

    def check(self, examples, texts, embeddings=None):
        return [Verdict("right" in text, "") for text in texts]


OWN = [["wrong", "right own"], ["wrong", "wrong too"], ["wrong", "wrong"]]
GUIDED = [["right never asked", ""], ["wrong", "right guided answer"], ["wrong", "wrong"]]


def made(source, **rewrite):
    backbone = Written(OWN, GUIDED)
    config = resolve({"rewrite": {"best_of_k": 2, **rewrite}, "reward": {"alignment": "mean"}})
    rewrites, tokens = REWRITE_METHODS[source](config, Gate(backbone), EXAMPLES, 0, None)
    return backbone, rewrites, tokens


def test_mind_the_gap_asks_itself_then_with_the_solution_shown_then_takes_the_experts():
    backbone, rewrites, tokens = made("mind-the-gap")
    assert [r.target for r in rewrites] == ["right own", "right guided answer", "expert 2"]
    assert [r.origin for r in rewrites] == ["own", "guided", "guided"]
    assert [r.decision for r in rewrites] == ["accepted", "accepted", "fallback"]
    # Only the two unsolved are asked again, under another seed; every sampled token is paid for, ends included.
    assert [asked[:2] for asked in backbone.asked] == [(3, 2), (2, 2)]
    assert backbone.asked[0][2] != backbone.asked[1][2]
    assert tokens == sum(len(t.split()) + 1 for group in (*OWN, *GUIDED[1:]) for t in group)


def test_self_keeps_only_what_the_backbone_solves():
    backbone, rewrites, tokens = made("self", fallback="expert")
    assert [r.target for r in rewrites] == ["right own", None, None]
    assert [r.decision for r in rewrites] == ["accepted", "dropped", "dropped"]
    assert len(backbone.asked) == 1 and tokens == sum(len(t.split()) + 1 for group in OWN for t in group)


def test_resampled_answers_are_the_models_own_and_right():
    backbone = Written(OWN, GUIDED)
    config = resolve({"rewrite": {"best_of_k": 2}})
    pairs, tokens = resample_own(config, backbone, Gate(Written([], [])), EXAMPLES, 3)
    assert pairs == [("q0", "right own")]
    assert tokens == sum(len(t.split()) + 1 for group in OWN for t in group)


def test_best_of_k_takes_the_likeliest_that_passes_and_one_rewrite_the_only_one():
    _, rewrites, _ = made("best-of-k")
    assert [r.target for r in rewrites] == ["right never asked", "right guided answer", "expert 2"]
    _, rewrites, _ = made("prompted")
    assert [r.target for r in rewrites] == ["right never asked", "expert 1", "expert 2"]


def test_an_attempt_more_asks_only_for_what_failed():
    backbone, rewrites, _ = made("prompted", attempts=2)
    assert [asked[0] for asked in backbone.asked] == [3, 2]
    assert [r.attempts for r in rewrites] == [1, 2, 2]


@pytest.mark.parametrize(
    ("passed", "first", "best"), [([False, True, True], 1, 2), ([False, False, False], None, None)]
)
def test_first_is_a_fair_draw_and_best_the_lowest_surprisal(passed, first, best):
    verdicts = [Verdict(p, "") for p in passed]
    scores = [Score(nll, np.zeros(1)) for nll in (0.1, 0.9, 0.4)]
    assert first_passing(verdicts) == first
    assert best_feasible(verdicts, scores) == best


def test_dropping_leaves_what_was_accepted_as_it_is():
    rows = [{"decision": "accepted", "target": "a"}, {"decision": "fallback", "target": "expert"}]
    assert drop_fallbacks(rows) == [rows[0], {"decision": "dropped", "target": None}]
    assert rows[1]["target"] == "expert"
