import json

import numpy as np
import pytest
from helpers import tiny
from helpers.completions_server import CompletionsServer
from safetensors.numpy import save_file

from patchrl.config import resolve
from patchrl.pipeline.memory import PROCESS_MB
from patchrl.pipeline.preflight import preflight


def test_the_default_study_is_ready():
    card = preflight(resolve({}))
    assert (card["ok"], card["problems"], card["warnings"]) == (True, [], [])
    assert card["rows"] == {"train": 512, "eval": 300}
    assert card["minutes"] > 0


def test_everything_wrong_is_said_at_once(tmp_path):
    (tmp_path / "model").mkdir()
    card = preflight(
        resolve(
            {
                "backbone": {"model": str(tmp_path / "model")},
                "data": {"dataset": str(tmp_path / "none.jsonl")},
                "evaluate": {"general": [str(tmp_path / "skills.jsonl")]},
            }
        )
    )
    assert not card["ok"]
    for words in ("no config.json", "none.jsonl", "skills.jsonl"):
        assert any(words in problem for problem in card["problems"]), words


def test_more_prompts_a_step_than_examples_is_refused():
    card = preflight(resolve({"data": {"train_size": 8}, "rewriter": {"prompts_per_step": 9}}))
    assert "rewriter.prompts_per_step" in card["problems"][0]


def test_a_backbone_that_is_not_here_is_fetched_when_the_study_starts():
    card = preflight(resolve({"backbone": {"model": "org/model"}}))
    assert card["ok"]
    assert [w.split(":")[0] for w in card["warnings"]] == ["backbone.model"]
    assert "org/model is not on this machine" in card["warnings"][-1] and card["disk_mb"] is None
    assert preflight(resolve({"backbone": {"model": "org/model"}, "finetune": {"keep_weights": False}}))["disk_mb"] > 0


def test_a_sweep_needs_examples_to_choose_by():
    card = preflight(resolve({"data": {"eval_size": 20}, "finetune": {"learning_rate": [1e-4, 1e-3]}}))
    assert "finetune.learning_rate: several rates need 30" in card["problems"][0]
    assert card["problems"][0].endswith("there are 20. Give one rate, or raise data.eval_size.")


def test_what_is_not_used_of_an_evaluation_file_is_named(tmp_path):
    turns = [{"role": role, "content": text} for role, text in (("user", "2 + 2?"), ("assistant", "4"), ("user", "Ok"))]
    row = {"messages": turns, "source": "web", "skill": "sums"}
    (tmp_path / "sums.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    notes = preflight(resolve({"evaluate": {"general": [str(tmp_path / "sums.jsonl")]}}))["notes"]
    assert notes[0] == "evaluate.general: sums.jsonl: columns not used: source"
    assert notes[1].startswith("evaluate.general: sums.jsonl: row 1: ") and len(notes) == 2


def test_replay_on_another_backbone_needs_questions_of_its_own(tmp_path):
    values = {"study": {"arms": ["expert", "rl+replay=0.1"]}, "backbone": {"model": "org/model"}}
    assert "cannot be replayed for org/model; name a JSONL" in preflight(resolve(values))["problems"][0]
    (tmp_path / "chat.jsonl").write_text('{"question": "hello?", "rating": 3}\n', encoding="utf-8")
    named = preflight(resolve(values | {"finetune": {"replay_data": str(tmp_path / "chat.jsonl")}}))
    assert named["ok"] and "finetune.replay_data: chat.jsonl: columns not used: rating" in named["notes"]
    lost = resolve(values | {"finetune": {"replay_data": str(tmp_path / "lost.jsonl")}})
    assert "finetune.replay_data" in preflight(lost)["problems"][0]


def test_servers_are_asked_what_they_can_before_anything_starts():
    def card(kind, *stubs, **options):
        engine = {"kind": kind, "url": ", ".join(stub.url for stub in stubs)}
        return preflight(resolve({"study": {"arms": ["expert", "rl"]}, "engine": engine} | options))

    model = tiny.judging_backbone()
    with CompletionsServer(model) as able, CompletionsServer(model, takes_adapters=False, context=60) as unable:
        assert card("server", able)["ok"]
        assert any("serves the-model, reads 1,024 tokens" in note for note in card("auto", able)["notes"])
        refused = card("server", able, unable)["problems"]
        assert any("reads 60 tokens and the longest request has" in problem for problem in refused)
        assert any("takes no LoRA adapter" in problem for problem in refused)
        assert not any("takes no LoRA adapter" in problem for problem in card("auto", unable)["problems"])
    with CompletionsServer(model, without=("token_ids",)) as idless:
        assert "gives no token ids" in card("auto", idless)["problems"][0]


@pytest.mark.slow
def test_more_arms_and_more_rates_take_more_time_but_shared_rows_are_counted_once():
    def minutes(*arms, **finetune):
        return preflight(resolve({"study": {"arms": ["expert", *arms]}, "finetune": finetune}))["minutes"]

    plain, one, two = minutes(), minutes("best-of-k"), minutes("best-of-k", "best-of-k+dft")
    assert two - one < one - plain
    assert minutes(learning_rate=[1e-4, 1e-3]) > 1.5 * plain
    assert minutes("self-resampled") > 2 * minutes("self")
    assert minutes("grpo") > minutes("sft-then-rl") > minutes("sdft") > minutes("dft")


def sums(path, solution="{} + 1 = {}"):
    rows = [
        {"question": f"What is {n} + 1?", "solution": solution.format(n, n + 1), "answer": str(n + 1)}
        for n in range(40)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def test_fewer_rows_than_asked_for_are_said_and_take_less_time(tmp_path):
    data = {"dataset": sums(tmp_path / "short.jsonl"), "train_size": 512, "eval_size": 300}
    card = preflight(resolve({"data": data}))
    assert card["ok"]
    assert "data.train_size: the settings ask for 512 rows and the data has 30" in card["warnings"][0]
    assert "intervals will be wide" in card["warnings"][1]
    assert card["minutes"] == preflight(resolve({"data": data | {"train_size": 30, "eval_size": 10}}))["minutes"]
    swept = preflight(resolve({"data": data, "finetune": {"learning_rate": [1e-4, 1e-3]}}))
    assert swept["problems"][0].endswith("there are 10. Give one rate, or give 120 rows or more.")


@pytest.mark.parametrize(
    ("times", "message"), [(1, ""), (150, "30 of 30 rows are cut at 512 tokens"), (300, "this backbone reads 1,024")]
)
def test_examples_longer_than_can_be_read_are_told(tmp_path, times, message):
    dataset = sums(tmp_path / "long.jsonl", "{} + 1 = {}" + " and so it is." * times)
    card = preflight(resolve({"data": {"dataset": dataset, "train_size": 30, "eval_size": 10}}))
    assert (message in " ".join(card["warnings"])) if message else not card["warnings"]


def test_more_than_the_lab_can_make_is_refused_before_it_is_made():
    for name in ("train_size", "eval_size"):
        card = preflight(resolve({"data": {name: 100_000 if name == "eval_size" else 2_000_000}}))
        assert f"data.{name}: the lab makes at most" in card["problems"][0]


def test_memory_is_that_of_training_in_float32_whatever_the_weights_are_kept_in(tmp_path):
    there = {}
    for dtype in (np.float16, np.float32):
        folder = tmp_path / dtype.__name__
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        save_file({"a": np.zeros((1024, 512), dtype), "b": np.zeros(512, dtype)}, folder / "model.safetensors")
        there[dtype] = preflight(resolve({"backbone": {"model": str(folder)}}))["ram_mb"]
    assert there[np.float16] == there[np.float32] == PROCESS_MB + 16 * (1024 * 512 + 512) / 2**20


def test_weights_that_cannot_be_read_are_told(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n")
    card = preflight(resolve({"backbone": {"model": str(tmp_path)}}))
    assert "fetch them again" in " ".join(card["problems"])
    assert card["ram_mb"] is None


@pytest.mark.parametrize(
    ("end", "message"), [("So they are {n} of these in all.", True), ("The answer is blue.", False)]
)
def test_whole_sentences_taken_for_answers_are_told(tmp_path, end, message):
    rows = [{"question": f"What are {n}?", "solution": f"Count. {end.format(n=n)}"} for n in range(40)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    card = preflight(resolve({"data": {"dataset": str(tmp_path / "a.jsonl"), "task": "exact"}}))
    assert ("no final answer was found in the solutions" in " ".join(card["warnings"])) == message


@pytest.mark.parametrize(
    ("files", "message"),
    [({"config.json": "{"}, "cannot be read as JSON"), ({"config.json": "{}"}, "has no tokenizer")],
)
def test_a_folder_that_is_no_whole_model_is_told(tmp_path, files, message):
    save_file({"a": np.zeros(2)}, tmp_path / "model.safetensors")
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert message in " ".join(preflight(resolve({"backbone": {"model": str(tmp_path)}}))["problems"])
