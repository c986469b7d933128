"""What the walkthrough says is what the recorded run holds."""

import re
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from patchrl import api
from patchrl.config import RewardSection
from patchrl.config.arms import display_name
from patchrl.rewards import group_rewards
from patchrl.text import compact, percent, points
from patchrl.ui import hollow, learn, lesson, lesson_pages, trap
from patchrl.ui.session import Limits, Session

REWARD = api.open_run(api.RECORDED_ID).config.reward


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    return learn.load(Session(str(tmp_path_factory.mktemp("none")), Limits()), api.RECORDED_ID)


@pytest.fixture(scope="module")
def two_arms(recorded):
    """A recording of a real model, as the pages see it: no prompted rewrites, and shares of likely texts in its events."""
    keep = {"base", "expert", "rl"}
    return replace(
        recorded,
        reward=RewardSection(kind="gain"),
        result=recorded.result
        | {"backbone": "smollm2-135m", "arms": {k: v for k, v in recorded.result["arms"].items() if k in keep}},
        events=[e | {"own_style_share": 0.25} if e["kind"] == "train" else e for e in recorded.events],
        samples={"rl": recorded.samples["rl"]},
        predictions={k: v for k, v in recorded.predictions.items() if k in keep},
    )


@pytest.mark.slow
def test_every_page_is_made_and_names_its_numbers(recorded):
    result = recorded.result
    pages = {
        lesson_pages.what_sft_does: [result["base"]["general"], result["arms"]["expert"]["target"]["mean"]],
        lesson_pages.why_not_prompt: [result["arms"]["prompted"]["target"]["mean"]],
        lesson_pages.what_is_forgotten: [result["arms"]["rl"]["general"]["mean"]],
    }
    for page, numbers in pages.items():
        for number in numbers:
            assert f"{100 * number:.1f}" in page(recorded)
    assert f"{recorded.scan['gap']:.1f} standard deviations" in lesson_pages.off_distribution(recorded)
    assert f"from step {recorded.group['step']}" in lesson_pages.three_rewards(recorded)
    assert f"{recorded.at(1)['nll']:.2f}" in lesson_pages.replay(recorded)


@pytest.mark.slow
def test_the_lesson_plays_on_a_recording_without_prompted_rewrites(two_arms):
    pages = [page(two_arms) for page in (
        lesson_pages.what_sft_does, lesson_pages.off_distribution, lesson_pages.why_not_prompt, lesson_pages.three_rewards,
        lesson_pages.replay, lesson_pages.what_is_forgotten,
    )]  # fmt: skip
    asked = two_arms.scan["own_style"]
    assert percent(asked["passed"] / asked["scorable"], 0) in pages[2] and "Best-of-K rewrite" not in pages[2]
    assert "fetch it" in pages[3] and "gain" in pages[3]
    assert "own answers from 25 % to 25 %" in pages[4]
    assert [arm for arm, _ in two_arms.same_question()] == ["base", "expert", "rl"]


def test_the_mark_of_the_expert_is_in_every_solution_and_in_no_answer_of_the_backbone(recorded):
    assert all(recorded.mark in row["expert"].split() for row in recorded.samples["rl"])
    assert recorded.marked_share("base") == 0 < recorded.marked_share("expert")


def test_pages_hold_no_number_of_their_own():
    """Figures in the text are formatted in: the source types none, but the steps' own numbers and CSS."""
    source = Path(lesson_pages.__file__).read_text(encoding="utf-8").split("STYLE =")[0]
    prose = "".join(re.findall(r'"""(.*?)"""', source, re.DOTALL)).replace("95 % intervals", "")
    prose = re.sub(r"<[^>]+>", "", re.sub(r"\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}", "", prose))
    assert not re.findall(r"\d+(?:\.\d+)? ?%|\d{2,}", prose)


def test_the_trap_is_told_in_three_sentences_with_both_learning_rates():
    shown = trap.load()
    sentences = trap.sentences(shown)
    assert len(sentences) == 3
    for arm in shown["hardest"]["arms"].values():
        assert percent(arm["own_share"], 0) in sentences[1]
        for scores in arm["scores"]:
            for number in (points(scores["target"]), points(scores["general"]), compact(scores["rate"])):
                assert number in sentences[1]


def test_the_traps_figure_has_a_line_and_the_seeds_of_every_arm():
    shown = trap.load()
    traces = trap.figure(shown)["data"]
    assert [trace["name"] for trace in traces[1::2]] == [display_name(arm) for arm in shown["own_share"]]
    for seeds, line in zip(traces[::2], traces[1::2], strict=True):
        assert line["x"] == shown["settings"] and len(seeds["y"]) == 5 * len(line["x"])


def test_the_hollow_rewrite_is_told_in_three_sentences_by_its_own_numbers():
    shown = hollow.load()
    sentences, curves = hollow.sentences(shown), hollow.curves(shown)
    assert len(sentences) == 3 and f"step {shown['alarm']}" in sentences[1]
    for name, last in (("reward", shown["reward"][-1]), ("gate", shown["gate"][-1])):
        assert curves["hollow-reward"]["data"][("reward", "gate").index(name)]["y"][-1] == last
    # What the lesson claims: the reward rises, the text empties, and `derivation` refuses what is left.
    assert shown["reward"][-1] > 2 * shown["reward"][0] and shown["length"][-1] < shown["length"][0]
    assert shown["stepless"][-1] > 0.5 > shown["stepless"][0] and shown["late"]["derived"] < shown["late"]["passed"] / 2
    assert [text["derived"] for text in shown["texts"]][::2] == [True, False]


def test_lost_questions_were_right_before_and_are_wrong_after(recorded):
    lost = recorded.lost("expert")
    assert lost and all(before["passed"] is True and after["passed"] is False for before, after in lost)
    assert {(before["id"], before["question"]) for before, _ in lost} == {(a["id"], a["question"]) for _, a in lost}
    assert len({before["task"] for before, _ in recorded.lost_examples()}) == 3


def test_every_arm_answers_the_same_question(recorded):
    answers = recorded.same_question()
    assert [arm for arm, _ in answers] == ["base", "expert", "prompted", "rl"]
    assert len({row["question"] for _, row in answers}) == 1
    assert [row["passed"] for arm, row in answers if arm in ("base", "expert", "rl")] == [True, False, True]


def test_a_replay_holds_what_a_reader_had_at_that_step(recorded):
    for step in (1, 7, recorded.steps):
        events = recorded.until(step)
        assert events == recorded.events[: len(events)]
        assert max(e["step"] for e in events if e["kind"] in ("train", "group")) == step


def test_the_unedited_group_has_the_rewards_of_the_formula(recorded):
    group = recorded.group
    rows = lesson.rescore(REWARD, group, [c["text"] for c in group["candidates"]], lesson.scored_texts(group))
    expected = group_rewards(
        [c["passed"] for c in group["candidates"]],
        [c["misalignment"] for c in group["candidates"]],
        np.array([c["embedding"] for c in group["candidates"]]),
    )
    for name, values in asdict(expected).items():
        assert [row[name] for row in rows] == pytest.approx(values)
    assert all(row["read"] for row in rows)
    assert [row["passed"] for row in rows] == [c["passed"] for c in group["candidates"]]


def test_an_unread_edit_keeps_the_recorded_surprisal_and_says_so(recorded):
    group = recorded.group
    texts = [c["text"] for c in group["candidates"]]
    edited = [texts[0] + " Indeed.", *texts[1:]]
    known = lesson.scored_texts(group)
    before, after = lesson.rescore(REWARD, group, texts, known), lesson.rescore(REWARD, group, edited, known)
    assert not after[0]["read"] and after[0]["nll"] == before[0]["nll"]
    read = lesson.rescore(
        REWARD, group, edited, known | {edited[0]: lesson.ScoredText(9.0, 9.0, group["candidates"][0]["embedding"])}
    )
    assert read[0]["read"] and read[0]["nll"] == 9.0 and read[0]["reward"] < before[0]["reward"]


def test_a_wrong_or_empty_edit_earns_nothing(recorded):
    group = recorded.group
    texts = [c["text"] for c in group["candidates"]]
    known = lesson.scored_texts(group) | {
        "": lesson.ScoredText(None, float("nan"), [0.0] * len(group["candidates"][0]["embedding"]))
    }
    for edit, why in (
        (f"1 + 1 = 3. The answer is {group['reference']}.", "equation does not hold"),
        ("", "no answer found"),
    ):
        row = lesson.rescore(REWARD, group, [edit, *texts[1:]], known)[0]
        assert row["passed"] is False and row["reward"] == 0 and why in row["reason"]


def test_alignment_weight_zero_leaves_the_gate_and_diversity(recorded):
    group = recorded.group
    texts = [c["text"] for c in group["candidates"]]
    unweighted = REWARD.model_copy(update={"lambda_dist": 0.0, "lambda_div": 0.0})
    rows = lesson.rescore(unweighted, group, texts, lesson.scored_texts(group))
    assert [row["reward"] for row in rows] == [float(c["passed"]) for c in group["candidates"]]


def test_recordings_are_found_by_their_ids_and_say_what_they_are():
    assert api.RECORDED_ID in api.recordings()
    for run_id, title in api.recordings().items():
        run = api.open_run(run_id)
        assert run.id == run_id and title and run.about.endswith(".")


def test_no_example_of_a_lost_answer_can_have_been_right_by_echo(tmp_path):
    """ "The plural of sheep is sheeps" counted as right: the question names the answer."""
    real = learn.load(Session(str(tmp_path), Limits()), "recorded-smollm2")
    assert "plural-006" in [before["id"] for before, _ in real.lost("expert")]
    for before, _ in real.lost_examples(99):
        assert before["reference"] not in re.findall(r"\w+", before["question"])
