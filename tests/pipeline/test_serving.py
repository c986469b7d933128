"""A study that servers sample for: all that they can is theirs, and one that serves another model starts nothing."""

import pytest
import torch
from helpers.completions_server import CompletionsServer
from helpers.contexts import SilentRecorder

from patchrl.config import BackboneSection, resolve
from patchrl.errors import EngineError
from patchrl.models.backbone import Backbone
from patchrl.pipeline.plan import BASE, REPLAY, Step
from patchrl.pipeline.serving import is_served, needs_adapter
from patchrl.pipeline.stages import PROOF_QUESTIONS
from patchrl.pipeline.study import run_study
from patchrl.runs.folder import RunFolder

ROWS = 8
STUDY = {
    "study": {"seeds": [0], "arms": ["expert", "prompted"]},
    "data": {"train_size": ROWS, "eval_size": ROWS},
    "rewriter": {"prompts_per_step": 4, "group_size": 2, "max_new_tokens": 24},
    "evaluate": {"max_new_tokens": 24, "general_size": 10},
}


def test_which_steps_are_served():
    assert all(map(is_served, (Step("scan"), Step("rewrite", 0, "self"), Step("evaluate", subject=BASE))))
    assert not any(map(is_served, (Step("train", 0, "rl"), Step("finetune", 0, "rl"), Step("evaluate", 0, "rl"))))
    assert all(needs_adapter(Step("rewrite", 0, source)) for source in ("rl", "rl-best-of-k"))
    assert not any(needs_adapter(Step("rewrite", 0, source)) for source in ("prompted", "rl-drop", REPLAY))


def test_a_server_samples_for_a_scan_and_one_of_another_model_is_refused(tmp_path):
    with CompletionsServer(Backbone.load(BackboneSection())) as stub:
        config = resolve(STUDY | {"engine": {"url": stub.url}})
        folder = RunFolder.create(tmp_path, config)
        run_study(config, folder, SilentRecorder(), upto="scan")
        assert folder.scan.is_file()
        assert len(stub.requests) - PROOF_QUESTIONS == 2 * ROWS  # an own answer and a prompted rewrite of every row
        with torch.no_grad():
            stub.backbone.model.get_output_embeddings().weight.mul_(0.5)
        folder = RunFolder.create(tmp_path, config)
        with pytest.raises(EngineError, match="another model"):
            run_study(config, folder, SilentRecorder(), upto="scan")
        assert not folder.scan.exists()
