"""Servers that speak the OpenAI-compatible completions protocol (vLLM, SGLang, llama.cpp) as an engine. Imports no torch."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from patchrl.errors import EngineError
from patchrl.models.engines.interface import TOKEN_VARIABLE, Keep, Sample, SampleRequest

CONCURRENT_REQUESTS = 128  # to one server
TIMEOUT = httpx.Timeout(60.0, connect=10.0, read=600.0)  # seconds; a completion is read when all of it is there
RETRY_SECONDS = (1.0, 2.0, 4.0)  # waits before a request is sent again
PASSING_STATUS = {408, 429, 500, 502, 503, 504}  # after which it may succeed
LOAD_ADAPTER, UNLOAD_ADAPTER = "/v1/load_lora_adapter", "/v1/unload_lora_adapter"


class ServerLost(EngineError):
    """A server that does not answer any more."""


@dataclass(frozen=True)
class Completion:
    """Ids that a server sampled, with the log-probability of each in nats, and whether the turn `ended` or was cut off."""

    token_ids: tuple[int, ...]
    log_p: tuple[float, ...]
    ended: bool


@dataclass(frozen=True)
class ServerFacts:
    """What a server says of itself: its model, the tokens it reads at most (None where it does not say), and whether it
    takes a LoRA adapter while it runs."""

    model: str
    context: int | None
    takes_adapters: bool


class Server:
    """A client of one server. `url` is its address, with or without /v1 at the end."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/").removesuffix("/v1")
        token = os.environ.get(TOKEN_VARIABLE)
        self._http = httpx.Client(
            base_url=self.url,
            timeout=TIMEOUT,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            limits=httpx.Limits(max_connections=None),
        )

    def _send(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        """Send a request, again where that may help; raises ServerLost where it does not."""
        for wait in (*RETRY_SECONDS, None):
            try:
                response = self._http.request(method, path, json=body)
                problem = f"it answered {response.status_code} ({_reason(response)})"
                if response.status_code not in PASSING_STATUS:
                    return response
            except httpx.TransportError as error:
                problem = str(error) or type(error).__name__
            if wait is not None:
                time.sleep(wait)
        raise ServerLost(f"engine.url: {self.url} does not answer: {problem}.")

    def _answer(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """The JSON of an answer; raises EngineError where the server refuses."""
        response = self._send(method, path, body)
        if response.status_code in (401, 403):
            raise EngineError(f"engine.url: {self.url} wants a token; set {TOKEN_VARIABLE} in the environment.")
        if not response.is_success:
            raise EngineError(f"engine.url: {self.url}{path} answered {response.status_code}: {_reason(response)}")
        try:
            return response.json()
        except ValueError:
            raise EngineError(
                f"engine.url: {self.url}{path} answered with something else than JSON; check the address."
            ) from None

    def facts(self) -> ServerFacts:
        """What the server serves; raises EngineError where it serves no model."""
        try:
            cards = [card for card in self._answer("GET", "/v1/models")["data"] if not card.get("parent")]
            card = cards[0]
            context = card.get("max_model_len") or (card.get("meta") or {}).get("n_ctx")
            name = str(card["id"])
        except (KeyError, IndexError, TypeError, AttributeError):
            raise EngineError(f"engine.url: {self.url} lists no model at /v1/models; check the address.") from None
        takes_adapters = self._send("GET", LOAD_ADAPTER).status_code == 405  # a route that only POST may use
        return ServerFacts(name, context, takes_adapters)

    def complete(
        self, model: str, prompt: Sequence[int], request: SampleRequest, seed: int, stop_ids: set[int]
    ) -> Completion:
        """One completion of a prompt's ids.

        Raises:
            EngineError: the server refuses, or gives no ids or no log-probabilities.
            ServerLost: it does not answer.
        """
        # What is left out has the defaults of the server or of the model's folder, which would bend the distribution.
        plain = {
            "top_k": -1,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
        }
        body = {
            "model": model,
            "prompt": list(prompt),
            "max_tokens": request.max_new_tokens,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "seed": seed,
            "logprobs": 1,
            "return_token_ids": True,
            "stop_token_ids": sorted(stop_ids),
            **plain,
        }
        try:
            choice = self._answer("POST", "/v1/completions", body)["choices"][0]
            ids, log_p = _tokens(choice)
            finish = choice["finish_reason"]
        except (KeyError, IndexError, TypeError):
            raise EngineError(
                f"engine.url: {self.url} gives no token ids with their log-probabilities; use a server that does (vLLM, "
                "SGLang, llama.cpp), or set engine.kind to transformers."
            ) from None
        if finish not in ("stop", "length"):
            raise ServerLost(f"engine.url: {self.url} ended a completion by {finish!r}.")
        return Completion(ids, log_p, finish == "stop")

    def load_adapter(self, name: str, folder: Path) -> None:
        """Have a LoRA adapter served by name; `folder` must be one that the server can read."""
        body = {"lora_name": name, "lora_path": str(folder.resolve())}
        response = self._send("POST", LOAD_ADAPTER, body)
        if not response.is_success and "already been loaded" not in response.text:
            raise EngineError(
                f"engine.url: {self.url} does not take the adapter: {_reason(response)} Start it with LoRA and runtime "
                "updating on, where it can read the run's folder (docs/engines.md), or set engine.kind to transformers."
            )

    def unload_adapter(self, name: str) -> None:
        """Stop serving an adapter. Does nothing where the server does not have it."""
        self._send("POST", UNLOAD_ADAPTER, {"lora_name": name})


def _tokens(choice: dict[str, Any]) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Ids and log-probabilities of a choice, as vLLM and SGLang write them or as llama.cpp does."""
    if content := choice["logprobs"].get("content"):
        return tuple(int(token["id"]) for token in content), tuple(float(token["logprob"]) for token in content)
    ids, log_p = choice["token_ids"], choice["logprobs"]["token_logprobs"]
    if len(ids) != len(log_p):
        raise KeyError("token_logprobs")
    return tuple(map(int, ids)), tuple(map(float, log_p))


def _reason(response: httpx.Response) -> str:
    """Why a server refuses, in its own words, on one line."""
    try:
        answer = response.json()
        error = answer.get("error", answer)
        reason = error.get("message", error) if isinstance(error, dict) else error
    except (ValueError, AttributeError):
        reason = response.text
    return " ".join(str(reason).split())[:300] or "no reason given"


class Servers:
    """Several servers of one model, among which completions are spread; what one leaves unfinished the others do."""

    def __init__(self, urls: Sequence[str]) -> None:
        self.servers = [Server(url) for url in urls]
        self.facts = {server.url: server.facts() for server in self.servers}
        self._busy, self._lock = dict.fromkeys(self.facts, 0), threading.Lock()
        self._lost: dict[str, ServerLost] = {}

    @property
    def names(self) -> str:
        return ", ".join(server.url for server in self.servers)

    @property
    def takes_adapters(self) -> bool:
        return all(facts.takes_adapters for facts in self.facts.values())

    def load_adapter(self, name: str, folder: Path) -> None:
        for server in self.servers:
            server.load_adapter(name, folder)

    def unload_adapter(self, name: str) -> None:
        for server in self.servers:
            if server.url not in self._lost:
                with contextlib.suppress(ServerLost):
                    server.unload_adapter(name)

    def complete(self, adapter: str | None, *what: Any) -> Completion:
        """One completion by the least busy server, `what` as in `Server.complete`; the next one takes over where it is lost."""
        while open_servers := [server for server in self.servers if server.url not in self._lost]:
            with self._lock:
                server = min(open_servers, key=lambda server: self._busy[server.url])
                self._busy[server.url] += 1
            try:
                return server.complete(adapter or self.facts[server.url].model, *what)
            except ServerLost as lost:
                self._lost[server.url] = lost
            finally:
                with self._lock:
                    self._busy[server.url] -= 1
        raise EngineError(
            f"{' '.join(map(str, self._lost.values()))} Start it again and Resume: the rows that are finished are kept."
        )


class ServerEngine:
    """Samples with servers, from the backbone or from an adapter that they serve by name; `stop_ids` end a turn."""

    def __init__(self, servers: Servers, stop_ids: set[int], adapter: str | None = None) -> None:
        self.servers, self.stop_ids, self.adapter = servers, stop_ids, adapter

    def sample(
        self,
        prompts: Sequence[list[int]],
        request: SampleRequest,
        seed: int,
        on_progress: Callable[[int], None] | None = None,
        keep: Keep | None = None,
    ) -> list[list[Sample]]:
        """The completions of each prompt's ids, each a request with a seed of its own (`interface.Engine`).

        A `watch` is not asked: an answer that goes on past a stop sequence is cut by whoever wants that. −log p counts the id
        that ended the turn, and no other that could have.
        """
        single = replace(request, samples=1)
        rows = list(itertools.product(range(len(prompts)), range(request.samples)))
        answers: list[list[Sample]] = [[([], math.nan)] * request.samples for _ in prompts]
        missing, done = [request.samples] * len(prompts), 0
        with ThreadPoolExecutor(CONCURRENT_REQUESTS * len(self.servers.servers)) as pool:
            futures = {
                pool.submit(self._row, prompts[i], single, seed + i * request.samples + k, keep): (i, k)
                for i, k in rows
            }
            try:
                for future in as_completed(futures):
                    i, k = futures[future]
                    ids, nll = future.result()
                    answers[i][k] = ids, nll
                    missing[i] -= 1
                    done += not missing[i]
                    if on_progress and not missing[i]:
                        on_progress(done)
            except BaseException:
                pool.shutdown(cancel_futures=True)  # what is under way ends and is kept
                raise
        return answers

    def _row(self, prompt: list[int], request: SampleRequest, seed: int, keep: Keep | None) -> list[Any]:
        make = partial(self._sample, prompt, request, seed)
        return make() if keep is None else keep(["server", self.adapter, *request.source([prompt], seed)], make)

    def _sample(self, prompt: list[int], request: SampleRequest, seed: int) -> list[Any]:
        completion = self.servers.complete(self.adapter, prompt, request, seed, self.stop_ids)
        ids, nll = list(completion.token_ids), math.nan
        if ids and ids[-1] in self.stop_ids:
            nll = -math.fsum(completion.log_p) if request.with_nll else nll
        elif completion.ended:
            ids.append(min(self.stop_ids))  # a server may leave out the id that ended the turn
        return [ids, nll]
