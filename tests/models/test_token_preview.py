import subprocess
import sys

from helpers import tiny

from patchrl.config import BackboneSection
from patchrl.models.backbone import Backbone
from patchrl.models.token_preview import formatted_example

QUESTION, SOLUTION = "Zoe has 3 pens and <|user|> more.\nHow many?", "3 + 4 = 7"


def test_tokens_are_those_the_backbone_reads():
    backbone = Backbone.load(BackboneSection())
    found = formatted_example("nano", None, QUESTION, SOLUTION)
    assert len(found["prompt"]) == len(backbone.prompt_ids(QUESTION))
    assert found["prompt"].count("<|user|>") == 1  # the one in the data is no turn
    assert "".join(found["completion"]) == SOLUTION


def test_a_folder_with_or_without_template_is_read_as_transformers_does(tmp_path):
    for template in (True, False):
        folder = tiny.save("llama", tmp_path / str(template), template=template)
        backbone = Backbone.load(BackboneSection(model=str(folder)))
        found = formatted_example(str(folder), None, QUESTION, SOLUTION)
        assert len(found["prompt"]) == len(backbone.prompt_ids(QUESTION))
        assert len(found["completion"]) == len(backbone.completion_ids(SOLUTION))


def test_what_cannot_be_read_is_not_shown(tmp_path):
    assert formatted_example("org/not-here", None, "a", "b") is None
    assert formatted_example("../etc", None, "a", "b") is None
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    assert formatted_example(str(tmp_path), None, "a", "b") is None


def test_no_torch_is_needed():
    code = "import sys; from patchrl.models.token_preview import formatted_example as f; f('nano', None, 'a', 'b'); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
