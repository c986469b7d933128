import json

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


def test_a_sweep_needs_examples_to_choose_by():
    found = preflight(resolve({"data": {"eval_size": 20}, "finetune": {"learning_rate": [1e-4, 1e-3]}}))
    assert "finetune.learning_rate: several rates need 30" in found["problems"][0]


def test_replay_on_another_backbone_needs_questions_of_its_own(tmp_path):
    values = {"study": {"arms": ["expert", "rl+replay=0.1"]}, "backbone": {"model": "org/model"}}
    assert "no replay for org/model; name a JSONL" in preflight(resolve(values))["problems"][0]
    (tmp_path / "chat.jsonl").write_text('{"question": "hello?"}\n', encoding="utf-8")
    named = resolve(values | {"finetune": {"replay_data": str(tmp_path / "chat.jsonl")}})
    assert preflight(named)["ok"]
    lost = resolve(values | {"finetune": {"replay_data": str(tmp_path / "lost.jsonl")}})
    assert "finetune.replay_data" in preflight(lost)["problems"][0]


def test_more_arms_and_more_rates_take_more_time_but_shared_rows_are_counted_once():
    def minutes(*arms, **finetune):
        return preflight(resolve({"study": {"arms": ["expert", *arms]}, "finetune": finetune}))["minutes"]

    assert minutes("best-of-k", "best-of-k+dft") - minutes("best-of-k") < minutes("best-of-k") - minutes()
    assert minutes(learning_rate=[1e-4, 1e-3]) > 1.5 * minutes()
    assert minutes("self-resampled") > 2 * minutes("self")
    assert minutes("grpo") > minutes("sft-then-rl") > minutes("sdft") > minutes("dft")


def test_fewer_rows_than_asked_for_are_said(tmp_path):
    rows = [
        {"question": f"What is {n} + 1?", "solution": f"{n} + 1 = {n + 1}", "answer": str(n + 1)} for n in range(40)
    ]
    (tmp_path / "short.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    found = preflight(
        resolve({"data": {"dataset": str(tmp_path / "short.jsonl"), "train_size": 512, "eval_size": 300}})
    )
    assert found["ok"]
    assert "data.train_size: 512 rows are asked for and 30 are there" in found["warnings"][0]
    assert "intervals will be wide" in found["warnings"][1]
