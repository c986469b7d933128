"""Which servers sample for a study: asked by the check, proven before the first step, and used by the stages that can."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from patchrl.config import StudyConfig
from patchrl.config.arms import SOURCES
from patchrl.errors import EngineError
from patchrl.models.engines.interface import SampleRequest
from patchrl.models.engines.server import ServerEngine, Servers
from patchrl.pipeline.plan import BASE, REPLAY, Step
from patchrl.types import Recorder

if TYPE_CHECKING:
    from patchrl.models.backbone import Backbone

ONE_TOKEN = SampleRequest(samples=1, temperature=0.0, top_p=1.0, max_new_tokens=1, with_nll=True, watch=None)
SOME_PROMPT = (1, 2, 3)  # ids that every vocabulary has
NO_ADAPTERS = (
    "engine.url: {names} takes no LoRA adapter while it runs, so that the rewriter's rows are sampled with Transformers; see "
    "docs/engines.md for how to start vLLM with adapters."
)


def is_served(step: Step) -> bool:
    """Whether a step samples from the frozen backbone or from a rewriter's adapter."""
    return step.stage in ("scan", "rewrite") or (step.stage == "evaluate" and step.subject == BASE)


def needs_adapter(step: Step) -> bool:
    """Whether a step samples from a rewriter's adapter."""
    if step.stage != "rewrite" or step.subject == REPLAY:
        return False
    source = SOURCES[str(step.subject)]
    return bool(source.rewriter) and not source.after


def engine_report(config: StudyConfig, steps: Sequence[Step], tokens: int) -> tuple[list[str], list[str]]:
    """What the servers of a study are asked before anything starts: problems, and notes of what they serve.

    Args:
        tokens: Of the longest request, prompt and completion; 0 where it is not known.
    """
    if not config.engine.urls:
        return [], []
    try:
        servers = Servers(config.engine.urls)
        for server in servers.servers:
            server.complete(servers.facts[server.url].model, SOME_PROMPT, ONE_TOKEN, 0, set())
    except EngineError as error:
        return [str(error)], []
    problems, notes = [], []
    for url, facts in servers.facts.items():
        reads = "" if facts.context is None else f", reads {facts.context:,} tokens"
        adapters = "takes LoRA adapters" if facts.takes_adapters else "takes no LoRA adapters"
        notes.append(f"engine.url: {url} serves {facts.model}{reads}, gives log-probabilities of ids, {adapters}")
        if facts.context is not None and tokens > facts.context:
            problems.append(
                f"engine.url: {url} reads {facts.context:,} tokens and the longest request has {tokens:,}; serve the model with "
                "a longer context, or leave such rows out."
            )
    if any(map(needs_adapter, steps)) and not servers.takes_adapters:
        (problems if config.engine.kind == "server" else notes).append(NO_ADAPTERS.format(names=servers.names))
    return problems, notes


class Serving:
    """The servers that sample for one study; none where `engine` names none."""

    def __init__(self, config: StudyConfig, recorder: Recorder, questions: Sequence[str]) -> None:
        """`questions` are what the servers are proven with."""
        self.config, self.recorder, self.questions = config, recorder, questions
        self.servers: Servers | None = None

    def start(self, backbone: Backbone, steps: Sequence[Step], folder: Path) -> None:
        """Prove that the servers sample from the backbone, and with an adapter where a step needs one.

        Args:
            folder: The run's; the servers have to be able to read it for adapters.

        Raises EngineError where they do not.
        """
        from patchrl.models.engines.proof import prove, prove_adapters

        servers = Servers(self.config.engine.urls)
        prompts = self._prompts(backbone)
        with_adapter = any(map(needs_adapter, steps))
        if with_adapter and servers.takes_adapters:
            prove_adapters(backbone, servers, prompts, self.config.rewriter, folder)
        elif with_adapter and self.config.engine.kind == "server":
            raise EngineError(NO_ADAPTERS.format(names=servers.names))
        else:
            prove(backbone, ServerEngine(servers, backbone.stop_ids), prompts)
        self.servers = servers
        self.recorder.event(
            "message", level="info", text=f"{servers.names} samples; its log-probabilities are the backbone's."
        )
        if with_adapter and not servers.takes_adapters:
            self.recorder.event("message", level="warning", text=NO_ADAPTERS.format(names=servers.names))

    @contextmanager
    def serve(self, backbone: Backbone, adapter: Path | None = None) -> Iterator[None]:
        """Inside, the servers sample for a backbone, which carries the adapter of a folder where one is given."""
        if self.servers is None:
            yield
            return
        from patchrl.models.engines.proof import prove, served_adapter

        plain = ServerEngine(self.servers, backbone.stop_ids)
        if adapter is None or not self.servers.takes_adapters:
            backbone.engines = {False: plain}
            yield
            return
        with served_adapter(backbone, self.servers, adapter) as adapted:
            prove(backbone, adapted, self._prompts(backbone))
            backbone.engines = {False: plain, True: adapted}
            yield

    def _prompts(self, backbone: Backbone) -> list[list[int]]:
        return [backbone.prompt_ids(question) for question in self.questions]
