import csv
import io

import pytest
from helpers.results import result

from patchrl.reporting.result_formats import CSV_HEADERS, clearly_best, to_csv, to_latex


def result_with(**verdicts):
    study_result = result() | {"backbone": "my_model", "dataset": "a&b"}
    common = {"difference": 0.1, "ci95": [0.05, 0.15], "p_holm": 0.01, "detectable": 0.07}
    study_result["comparisons"] = {
        "pairs": [{"a": "rl", "b": "expert", "on": on, "verdict": v} | common for on, v in verdicts.items()]
    }
    return study_result


def rows(study_result):
    return list(csv.DictReader(io.StringIO(to_csv(study_result))))


def value(study_result, **wanted):
    (row,) = [r for r in rows(study_result) if all(r[k] == v for k, v in wanted.items())]
    return tuple(row[k] for k in ("value", "ci95_low", "ci95_high"))


def numbers(tree):
    if isinstance(tree, dict):
        return {n for v in tree.values() for n in numbers(v)}
    if isinstance(tree, list):
        return {n for v in tree for n in numbers(v)}
    return {tree} if isinstance(tree, float) else set()


def test_every_number_of_arms_and_backbone_is_in_the_csv():
    study_result = result_with()
    written = {float(row[k]) for row in rows(study_result) for k in ("value", "ci95_low", "ci95_high") if row[k]}
    assert numbers(study_result["arms"]) | numbers(study_result["base"]) <= written
    assert tuple(rows(study_result)[0]) == CSV_HEADERS


def test_csv_tells_means_seeds_tasks_and_comparisons_apart():
    study_result = result_with(general="better")
    study_result["arms"]["rl"]["by_task_ci95"] = {"general/add": [0.4, 0.6]}
    assert value(study_result, arm="rl", measure="general", seed="", task="") == ("0.85", "0.8", "0.9")
    assert value(study_result, arm="rl", measure="general", seed="7") == ("0.85", "", "")
    assert value(study_result, arm="rl", measure="score", task="general/add") == ("0.5", "0.4", "0.6")
    assert value(study_result, arm="rl", measure="general_minus_expert") == ("0.1", "0.05", "0.15")


def test_a_result_without_general_tasks_is_written_with_gaps():
    study_result = result_with()
    study_result["base"]["general"] = None
    for arm in study_result["arms"].values():
        arm["general"] = {"mean": None, "per_seed": [], "ci95": None}
        arm["forgetting"] = dict.fromkeys(("absolute", "relative", "share_avoided", "ci95"))
    assert value(study_result, arm="rl", measure="general", task="") == ("", "", "")
    assert "--" in to_latex(study_result)


def test_latex_reaches_to_the_ends_of_the_interval_and_escapes_names():
    text = to_latex(result_with())
    assert r"RL rewrite (PatchRL) & $60.0_{-5.0}^{+5.0}$ & $85.0_{-5.0}^{+5.0}$ & $5.0_{-5.0}^{+5.0}$ & $88$ \\" in text
    assert r"my\_model on a\&b" in text and text.count(r"\midrule") == 2
    assert text.index(r"\toprule") < text.index(r"\bottomrule")


@pytest.mark.parametrize(("verdict", "best"), [("better", "rl"), ("worse", "expert"), ("cannot tell", None)])
def test_only_what_the_test_calls_better_is_bold(verdict, best):
    study_result = result_with(target="cannot tell", general=verdict)
    assert clearly_best(study_result, "general") == best
    bold = [line.split(" & ")[0] for line in to_latex(study_result).splitlines() if r"\mathbf" in line]
    assert bold == ([] if best is None else ["RL rewrite (PatchRL)" if best == "rl" else "Expert (plain SFT)"])
    assert clearly_best(study_result, "target") is None


def test_the_best_of_three_must_beat_both_others():
    study_result = result_with(general="better")
    study_result["arms"]["dft"] = study_result["arms"]["expert"]
    assert clearly_best(study_result, "general") is None


def test_csv_has_no_noise_of_the_last_bits():
    study_result = result_with()
    study_result["arms"]["rl"]["forgetting"] |= {"absolute": -2.2e-16, "relative": 0.1 + 0.2}
    assert value(study_result, arm="rl", measure="forgotten")[0] == "0.0"
    assert value(study_result, arm="rl", measure="forgotten_relative")[0] == "0.3"
