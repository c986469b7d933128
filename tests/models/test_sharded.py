"""A backbone whose weights FSDP2 has divided samples and scores as a whole one does, before and after an update."""

import pytest
import torch
from helpers import tiny
from peft import LoraConfig, get_peft_model
from torch import distributed
from torch.distributed.fsdp import fully_shard

from patchrl.models.backbone import Backbone

QUESTIONS = ["What is 2 + 3?", "What is 4 + 1?"]


def adapted():
    words = tiny.tokenizer()
    torch.manual_seed(0)
    backbone = Backbone(tiny.model("qwen2", len(words)), words)
    lora = LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False)
    backbone.model = get_peft_model(backbone.model, lora)
    return backbone


@pytest.fixture
def group():
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.slow
def test_divided_weights_are_whole_where_they_are_read(group):
    whole, divided = adapted(), adapted()
    mesh = distributed.init_device_mesh("cpu", (1,))
    for part in (*divided.model.get_base_model().model.layers, divided.model):
        fully_shard(part, mesh=mesh, reshard_after_forward=False)
    ids = torch.tensor([divided.prompt_ids(QUESTIONS[0])])
    for _ in range(2):
        texts = [
            b.complete([b.prompt_ids(q) for q in QUESTIONS], samples=2, temperature=1.0, max_new_tokens=8, seed=3)
            for b in (whole, divided)
        ]
        assert texts[0] == texts[1]
        scores = [b.score(QUESTIONS, ["It is 5.", "5"]) for b in (whole, divided)]
        assert [s.nll for s in scores[1]] == pytest.approx([s.nll for s in scores[0]], abs=1e-6)
        for backbone in (whole, divided):
            backbone.model.train()(input_ids=ids, labels=ids).loss.backward()
            with torch.no_grad():
                for weight in backbone.model.parameters():
                    if weight.grad is not None:
                        weight -= 0.1 * weight.grad
            backbone.model.zero_grad()
