"""Sampling with servers: what comes back is what the backbone itself samples, nothing is lost or doubled when one dies, and
a server that samples from anything else is found out."""

import json
import math
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from helpers import tiny
from helpers.completions_server import CompletionsServer
from helpers.contexts import SilentRecorder
from peft import LoraConfig, get_peft_model

from patchrl.config import RewriterSection
from patchrl.errors import EngineError
from patchrl.models.backbone import Backbone
from patchrl.models.engines import server as module
from patchrl.models.engines.interface import TOKEN_VARIABLE
from patchrl.models.engines.proof import prove, prove_adapters, served_adapter
from patchrl.models.engines.server import Server, ServerEngine, Servers
from patchrl.runs.journal import Journal

QUESTIONS = [f"What is {n} + {n}?" for n in range(5)]
GREEDY = {"max_new_tokens": 6}
WARM = {"max_new_tokens": 6, "temperature": 1.0, "samples": 2, "seed": 3}
LORA = LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(module, "RETRY_SECONDS", (0.0, 0.0))


def backbone(kind="qwen2"):
    words = tiny.tokenizer()
    return Backbone(tiny.model(kind, len(words)), words)


def served(*stubs):
    """A backbone for which some servers sample."""
    local = backbone()
    local.engines = {False: ServerEngine(Servers([stub.url for stub in stubs]), local.stop_ids)}
    return local


def prompts(local):
    return [local.prompt_ids(question) for question in QUESTIONS]


def test_a_server_samples_what_the_backbone_samples():
    local = backbone()
    with CompletionsServer(backbone()) as stub:
        assert served(stub).generate(QUESTIONS, **GREEDY) == local.generate(QUESTIONS, **GREEDY)
        ours = local.sample_with_nll(prompts(local), **GREEDY)
        theirs = served(stub).sample_with_nll(prompts(local), **GREEDY)
    for (mine,), (other,) in zip(ours, theirs, strict=True):
        assert mine[0] == other[0] and mine[1] == pytest.approx(other[1], abs=1e-3, nan_ok=True)


def test_every_sample_has_a_seed_of_its_own_and_nothing_else_bends_the_distribution():
    with CompletionsServer(backbone()) as stub:
        groups = served(stub).sample(prompts(backbone()), **WARM)
        assert groups == served(stub).sample(prompts(backbone()), **WARM)
    assert [len(group) for group in groups] == [2] * len(QUESTIONS)
    first = stub.requests[: 2 * len(QUESTIONS)]
    assert len({body["seed"] for body in first}) == len(first)
    assert all(body["top_k"] == -1 and body["min_p"] == 0 and body["repetition_penalty"] == 1 for body in first)


def test_a_request_is_sent_again_with_its_seed_where_that_may_help():
    with CompletionsServer(backbone(), failures=(503, 429)) as stub:
        assert served(stub).generate(QUESTIONS[:1], **GREEDY) == backbone().generate(QUESTIONS[:1], **GREEDY)
    with CompletionsServer(backbone(), failures=(400,)) as stub, pytest.raises(EngineError, match="later, please"):
        served(stub).generate(QUESTIONS[:1], **GREEDY)


def test_one_server_of_two_that_dies_costs_nothing():
    with CompletionsServer(backbone()) as first, CompletionsServer(backbone(), dies_after=3) as second:
        groups = served(first, second).sample(prompts(backbone()), **WARM)
    with CompletionsServer(backbone()) as alone:
        assert groups == served(alone).sample(prompts(backbone()), **WARM)
    assert len(second.requests) >= 3


def test_finished_rows_are_kept_when_the_only_server_dies(tmp_path):
    path = tmp_path / "journal.jsonl"
    with CompletionsServer(backbone(), dies_after=4) as stub:
        local = served(stub)
        with (
            local.kept(Journal(path, SilentRecorder()).keep),
            pytest.raises(EngineError, match="Resume: the rows that are finished are kept"),
        ):
            local.sample(prompts(local), **WARM)
    finished = [json.loads(line)["key"] for line in path.read_bytes().splitlines()]
    assert len(finished) == 4
    with CompletionsServer(backbone()) as stub:
        local = served(stub)
        with local.kept(Journal(path, SilentRecorder()).keep):
            groups = local.sample(prompts(local), **WARM)
        assert len(stub.requests) == 2 * len(QUESTIONS) - len(finished)
        assert groups == served(stub).sample(prompts(local), **WARM)
    keys = [json.loads(line)["key"] for line in path.read_bytes().splitlines()]
    assert len(keys) == len(set(keys)) == 2 * len(QUESTIONS)


def test_seconds_of_rows_that_are_made_at_once_count_once(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl", SilentRecorder())
    started = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda row: journal.keep(row, lambda: time.sleep(0.05)), range(8)))
    assert journal.seconds <= time.monotonic() - started


def test_the_token_is_of_the_environment_and_its_lack_is_one_sentence(monkeypatch):
    with CompletionsServer(backbone(), token="canary") as stub:
        monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
        with pytest.raises(EngineError, match=f"set {TOKEN_VARIABLE}"):
            Server(stub.url).facts()
        monkeypatch.setenv(TOKEN_VARIABLE, "canary")
        assert Server(stub.url).facts().model == "the-model"


def test_tokens_are_read_as_llama_cpp_writes_them():
    content = [{"id": 7, "logprob": -0.5}, {"id": 9, "logprob": -1.0}]
    assert module._tokens({"logprobs": {"content": content}}) == ((7, 9), (-0.5, -1.0))


# --- the proof ------------------------------------------------------------------------------------


def test_a_server_of_the_backbone_is_proven_with_and_without_an_adapter(tmp_path):
    with CompletionsServer(backbone()) as stub:
        local, servers = backbone(), Servers([stub.url])
        prove(local, ServerEngine(servers, local.stop_ids), prompts(local))
        prove_adapters(local, servers, prompts(local), RewriterSection(lora_rank=2), tmp_path)
        assert not stub.adapters and not list(tmp_path.iterdir()) and not hasattr(local.model, "peft_config")
        adapted = backbone()
        adapted.model = get_peft_model(adapted.model, LORA)
        adapted.model.save_pretrained(tmp_path)
        with served_adapter(adapted, servers, tmp_path) as engine:
            prove(adapted, engine, prompts(local))
            adapted.engines = {True: engine, False: ServerEngine(servers, local.stop_ids)}
            theirs = adapted.generate(QUESTIONS, **GREEDY)
            with adapted.frozen():
                assert adapted.generate(QUESTIONS, **GREEDY) == local.generate(QUESTIONS, **GREEDY)
            adapted.engines = {}
            assert theirs == adapted.generate(QUESTIONS, **GREEDY) != local.generate(QUESTIONS, **GREEDY)


def test_other_weights_and_an_adapter_without_effect_are_found_out(tmp_path):
    local = backbone()
    other = backbone()
    with torch.no_grad():
        for weights in other.model.parameters():
            weights.mul_(1.1)
    with CompletionsServer(backbone()) as right, CompletionsServer(other) as wrong:
        servers = Servers([right.url, wrong.url])
        with pytest.raises(EngineError, match=f"{wrong.url} samples from another model"):
            prove(local, ServerEngine(servers, local.stop_ids), prompts(local))
    with (
        CompletionsServer(backbone(), applies_adapters=False) as stub,
        pytest.raises(EngineError, match="another adapter"),
    ):
        prove_adapters(local, Servers([stub.url]), prompts(local), RewriterSection(lora_rank=2), tmp_path)


@pytest.mark.parametrize("field", ["token_ids", "logprobs"])
def test_answers_without_ids_or_log_probabilities_are_one_sentence(field):
    with (
        CompletionsServer(backbone(), without=(field,)) as stub,
        pytest.raises(EngineError, match="gives no token ids"),
    ):
        served(stub).generate(QUESTIONS[:1], **GREEDY)


def test_log_probabilities_of_a_cut_completion_are_not_those_of_an_answer():
    with CompletionsServer(backbone()) as stub:
        (((_, nll),),) = served(stub).sample_with_nll(prompts(backbone())[:1], max_new_tokens=1)
    assert math.isnan(nll)
