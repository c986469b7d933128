"""Report tab, its lower half: a rewritten dataset or an adapter pushed to the Hugging Face Hub."""

from __future__ import annotations

import gradio as gr
from gradio import oauth
from gradio.utils import get_space

from patchrl.errors import PatchRLError
from patchrl.reporting import markup
from patchrl.ui.rows import dataset_choice
from patchrl.ui.session import Session

OWN_LOGIN = "With the login of this machine: `hf auth login`, or HF_TOKEN."
VISITOR = "With your own account, which you sign in to here. Your token is not kept."
NO_SIGN_IN = "This Space offers no sign-in (hf_oauth in its README.md), so nothing can be pushed from it."
PUSH_TITLES = {"dataset": "Rewritten dataset", "adapter": "Rewriter adapter"}


def build(session: Session, arm: gr.Dropdown, seed: gr.Dropdown) -> None:
    """The form, for the rewrites chosen above it. Tokens live in the request and nowhere else."""
    public = session.limits.public
    closed = public and not sign_in_works()
    gr.HTML(
        f"<h3>Push to the Hugging Face Hub</h3>{markup.note('The rewrites and the seed chosen above, with a card.')}"
    )
    if public and not closed:
        gr.LoginButton(elem_id="sign-in")
    with gr.Row():
        kind = gr.Dropdown(
            [(title, name) for name, title in PUSH_TITLES.items()], value="dataset", label="What", elem_id="push-kind"
        )
        repo = gr.Textbox(label="Repository", placeholder="owner/name", max_length=200, elem_id="push-repo")
        private = gr.Checkbox(True, label="Private", info="For its owner's eyes only.", elem_id="push-private")
    button = gr.Button("Push", elem_id="push", interactive=not closed)
    account = NO_SIGN_IN if closed else VISITOR if public else OWN_LOGIN
    pushed = gr.HTML(markup.note(account), elem_id="pushed", min_height=60)

    def push(
        request: gr.Request,
        run_id: str | None,
        arm: str | None,
        seed: str | None,
        kind: str,
        repo: str,
        private: bool,
        visitor: gr.OAuthToken | None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - gradio finds it by its default
    ) -> str:
        try:
            run = session.reader.open(session.visitor(request), run_id)
            source, number, _ = dataset_choice(run, arm, seed)
            if public and visitor is None:
                raise PatchRLError("Sign in above first: a push needs your own account.")
            address = run.push(
                kind, repo.strip(), arm=source, seed=number, private=bool(private),
                token=visitor.token if public and visitor else None,
                on_step=lambda step: progress(None, desc=step),
            )  # fmt: skip
        except PatchRLError as error:
            return markup.error(str(error))
        link = markup.escape(address)
        visibility = "private" if private else "public"
        return (
            f'<p role="status">✓ Pushed, {visibility}: <a href="{link}" target="_blank" rel="noopener">{link}</a></p>'
        )

    inputs = [session.run, arm, seed, kind, repo, private]
    button.click(push, inputs, pushed, api_visibility="private")


def sign_in_works() -> bool:
    """Whether visitors can sign in with their own accounts.

    Elsewhere than on a Space with OAuth Gradio would either not start, or take everyone for this machine's owner.
    """
    settings = (oauth.OAUTH_CLIENT_ID, oauth.OAUTH_CLIENT_SECRET, oauth.OAUTH_SCOPES, oauth.OPENID_PROVIDER_URL)
    return get_space() is not None and all(settings)
