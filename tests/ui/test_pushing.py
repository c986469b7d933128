"""The page's push: whose token it takes at home and on a Space, and what it shows."""

from types import SimpleNamespace

import gradio as gr
import pytest
from gradio import oauth
from helpers.loopback import READ_ONLY, TOKEN
from helpers.synthetic import finished_run

from patchrl.jobs.owners import HOST
from patchrl.ui.app import build
from patchrl.ui.session import Limits, Session

pytestmark = pytest.mark.slow


@pytest.fixture
def press(runs_dir, fake_hub):
    """Presses Push as a visitor with a token or without; returns what the page then shows."""
    run_id = finished_run(runs_dir, 10)

    def pressed(public: bool, token: str | None = None, repo: str = "alice/rows", private: bool = True) -> str:
        demo = build(Session(str(runs_dir), Limits(public=public)))
        push = next(fn for fn in demo.fns.values() if fn.name == "push")
        assert push.api_visibility == "private"
        visitor = gr.OAuthToken(token=token, scope="", expires_at=0) if token else None
        return push.fn(
            SimpleNamespace(state=SimpleNamespace(visitor=HOST)), run_id, "rl", "0", "dataset", repo, private, visitor
        )

    return pressed


def test_at_home_the_owners_login_pushes_and_the_link_is_shown(press, fake_hub, monkeypatch):
    assert "hf auth login" in press(public=False)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    shown = press(public=False, private=False)
    assert f'href="{fake_hub.url}/datasets/alice/rows"' in shown and "public" in shown
    assert not fake_hub.repos["dataset", "alice/rows"]["private"]


@pytest.mark.parametrize("space", [None, "someone/patchrl"])
def test_a_public_page_pushes_with_the_visitors_token_only(press, fake_hub, monkeypatch, space):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    if space:
        monkeypatch.setenv("SPACE_ID", space)
    assert "Sign in" in press(public=True) and fake_hub.asked == []
    assert "may not write" in press(public=True, token=READ_ONLY)
    monkeypatch.setenv("HF_TOKEN", READ_ONLY)
    fake_hub.asked.clear()
    assert "✓ Pushed, private" in press(public=True, token=TOKEN)
    assert {token for _, token in fake_hub.asked} == {TOKEN}


def test_a_problem_is_shown_as_text(press):
    shown = press(public=False, repo="<img src=x onerror=alert(1)>/${x}")
    assert shown.startswith('<p class="problem" role="alert">') and "<img" not in shown and "${" not in shown


@pytest.mark.parametrize(
    ("system", "client", "usable"), [("spaces", "an-id", True), ("spaces", None, False), (None, "an-id", False)]
)
def test_only_a_space_with_sign_in_offers_a_push(runs_dir, monkeypatch, system, client, usable):
    """Elsewhere Gradio's login button would hand out this machine's own token."""
    for name in ("OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET", "OAUTH_SCOPES"):
        monkeypatch.setattr(oauth, name, client)
    monkeypatch.setattr(oauth, "OPENID_PROVIDER_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("SPACE_ID", "someone/patchrl")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("SYSTEM", system) if system else monkeypatch.delenv("SYSTEM", raising=False)
    demo = build(Session(str(runs_dir), Limits(public=True)))
    assert demo.expects_oauth is usable
    (button,) = [block for block in demo.blocks.values() if getattr(block, "elem_id", None) == "push"]
    assert button.interactive is usable


def test_at_home_nothing_asks_to_sign_in(runs_dir):
    assert not build(Session(str(runs_dir), Limits())).expects_oauth
