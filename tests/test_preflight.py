from patchrl.config import resolve
from patchrl.preflight import preflight


def test_the_default_study_is_ready():
    found = preflight(resolve({}))
    assert (found["ok"], found["problems"], found["warnings"]) == (True, [], [])
    assert found["rows"] == {"train": 512, "eval": 300}
    assert found["minutes"] > 0


def test_everything_wrong_is_said_at_once(tmp_path):
    (tmp_path / "model").mkdir()
    found = preflight(
        resolve(
            {
                "backbone": {"model": str(tmp_path / "model")},
                "data": {"dataset": str(tmp_path / "none.jsonl")},
                "evaluate": {"general": [str(tmp_path / "skills.jsonl")]},
            }
        )
    )
    assert not found["ok"]
    for words in ("no config.json", "none.jsonl", "skills.jsonl"):
        assert any(words in problem for problem in found["problems"]), words


def test_more_prompts_a_step_than_examples_is_refused():
    found = preflight(resolve({"data": {"train_size": 8}, "rewriter": {"prompts_per_step": 9}}))
    assert "rewriter.prompts_per_step" in found["problems"][0]


def test_nano_learning_rates_on_another_backbone_are_warned_about():
    found = preflight(resolve({"backbone": {"model": "org/model"}}))
    assert found["ok"]
    assert [w.split(":")[0] for w in found["warnings"]] == ["rewriter.learning_rate", "finetune.learning_rate"]
