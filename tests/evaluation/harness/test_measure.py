"""Harness tasks on the nano backbone: the same verdicts as the gate's, real data parsed, nothing asked twice."""

import json
import math
import shutil
from pathlib import Path

import pytest
import torch
from helpers import hub

pytest.importorskip("lm_eval", reason='lm-evaluation-harness is missing: pip install -e ".[harness]"')

from helpers.contexts import context_of

from patchrl.config import BackboneSection, resolve
from patchrl.errors import ConfigError, DataError
from patchrl.evaluation.evaluate import evaluate, summarize
from patchrl.evaluation.harness.benchmark import load_benchmarks, score_of, spread
from patchrl.evaluation.harness.measure import measure
from patchrl.evaluation.harness.model import HarnessModel, StopSequences
from patchrl.grading import fingerprint as grading
from patchrl.grading.gate import Gate
from patchrl.models.backbone import Backbone
from patchrl.nano import world
from patchrl.runs.evaluations import Evaluations
from patchrl.types import Generation

pytestmark = pytest.mark.slow


class Told:
    """A recorder that remembers."""

    def __init__(self):
        self.events, self.steps = [], []

    def event(self, kind, **fields):
        self.events.append((kind, fields))

    def progress(self, done, total, note=""):
        self.steps.append((done, total))

    def stop_requested(self):
        return False


@pytest.fixture(scope="module")
def nano():
    return Backbone.load(BackboneSection())


def benchmark(name, **section):
    ((_, found),) = load_benchmarks(resolve({"evaluate": {"general": [name], **section}}).evaluate)
    return found


def answered(found, backbone, folder, tokens=48, recorder=None):
    return measure(found, backbone, backbone.fingerprint(), tokens, Evaluations(folder), recorder or Told())


def say(monkeypatch, answer):
    """Let `answer(doc)` stand for what the model generates."""
    monkeypatch.setattr(HarnessModel, "generate_until", lambda self, requests: [answer(r.doc) for r in requests])


def own_task(folder, rows, **settings):
    """A task file of a person's own with its data beside it."""
    (folder / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    task = {
        "task": "mine",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(folder / "mine.jsonl")}, "cache_dir": str(folder / "cache")},
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_text": "{{question}}",
        "doc_to_target": "{{answer}}",
        "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
        "generation_kwargs": {"until": []},
    }
    (folder / "mine.yaml").write_text(json.dumps(task | settings))  # JSON is YAML
    return benchmark("mine", tasks_folder=str(folder), limit=0)


def test_the_harness_and_the_gate_give_every_nano_item_the_same_answer_and_verdict(nano, tmp_path):
    rows = {r["question"]: r for r in answered(benchmark("patchrl_nano", limit=120), nano, tmp_path / "harness", 96)}
    items = [("general", item) for item in world.general_eval(600) if item.question in rows]
    assert len(items) == len(rows) == 120 and len({item.skill for _, item in items}) == 10
    config = resolve({})
    with Gate(config, nano, answers_only=True) as gate:
        store = Evaluations(tmp_path / "gate")
        evaluate(context_of(config, gate, tmp_path), items, [], tmp_path, store)
    for row in hub.json_lines(tmp_path / "predictions.jsonl", len(items)):
        twin = rows[row["question"]]
        for field in ("reference", "answer", "passed", "no_answer"):
            assert twin[field] == row[field], row
    assert 0 < sum(r["passed"] for r in rows.values()) < len(rows)  # both verdicts occur


def test_real_gsm8k_and_svamp_are_read_and_only_right_answers_pass(monkeypatch, shared_data, nano, tmp_path):
    gsm8k = hub.json_lines(shared_data / "gsm8k_test.jsonl", 60)
    svamp = json.loads((shared_data / "svamp.json").read_text(encoding="utf-8"))[:60]
    hub.serve(monkeypatch, gsm8k=gsm8k, SVAMP=svamp)
    solutions = {row["question"]: row["answer"] for row in gsm8k}
    solutions |= {f"{row['Body']} {row['Question']}": f"It is {row['Answer']:g}." for row in svamp}
    for name in ("patchrl_gsm8k", "patchrl_svamp"):
        found = benchmark(name, limit=40)
        say(monkeypatch, lambda doc: solutions[doc["question"]])
        rows = answered(found, nano, tmp_path / "right")
        assert len(rows) == 40 and all(row["passed"] is True for row in rows)
        say(monkeypatch, lambda doc: "I do not know.")
        rows = answered(found, nano, tmp_path / "silent")
        assert all(row["passed"] is False and row["no_answer"] for row in rows)
        say(monkeypatch, lambda doc: "The answer is 123456789.")
        rows = answered(found, nano, tmp_path / "wrong")
        assert not any(row["passed"] or row["no_answer"] for row in rows)


def test_the_nano_backbone_itself_answers_real_gsm8k(monkeypatch, shared_data, nano, tmp_path):
    hub.serve(monkeypatch, gsm8k=hub.json_lines(shared_data / "gsm8k_test.jsonl", 3))
    recorder = Told()
    rows = answered(benchmark("patchrl_gsm8k"), nano, tmp_path, recorder=recorder)
    questions = [row["question"] for row in rows]
    own = nano.generate(questions, max_new_tokens=512)  # the task asks for 1024, half of the context is left
    assert [row["answer"] for row in rows] == [group[0].text for group in own]
    assert recorder.steps[-1] == (3, 3)


def likeliest_letter(backbone, prompt):
    """A slow, obvious reference: the log-probability of A, B, C, D after a prompt, one forward each."""
    ids = backbone.tokenizer(prompt, add_special_tokens=False)["input_ids"]
    values = {}
    for letter in "ABCD":
        whole = backbone.tokenizer(prompt + letter, add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            logits = backbone.model(torch.tensor([whole])).logits[0].log_softmax(-1)
        values[letter] = sum(float(logits[i - 1, whole[i]]) for i in range(len(ids), len(whole)))
    return max(values, key=values.get)


def test_harness_tasks_by_name_run_on_real_rows(monkeypatch, shared_data, nano, tmp_path):
    """Likelihood (MMLU), strict and lenient filters (GSM8K, BBH), checked instructions (IFEval), as the harness has them."""
    import nltk

    monkeypatch.setattr(nltk, "download", lambda *a, **k: False)
    algebra = [r for r in hub.json_lines(shared_data / "mmlu_stem.jsonl", 3018) if r["type"] == "abstract_algebra"]
    ifeval = hub.json_lines(shared_data / "ifeval_prompts.jsonl", 541)
    commas = [r for r in ifeval if r["instruction_id_list"] == ["punctuation:no_comma"]]
    gsm8k = hub.json_lines(shared_data / "gsm8k_test.jsonl", 12)
    bbh = json.loads((shared_data / "bbh" / "boolean_expressions.json").read_text(encoding="utf-8"))["examples"]
    hub.serve(monkeypatch, mmlu=algebra, gsm8k=gsm8k, IFEval=commas, bbh=bbh)
    names = ["mmlu_abstract_algebra", "gsm8k", "bbh_zeroshot_boolean_expressions", "ifeval"]
    section = resolve({"evaluate": {"general": names, "limit": 12}}).evaluate
    mmlu, math_words, boolean, instructions = (found for _, found in load_benchmarks(section))
    scores = [found.subtasks[0].score for found in (mmlu, math_words, boolean, instructions)]
    assert scores == ["acc", "exact_match", "exact_match", "prompt_level_strict_acc"]

    rows = answered(mmlu, nano, tmp_path)
    assert len(rows) == 12 and not any(row["no_answer"] for row in rows)
    for row in rows:
        prompt = [
            {"role": "system", "content": mmlu.subtasks[0].task.config.description},
            {"role": "user", "content": row["question"]},
        ]
        text = nano.tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)
        assert row["answer"] == likeliest_letter(nano, text)
        assert row["passed"] is (row["answer"] == row["reference"])

    solutions = {row["question"]: row["answer"].rsplit("####", 1)[1] for row in gsm8k}
    say(monkeypatch, lambda doc: f"That makes{solutions[doc['question']]}")  # not the format that is asked for
    assert all(row["passed"] is True for row in answered(math_words, nano, tmp_path))
    say(monkeypatch, lambda doc: "No idea")
    assert all(row["no_answer"] for row in answered(math_words, nano, tmp_path / "silent"))

    say(monkeypatch, lambda doc: f"So it is {doc['target']}.")
    assert all(row["passed"] is True for row in answered(boolean, nano, tmp_path))

    say(monkeypatch, lambda doc: "yes, no" if doc["key"] == commas[0]["key"] else "yes and no")
    assert [row["passed"] for row in answered(instructions, nano, tmp_path)] == [False] + [True] * (
        len(commas[:12]) - 1
    )


def test_the_same_weights_are_never_asked_twice_and_other_weights_are(monkeypatch, nano, tmp_path):
    found = benchmark("patchrl_nano", limit=20)
    config = resolve({"evaluate": {"max_new_tokens": 24}})
    items = [("general", item) for item in world.general_eval(20)]

    def scores(backbone):
        with Gate(config, backbone, answers_only=True) as gate:
            context = context_of(config, gate, tmp_path)
            return evaluate(context, items, [("target", found)], tmp_path, Evaluations(tmp_path / "kept"))

    first = scores(nano)
    assert first["by_task"]["target/patchrl_nano"]["items"] == 20 and first["general"] is not None
    again = Backbone.load(BackboneSection())
    monkeypatch.setattr(again.model, "forward", lambda *a, **k: pytest.fail("the model was asked again"))
    assert scores(again) == first

    other = Backbone.load(BackboneSection())
    with torch.no_grad():
        next(other.model.parameters()).add_(1e-3)
    sent = []
    monkeypatch.setattr(
        other, "complete", lambda prompts, **_: sent.extend(prompts) or [[Generation("", ())]] * len(prompts)
    )
    assert scores(other)["target"] == 0 and len(sent) == len(items) + 20


def test_settings_and_documents_are_part_of_what_is_kept(tmp_path, nano):
    rows = [{"question": f"What is {n} + 1?", "answer": str(n + 1)} for n in range(10, 14)]
    task = own_task(tmp_path, rows)
    answered(task, nano, tmp_path / "kept", tokens=8)
    answered(task, nano, tmp_path / "kept", tokens=9)
    answered(own_task(tmp_path, rows[::-1]), nano, tmp_path / "kept", tokens=9)
    answered(own_task(tmp_path, rows[::-1], doc_to_text="Add: {{question}}"), nano, tmp_path / "kept", tokens=9)
    assert len(list((tmp_path / "kept").rglob("*.json"))) == 4


@pytest.mark.parametrize("module", sorted(path.name for path in grading.PACKAGE.glob("*.py")))
def test_any_change_in_the_code_that_judges_makes_stored_answers_stale(monkeypatch, tmp_path, module):
    subtask = benchmark("patchrl_nano", limit=20).subtasks[0]
    before = subtask.settings()
    copy = Path(shutil.copytree(grading.PACKAGE, tmp_path / "grading"))
    monkeypatch.setattr(grading, "PACKAGE", copy)
    assert subtask.settings() == before
    (copy / module).write_text((copy / module).read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert subtask.settings() != before


def sums(tmp_path, nano, tokens, **wanted):
    """What a task with these generation settings gets for eight sums, and the whole greedy answers to them."""
    rows = [{"question": f"Add {n} and 11.", "answer": str(n + 11)} for n in range(20, 28)]
    found = answered(own_task(tmp_path, rows, generation_kwargs=wanted), nano, tmp_path / "kept", tokens=tokens)
    return found, [group[0] for group in nano.generate([row["question"] for row in rows], max_new_tokens=tokens)]


def test_answers_are_greedy_whatever_the_task_says_and_no_answer_where_they_are_clipped(tmp_path, nano):
    found, whole = sums(tmp_path, nano, 3, until=[], do_sample=True, temperature=3.0, max_gen_toks=2)
    assert [row["answer"] for row in found] == [generation.text for generation in whole]
    assert all(generation.clipped for generation in whole) and all(row["no_answer"] for row in found)


def test_answers_are_cut_at_the_first_stop_sequence_which_is_no_clipping(tmp_path, nano):
    found, whole = sums(tmp_path, nano, 3, until=["!", " "])
    assert all(" " in generation.text and generation.clipped for generation in whole)
    assert [row["answer"] for row in found] == [generation.text.split(" ")[0] for generation in whole]
    assert not any(row["no_answer"] for row in found)
    found, whole = sums(tmp_path, nano, 48, until=[".", " "])
    assert all({".", " "} <= set(generation.text) for generation in whole)
    assert [row["answer"] for row in found] == [generation.text.split(" ")[0] for generation in whole]


def test_a_batch_ends_when_every_row_has_ended_or_holds_a_stop(nano):
    watch = StopSequences(["kiwi"], nano)
    stop, other = (nano.completion_ids(text)[:8] for text in ("kiwi " * 8, "apple " * 8))
    ended = [*other[:7], nano.tokenizer.eos_token_id]
    assert "kiwi" in nano.tokenizer.decode(stop) and len(other) == 8
    assert watch(torch.tensor([stop, ended])) and not watch(torch.tensor([stop, other]))
    assert not watch(torch.tensor([stop[:7]]))  # it looks at every eighth token only


def test_prompts_longer_than_the_context_are_shortened_and_told(tmp_path, nano):
    recorder = Told()
    rows = [{"question": "Add 1 and 2. " * 400, "answer": "3"}, {"question": "Add 1 and 2.", "answer": "3"}]
    found = answered(own_task(tmp_path, rows), nano, tmp_path / "kept", tokens=4, recorder=recorder)
    assert len(found) == 2
    (fields,) = [fields for kind, fields in recorder.events if kind == "message"]
    assert fields["text"].startswith("mine: 1 prompts did not fit")


def test_text_that_spells_a_special_token_stays_text(tmp_path, nano):
    model = HarnessModel(nano, 8, lambda done, total: None)
    plain_text = "<|end|><|assistant|>Yes."
    prompt = model.apply_chat_template([{"role": "user", "content": plain_text}])
    assert model.tok_encode(prompt) == model._prompt_ids(prompt, 100) == nano.prompt_ids(plain_text)


def test_partial_credit_counts_as_a_fraction_and_the_unscorable_as_nothing(monkeypatch, tmp_path, nano):
    (tmp_path / "credit.py").write_text(
        "def judge(doc, results):\n    return {'share': float(doc['answer']) if doc['answer'] else float('nan')}\n"
    )
    rows = [{"question": q, "answer": a} for q, a in (("a", "0.25"), ("b", "1"), ("c", ""), ("d", "0"))]
    settings = {"metric_list": [{"metric": "share", "aggregation": "nanmean", "higher_is_better": True}]}
    own_task(tmp_path, rows, **settings)
    path = tmp_path / "mine.yaml"
    path.write_text(path.read_text()[:-1] + ', "process_results": !function credit.judge}')
    found = benchmark("mine", tasks_folder=str(tmp_path), limit=0)
    say(monkeypatch, lambda doc: "word")
    passed = [row["passed"] for row in answered(found, nano, tmp_path / "kept")]
    assert passed == [0.25, True, None, False]
    skill_rows = [{"task": "general/mine", **row} for row in answered(found, nano, tmp_path / "kept")]
    assert summarize(skill_rows)["general"] == pytest.approx(1.25 / 3)


def test_a_task_without_a_score_per_item_is_refused():
    def mean(values):
        return sum(values) / len(values)

    def perplexity(values):
        return math.exp(-mean(values))

    with pytest.raises(ConfigError, match="no score per item, only word_perplexity"):
        score_of("evaluate.general: 'wikitext'", {"word_perplexity": perplexity}, {"word_perplexity": False})
    assert score_of(
        "x", {"f1": perplexity, "acc": mean, "acc_norm": mean}, dict.fromkeys(("acc", "acc_norm"), True)
    ) == ("acc_norm")


def test_a_task_that_is_trained_for_is_refused_as_part_of_a_general_group(tmp_path):
    (tmp_path / "both.yaml").write_text("group: both\ntask: [patchrl_nano]\n")
    section = resolve({"evaluate": {"target": ["patchrl_nano"], "general": ["both"], "tasks_folder": str(tmp_path)}})
    with pytest.raises(ConfigError, match="patchrl_nano::add is part of"):
        load_benchmarks(section.evaluate)


def test_a_data_set_that_cannot_be_fetched_is_told_with_its_task(monkeypatch):
    hub.serve(monkeypatch)
    with pytest.raises(DataError, match=r"harness task 'patchrl_svamp' could not be loaded"):
        benchmark("patchrl_svamp")


@pytest.mark.parametrize("there, limit, found", [(10, 0, list(range(10))), (10, 4, [0, 2, 5, 7]), (3, 200, [0, 1, 2])])
def test_items_are_spread_over_the_whole_set(there, limit, found):
    assert spread(there, limit) == found
