"""The dial's script: real studies cut down, what they leave in the lines, and the table of made-up lines."""

import json
from unittest import mock

import pytest
from helpers.small import SMALL
from helpers.workers import worker_here

from examples.nano_lab import dial, run_dial
from examples.nano_lab.dial_tables import (
    aim_sentences,
    arms_table,
    brief_table,
    dial_table,
    parts_table,
    pooled_sentences,
    pooled_table,
)
from examples.nano_lab.lab_figures import dial_figures
from patchrl import api
from patchrl.config import apply_overrides, resolve
from patchrl.evaluation.statistics import macro
from patchrl.jobs import launch

pytestmark = pytest.mark.slow

WHOLE = run_dial.config_of
ARMS = (*dial.DIAL_ARMS, "rl-paper")


def small(setting, model, seed, arms):
    return resolve(apply_overrides(WHOLE(setting, model, seed, arms).model_dump(mode="json"), SMALL))


def test_cells_are_run_once_and_share_what_does_not_depend_on_the_instruction(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(launch, "_start_worker", worker_here)
    arms, sets = dial.DIAL_ARMS, [("best-of-4", "replay"), dial.RL_BEST_OF_K]
    cells = [(dial.DialSetting("nano", "mild", *at), "nano", 3) for at in (("polish", 0.5), ("clarify",))]
    runs, into = tmp_path / "runs", tmp_path / "dial.jsonl"
    with mock.patch.object(run_dial, "config_of", small):
        run_dial.run_missing(cells, [arms], runs, into)
        lines = dial.read(into)
        run_dial.run_missing(cells, [arms], runs, into)  # nothing is left to do
        assert dial.read(into) == lines and len(list(api.list_runs(runs))) == 2
        run_dial.run_missing(cells[:1], sets, runs, into)
    added = dial.read(into)[len(lines) :]
    assert [line["arm"] for line in added] == [arm for together in sets for arm in together for _ in dial.RATES]
    assert "accepted" in added[0] and "accepted" not in added[2]  # replay rewrites nothing
    trained = [e for e in api.list_runs(runs)[0].events()[0] if e["kind"] == "train"]
    assert not trained  # the rewriter was there
    assert len(lines) == 2 * (1 + len(arms) * len(dial.RATES))
    first, second = (api.list_runs(runs)[i] for i in (3, 2))
    tuned = [
        e["arm"]
        for e in second.events()[0]
        if e["kind"] == "stage" and e["stage"] == "finetune" and e["state"] == "end"
    ]
    assert "expert" not in tuned and tuned.count("rl") == len(dial.RATES)
    for run, setting in ((first, cells[0][0]), (second, cells[1][0])):
        by = {(line["arm"], line.get("rate")): line for line in lines if line["instruction"] == setting.instruction}
        for arm in arms:
            for point in run.result()["arms"][arm]["sweep"]:
                scores = dial.correct_of(by[arm, point["rate"]])
                assert macro(scores, "general") == pytest.approx(point["general"]["mean"])
                assert macro(scores, "target") == pytest.approx(point["target"]["mean"])
        assert by["rl", dial.RATES[0]]["own"] <= by["rl", dial.RATES[0]]["accepted"] <= 16
    table_rows = list(dial_table(dial.dial_rows(lines)))
    assert (
        len(table_rows) == 4
        and "3 % at T 0.5 `polish`, 1 seed |" in table_rows[2]
        and "8 % `clarify`, 1 seed |" in table_rows[3]
    )


def test_the_table_has_each_arm_at_its_own_best_and_says_what_was_avoided():
    def line(arm, seed, rate, target, general):
        marks = {"target/t": target, "validation/t": target, "general/g": general}
        cost = {"tokens": 100} if rate else {}
        cost |= {"accepted": 4, "own": 3} if rate and arm != "expert" else {}
        return {
            "backbone": "nano", "expert": "foreign", "instruction": "polish", "seed": seed, "arm": arm, "rate": rate,
            "answers": marks,
        } | cost  # fmt: skip

    low, high = dial.RATES
    full, half, none = "1" * 40, "10" * 20, "0" * 40
    lines = []
    for seed in (0, 1):
        lines.append(line("base", seed, None, none, full))
        for arm in ARMS:
            plain = arm in ("expert", "best-of-k")
            lines.append(line(arm, seed, low, half if plain else full, full))
            lines.append(line(arm, seed, high, full, half if plain else none))
    (results,) = dial.setting_results(lines, ARMS).values()
    assert results.seeds == (0, 1)
    assert results.rates == {"expert": high, "best-of-k": high, "rl": low, "rl-paper": low}
    assert results.statistics["rl"].share_avoided == 1.0 and results.statistics["best-of-k"].share_avoided == 0.0
    assert results.own == {"best-of-k": 0.75, "rl": 0.75, "rl-paper": 0.75} and results.tokens["rl"] == 100
    verdicts = {(c.a, c.b, c.on): c.verdict for c in results.comparisons}
    assert verdicts["rl", "expert", "general"] == "better" and verdicts["rl", "expert", "target"] == "cannot tell"
    assert "100.0 [100.0, 100.0] / 50.0" in list(dial_table(dial.dial_rows(lines)))[2]


def setting(rl, best=(0.9, 0.9), ablation=None):
    """Two seeds of a setting, plain SFT at 90 / 50 of 100 items; an ablation has the first alone."""
    arms = {"expert": (0.9, 0.5), "best-of-k": best, "rl": rl} | ({"rl-mean": ablation} if ablation else {})
    for seed in (0, 1):
        where = {"backbone": "nano", "expert": "mild", "instruction": "polish", "seed": seed}
        yield where | {"arm": "base", "answers": {"target/t": "0" * 100, "general/g": "1" * 100}}
        for arm, (target, general) in arms.items():
            if arm == "rl-mean" and seed:
                continue
            marks = ["1" * round(100 * share) + "0" * round(100 - 100 * share) for share in (target, general)]
            answers = {"validation/t": marks[0], "target/t": marks[0], "general/g": marks[1]}
            for rate in dial.RATES:
                yield where | {"arm": arm, "rate": rate, "tokens": 9, "accepted": 4, "own": 1, "answers": answers}


@pytest.mark.parametrize(
    ("rl", "short"),
    [
        ((0.89, 0.98), []),
        ((0.87, 0.98), ["target"]),
        ((0.95, 0.97), ["drop"]),
        ((0.5, 0.6), ["target", "drop", "best-of-k"]),
    ],
)
def test_where_rl_falls_short_of_the_aim_is_said(rl, short):
    by = {row["arm"]: row for row in dial.dial_rows(list(setting(rl)))}
    assert by["rl"]["short"] == short and "rl-mean" not in by
    for table in (dial_table, brief_table):
        line = list(table(by.values()))[2]
        assert line.endswith("| – |" if not short else f"{'behind best-of-8' if 'best-of-k' in short else short[0]} |")
        assert "2 seeds" in line and "| – |" in line


def test_the_aim_is_told_with_where_it_is_missed_and_what_can_be_reached():
    mild = list(setting((0.95, 0.97)))
    foreign = [line | {"expert": "foreign"} for line in setting((0.95, 0.98))]
    rates = [{"rate": 5e-4, "target": 0.97, "general": 0.959}, {"rate": 1e-3, "target": 0.9, "general": 0.8}]
    own = {"sweep": rates, "seeds": 5}
    _, met, avoided, *_, own_style = aim_sentences(dial.dial_rows([*mild, *foreign]), own)
    assert met == "RL meets the aim in 1 of 2 settings; the last column says what it misses in the others."
    assert avoided == "RL avoids 94.0 to 96.0 % of the drop; best-of-8 avoids 80.0 %."
    assert own_style.endswith("scores 97.0 / 95.9 at 0.0005 and 90.0 / 80.0 at 0.001 (5 seeds).")
    assert list(aim_sentences(dial.dial_rows(foreign)))[1:] == [
        "RL meets the aim in 1 of 1 settings; the last column says what it misses in the others.",
        "RL avoids 96.0 % of the drop; best-of-8 avoids 80.0 %.",
        "Chosen rates: plain SFT 0.0005; best-of-8 0.0005; RL 0.0005.",
    ]


def test_an_ablation_stands_over_the_seeds_it_has():
    rows = dial.dial_rows(list(setting((0.9, 0.9), ablation=(0.8, 0.7))))
    assert list(aim_sentences(rows))[3].endswith("the aim is met by RL, mean ℓ in 0 of 1.")
    met = dial.dial_rows(list(setting((0.9, 0.9), ablation=(0.9, 0.98))))
    assert list(aim_sentences(met))[3].endswith("the aim is met by RL, mean ℓ in 1 of 1.")
    assert [(row["arm"], row["seeds"]) for row in rows] == [("expert", 2), ("best-of-k", 2), ("rl", 2), ("rl-mean", 1)]
    assert "80.0 / 70.0 (1 seed)" in list(brief_table(rows))[2]


def test_what_is_shipped_can_be_read():
    for setting, results in dial.setting_results(dial.read()).items():
        assert setting.expert in dial.EXPERT_NAMES and results.seeds
        assert set(results.statistics) == set(dial.DIAL_ARMS)
    assert json.dumps(dial.read())


def test_every_arm_of_the_long_study_belongs_to_one_part_that_is_run_alone():
    parts = [arm for arms in run_dial.SETS["arms"] for arm in arms]
    assert sorted(parts) == sorted(dial.ALL_ARMS)


def test_the_table_of_arms_has_the_other_rate_last():
    where = {"backbone": "nano", "expert": "mild", "instruction": "clarify", "seed": 0}
    lines = [where | {"arm": "base", "answers": {"target/t": "0" * 40, "general/g": "1" * 40}}]
    for rate, target in zip(dial.RATES, ("1" * 20 + "0" * 20, "1" * 40), strict=True):
        answers = {"validation/t": target, "target/t": target, "general/g": "1" * 20 + "0" * 20}
        lines.append(where | {"arm": "expert", "rate": rate, "tokens": 1200, "answers": answers})
    (results,) = dial.setting_results(lines, ("expert",)).values()
    table_rows = list(arms_table(results))[2]
    assert table_rows.startswith("| expert | 0.001 | 100.0 [100.0, 100.0] | 50.0 [")
    assert table_rows.endswith("| 0 | 1,000 | 50.0 / 50.0 |") and "| 50.0 [" in table_rows


@pytest.mark.parametrize(
    ("arm", "verdicts"),
    [
        ("rl", {"expert": "worse, better", "best-of-k": "worse, better", "rl": "–"}),
        ("expert", {"expert": "–", "best-of-k": "cannot tell, worse", "rl": "better, worse"}),
    ],
)
def test_the_table_of_arms_tells_one_arm_from_every_other(arm, verdicts):
    (results,) = dial.setting_results(list(setting((0.5, 0.99), best=(0.9, 0.7)))).values()
    header, _, *rows = arms_table(results, arm)
    assert header.endswith(f"| `{arm}` against it: target, general |")
    cells = [row.strip("| ").split(" | ") for row in rows]
    assert {row[0]: row[-1] for row in cells} == verdicts


def test_the_dials_figure_has_a_gap_between_temperatures_and_the_own_style_across():
    lines = list(setting((0.9, 0.97)))
    cooler = [line | {"temperature": 0.5} for line in lines]
    gentler = [line | {"instruction": "clarify"} for line in lines]
    own = {kind: {"mean": 0.96, "ci95": None} for kind in ("target", "general")}
    figures = dial_figures(dial.dial_rows([*lines, *cooler, *gentler]), own)
    assert list(figures) == ["dial-target-mild", "dial-general-mild"]
    *arms, level = figures["dial-general-mild"]["data"]
    ours = next(line for line in arms if line["name"] == "RL rewrite (PatchRL)")
    assert ours["x"] == ["3 % at T 0.5", "3 % at T 0.5", "3 %", "8 %"] and ours["y"] == [97, None, 97, 97]
    assert ours["error_y"]["array"][1] is None and ours["customdata"] == [2] * 4
    assert level["x"] == ["3 % at T 0.5", "3 %", "8 %"] and level["y"] == [96] * 3
    assert len(dial_figures(dial.dial_rows(lines))["dial-general-mild"]["data"]) == len(arms)


def test_the_settings_taken_together_draw_every_fine_tune_as_a_seed():
    lines = [
        line | {"instruction": instruction}
        for instruction, rl in (("polish", (0.9, 0.97)), ("clarify", (0.98, 0.97)), ("own-words", (0.94, 0.97)))
        for line in setting(rl)
    ]
    pooled = dial.pool([*lines, *(line | {"expert": dial.OWN_EXPERT} for line in setting((0.1, 0.1)))])
    assert (pooled.settings, pooled.fine_tunes) == (3, 6)
    assert pooled.statistics["rl"].target_per_seed == pytest.approx([0.9, 0.9, 0.98, 0.98, 0.94, 0.94])
    header, _, low, _, taken = pooled_table(pooled)
    assert header.startswith("| 3 settings, 6 fine-tunes an arm;")
    assert low == "| all at 0.0005 | 90.0 / 50.0 | 90.0 / 90.0 | 94.0 / 97.0 |"
    assert taken.endswith("| 90.0 / 50.0 | 90.0 / 90.0 | 94.0 / 97.0 |")
    equal, avoided, _ = pooled_sentences(pooled)
    assert equal.endswith("in points of target / general: +4.0 / +47.0 at 0.0005 and +4.0 / +47.0 at 0.001.")
    assert avoided.startswith("At the chosen rates RL avoids 94.0 [")
    assert dial.pool([]) is None


def test_the_recipe_without_its_parts_is_told_over_the_seeds_that_have_all():
    lines = list(setting((0.95, 0.97), ablation=(0.97, 0.7)))
    lines += [line | {"arm": "rl-paper"} for line in lines if line["arm"] == "rl-mean"]
    lines += [line | {"instruction": "clarify"} for line in lines]
    pooled = dial.pool(lines, ("expert", "rl", *dial.ABLATIONS))
    header, _, ours, mean, paper = parts_table({"mild expert": pooled})
    assert header.endswith(
        "| each at its chosen rate | all at 0.0005 | all at 0.001 | RL minus it, points of the target | of general skills |"
    )
    assert ours == "| mild expert: 2, 2 fine-tunes | RL | 95.0 / 97.0 | 95.0 / 97.0 | 95.0 / 97.0 |  |  |"
    assert mean.startswith("|  | RL, mean ℓ | 97.0 / 70.0 | 97.0 / 70.0 | 97.0 / 70.0 | -2.0 [")
    assert "] (cannot tell) | +27.0 [" in mean and mean.endswith("] (better) |")
    assert paper == mean.replace("RL, mean ℓ", "RL as published")
