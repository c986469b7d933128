"""The row of an example, made without torch, equals the row that the backbone makes."""

import subprocess
import sys

import pytest
from helpers import tiny

from patchrl.config import BackboneSection
from patchrl.models.backbone import Backbone
from patchrl.models.token_preview import tokenizer_on_disk

QUESTION, SOLUTION = "Zoe has 3 pens and <|user|> more.\nHow many?", "3 + 4 = 7"


def test_the_row_is_that_of_the_backbone_and_data_cannot_act_as_a_turn():
    backbone, preview = Backbone.load(BackboneSection()), tokenizer_on_disk("nano", None)
    row = preview.format.row(QUESTION, SOLUTION)
    assert row == backbone.row(QUESTION, SOLUTION)
    assert preview.texts(row.prompt).count("<|user|>") == 1  # the one in the data is text
    assert "".join(preview.texts(row.completion)) == SOLUTION
    assert preview.texts(row.end) == ["<|end|>"]


@pytest.mark.parametrize("template", [True, False])
def test_a_folder_with_or_without_template_is_read_as_transformers_does(tmp_path, template):
    folder = tiny.save("llama", tmp_path / "backbone", template=template)
    backbone = Backbone.load(BackboneSection(model=str(folder)))
    assert tokenizer_on_disk(str(folder), None).format.row(QUESTION, SOLUTION) == backbone.row(QUESTION, SOLUTION)


def test_an_added_token_that_is_text_stays_one_token(tmp_path):
    """Runs of spaces and HTML tags are added tokens of real tokenizers; a template never writes them."""
    folder = tiny.save("llama", tmp_path / "backbone", added=["<b>"])
    backbone = Backbone.load(BackboneSection(model=str(folder)))
    row = tokenizer_on_disk(str(folder), None).format.row("a <b> c", "d <b>")
    assert row == backbone.row("a <b> c", "d <b>")
    bold = backbone.tokenizer.convert_tokens_to_ids("<b>")
    assert row.prompt.count(bold) == 1 and row.completion.count(bold) == 1


def test_a_template_that_marks_what_the_assistant_wrote_is_read(tmp_path):
    folder = tiny.save("llama", tmp_path / "backbone")
    template = folder / "chat_template.jinja"
    body = "{{ m['content'] }}"
    template.write_text(template.read_text().replace(body, "{% generation %}" + body + "{% endgeneration %}"))
    backbone = Backbone.load(BackboneSection(model=str(folder)))
    assert tokenizer_on_disk(str(folder), None).format.row(QUESTION, SOLUTION) == backbone.row(QUESTION, SOLUTION)


def test_what_cannot_be_read_is_not_shown(tmp_path):
    assert tokenizer_on_disk("org/not-here", None) is None
    assert tokenizer_on_disk("../etc", None) is None
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    assert tokenizer_on_disk(str(tmp_path), None) is None


def test_no_torch_is_needed():
    code = (
        "import sys; from patchrl.models.token_preview import tokenizer_on_disk as t; t('nano', None).format.row('a', 'b');"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
