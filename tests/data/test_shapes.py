import pytest

from patchrl.data.columns import detect_columns, unused_columns
from patchrl.data.shapes import DroppedRow, UnreadableCell, options, read_fields


def fields(row):
    return read_fields(row, detect_columns(list(row)))


def user(text):
    return {"role": "user", "content": text}


def assistant(text, **extra):
    return {"role": "assistant", "content": text} | extra


def nested(depth):
    value = "s"
    for _ in range(depth):
        value = [value]
    return value


PAIR = [user("2 + 2?"), assistant("It is 4.")]
EARLIER = [{"role": "system", "content": "Be brief."}, user("Hi"), assistant("Hello."), *PAIR]


@pytest.mark.parametrize(
    "row",
    [
        {"question": "2 + 2?", "solution": "It is 4."},
        {"problem": "2 + 2?", "answer": "It is 4."},
        {"Prompt": "2 + 2?", "Completion": "It is 4."},
        {"messages": PAIR},
        {"messages": '[{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "It is 4."}]'},
        {"conversations": [{"from": "human", "value": "2 + 2?"}, {"from": "gpt", "value": "It is 4."}]},
        {"prompt": PAIR[:1], "completion": PAIR[1:]},
        {"prompt": "2 + 2?", "completion": PAIR[1:]},
        {"prompt": PAIR[:1], "response": "It is 4."},
        {"prompt": "2 + 2?", "chosen": PAIR, "rejected": [*PAIR[:1], assistant("5")]},
        {"messages": [user([{"type": "text", "text": "2 + 2?"}]), assistant([{"type": "text", "text": "It is 4."}])]},
        {"messages": [*PAIR, user("Thanks!")]},
        {"instruction": "2 + 2?", "input": "", "output": "It is 4."},
        {"question": ["2 + 2?"], "solution": {"text": "It is 4."}},
    ],
)
def test_one_question_and_its_solution_are_read_from_every_shape(row):
    read = fields(row)
    assert (read.question, read.solution) == ("2 + 2?", "It is 4.")


def test_instruction_context_system_and_earlier_turns_are_in_the_question():
    assert fields({"instruction": "Add.", "input": "2 and 2", "output": "4"}).question == "Add.\n\n2 and 2"
    assert fields({"context": "Two pens.", "question": "How many?", "answer": "2"}).question == "Two pens.\n\nHow many?"
    assert (
        fields({"system_prompt": "Be brief.", "question": "2 + 2?", "response": "4"}).question == "Be brief.\n\n2 + 2?"
    )
    question = "Be brief.\n\nUser: Hi\n\nAssistant: Hello.\n\nUser: 2 + 2?"
    assert fields({"messages": EARLIER}).question == question
    alpaca = {"instruction": "2 + 2?", "output": "It is 4.", "history": [["Hi", "Hello."]], "system": "Be brief."}
    assert fields(alpaca).question == question


def test_a_closing_user_turn_is_left_out_and_noted():
    assert fields({"messages": [*PAIR, user("Thanks!")]}).notes == ("the closing user turn is not used",)
    assert fields({"messages": PAIR}).notes == ()


def test_thoughts_beside_a_reply_are_kept_in_front_of_it():
    row = {"messages": [PAIR[0], assistant("It is 4.", reasoning_content="Two and two.")]}
    assert fields(row).solution == "<think>\nTwo and two.\n</think>\n\nIt is 4."


@pytest.mark.parametrize(
    ("answer", "text"),
    [(["6"], "6"), (6, "6"), (6.0, "6"), (2.5, "2.5"), (True, "True"), ({"value": "6"}, "6"), ("so 6\n#### 6", "6")],
)
def test_answers_of_every_type_become_text(answer, text):
    assert fields({"question": "q", "solution": "s", "answer": answer}).answer == text


@pytest.mark.parametrize(
    ("row", "column", "problem"),
    [
        ({"question": ["a", "b"], "solution": "s"}, "question", "a list of 2 values is not text"),
        ({"question": "q", "solution": {"a": 1}}, "solution", "an object is not text"),
        ({"question": "q", "solution": nested(5000)}, "solution", "nested too deeply"),
        ({"question": "q", "solution": b"s"}, "solution", "a value of type bytes is not text"),
        ({"question": "q", "solution": "s", "answer": ["1", "2"]}, "answer", "a list of 2"),
        ({"messages": [{"role": "narrator", "content": "x"}]}, "messages", "turn 1 has the role 'narrator'"),
        ({"messages": "hello"}, "messages", "turns are expected"),
        ({"messages": [user([{"type": "text"}])]}, "messages", "turn 1 has a part without text"),
        ({"question": "q", "choices": ["a", "b"], "answerKey": "z"}, "answerKey", "'z' is none of the 2 options"),
        ({"question": "q", "choices": ["a", "b"], "answer": 2}, "answer", "2 is none of the 2 options"),
        ({"question": "q", "choices": "what", "answer": "a"}, "choices", "names no options"),
    ],
)
def test_a_cell_that_no_rule_reads_is_refused_with_its_column(row, column, problem):
    with pytest.raises(UnreadableCell, match=problem) as refusal:
        fields(row)
    assert refusal.value.column == column


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"question": "a\0b", "solution": "s"}, "NUL"),
        ({"question": "q", "solution": "\ud83d"}, "half a character"),
        ({"messages": [user([{"type": "image", "url": "x"}, {"type": "text", "text": "y"}])]}, "image parts"),
        ({"messages": [*PAIR, {"role": "tool", "content": "4"}]}, "tool calls"),
        ({"messages": [PAIR[0], assistant(None, tool_calls=[{"name": "add"}])]}, "tool calls"),
    ],
)
def test_rows_with_broken_characters_images_or_tools_are_dropped(row, reason):
    with pytest.raises(DroppedRow, match=reason):
        fields(row)


@pytest.mark.parametrize(
    "choices",
    [
        ["red", "blue"],
        {"text": ["red", "blue"], "label": ["A", "B"]},
        {"text": ["red", "blue"], "label": ["1", "2"]},
        [{"label": "A", "text": "red"}, {"label": "B", "text": "blue"}],
        {"A": "red", "B": "blue"},
        '["red", "blue"]',
        '{"A": "red", "B": "blue"}',
        ["A) red", "B) blue"],
        "A. red\nB. blue",
        "a ) red , b ) blue",
        "red | blue",
    ],
)
def test_options_are_read_from_every_shape(choices):
    assert options(choices)[1] == ["red", "blue"]


@pytest.mark.parametrize(
    ("choices", "answer"),
    [
        (["red", "blue"], "B"),
        (["red", "blue"], 1),
        (["red", "blue"], "blue"),
        (["red", "blue"], "(B)"),
        (["red", "blue"], "B. blue"),
        ({"text": ["red", "blue"], "label": ["1", "2"]}, "2"),
        ({"B": "red", "A": "blue"}, "A"),
        (["red", "blue"], "The answer is B."),
    ],
)
def test_the_answer_becomes_the_letter_of_its_option(choices, answer):
    read = fields({"question": "q", "choices": choices, "answerKey": answer})
    assert (read.question, read.answer) == ("q\nA. red\nB. blue", "B")


def test_options_in_one_column_each_and_options_that_the_question_lists():
    assert fields({"question": "q", "A": "red", "B": "blue", "answer": "B"}).question == "q\nA. red\nB. blue"
    listed = "q\nA. red\nB. blue"
    assert fields({"question": listed, "choices": ["red", "blue"], "answer": "B"}).question == listed


def test_columns_without_a_role_are_named():
    row = {"id": 1, "question": "q", "A": "red", "B": "blue", "answer": "B", "source": "x"}
    assert unused_columns(row, detect_columns(list(row))) == ("id", "source")
