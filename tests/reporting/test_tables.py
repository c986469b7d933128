from helpers.results import result

from patchrl.reporting import run_status, sentences, tables
from patchrl.text import about_minutes, duration, points


def test_headline_says_what_was_lost_and_what_was_avoided():
    text = sentences.headline(result())
    assert "from 30.0 % to 60.0 %" in text
    assert "avoids 88 % of the 40.0 points" in text


def test_headline_speaks_of_no_share_where_plain_sft_may_have_lost_nothing():
    study_result = result()
    study_result["arms"]["rl"]["forgetting"]["share_avoided"] = None
    study_result["arms"]["expert"]["forgetting"] |= {"absolute": 0.015, "ci95": [-0.0001, 0.04]}
    assert sentences.headline(study_result).endswith(
        "Plain SFT forgot 1.5 [0.0, 4.0] points, which may be nothing, so no share of it can be avoided."
    )
    assert tables.result_rows(study_result)[2][5] == "–"
    study_result["base"]["general"] = 0.0
    assert "had only 0.0 % of these skills before" in sentences.headline(study_result)


def test_headline_does_not_credit_rewrites_of_which_none_was_accepted():
    study_result = result()
    study_result["arms"]["rl"]["data"]["accepted"] = 0.0
    assert "None of PatchRL's rewrites passed the gate" in sentences.headline(
        study_result
    ) and "avoids" not in sentences.headline(study_result)


def test_headline_without_general_tasks_says_that_forgetting_was_not_measured():
    assert "not measured" in sentences.headline(result(general=None))


def test_result_rows_fill_every_column():
    rows = tables.result_rows(result())
    assert {len(row) for row in rows} == {len(tables.RESULT_HEADERS)}
    assert rows[2][3] == "5.0 [0.0, 10.0]"


def test_durations_read_well():
    assert [duration(s) for s in (3.2, 245, 7800, None)] == ["3 s", "4 min 05 s", "2 h 10 min", "–"]


def test_learning_rates_are_shown_only_where_several_were_tried():
    study_result = result()
    assert tables.rate_rows(study_result) == []
    score = {"mean": 0.6, "per_seed": [0.6], "ci95": [0.5, 0.7]}
    point = {"rate": 1e-3, "chosen": True, "validation": 0.7, "target": score, "general": score}
    study_result["arms"]["rl"]["sweep"] = [point, point | {"rate": 1e-4, "chosen": False}]
    rows = tables.rate_rows(study_result)
    assert [row[1] for row in rows] == ["0.001", "0.0001"] and [row[-1] for row in rows] == ["compared", ""]
    assert {len(row) for row in rows} == {len(tables.RATE_HEADERS)}


def test_what_changed_is_shown_where_it_was_measured():
    study_result = result()
    assert tables.change_rows(study_result) == []
    study_result["arms"]["rl"] |= {"right_to_wrong": 0.115, "wrong_to_right": 0.118, "kl": None}
    assert [row[1:] for row in tables.change_rows(study_result)] == [["11.5", "11.8", "–"]]


def test_relative_forgetting_and_share_avoided_carry_their_intervals():
    study_result = result()
    study_result["arms"]["rl"]["forgetting"] |= {"relative_ci95": [0.01, 0.12], "share_avoided_ci95": [0.7, 1.0]}
    row = tables.result_rows(study_result)[2]
    assert (row[4], row[5]) == ("5.0 [1.0, 12.0]", "88 [70, 100]")


def test_of_many_arms_only_the_comparisons_with_rl_are_told_first():
    study_result = result()
    pairs = [("rl", "expert"), ("dft", "expert"), ("dft", "rl")]
    common = {"on": "general", "verdict": "better", "difference": 0.1, "ci95": [0.05, 0.15], "p_holm": 0.01}
    rest = {"detectable": 0.07}
    study_result["comparisons"] = {"pairs": [{"a": a, "b": b} | common | rest for a, b in pairs]}
    assert len(tables.comparison_rows(study_result, tables.main_arms(study_result))) == 3
    study_result["arms"] |= {f"arm-{n}": study_result["arms"]["rl"] for n in range(6)}
    lines = sentences.comparison_sentences(study_result, tables.main_arms(study_result))
    assert len(lines) == 2 and lines[1].startswith(
        "Expert, DFT loss is better than RL rewrite (PatchRL) on general skills"
    )
    assert len(tables.comparison_rows(study_result)) == 3
    assert sentences.detectable_sentence(result()) == ""


def test_a_study_too_small_to_tell_anything_says_so_instead_of_points_above_a_hundred():
    pair = {"a": "rl", "b": "expert", "on": "general", "verdict": "cannot tell", "difference": 0.1}
    pair |= {"ci95": [-0.4, 0.6], "p_holm": 0.6, "detectable": 1.44}
    assert "with seeds this far apart, none would have shown" in sentences.comparison_sentence(pair)
    study_result = result() | {"comparisons": {"pairs": [pair], "detectable": {"target": 0.05, "general": 1.44}}}
    assert tables.comparison_rows(study_result)[0][-1] == "none"
    assert "5.0 points on the target task or more" in sentences.detectable_sentence(study_result)
    assert "144" not in sentences.detectable_sentence(study_result)


def test_a_resumed_run_took_all_its_goes_together():
    status = {"state": "done", "started": 100.0, "finished": 117.0, "seconds_before": 43.0}
    assert run_status.describe_status(status) == "done after 1 min 00 s"
    assert about_minutes(0.5) == "under a minute"


def test_the_same_score_summed_in_another_order_is_written_alike():
    assert points(0.965, 0) == points(0.9650000000000001, 0) == "97"
    assert points(-0.005, 0) == "-1" and points(-0.0) == points(0.0) == "0.0" and points(0.0, signed=True) == "+0.0"
