import os
from pathlib import Path

import pytest

from patchrl.config import load_config, presets, resolve
from patchrl.errors import ConfigError

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_every_preset_is_a_valid_study_with_title_and_description():
    for name, preset in presets().items():
        assert load_config(name) == load_config(preset.path) == resolve(preset.values)
        assert preset.title and preset.description.endswith((".", "?"))
    assert len({preset.title for preset in presets().values()}) == len(presets())


def test_every_example_file_is_a_relative_link_to_its_preset():
    links = {path.name: path for path in EXAMPLES.glob("*.toml")}
    assert set(links) == {preset.path.name for preset in presets().values()}
    for name, link in links.items():
        assert not os.path.isabs(os.readlink(link)) and link.resolve() == presets()[Path(name).stem].path.resolve()


def test_a_preset_takes_overrides_and_a_file_of_its_name_comes_first(tmp_path, monkeypatch):
    assert load_config("nano-quick", ["rewriter.steps=5"]).rewriter.steps == 5
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nano-quick").write_text('[study]\nname = "mine"\n', encoding="utf-8")
    assert load_config("nano-quick").study.name == "mine"


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("nano-quik", "Perhaps the preset nano-quick is meant"),
        ("examples/nano-trp.toml", "Perhaps the preset nano-trap is meant"),
        ("study.toml", "name a preset: nano, nano-arms"),
    ],
)
def test_a_config_that_does_not_exist_suggests_a_preset(name, advice):
    with pytest.raises(ConfigError, match=advice):
        load_config(name)
