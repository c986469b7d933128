from pathlib import Path

import pytest

from patchrl.config.presets import EXAMPLE_FILES, PRESETS
from patchrl.config.settings import load_config, resolve

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_every_preset_is_a_valid_study():
    for values in PRESETS.values():
        resolve(values)


def test_every_example_file_has_a_preset():
    assert {path.name for path in EXAMPLES.glob("*.toml")} == set(EXAMPLE_FILES)


@pytest.mark.parametrize(("file", "preset"), EXAMPLE_FILES.items())
def test_example_files_and_presets_say_the_same(file, preset):
    assert load_config(EXAMPLES / file) == resolve(PRESETS[preset])
