"""The mismatch scan on the nano lab, whose styles are known, and on a user's own backbone and data."""

import json
import re
import tempfile
from pathlib import Path

import pytest
from helpers import tiny
from helpers.contexts import context_of

from patchrl.config import resolve
from patchrl.config.instructions import rewrite_prompt
from patchrl.data.examples import load_examples
from patchrl.evaluation import mismatch
from patchrl.evaluation.scan import scan
from patchrl.grading.gate import Gate
from patchrl.models.backbone import Backbone
from patchrl.nano import world
from patchrl.reporting import findings

pytestmark = pytest.mark.slow


def scanned(values):
    config = resolve(values)
    with Gate(config, Backbone.load(config.backbone)) as gate, tempfile.TemporaryDirectory() as folder:
        return scan(context_of(config, gate, Path(folder)), load_examples(config.data).train)


@pytest.fixture(scope="module")
def nano():
    return scanned({"data": {"train_size": 48}})


def test_own_style_told_by_nll_is_near_the_true_share():
    config = resolve({})
    backbone, examples = Backbone.load(config.backbone), world.downstream_examples("foreign", 128)
    questions = [e.question for e in examples]
    own = backbone.generate(questions, temperature=1.0)
    own_N = mismatch.AnswerSurprisal.of(
        [s.nll for s in backbone.score(questions, [a[0].token_ids for a in own])], [1] * 128
    )
    for instruction in ("polish", "as-you-would"):
        prompts = [rewrite_prompt(instruction, e.question, e.solution) for e in examples]
        flat = [g for group in backbone.generate(prompts, samples=2, temperature=1.0) for g in group]
        repeated = [q for q in questions for _ in range(2)]
        nll = [s.nll for s in backbone.score(repeated, [g.token_ids for g in flat])]
        sentence = mismatch.own_style([True] * len(flat), nll, own_N.nll_N)
        true = sum(world.style(g.text) == "own" for g in flat) / len(flat)
        assert abs(sentence["share"] - true) < 0.06, instruction


def test_the_cross_entropy_of_the_expert_and_the_entropy_of_the_backbone_make_the_gap(nano):
    apart = {name: result["per_token"]["value"] for name, result in nano["divergences"].items()}
    assert apart["excess"] == pytest.approx(apart["expert"] - apart["own"], abs=2e-4)
    assert apart["own"] < apart["prompted"] < apart["expert"]
    low, high = nano["gap_ci95"]
    assert 5 < low < nano["gap"] < high


def test_own_answers_are_sampled_as_the_backbone_is_used_and_marks_are_named_by_their_share():
    result = scanned({"data": {"train_size": 16}, "rewriter": {"temperature": 0.5, "top_p": 0.9}})
    assert result["own_sampling"] == {"temperature": 0.5, "top_p": 0.9}
    assert set(result["divergences"]) == {"expert", "prompted"}  # an entropy needs samples at temperature 1
    # Every foreign expert begins with "Solution."; without it the next word surprises the more.
    assert -1 < result["removable"]["the shared opening"] < 0
    text = " ".join(findings.sentences(result))
    assert "sampled at temperature 0.5 with top-p 0.9" in text and "removing the shared opening adds" in text


def test_a_small_gap_is_not_called_harmless():
    result = {"gap": 0.2, "gap_ci95": [0.0, 0.4], "expert_mean": 1.7, "own_mean": 2.2}
    assert "does not make the data harmless" in findings.sentences(result)[0]
    assert "harmless" not in findings.sentences(result | {"gap": 5.0})[0]


def test_the_most_surprising_tokens_stand_in_the_context_they_were_found_in(nano):
    shares = [t["share"] for t in nano["tokens"]]
    assert shares == sorted(shares, reverse=True) and sum(shares) <= 1.001
    solutions = " ".join(e.solution for e in world.downstream_examples("foreign", 48))
    for t in nano["tokens"]:
        assert t["before"].lstrip("…") + t["text"] + t["after"].rstrip("…") in solutions
    assert nano["rows"][0]["nll"] == max(nano["expert_nll"])


def test_a_scan_is_json_and_its_findings_are_told(nano):
    json.dumps(nano, allow_nan=False)
    sentence = " ".join(findings.sentences(nano))
    for words in (
        "standard deviations apart",
        "pass the gate",
        "let n denote the tally",
        "Recommended, as a rule of thumb",
    ):
        assert words in sentence
    assert [title for title, _, _ in findings.tables(nano)] == [title for title, _, _ in findings.SCAN_TABLES]
    for _, headers, rows in findings.tables(nano):
        assert {len(row) for row in rows} == {len(headers)}


def test_rows_read_dropped_and_to_train_on_are_told_first(nano):
    read = nano | {"kept": 1400, "train": 1100, "dropped": {"without a solution": 1, "without a question": 1200}}
    sentence = "1,400 usable rows, 1,100 of them to train on; dropped: 1 without a solution, 1,200 without a question."
    assert findings.sentences(read)[0] == sentence == findings.sentences(read | {"gap": None})[0]
    assert findings.sentences(nano | {"kept": 40, "dropped": {}})[0] == "40 usable rows; dropped: none."


def test_own_answers_that_pass_are_counted(nano):
    right = nano["own_right"]
    assert 5 <= right["passed"] < 30 and right["scorable"] == 48  # it has to guess what half of the verbs do
    assert f"{right['passed']} of 48 of its own answers" in " ".join(findings.sentences(nano))


def test_another_temperature_leaves_out_the_kl_that_would_not_be_one(tmp_path):
    result = scanned({"data": {"train_size": 8}, "rewrite": {"temperature": 0.7}})
    assert set(result["divergences"]) == {"expert", "own", "excess"}


def test_open_data_on_an_own_backbone_is_scanned_with_its_calibrated_gate(tmp_path):
    rows = [
        {"question": f"Say something on topic {n}", "solution": f"It is about {n} apples, so to say."}
        for n in range(40)
    ]
    (tmp_path / "open.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    model = str(tiny.save("qwen2", tmp_path / "backbone"))
    result = scanned(
        {
            "backbone": {"model": model},
            "data": {"dataset": str(tmp_path / "open.jsonl"), "task": "open", "train_size": 16, "eval_size": 8},
            "rewriter": {"max_new_tokens": 8},
            "evaluate": {"max_new_tokens": 8},
            "gate": {"reasoning": "none"},
        }
    )
    assert result["own_style"]["scorable"] == 16 and result["open_gate"]["threshold"] is not None
    assert result["clipped"] > 0.5  # random weights hardly ever end an answer
    sentence = findings.sentences(result)
    assert any("cut off" in text for text in sentence) and any("own 32 pairs" in text for text in sentence)


def test_text_of_the_data_is_escaped_in_the_findings(nano):
    hostile = nano | {"rows": [{**nano["rows"][0], "expert": "<img src=x>"}]}
    assert "<img" not in findings.as_html(hostile) and "&lt;img" in findings.as_html(hostile)
    assert findings.sentences({"gap": None}) == ["The scan found nothing it could score."]
    old = {key: nano[key] for key in ("expert_nll", "own_nll", "expert_mean", "own_mean", "gap")}
    assert len(findings.sentences(old)) == 1 and findings.tables(old) == []
    assert re.search(r"\d\.\d standard deviations", findings.sentences(old)[0])


def test_coverage_is_calibrated_on_the_rows_and_shown(tmp_path):
    colours = ("red", "green", "blue", "grey")
    rows = [
        {
            "question": f"Is pot {n} heavy?",
            "solution": f"Pot {n} holds {n + 50} stones painted {colours[n % 4]}. Every stone weighs a pound. The answer is yes."
            if n % 5
            else "The answer is yes.",
            "answer": "yes",
        }
        for n in range(40)
    ]
    (tmp_path / "pots.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    result = scanned(
        {
            "backbone": {"model": str(tiny.save("qwen2", tmp_path / "backbone"))},
            "data": {"dataset": str(tmp_path / "pots.jsonl"), "task": "exact", "train_size": 16, "eval_size": 8},
            "rewriter": {"max_new_tokens": 8},
            "evaluate": {"max_new_tokens": 8},
            "gate": {"reasoning": "coverage"},
        }
    )
    kinds = result["reasoning"]
    assert kinds["unscorable"] > 0 and kinds["claims"] + kinds["unscorable"] == 16
    gate = result["coverage_gate"]
    assert len(gate["different"]) == 3 * len(gate["same"]) == 3 * kinds["claims"]
    sentence = " ".join(findings.sentences(result))
    assert f"{kinds['claims']} rows must say what the expert says; {kinds['unscorable']} are unscorable" in sentence
    assert "Coverage: a sentence of the expert counts as kept from" in sentence
