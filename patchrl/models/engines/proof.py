"""Proof that an engine samples from the model that this process scores with, its adapter included.

A server may serve other weights, or take an adapter's name and sample from the backbone all the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
from peft import LoraConfig, get_peft_model

from patchrl.config import RewriterSection
from patchrl.errors import EngineError
from patchrl.models.engines.interface import SampleRequest
from patchrl.models.engines.server import ServerEngine, Servers
from patchrl.models.scoring import Scorer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from patchrl.models.backbone import Backbone

# At temperature 1 unlikely tokens are among them, in which models differ most.
REQUEST = SampleRequest(samples=1, temperature=1.0, top_p=1.0, max_new_tokens=16, with_nll=True, watch=None)
SEED = 1
# Nats by which the mean log-probability of a token may differ. Measured with SmolLM2-135M on vLLM, ours in float32.
MAX_DIFFERENCE = 0.05


def prove(backbone: Backbone, engine: ServerEngine, prompts: Sequence[list[int]]) -> list[tuple[int, ...]]:
    """Compare the log-probabilities of every server's completions with those of the backbone, which carries the engine's
    adapter.

    Returns the completions' ids. Raises EngineError where a server's differ by more than MAX_DIFFERENCE.
    """
    ids = []
    for server in engine.servers.servers:
        complete = partial(server.complete, engine.adapter or engine.servers.facts[server.url].model)
        with ThreadPoolExecutor(len(prompts)) as pool:
            completions = list(pool.map(lambda prompt: complete(prompt, REQUEST, SEED, engine.stop_ids), prompts))  # noqa: B023
        rows = [(tuple(p), c.token_ids) for p, c in zip(prompts, completions, strict=True)]
        with backbone.frozen(adapted=engine.adapter is not None) as model:
            scorer = Scorer(model, backbone.tokenizer, backbone.stop_ids, backbone.reading)
            scores = scorer.scores(list(dict.fromkeys(rows)), 0)
        differences = [
            np.abs(scores[row].surprisal[:-1] + np.array(completion.log_p))
            for row, completion in zip(rows, completions, strict=True)
        ]
        difference = float(np.mean(np.concatenate(differences)))
        if not difference <= MAX_DIFFERENCE:
            raise EngineError(
                f"engine.url: {server.url} samples from {'another adapter' if engine.adapter else 'another model'} than "
                f"backbone.model names: log-probabilities of the same tokens differ by {difference:.2f} nats on average (at "
                f"most {MAX_DIFFERENCE:g}); serve that model unquantised, or set engine.kind to transformers."
            )
        ids += [completion.token_ids for completion in completions]
    return ids


def prove_adapters(
    backbone: Backbone, servers: Servers, prompts: Sequence[list[int]], rewriter: RewriterSection, folder: Path
) -> None:
    """Have an adapter of random numbers served: tokens must change, and their log-probabilities be ours.

    Args:
        folder: A folder that the servers can read; the adapter is in it for a moment.

    Raises EngineError where the adapter is refused or has no effect.
    """
    plain = prove(backbone, ServerEngine(servers, backbone.stop_ids), prompts)
    lora = LoraConfig(
        r=rewriter.lora_rank,
        lora_alpha=rewriter.lora_alpha,
        init_lora_weights=False,  # its product is not 0
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    before = backbone.model
    backbone.model = get_peft_model(before, lora).eval()
    try:
        with TemporaryDirectory(prefix="adapter-", dir=folder) as home:
            backbone.model.save_pretrained(home)
            with served_adapter(backbone, servers, Path(home)) as engine:
                if prove(backbone, engine, prompts) == plain:
                    raise EngineError(
                        f"engine.url: {servers.names} takes an adapter and samples from the backbone all the same; update the "
                        "server, or set engine.kind to transformers."
                    )
    finally:
        backbone.model = backbone.model.unload()


@contextmanager
def served_adapter(backbone: Backbone, servers: Servers, folder: Path) -> Iterator[ServerEngine]:
    """An engine that samples with the adapter of a folder, which is the one that the backbone carries."""
    digest = hashlib.sha256()
    for file in ("adapter_config.json", "adapter_model.safetensors"):
        digest.update((folder / file).read_bytes())
    name = f"patchrl-{digest.hexdigest()[:16]}"  # another adapter has another name, whatever a server keeps
    servers.load_adapter(name, folder)
    try:
        yield ServerEngine(servers, backbone.stop_ids, name)
    finally:
        servers.unload_adapter(name)
