import json

import pandas as pd
import pytest

from patchrl.config import resolve
from patchrl.data.examples import load_eval_items, load_examples, load_questions
from patchrl.errors import DataError

ROWS = [{"question": f"What is {n} + 2?", "answer": f"{n} + 2 = {n + 2}\n#### {n + 2}"} for n in range(40)]


def section(dataset, **values):
    return resolve({"data": {"dataset": str(dataset), "train_size": 16, "eval_size": 8} | values}).data


def jsonl(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_jsonl_csv_and_parquet_give_the_same_examples(tmp_path):
    jsonl(tmp_path / "a.jsonl", ROWS)
    pd.DataFrame(ROWS).to_csv(tmp_path / "a.csv", index=False)
    pd.DataFrame(ROWS).to_parquet(tmp_path / "a.parquet")
    (tmp_path / "a.json").write_text(json.dumps(ROWS))
    loaded = [load_examples(section(tmp_path / f"a.{kind}")) for kind in ("jsonl", "csv", "parquet", "json")]
    assert loaded[0] == loaded[1] == loaded[2] == loaded[3]
    assert loaded[0].task == "math"
    assert loaded[0].train[0].reference == str(int(loaded[0].train[0].question.split()[2]) + 2)


def test_columns_are_found_in_any_case(tmp_path):
    rows = [{"Question": f"What is {n}?", "SOLUTION": f"It is {n}.", "Answer": str(n)} for n in range(40)]
    loaded = load_examples(section(jsonl(tmp_path / "a.jsonl", rows)))
    assert loaded.columns == {"question": "Question", "solution": "SOLUTION", "answer": "Answer"}


@pytest.mark.parametrize(
    ("answer", "task"),
    [
        ("{n} + 2 makes {m}. The answer is {m}.", "math"),
        ("{n} + 2 makes \\boxed{{{m}}}.", "math"),
        ("{n} + 2 makes {m}. #### {m}", "math"),
        ("{m}", "math"),
        ("The answer is blue, from {m}.", "exact"),
        ("It took place in {m}.", "exact"),
    ],
)
def test_the_task_is_seen_in_how_solutions_end(tmp_path, answer, task):
    rows = [{"question": f"What is {n} + 2?", "answer": answer.format(n=n, m=n + 2)} for n in range(40)]
    assert load_examples(section(jsonl(tmp_path / "a.jsonl", rows))).task == task


def test_held_out_questions_are_never_trained_on(tmp_path):
    loaded = load_examples(section(jsonl(tmp_path / "a.jsonl", ROWS + ROWS)))
    assert not {e.question for e in loaded.train} & {i.question for i in loaded.eval}
    assert loaded.dropped == {"with a question that occurred before": len(ROWS)}


def test_the_split_does_not_depend_on_the_order_of_the_file(tmp_path):
    a = load_examples(section(jsonl(tmp_path / "a.jsonl", ROWS)))
    b = load_examples(section(jsonl(tmp_path / "b.jsonl", ROWS[::-1])))
    assert a == b


def test_rows_that_cannot_be_used_are_counted_by_reason(tmp_path):
    rows = [
        *ROWS,
        {"question": "", "answer": "#### 1"},
        {"question": "a", "answer": ""},
        {"question": "b", "answer": "who knows"},
    ]
    loaded = load_examples(section(jsonl(tmp_path / "a.jsonl", rows)))
    assert loaded.dropped == {
        "without a question": 1,
        "without a solution": 1,
        "without a reference answer": 1,
    }


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            '{"question": "a", "answer": "b"}\n{"question": \n',
            r"bad\.jsonl: row 2 is not valid JSON \(Expecting value at",
        ),
        ('{"question": "a", "answer": "b"}\n[1, 2]\n', r"bad\.jsonl: row 2 is not an object such as"),
        ("", "no rows"),
        ('{"foo": 1, "bar": 2}\n', "foo, bar"),
        ('{"question": "a", "answer": "#### 1"}\n', "only 1 usable row"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_its_row_or_columns(tmp_path, content, words):
    path = tmp_path / "bad.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=words):
        load_examples(section(path))


def test_a_column_that_is_not_there_is_named_beside_those_that_are(tmp_path):
    path = jsonl(tmp_path / "a.jsonl", ROWS)
    with pytest.raises(DataError, match=r"'prompt'.*question, answer"):
        load_examples(section(path, question_column="prompt"))


def test_conversations_are_read_as_question_and_solution(tmp_path):
    rows = [
        {"messages": [{"role": "user", "content": r["question"]}, {"role": "assistant", "content": r["answer"]}]}
        for r in ROWS
    ]
    plain, talk = (
        load_examples(section(jsonl(tmp_path / f"{n}.jsonl", rows_))) for n, rows_ in enumerate((ROWS, rows))
    )
    assert plain.train == talk.train


def test_a_name_that_is_neither_file_nor_hub_id_is_refused():
    with pytest.raises(DataError, match="neither a dataset of the lab, a file, nor a Hub id"):
        load_examples(section("no such thing!"))


def test_a_setting_that_a_preset_could_not_follow_is_refused():
    with pytest.raises(DataError, match=r"data\.task: of nano-foreign it is always 'math'"):
        load_examples(section("nano-foreign", task="open"))
    assert load_examples(section("nano-foreign", task="math")).task == "math"


def test_a_preset_with_a_typo_is_told_at_once_and_not_looked_up_on_the_hub():
    with pytest.raises(DataError, match="did you mean nano-foreign"):
        load_examples(section("nano-foreignn"))


def test_eval_items_need_question_and_answer(tmp_path):
    path = jsonl(tmp_path / "skills.jsonl", [{"question": "Capital of France?", "answer": "Paris"}, {"question": "x"}])
    with pytest.raises(DataError, match="row 2"):
        load_eval_items(str(path))


def test_gsm8k_svamp_and_mmlu_are_understood_as_they_come(shared_data):
    gsm = load_examples(section(shared_data / "gsm8k_train.jsonl"))
    svamp = load_examples(section(shared_data / "svamp.json"))
    mmlu = load_examples(section(shared_data / "mmlu_stem.jsonl"))
    assert (gsm.task, svamp.task, mmlu.task) == ("math", "math", "choice")
    assert "Question" not in svamp.train[0].question
    assert svamp.train[0].question.count("?") >= 1
    assert "\nB. " in mmlu.train[0].question
    assert mmlu.train[0].reference in "ABCD"


@pytest.mark.parametrize("name", ["gsm8k_train.jsonl", "gsm8k_test.jsonl", "svamp.json", "mmlu_stem.jsonl"])
def test_every_row_of_the_real_data_has_its_reference_answer(shared_data, name):
    dropped = load_examples(section(shared_data / name)).dropped
    assert set(dropped) <= {"with a question that occurred before"}, dropped


def test_replay_questions_are_distinct_user_turns_in_any_of_the_usual_columns(tmp_path):
    turns = [{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "foreign"}]}]
    assert load_questions(str(jsonl(tmp_path / "a.jsonl", turns * 2))).rows == ["hi"]
    assert load_questions(str(jsonl(tmp_path / "b.jsonl", [{"prompt": "hi"}, {"prompt": ""}]))).rows == ["hi"]
    with pytest.raises(DataError, match="no column looks like a question; it has text"):
        load_questions(str(jsonl(tmp_path / "c.jsonl", [{"text": "hi"}])))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("question,answer\na,#### 1\nb,#### 2,3\n", r"bad\.csv: row 2 has 3 cells where the header has 2"),
        ('question,answer\na,"#### 1\n', r"bad\.csv: row 1 opens a quotation mark that never closes"),
    ],
)
def test_a_malformed_row_of_a_csv_file_is_named(tmp_path, content, words):
    (tmp_path / "bad.csv").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=words):
        load_examples(section(tmp_path / "bad.csv"))


def test_a_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(DataError, match=r"data\.dataset: .*gone\.jsonl: No such file or directory\. Check the path"):
        load_examples(section(tmp_path / "gone.jsonl"))
