"""GGUF files as backbones: the weights are those of the file, they are read once, and what cannot be read is said."""

import json
import os

import pytest
import torch
from helpers import gguf_files

from patchrl.config import BackboneSection
from patchrl.errors import BackboneError
from patchrl.models import gguf, model_cache
from patchrl.models.backbone import Backbone, resolve_source
from patchrl.models.token_preview import tokenizer_on_disk
from patchrl.pipeline.machine import weight_count
from patchrl.pipeline.preflight import backbone_problems


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "patchrl" / "models"


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    """A GGUF file and the model in it."""
    path = tmp_path_factory.mktemp("gguf") / "tiny-llama.gguf"
    return path, gguf_files.write_llama(path)


def test_a_gguf_file_is_read_once_and_answers_as_the_model_in_it(cache, llama, monkeypatch):
    path, original = llama
    backbone = Backbone.load(BackboneSection(model=str(path), device="cpu"))
    ids = torch.tensor([backbone.prompt_ids("What is 3 + 4?")])
    with torch.no_grad():
        assert torch.allclose(backbone.model(ids).logits, original(ids).logits, atol=1e-4)
    folder = model_cache.model_folder(str(path))
    assert folder is not None and folder.parent == cache and list(folder.glob("*.safetensors"))
    assert model_cache.origin_of(str(path)) == "read from tiny-llama.gguf (F32)"
    assert tokenizer_on_disk(str(path), None).format.prompt_ids("What is 3 + 4?") == ids[0].tolist()
    assert weight_count(str(path)) == sum(p.numel() for p in original.parameters())
    monkeypatch.setattr(gguf, "convert", lambda *_: pytest.fail("read twice"))
    assert resolve_source(str(path)) == resolve_source(str(path.parent)) == str(folder)


def test_a_file_that_changed_is_read_again(cache, llama):
    before = model_cache.cached_folder(str(llama[0]))
    os.utime(llama[0], ns=(1, 1))
    assert model_cache.cached_folder(str(llama[0])) != before


def test_a_failed_conversion_leaves_nothing(cache, llama, monkeypatch):
    def fail(file, folder, model):
        (folder / "config.json").write_text("{}", encoding="utf-8")
        raise BackboneError("no")

    monkeypatch.setattr(gguf, "convert", fail)
    with pytest.raises(BackboneError):
        gguf.keep_gguf(str(llama[0]))
    assert model_cache.model_folder(str(llama[0])) is None
    assert [path for path in cache.iterdir() if path.is_dir()] == []


def test_a_damaged_file_is_named(cache, tmp_path):
    (tmp_path / "broken.gguf").write_bytes(b"GGUF")
    with pytest.raises(BackboneError, match=r"broken\.gguf' could not be read as GGUF"):
        resolve_source(str(tmp_path / "broken.gguf"))


def test_a_folder_with_several_files_asks_for_one(cache, tmp_path):
    for name in ("a.Q4_0.gguf", "a.Q8_0.gguf"):
        (tmp_path / name).touch()
    (problem,) = backbone_problems(str(tmp_path))
    assert "has 2 GGUF files (a.Q4_0.gguf, a.Q8_0.gguf); name one" in problem
    with pytest.raises(BackboneError, match="name one"):
        resolve_source(str(tmp_path))


def test_a_missing_package_is_said_with_the_command(cache, llama, monkeypatch):
    monkeypatch.setattr(model_cache, "find_spec", lambda name: None)
    (problem,) = backbone_problems(str(llama[0]))
    assert 'pip install "patchrl[gguf]"' in problem


@pytest.mark.parametrize(
    ("model", "means"),
    [
        ("owner/Model-GGUF", ("owner/Model-GGUF", "")),
        ("owner/model/some.Q4_0.gguf", ("owner/model", "some.Q4_0.gguf")),
        ("owner/model", None),
        ("model-gguf", None),
    ],
)
def test_names_of_gguf_repositories(model, means):
    assert model_cache.is_hub_gguf(model) == (means is not None)
    assert means is None or model_cache.split_hub_gguf(model) == means


def test_the_one_gguf_file_of_a_repository_is_fetched(cache, llama, monkeypatch):
    monkeypatch.setattr("huggingface_hub.list_repo_files", lambda repo, revision: ["README.md", "tiny-llama.gguf"])
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda repo, name, revision: llama[0])
    assert gguf.keep_gguf("owner/tiny-GGUF") == model_cache.model_folder("owner/tiny-GGUF")
    assert (
        json.loads((model_cache.model_folder("owner/tiny-GGUF") / "config.json").read_text())["model_type"] == "llama"
    )
