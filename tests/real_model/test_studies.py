"""The studies on the real model: their data, the order of their steps, and what their recorded answers say."""

import json
from pathlib import Path

import pytest

from examples.real_model import results
from examples.real_model.run import needs
from examples.real_model.studies import ARMS, study, svamp_rows, without_outer_brackets
from patchrl.evaluation.statistics import macro
from patchrl.pipeline.plan import plan


@pytest.mark.parametrize(
    "written, bare",
    [
        ("( 8.0 - 3.0 )", "8.0 - 3.0"),
        ("( ( 6.0 + 4.0 ) * 2.0 )", "( 6.0 + 4.0 ) * 2.0"),
        ("( 6.0 + 4.0 ) * ( 2.0 + 1.0 )", "( 6.0 + 4.0 ) * ( 2.0 + 1.0 )"),
    ],
)
def test_only_brackets_around_the_whole_equation_go(written, bare):
    assert without_outer_brackets(written) == bare


def test_the_terse_expert_writes_its_equation_and_the_answer(tmp_path):
    row = {
        "Body": "Ann has 7 pens",
        "Question": "How many are left?",
        "Equation": "( 7.0 - ( 2.0 + 1.0 ) )",
        "Answer": 4.0,
    }
    (tmp_path / "svamp.json").write_text(json.dumps([row]))
    (made,) = svamp_rows(tmp_path / "svamp.json")
    assert made == {"question": "Ann has 7 pens. How many are left?", "solution": "7 - (2 + 1) = 4\n#### 4"}


def test_a_step_waits_for_what_it_reads():
    steps = list(plan(study("s", Path("svamp.jsonl"), "smollm2-135m", [0, 1], ARMS)))

    def waits_for(stage, subject, seed, rate=None):
        (step,) = [s for s in steps if (s.stage, s.subject, s.seed, s.rate) == (stage, subject, seed, rate)]
        return {(other.stage, other.subject, other.seed, other.rate) for other in needs(step, steps)}

    assert waits_for("rewrite", "rl", 1) == {("train", "rl", 1, None)}
    assert waits_for("rewrite", "best-of-k", 1) == set()
    base = ("evaluate", "base", None, None)
    assert waits_for("finetune", "rl", 1, 1e-4) == {("rewrite", "rl", 1, None), base}
    assert waits_for("finetune", "kl", 0, 1e-4) == {("rewrite", "expert", 0, None), base}
    assert waits_for("evaluate", "rl", 1, 1e-4) == {("finetune", "rl", 1, 1e-4)}
    (report,) = [step for step in steps if step.stage == "report"]
    assert len(list(needs(report, steps))) == len(steps) - 1


def test_every_recorded_fine_tune_answered_the_same_items():
    for data in ("svamp", "gsm8k"):
        found = results.Results(data)
        sizes = {task: len(answers) for task, answers in found.base.items()}
        for seeds in found.correct.values():
            for answers in seeds:
                assert {task: len(values) for task, values in answers.items()} == sizes
    assert macro(results.Results("svamp").base, "general") == pytest.approx(0.754, abs=1e-3)
