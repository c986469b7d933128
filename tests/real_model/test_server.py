"""A live server: PATCHRL_TEST_SERVER is its address, PATCHRL_TEST_BACKBONE the folder whose weights it serves in float32.

docs/engines.md says how to start one that takes adapters.
"""

import os

import pytest

from patchrl.config import BackboneSection, RewriterSection
from patchrl.models.backbone import Backbone
from patchrl.models.engines.proof import prove_adapters
from patchrl.models.engines.server import ServerEngine, Servers

QUESTIONS = ("What is 12 + 5?", "Name the capital of France.", "Ana has 3 apples and buys 4. How many has she?")


def test_a_live_server_samples_from_the_backbone_and_from_an_adapter(tmp_path):
    if not (url := os.environ.get("PATCHRL_TEST_SERVER")):
        pytest.skip("PATCHRL_TEST_SERVER is not set")
    backbone, servers = Backbone.load(BackboneSection(model=os.environ["PATCHRL_TEST_BACKBONE"])), Servers([url])
    prompts = [backbone.prompt_ids(question) for question in QUESTIONS]
    prove_adapters(backbone, servers, prompts, RewriterSection(), tmp_path)
    ours = backbone.sample(prompts, max_new_tokens=8)
    backbone.engines = {False: ServerEngine(servers, backbone.stop_ids)}
    assert backbone.sample(prompts, max_new_tokens=8) == ours
