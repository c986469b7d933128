"""A study whose target and general tasks are the harness's, from the settings to result.json."""

import json

import pytest

from patchrl.config import absolute_paths, resolve
from patchrl.data.examples import load_examples
from patchrl.errors import ConfigError, StopRequested
from patchrl.evaluation.results import seconds_by_stage
from patchrl.models.backbone import Backbone
from patchrl.nano import world
from patchrl.pipeline.items import StudyItems
from patchrl.pipeline.plan import Step
from patchrl.pipeline.stages import Stages
from patchrl.pipeline.study import run_study
from patchrl.runs.folder import RunFolder
from patchrl.runs.recorder import RunRecorder


def lab(tmp_path, sections=None, **evaluate):
    values = {
        "study": {"name": "lab", "seeds": [0], "arms": ["expert"]},
        "data": {"train_size": 16, "eval_size": 30},
        "finetune": {"epochs": 1, "batch_size": 8},
        "evaluate": {"general_size": 20, "max_new_tokens": 48, "bootstrap": 100, **evaluate},
    }
    config = resolve(values | (sections or {}))
    return config, RunFolder.create(tmp_path / "runs", config, "lab")


def rows(folder, home):
    return [json.loads(line) for line in (home / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.slow
def test_harness_tasks_go_through_to_the_result_with_intervals_and_a_bar_of_their_own(tmp_path):
    pytest.importorskip("lm_eval")
    (tmp_path / "words.jsonl").write_text(
        "".join(json.dumps({"question": f"Add {n} and 11.", "answer": str(n + 11)}) + "\n" for n in range(20, 30))
    )
    (tmp_path / "mine.yaml").write_text(
        "task: sums\ndataset_path: json\ntest_split: test\noutput_type: generate_until\n"
        f"dataset_kwargs: {{data_files: {{test: {tmp_path}/words.jsonl}}, cache_dir: {tmp_path}/cache}}\n"
        "doc_to_text: '{{question}}'\ndoc_to_target: '{{answer}}'\ngeneration_kwargs: {until: []}\n"
        "filter_list: [{name: number, filter: [{function: regex, regex_pattern: '(-?[0-9]+)', group_select: -1},"
        " {function: take_first}]}]\n"
        "metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]\n"
    )
    config, folder = lab(
        tmp_path, target=["sums"], general=["patchrl_nano", "nano"], limit=20, tasks_folder=str(tmp_path)
    )
    run_study(config, folder, RunRecorder(folder))
    result = json.loads(folder.result.read_text(encoding="utf-8"))
    base, expert = result["base"], result["arms"]["expert"]
    skills = {f"general/{skill}" for skill in world.SKILLS}
    assert set(base["by_task"]) == {"target/sums", "general/patchrl_nano", *skills}
    assert base["by_task"]["target/sums"] == base["target"] > 0.8
    assert expert["target"]["ci95"] and expert["forgetting"]["ci95"]
    for home in (folder.base(), folder.arm("expert", 0)):
        assert [r["id"] for r in rows(folder, home) if r["task"] == "target/sums"] == [f"sums-{n}" for n in range(10)]
    assert "sums" in folder.report.read_text(encoding="utf-8")


def evaluate_base(config, folder, recorder=None):
    data = load_examples(config.data)
    Stages(config, folder, recorder or RunRecorder(folder), data, StudyItems(config, data)).work(
        Step("evaluate", subject="base")
    )


@pytest.mark.slow
def test_a_second_study_beside_the_first_asks_the_backbone_nothing(tmp_path, monkeypatch):
    config, first = lab(tmp_path)
    evaluate_base(config, first)
    second = RunFolder.create(tmp_path / "runs", config, "lab")
    monkeypatch.setattr(Backbone, "complete", lambda self, prompts, **_: pytest.fail("asked again") if prompts else [])
    evaluate_base(config, second)
    assert rows(second, second.base()) == rows(first, first.base())


def test_what_cannot_be_measured_is_told_before_anything_is_trained(tmp_path, monkeypatch):
    pytest.importorskip("lm_eval")
    from patchrl.evaluation.harness import benchmark

    def refuse(*_):
        raise ConfigError("no score per item")

    monkeypatch.setattr(benchmark, "score_of", refuse)
    config, folder = lab(tmp_path, general=["patchrl_nano"])
    with pytest.raises(ConfigError, match="no score per item"):
        run_study(config, folder, RunRecorder(folder))
    assert not folder.scan.exists() and not (folder.path / "arms").exists()


@pytest.mark.slow
def test_a_stop_between_harness_tasks_keeps_what_was_answered(tmp_path):
    pytest.importorskip("lm_eval")
    config, folder = lab(tmp_path, general=["patchrl_nano"], limit=10)

    class Stopping(RunRecorder):
        def stop_requested(self):  # once the items that the gate judges are answered
            return any(folder.evaluations.rglob("*.json"))

    with pytest.raises(StopRequested, match="Stopped before patchrl_nano"):
        evaluate_base(config, folder, Stopping(folder))
    kept = [path.name for path in folder.evaluations.rglob("*.json")]
    assert len(kept) == 1 and kept[0].startswith("word-problems")
    assert not (folder.base() / "predictions.jsonl").exists()


@pytest.mark.slow
def test_held_out_examples_only_choose_the_rate_where_they_are_no_target(tmp_path):
    sweep = {"finetune": {"learning_rate": [1e-4, 1e-3]}}
    for target, kinds in (
        (["held-out"], {"validation": 10, "target": 20}),
        (["nano"], {"validation": 30, "target": 20}),
    ):
        config, _ = lab(tmp_path, sweep, target=target, general=[])
        resolved = [kind for kind, _ in StudyItems(config, load_examples(config.data)).judged]
        assert {kind: resolved.count(kind) for kind in set(resolved)} == kinds


def test_names_of_harness_tasks_are_not_taken_for_folders_that_lie_about(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mmlu").mkdir()
    (tmp_path / "skills.jsonl").write_text("{}")
    resolved = absolute_paths(
        resolve({"evaluate": {"general": ["mmlu", "skills.jsonl"], "tasks_folder": "mmlu"}})
    ).evaluate
    assert resolved.general == ("mmlu", str(tmp_path / "skills.jsonl")) and resolved.tasks_folder == str(
        tmp_path / "mmlu"
    )


def test_the_time_of_a_stage_that_was_interrupted_counts_up_to_its_last_event():
    def stage(t, state, **values):
        return {"t": t, "kind": "stage", "state": state, **values}

    events = [
        stage(0.0, "start", stage="scan"),
        stage(9.0, "end", stage="scan", seconds=9.0),
        stage(10.0, "start", stage="train"),
        {"t": 50.0, "kind": "train", "step": 4},
        stage(500.0, "start", stage="train"),  # by the process that resumed it
        stage(530.0, "end", stage="train", seconds=30.0),
        stage(531.0, "start", stage="report"),
    ]
    assert seconds_by_stage(events) == {"scan": 9.0, "train": 70.0}
