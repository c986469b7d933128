import pytest

from patchrl.config import apply_overrides, differences, load_config, resolve, to_toml
from patchrl.errors import ConfigError


def test_toml_round_trip_keeps_every_setting(tmp_path):
    config = resolve(
        {
            "rewriter": {"instruction": 'say "it" your way', "steps": 7},
            "study": {"seeds": [3]},
            "evaluate": {"general": []},
        }
    )
    (tmp_path / "a.toml").write_text(to_toml(config), encoding="utf-8")
    assert load_config(tmp_path / "a.toml") == config


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"rewriter": {"stepps": 3}}, r"rewriter\.stepps: no such setting; perhaps steps is meant\.$"),
        ({"rewritter": {}}, "rewritter: no such section; perhaps rewriter is meant"),
        ({"rewriter": {"steps": 0}}, r"rewriter\.steps: it must be at least 1 \(found 0\)"),
        ({"rewriter": {"steps": 2.5}}, "rewriter.steps: a whole number is needed"),
        ({"data": {"task": "maths"}}, "data.task: it must be 'math', 'choice', 'exact' or 'open'"),
        ({"finetune": {"learning_rate": [-1]}}, r"^finetune\.learning_rate: it must be more than 0 \(found -1\)\.$"),
        ({"reward": {"lambda_dist": float("inf")}}, "reward.lambda_dist: a finite number is needed"),
        ({"finetune": {"keep_weights": "perhaps"}}, "true or false is needed"),
        ({"rewriter": {"group_size": 1}}, "rewriter.group_size"),
        ({"study": {"arms": ["rl"]}}, "must contain 'expert'"),
        (
            {"rewriter": {"instruction": "own-word"}},
            r"rewriter\.instruction: 'own-word' is no named instruction \(polish, ",
        ),
        (
            {"rewriter": {"more_instructions": ["polish", ""]}},
            r"rewriter\.more_instructions: '' is no named instruction",
        ),
        ({"study": {"name": "../up"}}, "study.name: use letters, digits"),
        ({"study": {"arms": "rl"}}, "study.arms: a list is needed: .* with commas between its values"),
        ({"finetune": {"learning_rate": [1e-3, 5e-4, 0.001]}}, "finetune.learning_rate: 0.001 is named twice"),
        ({"finetune": {"learning_rate": [1e-3, 1e30]}}, r"learning_rate: it must be at most 1 \(found 1e\+30\)"),
        ({"data": {"train_size": 10**12}}, "data.train_size: it must be at most 2e"),
        ({"reward": {"lambda_dist": "much"}}, "reward.lambda_dist: a number is needed"),
    ],
)
def test_a_wrong_setting_is_named(values, words):
    with pytest.raises(ConfigError, match=words):
        resolve(values)


def test_an_instruction_is_a_name_or_a_sentence_in_any_script():
    for instruction in ("polish", "Say it anew.", "用你自己的话改写这个解答"):
        assert resolve({"rewriter": {"instruction": instruction}}).rewriter.instruction == instruction


def test_overrides_take_toml_values_or_plain_text():
    merged = apply_overrides(
        {"study": {"seeds": [0]}}, ["study.seeds=[1, 2]", "backbone.model=org/name", "rewriter.steps = 5"]
    )
    assert merged == {"study": {"seeds": [1, 2]}, "backbone": {"model": "org/name"}, "rewriter": {"steps": 5}}


def test_a_config_cannot_be_changed_after_it_was_checked():
    with pytest.raises(ValueError, match="frozen"):
        resolve({}).study.name = "other"


def test_differences_name_every_setting_that_differs():
    first, second = resolve({"rewriter": {"steps": 5}}), resolve({"data": {"task": "open"}})
    assert differences(first, second) == [("data.task", "–", '"open"'), ("rewriter.steps", "5", "40")]
    assert differences(first, first) == []


@pytest.mark.parametrize(
    ("seeds", "message"), [([0, 0], "seed 0 is named twice"), ([-1], "seed -1 is outside"), ([2**32], "is outside")]
)
def test_seeds_that_repeat_or_that_no_generator_takes_are_refused(seeds, message):
    with pytest.raises(ConfigError, match=message):
        resolve({"study": {"seeds": seeds}})


def test_a_setting_that_may_be_empty_can_be_emptied():
    values = {"rewriter": {"warm_start_rate": 1e-4}}
    assert resolve(apply_overrides(values, ["rewriter.warm_start_rate=null"])).rewriter.warm_start_rate is None


def test_servers_are_addresses_without_secrets():
    assert resolve({"engine": {"url": "http://a:8000, http://[::1]:8001/v1"}}).engine.urls == (
        "http://a:8000",
        "http://[::1]:8001/v1",
    )
    assert resolve({"engine": {"kind": "transformers", "url": "http://a:8000"}}).engine.urls == ()
    for url in ("a:8000", "http://user:word@a", "http://a?key=1", "file:///etc/passwd"):
        with pytest.raises(ConfigError, match=r"engine\.url"):
            resolve({"engine": {"url": url}})
    with pytest.raises(ConfigError, match="no server is named"):
        resolve({"engine": {"kind": "server"}})
