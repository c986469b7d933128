"""Harness names are known before anything is trained, and the app never imports the harness to know them."""

import pytest

from patchrl.config import eval_tasks, resolve
from patchrl.evaluation.harness import names
from patchrl.pipeline.preflight import preflight


def problems(**evaluate):
    return names.name_problems(resolve({"evaluate": evaluate}))


def test_the_default_study_asks_no_harness(monkeypatch):
    monkeypatch.setattr(names.subprocess, "run", lambda *a, **k: pytest.fail("another process was started"))
    assert problems() == []


@pytest.mark.slow
def test_every_preset_exists_and_a_slip_of_the_pen_is_told_with_near_names():
    pytest.importorskip("lm_eval")
    task_names = [name for preset in eval_tasks.TASK_SETS.values() for name in preset]
    unknown = names.unknown_names([*task_names, "helaswag", "zzzzzzzzzz"], "")
    assert set(unknown) == {"helaswag", "zzzzzzzzzz"}, unknown
    assert "hellaswag" in unknown["helaswag"] and unknown["zzzzzzzzzz"] == []


def test_an_unknown_name_is_a_problem_of_the_preflight_with_its_setting(monkeypatch):
    pytest.importorskip("lm_eval")
    near = {"gsm9k": ["gsm8k", "gsm_plus"], "general-lit": ["winogender_all"]}
    monkeypatch.setattr(names, "unknown_names", lambda task_names, folder: near)
    card = preflight(resolve({"evaluate": {"target": ["patchrl_gsm8k"], "general": ["gsm9k", "general-lit", "nano"]}}))
    assert not card["ok"]
    problem, preset = card["problems"]
    assert problem.startswith("evaluate.general: harness task 'gsm9k' does not exist; near names are gsm8k, gsm_plus.")
    assert "near names are general-lite, winogender_all" in preset


def test_names_of_a_folder_of_ones_own_are_known(tmp_path):
    pytest.importorskip("lm_eval")
    (tmp_path / "mine.yaml").write_text("task: my_task\ndataset_path: json\noutput_type: generate_until\n")
    assert names.unknown_names(["my_task", "patchrl_svamp"], str(tmp_path)) == {}


def test_a_missing_harness_is_told_with_the_command_that_mends_it(monkeypatch):
    monkeypatch.setattr(names, "find_spec", lambda name: None)
    (problem,) = problems(general=["nano", "hellaswag"])
    assert "'hellaswag'" in problem and 'pip install "patchrl[harness]"' in problem


def test_what_is_trained_for_cannot_show_forgetting():
    assert "nano is in evaluate.target too" in problems(target=["held-out", "nano"])[0]


def test_a_folder_that_is_none_is_told(tmp_path):
    assert "evaluate.tasks_folder" in problems(tasks_folder=str(tmp_path / "gone"))[0]


def test_presets_are_spelled_out_once_and_files_and_own_names_are_left_out():
    assert eval_tasks.expand(["paper", "mmlu", "nano"]) == ("mmlu", "mmlu_pro", "agieval", "nano")
    assert eval_tasks.harness_names(["held-out", "nano", "skills.jsonl", "folder/skills", "mmlu"]) == ("mmlu",)
