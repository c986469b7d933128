"""GGUF files as ordinary model folders: read by Transformers, written as safetensors."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

from patchrl.errors import BackboneError, first_line
from patchrl.models.model_cache import (
    cached_folder,
    filling,
    gguf_file,
    gguf_problem,
    several_problem,
    split_hub_gguf,
    write_origin,
)

UNQUANTISED = {"F64", "F32", "F16", "BF16"}


def keep_gguf(model: str, revision: str | None = None) -> Path:
    """The cache's folder of a backbone in a GGUF file, here or on the Hub; read and written where it is not there yet.

    Raises BackboneError for a file that cannot be had or read.
    """
    folder = cached_folder(model, revision)
    assert folder is not None, f"{model} is not a GGUF file"
    if folder.is_dir():
        return folder
    if problem := gguf_problem(model):
        raise BackboneError(problem)
    file = gguf_file(model) or _from_hub(model, revision)
    with filling(folder) as work:
        convert(file, work, model)
    return folder


def convert(file: Path, folder: Path, model: str) -> None:
    """Write the model of a GGUF file into a folder: config, weights, tokenizer, and a note on their origin.

    Quantised weights are stored in bfloat16, others in the precision that they have in the file (float32 for float16).

    Args:
        file: The GGUF file of a model that Transformers can read.
        folder: An empty folder.
        model: The name that a person gave, for errors.
    """
    where = {"pretrained_model_name_or_path": file.parent, "gguf_file": file.name}
    try:
        kind = weight_type(file)
        dtype = torch.float32 if kind in UNQUANTISED - {"BF16"} else torch.bfloat16
        tokenizer = AutoTokenizer.from_pretrained(**where)
        loaded = AutoModelForCausalLM.from_pretrained(**where, **_unpacked(), dtype=dtype)
    except (OSError, ValueError, LookupError, ImportError, RuntimeError) as error:
        raise BackboneError(f"backbone.model: {model!r} could not be read as GGUF: {first_line(error)}") from error
    # A model that was read from GGUF refuses to be saved; one made from its config does not.
    config = copy.deepcopy(loaded.config)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    fresh = AutoModelForCausalLM.from_config(config, dtype=dtype)
    fresh.load_state_dict(loaded.state_dict())
    fresh.tie_weights()
    fresh.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    way = "read from" if kind in UNQUANTISED else "de-quantised from"
    write_origin(folder, f"{way} {file.name} ({kind})")


def _unpacked() -> dict[str, Any]:
    """The option of Transformers that has every weight de-quantised; empty for a version that always does."""
    settings = getattr(transformers, "GgufConfig", None)
    return {"quantization_config": settings(dequantize=True)} if settings else {}


def weight_type(file: Path) -> str:
    """How most weights of a GGUF file are stored: F16, Q8_0, Q4_1 and so on."""
    from gguf import GGUFReader

    count: dict[str, int] = {}
    for tensor in GGUFReader(file).tensors:
        count[tensor.tensor_type.name] = count.get(tensor.tensor_type.name, 0) + int(tensor.n_elements)
    return max(count, key=count.__getitem__)


def _from_hub(model: str, revision: str | None) -> Path:
    """Bring the GGUF file of a repository onto this machine."""
    from huggingface_hub import hf_hub_download, list_repo_files
    from huggingface_hub.errors import HTTPError

    repo, name = split_hub_gguf(model)
    try:
        if not name:
            names = [file for file in list_repo_files(repo, revision=revision) if file.endswith(".gguf")]
            if not names:
                raise BackboneError(f"backbone.model: {model} has no GGUF file; name another repository.")
            if len(names) > 1:
                raise BackboneError(several_problem(model, names))
            name = names[0]
        return Path(hf_hub_download(repo, name, revision=revision))
    except (HTTPError, OSError, ValueError) as error:
        raise BackboneError(f"backbone.model: {model} could not be fetched: {first_line(error)}") from error
