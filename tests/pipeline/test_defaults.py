"""What is chosen for a backbone and its data where the settings leave it out."""

import json

import pytest
from helpers import tiny

from patchrl import api
from patchrl.config import load_config, resolve
from patchrl.pipeline.defaults import fitted


@pytest.fixture
def named(tmp_path):
    """A config that names a backbone and data, and nothing else."""
    rows = [
        {
            "question": f"What is {n} + 1?",
            "solution": f"{n} + 1 = {n + 1}" + " and so on" * (n % 9),
            "answer": str(n + 1),
        }
        for n in range(120)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    folder = tiny.save("qwen2", tmp_path / "backbone")

    def config(**sections):
        values = {"backbone": {"model": str(folder)}, "data": {"dataset": str(tmp_path / "rows.jsonl")}}
        return resolve({name: values.get(name, {}) | sections.get(name, {}) for name in {*values, *sections}})

    return config


def test_the_lab_keeps_its_own_settings():
    config = load_config("nano-quick")
    assert fitted(config) == (config, [])


def test_every_choice_has_a_reason_and_is_in_the_config(named):
    config, choices = fitted(named())
    assert config.evaluate.general == ("everyday",)
    assert {"finetune.learning_rate", "rewriter.learning_rate", "rewriter.max_new_tokens", "rewriter.temperature"} <= {
        choice.setting for choice in choices
    }
    for choice in choices:
        section, key = choice.setting.split(".")
        assert getattr(getattr(config, section), key) == choice.value and len(choice.reason) > 10


def prose_rows(tmp_path, solution):
    """A dataset of exact answers with one form of solution."""
    rows = [{"question": f"Is {n} odd?", "solution": solution, "answer": "yes"} for n in range(40)]
    (tmp_path / "prose.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return {"data": {"dataset": str(tmp_path / "prose.jsonl"), "task": "exact"}}


def test_the_reasoning_check_follows_the_task_and_what_its_experts_say(named, tmp_path):
    assert fitted(named())[0].gate.reasoning == "derivation"
    explained = prose_rows(tmp_path, "Its last digit leaves a remainder when halved. The answer is yes.")
    assert fitted(named(**explained))[0].gate.reasoning == "coverage"
    assert fitted(named(**prose_rows(tmp_path, "The answer is yes.")))[0].gate.reasoning == "equations"


def test_a_check_says_how_many_experts_give_coverage_nothing_to_compare(named, tmp_path):
    bare = prose_rows(tmp_path, "The answer is yes.")
    card = api.check(named(**bare, gate={"reasoning": "coverage"}))
    assert any("expert solutions say nothing beyond their answer" in text for text in card["warnings"])


def test_what_is_given_stays_even_where_it_is_the_labs_default(named):
    config, choices = fitted(named(rewriter={"learning_rate": 1e-3, "temperature": 1.0}))
    assert config.rewriter.learning_rate == 1e-3 and config.rewriter.temperature == 1.0
    assert not {"rewriter.learning_rate", "rewriter.temperature"} & {choice.setting for choice in choices}


def test_limits_follow_the_lengths_of_the_data_and_the_context(named):
    config, _ = fitted(named())
    card = api.check(named())
    assert len(card["row"]["trained"]) <= config.finetune.max_length <= 1024
    assert config.finetune.max_length % 64 == 0 and not any("are cut at" in text for text in card["warnings"])


def test_temperature_and_top_p_are_the_generation_configs_where_it_has_them(named, tmp_path):
    settings = '{"temperature": 0.2, "top_p": 0.9}'
    (tmp_path / "backbone" / "generation_config.json").write_text(settings, encoding="utf-8")
    config, choices = fitted(named())
    assert config.rewriter.temperature == config.rewrite.temperature == 0.2
    assert config.rewriter.top_p == config.rewrite.top_p == 0.9
    (choice,) = [choice for choice in choices if choice.setting == "rewriter.temperature"]
    assert choice.reason == "its generation config's"


def test_few_held_out_examples_get_one_learning_rate(named):
    config, _ = fitted(named(data={"eval_size": 10}))
    assert len(config.finetune.learning_rate) == 1


def test_little_memory_gets_a_microbatch_of_whole_groups_that_fits_half_of_it(named, monkeypatch):
    from patchrl.pipeline import defaults, memory

    free = 80 * 2**20
    monkeypatch.setattr(defaults.psutil, "virtual_memory", lambda: type("Memory", (), {"available": free})())
    config, _ = fitted(named())
    rows, rollouts = config.rewriter.microbatch_size, config.rewriter.rollouts_per_step
    assert rows and rows < rollouts and rollouts % rows == 0 and rows % config.rewriter.group_size == 0
    shape = memory.shape_of(config.backbone)
    assert memory.update_mb(shape, config, rows, 60) <= 40 < memory.update_mb(shape, config, rollouts, 60)
    six = resolve({"rewriter": {"prompts_per_step": 2, "group_size": 6}})
    assert list(memory.microbatch_sizes(six)) == [12, 6, 3, 2, 1]  # 4 would read every prompt of two groups twice


def test_a_check_shows_the_choices_and_its_toml_repeats_them(named):
    card = api.check(named())
    assert card["ok"], card["problems"]
    assert {"setting", "value", "reason"} == card["chosen"][0].keys()
    assert "learning_rate" in card["toml"]
