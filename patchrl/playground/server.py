"""The playground's process: `python -m patchrl.playground.server FD IDLE_SECONDS`. Requests come in, and replies go out,
as JSON over the inherited pipe; it keeps one backbone loaded and ends when its pipe closes or no request comes for a while."""

from __future__ import annotations

import contextlib
import json
import math
import os
import queue
import sys
import threading
import traceback
from multiprocessing.connection import Connection
from typing import Any

from patchrl.config import StudyConfig, resolve
from patchrl.errors import PatchRLError, StopRequested
from patchrl.jobs.worker import sentence
from patchrl.models.hub_access import hand_over
from patchrl.types import ChatModel, Example, Writer

IDLE_EXIT_CODE = 0


class RequestServer:
    """Answers requests one after another, while a second thread reads cancellations."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe = pipe
        self.requests: queue.Queue[dict[str, Any]] = queue.Queue()
        self.cancelled: set[int] = set()
        self.loaded_for: str | None = None  # the settings behind the gate that is loaded
        self.gate: Any = None
        self.tuned: Any = None  # models that were fine-tuned from the backbone
        self.config = resolve({})
        self.id = 0

    def listen(self) -> None:
        """Read requests from the pipe until it closes, which ends the process: its client is gone."""
        while True:
            try:
                message = json.loads(self.pipe.recv_bytes())
            except (EOFError, OSError):
                os._exit(0)
            if message["op"] == "cancel":
                self.cancelled.add(message["id"])
            else:
                self.requests.put(message)

    def reply(self, kind: str, **fields: Any) -> None:
        self.pipe.send_bytes(json.dumps({"id": self.id, "kind": kind, **fields}, ensure_ascii=False).encode())

    def stopped(self) -> bool:
        return self.id in self.cancelled

    def serve(self, idle_seconds: float) -> int:
        """Answer requests until none came for `idle_seconds`."""
        while True:
            try:
                request = self.requests.get(timeout=idle_seconds)
            except queue.Empty:
                return IDLE_EXIT_CODE
            self.id = request["id"]
            try:
                self.answer(request)
            except StopRequested:
                self.reply("cancelled")
            except PatchRLError as error:
                self.reply("error", text=str(error))
            # The boundary where an unforeseen failure becomes a sentence; the traceback goes to the log.
            except Exception as error:
                traceback.print_exc()
                self.reply("error", text=sentence(error))
            self.cancelled.discard(self.id)

    def answer(self, request: dict[str, Any]) -> None:
        """Do one request; its last reply is `done`, and `cancelled` and `error` end it too."""
        from patchrl.playground.groups import candidates, read_expert, rewrite_group, score_texts

        self._check()
        self.config = resolve(request["config"])
        hand_over(request["token"])
        self._load(request["thresholds"])
        self.reply("ready")
        if request["op"] == "warm":
            return self.reply("done")
        if request["op"] == "chat":
            self._chat(request)
            return self.reply("done")
        example = Example(**request["example"])
        self._check()
        if request["op"] == "score":
            scored = score_texts(self.config, self.gate, example, request["texts"])
            vectors = [[round(float(v), 5) for v in judged.embedding] for judged in scored.group.completions]
            self.reply("group", candidates=candidates(scored), embeddings=vectors)
            return self.reply("done")
        self.reply("expert", **read_expert(self.config, self.gate, example))
        for values in request["writers"]:
            writer = Writer(**values)
            rewrites = rewrite_group(
                self.config, self.gate, example, writer, seed=request["seed"], emit=self.reply, stopped=self.stopped
            )
            self.reply("group", writer=writer.key, name=writer.name, candidates=rewrites)
        return self.reply("done")

    def _chat(self, request: dict[str, Any]) -> None:
        from patchrl.playground.chat import TunedModels, answer_question

        self.tuned = self.tuned or TunedModels()
        for values in request["models"]:
            self._check()
            model = ChatModel(**values)
            if model.weights and not self.tuned.holds(model):
                self.reply("loading", model=model.name)
            asked = self.tuned.load(self.config.backbone, model) if model.weights else self.gate.backbone
            options = {key: request[key] for key in ("temperature", "max_new_tokens", "seed")}
            answer = answer_question(asked, request["question"], model, options, emit=self.reply, stopped=self.stopped)
            self.reply("answer", writer=model.key, **answer)

    def _check(self) -> None:
        if self.stopped():
            raise StopRequested("Cancelled.")

    def _load(self, thresholds: dict[str, Any]) -> None:
        """Backbone and gate of the settings, kept for as long as requests agree on them."""
        from patchrl.grading.calibration import Thresholds
        from patchrl.grading.gate import Gate
        from patchrl.models.backbone import Backbone

        settings = loading_settings(self.config, thresholds)
        if settings == self.loaded_for:
            return
        self.reply("loading", model=self.config.backbone.model)
        if self.gate is not None:
            self.gate.verifier.close()
        self.gate = self.loaded_for = self.tuned = None  # the old model goes before the new one comes
        self.gate = Gate(self.config, Backbone.load(self.config.backbone), Thresholds(**thresholds))
        self.loaded_for = settings


def loading_settings(config: StudyConfig, thresholds: dict[str, Any]) -> str:
    """What makes two requests share one backbone and gate."""
    parts = [
        config.backbone.model_dump(),
        config.gate.model_dump(),
        config.reward.embedder,
        config.data.task,
        thresholds,
    ]
    return json.dumps(parts)


def main(arguments: list[str] | None = None) -> int:
    """Serve one parent over the pipe it left open."""
    fd, idle_seconds = arguments or sys.argv[1:]
    server = RequestServer(Connection(int(fd)))
    threading.Thread(target=server.listen, daemon=True).start()
    import torch

    # Half the cores: a training on the same machine has the others, and two full sets stall each other.
    torch.set_num_threads(max(1, math.ceil((os.cpu_count() or 2) / 2)))
    with contextlib.suppress(BrokenPipeError):
        return server.serve(float(idle_seconds))
    return IDLE_EXIT_CODE


if __name__ == "__main__":
    sys.exit(main())
