"""What Story says, in the page as it is sent: it is read while Gradio's scripts still make the page, which takes them seconds."""

from __future__ import annotations

from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from patchrl.errors import PatchRLError
from patchrl.reporting.story import pair_html
from patchrl.ui import story
from patchrl.ui.app import TABS, TITLE, addressed_tab
from patchrl.ui.requests import page_path
from patchrl.ui.session import Session

STYLE, SCRIPT = (Path(__file__).with_name(f"first_view.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))


class FirstView:
    """Adds the first view to the page where it opens on Story."""

    def __init__(self, app: ASGIApp, session: Session, css: str) -> None:
        self.app, self.session = app, session
        self.style = f"<style>{css}{STYLE}</style>"  # Gradio adds the page's CSS by script

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or page_path(scope) != "/":
            return await self.app(scope, receive, send)
        words = await run_in_threadpool(first_words, self.session, Request(scope))
        if not words:
            return await self.app(scope, receive, send)
        view = f'<div id="first-view" class="story-words">{self.style}{words}</div><script>{SCRIPT}</script></body>'
        start: Message = {}

        async def send_with_view(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)  # its length is known with the body
                return
            page = message["body"].replace(b"</body>", view.encode())
            MutableHeaders(scope=start)["content-length"] = str(len(page))
            await send(start)
            await send({**message, "body": page})

        await self.app(scope, receive, send_with_view)


def first_words(session: Session, request: Request) -> str:
    """Story's sentence, pair and question as HTML, for the run of the address or the one that the page opens with.

    Empty where the page opens on another tab.
    """
    query = request.query_params
    if addressed_tab(query) != TABS[0] or query.get("present") == "1":
        return ""
    visitor = session.visitor(request)
    snapshot = session.reader.snapshot(visitor, query.get("run") or session.first_run(visitor))
    try:
        row, tokens = story.typical_pair(session, snapshot, 0)
    except PatchRLError:  # of a damaged file; the page itself says so
        row, tokens = None, None
    pair = pair_html(row, tokens) if row else story.waits("pair")
    return (
        f"<header>{TITLE}</header>{story.sentence_of(snapshot)}"
        f'<div class="story-pair">{pair}</div>{story.change_of(snapshot)}'
    )
