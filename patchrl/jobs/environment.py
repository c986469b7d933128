"""The environment of the processes that load models: an allow-list, so that no secret of the server reaches them."""

from __future__ import annotations

import os
import re
from pathlib import Path

from patchrl.models.engines.interface import TOKEN_VARIABLE

# Whole names: of the system, the network, Hugging Face's caches, and processes that train together.
NAMES = {
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TERM", "COLUMNS", "TMPDIR", "VIRTUAL_ENV"),
    *("LD_LIBRARY_PATH", "LD_PRELOAD", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "HF_HOME", "HF_ENDPOINT", "TOKENIZERS_PARALLELISM"),
    *("WORLD_SIZE", "RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "PATCHRL_RUNS_DIR"),
}
# Beginnings of names: of the system, Python, numeric libraries, devices, Hugging Face's libraries.
PREFIXES = (
    *("LC_", "XDG_", "PYTHON", "OMP_", "MKL_", "KMP_", "OPENBLAS_", "NUMEXPR_", "MALLOC_", "TRANSFORMERS_", "HF_HUB_"),
    *(
        "CUDA_",
        "CUBLAS_",
        "NVIDIA_",
        "NCCL_",
        "GLOO_",
        "HIP_",
        "HSA_",
        "ROCR_",
        "MIOPEN_",
        "PYTORCH_",
        "TORCH",
        "TRITON_",
    ),
    *("ACCELERATE_", "FSDP_", "HF_DATASETS_"),
)
SECRET = re.compile(r"(^|_)(TOKENS?|SECRET|PASSWORD|PASSWD|CREDENTIALS?|KEY)(_|$)")
# No telemetry, no progress bars: the output of these processes is a file.
FIXED = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "TRL_EXPERIMENTAL_SILENCE": "1",
    "TQDM_DISABLE": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "PYTHONUNBUFFERED": "1",
}
# Of a visitor's run: it needs nothing from the Hub, and must not use the login of this machine.
NO_HUB = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}


def environment() -> dict[str, str]:
    """The environment of a worker, with this very package on its path."""
    env = {name: value for name, value in os.environ.items() if is_passed_on(name)}
    source = str(Path(__file__).parents[2])
    env["PYTHONPATH"] = os.pathsep.join([source, *filter(None, [env.get("PYTHONPATH")])])
    return env | FIXED


def is_passed_on(name: str) -> bool:
    """Whether a variable of the server is one that a worker needs; no name that sounds like a secret is."""
    upper = name.upper()
    return (upper in NAMES or upper.startswith(PREFIXES)) and not SECRET.search(upper)


def server_token() -> dict[str, str]:
    """The token for the servers of engine.url, as a worker's environment has it; empty without one."""
    value = os.environ.get(TOKEN_VARIABLE)
    return {TOKEN_VARIABLE: value} if value else {}


def login_token() -> str:
    """The Hub token of this machine's user, from HF_TOKEN or `hf auth login`; empty without one."""
    from huggingface_hub import get_token

    return get_token() or ""
