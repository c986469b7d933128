"""Facts about the synthetic world."""

import random
from itertools import islice

import pytest

from patchrl.grading.verify import verify_answer
from patchrl.nano import words, world

pytestmark = pytest.mark.slow


def test_held_out_questions_never_occur_in_training_text():
    evaluation = {i.question for i in world.general_eval(600)} | {i.question for i in world.downstream_eval(300)}
    assert len(evaluation) > 700
    assert all(world.held_out(q) for q in evaluation)
    text = "\n".join(c.question for c in islice(world.pretraining(random.Random(3)), 30_000))
    assert not [q for q in evaluation if q in text]
    for style in world.EXPERTS:
        assert not evaluation & {e.question for e in world.downstream_examples(style, 2000)}


def test_a_leak_would_be_noticed():
    chats = list(islice(world.pretraining(random.Random(0)), 200))
    assert not any(world.held_out(c.question) for c in chats if "\n" not in c.question)
    rng = random.Random(0)
    assert any(world.held_out(world.SKILLS["add"](rng).question) for _ in range(200))


def test_unknown_verbs_never_act_as_verbs_in_pretraining_problems():
    for chat in islice(world.pretraining(random.Random(1)), 5000):
        if "How many" in chat.question and ("now?" in chat.question or "in the end?" in chat.question):
            for verb in words.GAIN_UNKNOWN + words.LOSS_UNKNOWN:
                assert f" {verb} " not in chat.question


@pytest.mark.parametrize("skill", world.SKILLS)
def test_every_skill_accepts_its_own_answers_and_refuses_wrong_ones(skill):
    rng = random.Random(skill)
    for _ in range(50):
        chat = world.SKILLS[skill](rng)
        assert verify_answer("exact", chat.reference, chat.answer).passed, chat
        other = next(c for c in iter(lambda: world.SKILLS[skill](rng), None) if c.reference != chat.reference)
        assert not verify_answer("exact", other.reference, chat.answer).passed, (chat, other)


def test_expert_solutions_and_own_answers_pass_the_gate():
    rng = random.Random(5)
    for _ in range(100):
        p = world.problem(rng, "downstream")
        experts = [write(p) for name, write in world.EXPERTS.items() if name != "own"]
        assert {world.style(text) for text in experts} == {"expert"}
        assert world.style(world.own_answer(p, rng)) == world.style(world.own_solution(p)) == "own"
        assert world.own_solution(p) == world.own_solution(p)
        for text in (*experts, world.own_answer(p, rng)):
            assert verify_answer("math", str(p.totals[1]), text, reasoning="equations").passed, text


def test_planted_rewrites_are_wrong_about_a_quarter_of_the_time():
    rng = random.Random(7)
    chats = [world.rewriting(rng) for _ in range(2000)]
    wrong = sum(not verify_answer("math", c.reference, c.answer, reasoning="equations").passed for c in chats)
    assert 0.15 < wrong / len(chats) < 0.30


@pytest.mark.parametrize("instruction,share", world.OWN_SHARE.items())
def test_each_instruction_has_its_planted_share_of_own_style(instruction, share):
    from patchrl.config.instructions import INSTRUCTIONS

    rng = random.Random(11)
    chats = [c for c in (world.rewriting(rng) for _ in range(8000)) if c.question.startswith(INSTRUCTIONS[instruction])]
    own = sum(world.style(c.answer) == "own" for c in chats) / len(chats)
    assert own == pytest.approx(share, abs=0.03)


def test_the_same_seed_gives_the_same_data():
    assert world.downstream_examples("foreign", 20) == world.downstream_examples("foreign", 20)
    assert world.general_eval(100) == world.general_eval(100)


def test_replayed_questions_cover_the_skills_and_hold_no_evaluation_item():
    questions = world.replay_questions(2000)
    assert len(questions) == 2000 and questions == world.replay_questions(2000)
    assert not {i.question for i in world.general_eval(600)} & set(questions)
    assert len(set(questions)) > 1000
