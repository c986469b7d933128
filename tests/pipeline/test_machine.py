"""What a check says of the machine, and of models that it reads once."""

import json

import pytest
from helpers import tiny

from patchrl import api
from patchrl.config import resolve
from patchrl.errors import ConfigError
from patchrl.pipeline import machine


def test_an_embedder_that_is_no_model_is_refused(tmp_path):
    assert machine.embedder_problems("backbone") == machine.embedder_problems("org/name") == []
    assert "has no model" in machine.embedder_problems(str(tmp_path))[0]
    assert "neither `backbone`" in machine.embedder_problems("no such thing!")[0]


def test_a_quantised_backbone_needs_its_package_and_a_gpu(monkeypatch):
    config = resolve({"rewriter": {"quantization": "4-bit"}})
    monkeypatch.setattr(machine, "has_nvidia_gpu", lambda: True)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install bitsandbytes" in machine.quantization_problems(config)[0]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    assert machine.quantization_problems(config) == machine.quantization_problems(resolve({})) == []
    monkeypatch.setattr(machine, "has_nvidia_gpu", lambda: False)
    assert "needs an NVIDIA GPU" in machine.quantization_problems(config)[0]


def test_more_disk_than_is_free_is_a_problem_with_a_way_out(tmp_path):
    assert machine.disk_problems(1.0, tmp_path / "runs") == []
    assert "MB are free" in machine.disk_problems(1e12, tmp_path / "runs")[0]


@pytest.mark.parametrize("device", ["tpu", "cuda:x", "cpu:0", ""])
def test_a_device_that_does_not_exist_is_refused(device):
    with pytest.raises(ConfigError, match=r"backbone\.device"):
        resolve({"backbone": {"device": device}})


def own_config(tmp_path, **finetune):
    rows = [
        {"question": f"What is {n} + 1?", "solution": f"{n} + 1 = {n + 1}", "answer": str(n + 1)} for n in range(40)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return resolve(
        {
            "backbone": {"model": str(tiny.save("qwen2", tmp_path / "backbone"))},
            "data": {"dataset": str(tmp_path / "rows.jsonl"), "train_size": 30, "eval_size": 10},
            "finetune": finetune,
        }
    )


@pytest.mark.slow
def test_the_card_shows_the_first_row_and_what_the_backbone_says_of_it(tmp_path):
    card = api.check(own_config(tmp_path), model=True)
    row = card["row"]
    assert row["trained"] == row["prompt"] + row["completion"] + row["end"]
    assert row["labels_from"] == len(row["prompt"])
    assert "".join(row["texts"]["completion"]) == card["first"]["solution"]
    assert card["ok"] and 0 < card["first_nll"] < 20 and card["device"] == "cpu"
    assert card["largest_request"]["memory_mb"] > 0


@pytest.mark.slow
def test_weights_that_cannot_be_read_are_found_by_reading_and_not_without(tmp_path):
    config = own_config(tmp_path)
    for path in (tmp_path / "backbone").glob("config.json"):
        path.write_text(path.read_text().replace('"hidden_size": 32', '"hidden_size": 48'), encoding="utf-8")
    assert api.check(config)["ok"]
    card = api.check(config, model=True)
    assert not card["ok"] and "backbone.model" in card["problems"][0]


def test_rows_of_which_nothing_would_be_learned_are_a_problem_and_cut_ones_a_warning(tmp_path):
    none_left, cut = (api.check(own_config(tmp_path, max_length=length)) for length in (16, 20))
    assert any("nothing of it would be learned" in problem for problem in none_left["problems"])
    assert any("are cut at 20 tokens" in warning for warning in cut["warnings"])
