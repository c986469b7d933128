"""The one door: runs started, followed, read and listed through it, with real workers."""

import json
import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from safetensors.numpy import save_file

import patchrl
from patchrl import api
from patchrl.config import StudyConfig, load_config, resolve, to_toml
from patchrl.errors import ConfigError, RunError
from patchrl.jobs import launch
from patchrl.jobs.status import LAUNCH_MARK
from patchrl.runs.folder import RunFolder


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.jsonl"
    made = [
        {"question": f"What is {n} + 1?", "solution": f"{n} + 1 = {n + 1}", "answer": str(n + 1)} for n in range(40)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in [*made, made[0]]))
    return path


def failing(name: str = "study") -> StudyConfig:
    return resolve({"study": {"name": name}, "data": {"dataset": "gone.jsonl"}, "evaluate": {"general": []}})


def made(runs_dir, name: str = "study") -> RunFolder:
    return RunFolder.create(runs_dir, failing(name))


def problems(section: str, **fields) -> str:
    return " ".join(api.check(resolve({"evaluate": {"general": []}, section: fields}))["problems"])


# --- running ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_scan_runs_to_its_end_and_every_event_is_seen_once(runs_dir, rows, tmp_path):
    from helpers import tiny

    model = tmp_path / "model"
    tiny.save("llama", model)
    config = tmp_path / "study.toml"
    config.write_text(f'[data]\ndataset = "{rows}"\n[backbone]\nmodel = "{model}"\n[evaluate]\ngeneral = []\n')
    seen: list[dict] = []
    run = api.run(config, overrides=["data.train_size=8", "study.name=tiny"], upto="scan", on_event=seen.append)
    assert run.status()["state"] == "done" and run.id.startswith("tiny-")
    assert seen == run.events()[0]
    assert [e["kind"] for e in seen if e["kind"] not in ("message", "phase")] == ["stage", "scan", "stage"]
    assert run.report_path is None and run.result() is None
    # A finished step is not done again.
    before = len(seen)
    run.resume("scan")
    assert run.wait(timeout=60)["state"] == "done"
    assert len(run.events()[0]) == before


@pytest.mark.slow
def test_a_run_that_fails_raises_its_reason_and_stays_readable(runs_dir, rows, tmp_path):
    model = tmp_path / "model"  # looks like a saved model until its weights are read
    model.mkdir()
    (model / "config.json").write_text("{}")
    (model / "tokenizer.json").write_text("{}")
    save_file({"a": np.zeros(4, np.float32)}, model / "model.safetensors")
    values = {"backbone": {"model": str(model)}, "data": {"dataset": str(rows)}, "evaluate": {"general": []}}
    with pytest.raises(RunError, match=r"backbone\.model: .* could not be loaded"):
        api.run(resolve(values))
    run = api.list_runs()[0]
    assert run.status()["state"] == "failed"
    assert any("BackboneError" in line for line in run.log_tail())


def test_run_without_waiting_returns_a_live_run_that_cancel_ends(runs_dir):
    run = api.run(resolve({}), wait=False)  # minutes of work
    try:
        started = time.monotonic()
        assert run.wait(timeout=0.3)["state"] in ("queued", "running")
        assert time.monotonic() - started < 5
        with pytest.raises(RunError, match="already running"):
            run.resume()
    finally:
        run.cancel()
    assert run.wait(timeout=5)["state"] == "cancelled"


# --- finding and reading ------------------------------------------------------------------------


def test_a_run_opens_by_id_and_by_path_and_nothing_else(runs_dir):
    folder = made(runs_dir)
    assert api.open_run(folder.id).id == api.open_run(folder.path).id == folder.id
    with pytest.raises(RunError):
        api.open_run(str(folder.path))  # text is an id and never a path
    for wrong in ("unknown", "../" + folder.id, "", str(runs_dir)):
        with pytest.raises(RunError):
            api.open_run(wrong)


def test_runs_are_listed_newest_first_without_the_broken_ones(runs_dir):
    assert api.list_runs() == []
    ids = []
    for age, name in ((300, "old"), (200, "mid"), (100, "new")):
        folder = made(runs_dir, name)
        os.utime(folder.config, (time.time() - age,) * 2)
        ids.append(folder.id)
    (runs_dir / "empty").mkdir()
    for name, content in (("cut", b'{"study": {'), ("bytes", b"\xff\xfe\xff"), ("foreign", b'{"study": {"x": 1}}')):
        (runs_dir / name).mkdir()
        (runs_dir / name / "config.json").write_bytes(content)
    assert [run.id for run in api.list_runs()] == ids[::-1]
    assert api.list_runs()[0].status()["state"] == "new"


def test_a_run_whose_files_were_cut_off_is_shown_as_damaged_and_does_not_hide_the_others(runs_dir):
    whole, cut, odd = made(runs_dir), made(runs_dir), made(runs_dir)
    cut.status.write_text('{"state": "do')
    cut.result.write_text('{"vers')
    odd.config.write_text("[]")
    assert {run.id for run in api.list_runs()} == {whole.id, cut.id}
    run = api.open_run(cut.id)
    assert run.status()["state"] == "failed" and "status.json is damaged" in run.status()["error"]
    assert run.result() is None
    with pytest.raises(RunError, match="contains a list instead of sections"):
        api.open_run(odd.id)


def test_the_last_words_of_a_worker_are_its_own_and_no_progress_bars(runs_dir):
    run = api.Run(made(runs_dir))
    run.folder.log.write_text(
        f"{LAUNCH_MARK}one\nStopped before evaluate.\n{LAUNCH_MARK}two\nLoading weights:   0%|  |\nboom\n"
    )
    assert run.log_tail() == ["boom"]


def test_reading_what_is_not_there_gives_nothing(runs_dir):
    run = api.Run(made(runs_dir))
    assert run.samples("rl", 0) == [] and run.surprisal("rl", 0, "x") is None
    assert run.result() is None and run.report_path is None
    assert run.events() == ([], 0) and run.log_tail() == []


def test_reading_what_the_study_does_not_have_says_what_it_has(runs_dir):
    run = api.Run(made(runs_dir))
    assert run.sources() == ["prompted", "best-of-k", "rl"]
    with pytest.raises(RunError, match=r"has no seed 7; its seeds are 0, 1, 2"):
        run.samples("rl", 7)
    with pytest.raises(RunError, match="has no targets of arm 'self'; those it has are of expert, prompted"):
        run.samples("self", 0)
    with pytest.raises(RunError, match="has no seed 7"):
        run.predictions("rl", 7)
    with pytest.raises(RunError, match="base or one of expert"):
        run.predictions("self", 0)


def test_a_report_that_was_not_kept_is_built_from_what_is_recorded(tmp_path):
    run = api.open_run(api.RECORDED_ID)
    assert run.report_path is None
    page = run.export("report", tmp_path).read_text(encoding="utf-8")
    assert f"{100 * run.result()['arms']['rl']['general']['mean']:.1f}" in page and "patchrlDistributionSlider" in page
    assert run.export("adapter", tmp_path).suffix == ".zip"
    with pytest.raises(RunError, match="a recording without weights"):
        api.open_run("recorded-smollm2").export("adapter", tmp_path)
    rows = run.export("jsonl", tmp_path, arm="best-of-k").read_text(encoding="utf-8").splitlines()
    assert json.loads(rows[0])["messages"][1]["role"] == "assistant" and len(rows) == 512


def test_an_upload_is_kept_hidden_in_the_runs_folder_and_never_overwritten(runs_dir, tmp_path):
    kept = []
    for text in ("one", "two", "one"):
        (tmp_path / "mine.jsonl").write_text(text)
        kept.append(api.keep_upload(tmp_path / "mine.jsonl"))
    assert [path.read_text() for path in kept] == ["one", "two", "one"] and kept[0] == kept[2] != kept[1]
    assert all(path.is_relative_to(runs_dir) and path.name == "mine.jsonl" for path in kept)
    assert api.list_runs() == []


def test_resume_goes_on_to_what_was_asked_for_and_from_there_to_the_report(runs_dir, monkeypatch):
    calls = []
    monkeypatch.setattr(launch, "launch", lambda folder, upto, queue, webhook: calls.append((upto, queue)))
    run = api.Run(made(runs_dir))
    run.resume()
    for state in ("stopped", "failed", "done"):
        run.folder.write_json(run.folder.status, {"state": state, "upto": "train"})
        run.resume(queue=True)
    run.resume("rewrite")
    assert calls == [("report", False), ("train", True), ("train", True), ("report", True), ("rewrite", False)]


def test_surprisal_is_found_by_row(runs_dir):
    run = api.Run(made(runs_dir))
    path = run.folder.surprisal("rl", 0)
    path.parent.mkdir(parents=True)
    path.write_text(
        '{"id": "a", "expert": [], "rewrite": []}\n{"id": "b", "expert": [["x", 1.0, []]], "rewrite": []}\n'
    )
    assert run.surprisal("rl", 0, "b")["expert"] == [["x", 1.0, []]]
    assert run.surprisal("rl", 0, "c") is None


def test_a_missing_config_file_is_told_before_a_run_is_made(runs_dir, tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        api.run(tmp_path / "none.toml")
    assert not runs_dir.exists()


# --- preflight ----------------------------------------------------------------------------------


def test_the_preflight_tells_rows_columns_and_first_example(rows, tmp_path):
    config = resolve({"data": {"dataset": str(rows), "train_size": 16}, "evaluate": {"general": []}})
    card = api.check(config)
    assert card["ok"] and card["problems"] == [] and card["task"] == "math"
    assert card["rows"] == {"train": 16, "eval": 10} and card["kept"] == 40
    assert card["dropped"] == {"with a question that occurred before": 1}
    assert card["columns"] == {"question": "question", "solution": "solution", "answer": "answer"}
    assert set(card["first"]) == {"question", "solution", "reference"}
    assert card["minutes"] > 0 and card["disk_mb"] > 0 and card["general_items"] == 0
    json.dumps(card)
    written = tmp_path / "study.toml"
    written.write_text(card["toml"])
    assert load_config(written) == config and card["toml"] == to_toml(config)


@pytest.mark.slow
def test_problems_are_sentences_and_do_not_raise(rows, tmp_path):
    empty, weightless = tmp_path / "empty", tmp_path / "weightless"
    empty.mkdir()
    weightless.mkdir()
    (weightless / "config.json").write_text("{}")
    assert "gone.jsonl: No such file" in problems("data", dataset="gone.jsonl")
    assert "no config.json" in problems("backbone", model=str(empty))
    assert "no .safetensors" in problems("backbone", model=str(weightless))
    for wrong in (str(tmp_path / "absent"), "a/b/c", "../up", "-flag"):
        assert "neither `nano`" in problems("backbone", model=wrong)
    few = resolve({"data": {"dataset": str(rows), "train_size": 8}, "rewriter": {"prompts_per_step": 9}})
    assert "rewriter.prompts_per_step: 9" in " ".join(api.check(few)["problems"])
    lost = resolve({"evaluate": {"general": [str(tmp_path / "lost.jsonl")]}})
    assert "lost.jsonl" in " ".join(api.check(lost)["problems"])


def test_only_nano_has_an_estimate_of_minutes():
    assert api.check(resolve({"backbone": {"model": "org/name"}}))["minutes"] is None


# --- the package --------------------------------------------------------------------------------


def test_starting_following_and_checking_never_import_torch(runs_dir, rows):
    code = (
        "import sys, patchrl\n"
        f"config = patchrl.StudyConfig.model_validate({{'data': {{'dataset': {str(rows)!r}}}}})\n"
        "patchrl.check(config); patchrl.run; patchrl.list_runs(); patchrl.verify_answer\n"
        "print('torch' in sys.modules, patchrl.__version__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", patchrl.__version__]


def test_a_deleted_run_folder_is_no_run(runs_dir):
    folder = made(runs_dir)
    shutil.rmtree(folder.path)
    with pytest.raises(RunError, match="is not in"):
        api.open_run(folder.id)


@pytest.mark.slow
def test_a_relative_data_path_is_found_by_the_worker(runs_dir, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [
        {"question": f"What is {n} + 1?", "solution": f"{n} + 1 = {n + 1}", "answer": str(n + 1)} for n in range(40)
    ]
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    config = resolve({"data": {"dataset": "mine.jsonl"}, "evaluate": {"general": ["mine.jsonl"]}})
    made = api.start(config, upto="scan")
    assert made.config.data.dataset == str(tmp_path / "mine.jsonl") == made.config.evaluate.general[0]
    assert made.wait(timeout=120)["state"] == "done", made.status()


def test_what_cannot_work_leaves_no_run_behind(runs_dir):
    with pytest.raises(ConfigError, match=r"nowhere\.jsonl"):
        api.run(resolve({"data": {"dataset": "nowhere.jsonl"}}))
    assert api.list_runs() == []


@pytest.mark.parametrize(
    ("kind", "ending", "words"), [("csv", "csv", "rl,"), ("latex", "tex", "\\toprule"), ("json", "json", '"arms"')]
)
def test_results_go_home_as_a_file_of_each_kind(kind, ending, words, tmp_path):
    path = api.open_run(api.RECORDED_ID).export(kind, tmp_path)
    assert path.name == f"{api.RECORDED_ID}.{ending}" and words in path.read_text(encoding="utf-8")


def test_results_are_not_exported_before_they_are_there(runs_dir):
    with pytest.raises(RunError, match="has no results yet"):
        api.Run(made(runs_dir)).export("csv", runs_dir)


def test_an_export_that_cannot_be_written_or_has_nothing_to_write_is_one_sentence(tmp_path):
    run = api.open_run(api.RECORDED_ID)
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"file.*Name a folder that can be written"):
        run.export("jsonl", tmp_path / "file" / "deeper")
    with pytest.raises(RunError, match="learns from the expert's text as it is"):
        run.export("jsonl", tmp_path, arm="expert")
