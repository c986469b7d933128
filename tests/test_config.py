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
        ({"rewriter": {"stepps": 3}}, "rewriter.stepps: no such setting"),
        ({"rewriter": {"group_size": 1}}, "rewriter.group_size"),
        ({"study": {"arms": ["rl"]}}, "must contain 'expert'"),
        ({"study": {"name": "../up"}}, "study.name"),
        ({"reward": {"lambda_dist": "much"}}, "reward.lambda_dist"),
    ],
)
def test_a_wrong_setting_is_named(values, words):
    with pytest.raises(ConfigError, match=words):
        resolve(values)


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
