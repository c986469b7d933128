"""A server of this process that speaks the completions protocol as vLLM does, with a backbone of its own behind it."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import torch
from peft import PeftModel

from patchrl.models.backbone import Backbone

LOCK = threading.Lock()  # of all servers of this process: sampling seeds the process's random numbers
LOAD, UNLOAD = "/v1/load_lora_adapter", "/v1/unload_lora_adapter"


class CompletionsServer:
    """`requests` are the bodies of all completions that were asked for; `adapters` the names that are served.

    Args:
        takes_adapters: Whether adapters can be loaded while it runs.
        without: Names of fields that its answers lack.
        token: The bearer token that it wants.
        applies_adapters: False for a server that takes adapters and samples from the backbone all the same.
        dies_after: Completions after which it answers nobody any more.
        failures: Statuses of the first answers, before it does what it is asked.
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        takes_adapters: bool = True,
        without: tuple[str, ...] = (),
        token: str = "",
        applies_adapters: bool = True,
        dies_after: int | None = None,
        failures: tuple[int, ...] = (),
        context: int = 1024,
    ) -> None:
        self.backbone, self.takes_adapters, self.without, self.token = backbone, takes_adapters, without, token
        self.applies_adapters, self.dies_after, self.failures = applies_adapters, dies_after, list(failures)
        self.context = context
        self.requests: list[dict[str, Any]] = []
        self.adapters: list[str] = []
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer({})

            def do_POST(self) -> None:
                self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

            def _answer(self, body: dict[str, Any]) -> None:
                wanted = f"Bearer {stub.token}" if stub.token else None
                if wanted and self.headers.get("Authorization") != wanted:
                    status, answer = 401, {"error": "Unauthorized"}
                elif answered := stub.answer(self.command, self.path, body):
                    status, answer = answered
                else:
                    self.close_connection = True  # without a word
                    return
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None: ...

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def __enter__(self) -> CompletionsServer:
        return self

    def __exit__(self, *_: Any) -> None:
        self.http.shutdown()
        self.http.server_close()

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, Any] | None:
        """Status and JSON of one request; None of a server that has died."""
        with LOCK:
            if self.dies_after is not None and len(self.requests) >= self.dies_after:
                return None
            return self._answer(method, path, body)

    def _answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        if path == "/v1/models":
            card = {"id": "the-model", "max_model_len": self.context}
            return 200, {"data": [card, *({"id": name, "parent": "the-model"} for name in self.adapters)]}
        if path in (LOAD, UNLOAD):
            if not self.takes_adapters:
                return 404, {"detail": "Not Found"}
            if method == "GET":
                return 405, {"detail": "Method Not Allowed"}
            return self._load(body) if path == LOAD else self._unload(body)
        assert path == "/v1/completions" and method == "POST"
        if self.failures:
            return self.failures.pop(0), {"error": {"message": "later, please"}}
        self.requests.append(body)
        if body["model"] not in ("the-model", *self.adapters):
            return 404, {"error": {"message": f"The model {body['model']} does not exist."}}
        return 200, {"choices": [self._choice(body)]}

    def _load(self, body: dict[str, Any]) -> tuple[int, Any]:
        name = body["lora_name"]
        if name in self.adapters:
            return 400, {"error": {"message": f"The lora adapter '{name}' has already been loaded."}}
        if isinstance(self.backbone.model, PeftModel):
            self.backbone.model.load_adapter(body["lora_path"], name)
        else:
            self.backbone.model = PeftModel.from_pretrained(self.backbone.model, body["lora_path"], name)
        self.adapters.append(name)
        return 200, "Success"

    def _unload(self, body: dict[str, Any]) -> tuple[int, Any]:
        self.adapters.remove(body["lora_name"])
        return 200, "Success"

    def _choice(self, body: dict[str, Any]) -> dict[str, Any]:
        prompt, name = body["prompt"], body["model"]
        adapted = name in self.adapters and self.applies_adapters
        if adapted:
            self.backbone.model.set_adapter(name)
        how = {key: body[key] for key in ("temperature", "top_p", "seed")}
        with self.backbone.frozen(adapted=adapted) as model:
            ((ids,),) = self.backbone.sample([prompt], max_new_tokens=body["max_tokens"], **how)
            log_p_TV = model(torch.tensor([[*prompt, *ids]])).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
        choice = {
            "token_ids": ids,
            "logprobs": {"token_logprobs": log_p_TV.gather(1, torch.tensor(ids)[:, None])[:, 0].tolist()},
            "finish_reason": "stop" if ids[-1] in self.backbone.stop_ids else "length",
        }
        return {key: value for key, value in choice.items() if key not in self.without}
