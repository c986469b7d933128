"""Arms by their names: what they are made of, what they share, and what is refused in one sentence."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchrl.config import arms, load_config, resolve, to_toml
from patchrl.config.arms import LOSSES, OFFERED, ON_POLICY, SOURCES, TUNINGS, parse
from patchrl.errors import ConfigError
from patchrl.reporting import figures
from patchrl.rewriting import sources
from patchrl.training import finetune, losses, tuning


def test_left_out_parts_are_expert_nll_and_full():
    assert parse("dft").meaning == parse("expert+dft").meaning == parse("dft+expert").meaning
    plain = parse("rl")
    assert (plain.source, plain.loss, plain.tunings) == ("rl", "nll", {})


def test_parts_have_default_numbers_and_take_others():
    assert parse("wise-ft").tunings == {"wise-ft": 0.5} and parse("rl+wise-ft=0.3").tunings == {"wise-ft": 0.3}
    assert parse("kl=2").loss_number == 2.0 and parse("lora=4").tunings == {"lora": 4.0}
    assert parse("kl=1e-9").loss_number == 1e-9 and parse("kl=1e3").loss_number == 1000.0
    assert list(parse("lora+replay+low-lr").tunings) == ["low-lr", "replay", "lora"]


def test_an_on_policy_method_stands_in_the_place_of_a_loss():
    assert parse("grpo").meaning == parse("expert+grpo").meaning and parse("grpo").on_policy
    arm = parse("rl+sft-then-rl=0.25+lora")
    assert (arm.data, arm.rewriter, arm.loss, arm.loss_number) == ("rl", "rl", "sft-then-rl", 0.25)
    assert not parse("rl+dft").on_policy and parse("dypo").loss_number == 0.5
    # The names of the forgetting laboratory are those of result.json.
    named = "expert prompted best-of-k rl rl-no-alignment rl-no-diversity rl-drop mind-the-gap self dft eaft kl replay"
    assert {*named.split(), *["wise-ft", "low-lr", "lora", "grpo", "sft-then-rl", "dypo", "sdft"]} <= set(OFFERED)


def test_arms_share_rows_and_rewriters():
    parsed = [parse(name) for name in ("expert", "expert+dft", "rl+lora", "rl-drop", "self-resampled", "self")]
    assert arms.sources_in_order(parsed) == ["expert", "rl", "rl-drop", "self"]
    assert arms.sources_in_order([parse("rl-drop")]) == ["rl", "rl-drop"]  # it starts from rows of rl
    assert arms.rewriters_of(parsed) == ["rl"]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["rl"], "must contain 'expert'"),
        (["expert", "expert+sgd"], "'sgd' is not a source, loss or tuning"),
        (["expert", "rl+self"], "two sources, rl and self"),
        (["expert", "dft+eaft"], "two losses, dft and eaft"),
        (["expert", "lora+lora"], "lora twice"),
        (["expert", "exprt"], "'exprt' is not a source, loss or tuning; perhaps expert is meant"),
        (["expert", "RL"], "perhaps rl is meant"),
        (["expert", "dft=2"], "dft takes no number"),
        (["expert", "rl=0.3"], "rl takes no number; write rl alone"),
        (["expert", "best-of-k=4"], "takes no number (its K is rewrite.best_of_k)"),
        (["expert", "lora=100000"], "a whole number above 0 and below 1025"),
        (["expert", "wise-ft=1"], "give a number above 0 and below 1"),
        (["expert", "lora=1.5"], "a whole number above 0"),
        (["expert", "kl=nan"], "is not a valid β"),
        (["expert", "dft", "expert+dft"], "are the same arm"),
        (["expert", "wise-ft", "wise-ft=0.5"], "are the same arm"),
        (["expert", "self-resampled+replay"], "cannot be mixed with replay"),
        (["expert", "grpo+replay"], "cannot be mixed with replay"),
        (["expert", "self-resampled+sdft"], "use self instead of self-resampled"),
        (["expert", "rl+grpo"], "grpo reads no targets"),
        (["expert", "dft+grpo"], "two losses, dft and grpo"),
        (["expert", "sft-then-rl=1"], "1 is not a valid share of sft-then-rl"),
        (["expert", "../../etc"], "is not a source"),
        (["expert", ""], "is not a source"),
    ],
)
def test_a_wrong_arm_is_one_sentence(names, words):
    with pytest.raises(ConfigError) as caught:
        resolve({"study": {"arms": names}})
    message = str(caught.value)
    assert words in message and message.startswith("study.arms: ") and len(message.splitlines()) == 1


parts = st.sampled_from([*SOURCES, *LOSSES, *ON_POLICY, *TUNINGS, "wise-ft=0.25", "kl=1.5", "lora=8"])


@given(st.lists(parts, min_size=1, max_size=4))
def test_every_name_that_parses_is_a_safe_file_name(chosen):
    name = "+".join(chosen)
    try:
        arm = parse(name)
    except ValueError as error:
        assert len(str(error).splitlines()) == 1
        return
    assert re.fullmatch(r"[a-z0-9][a-z0-9.+=-]*", arm.name) and ".." not in arm.name
    assert parse(arm.name).meaning == arm.meaning


def test_a_study_with_composed_arms_survives_its_file(tmp_path):
    config = resolve({"study": {"arms": ["expert", "rl+lora=8"]}, "finetune": {"learning_rate": [1e-4, 1e-3]}})
    (tmp_path / "study.toml").write_text(to_toml(config), encoding="utf-8")
    assert load_config(tmp_path / "study.toml") == config
    assert resolve({"finetune": {"learning_rate": 5e-4}}).finetune.learning_rate == (5e-4,)
    with pytest.raises(ConfigError, match=r"finetune\.learning_rate"):
        resolve({"finetune": {"learning_rate": []}})


def test_every_part_is_implemented_and_every_implementation_has_a_name():
    made_elsewhere = {"expert"} | {name for name, source in SOURCES.items() if source.after or source.data}
    assert set(sources.REWRITE_METHODS) == set(SOURCES) - made_elsewhere
    assert set(losses.LOSS_FUNCTIONS) == set(LOSSES)
    assert set(finetune.ON_POLICY_METHODS) == set(ON_POLICY)
    assert list(tuning.TUNING_CLASSES) == list(TUNINGS)
    assert {source.rewriter for source in SOURCES.values()} - {None} == set(arms.REWRITERS)


def test_offered_arms_are_told_apart_in_figures():
    styles = [figures.arm_style(name) for name in OFFERED]
    assert len(set(styles)) == len(styles)
    assert figures.arm_style("rl+lora")[0] == figures.arm_style("rl")[0]
