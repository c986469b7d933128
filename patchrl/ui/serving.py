"""Serves the page: where it listens, who may reach it, and whether it is a public page."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from patchrl.errors import ConfigError
from patchrl.jobs.expiry import keep_sweeping
from patchrl.jobs.owners import server_secret
from patchrl.jobs.webhook import is_loopback
from patchrl.reporting import markup
from patchrl.runs.folder import default_runs_dir
from patchrl.ui import answers, changed, lesson_pages
from patchrl.ui.app import build
from patchrl.ui.charts import plotly_script
from patchrl.ui.first_view import FirstView
from patchrl.ui.requests import LOOPBACK_NAMES, RequestFilter, host_name
from patchrl.ui.session import Limits, Session
from patchrl.ui.visitors import Cookies, VisitorMiddleware

UI_FOLDER = Path(__file__).parent
CSS = (
    (UI_FOLDER / "page.css").read_text(encoding="utf-8")
    + markup.REPORT_CSS
    + answers.ANSWERS_CSS
    + changed.CHANGED_CSS
    + lesson_pages.LESSON_CSS
    + (UI_FOLDER / "present.css").read_text(encoding="utf-8")
)
# The drawer and the address; tooltips and arrow keys of tokens; the slider of distributions.
SCRIPT = "".join((UI_FOLDER / name).read_text(encoding="utf-8") for name in ("page.js", "tokens.js", "present.js"))
SCRIPTS = f"<script>{SCRIPT}{markup.DISTRIBUTION_SLIDER}</script>"
FONTS = ["ui-sans-serif", "system-ui", "sans-serif"]
PASSWORD_USER = "patchrl"
MAX_SESSIONS = 200  # pages whose state is kept, about 1 MB each; one that was forgotten fetches everything once more
# Gradio sums up its last 10,000 requests after each one, for a path that is not offered here.
NO_SUMMARIES = {"GRADIO_ANALYTICS_MAX_EVENTS": "100", "GRADIO_ANALYTICS_CACHE_FREQUENCY": "1000000000"}


def launch(
    runs_dir: str | None = None,
    port: int | None = None,
    host: str | None = None,
    root_path: str | None = None,
    public: bool = False,
    **options: Any,
) -> gr.Blocks:
    """Serve the page.

    Args:
        runs_dir: where runs are kept; your data folder unless given.
        port: the port to listen on; 7860, or the next free one, unless given.
        host: the address to listen on: GRADIO_SERVER_NAME, or this machine only, unless given; all addresses on a Space.
        root_path: the path or the whole address that a proxy serves the page at; GRADIO_ROOT_PATH unless given.
        public: whether strangers use the page: each sees own runs only, within limits. Always so on a Space.
        options: of Gradio's `launch`.

    Raises:
        ConfigError: the port is taken, or others could reach the page and nothing protects it.
    """
    public = public or is_public()
    space, password = "SPACE_ID" in os.environ, os.environ.get("PATCHRL_PASSWORD", "")
    host = host or os.environ.get("GRADIO_SERVER_NAME") or ("0.0.0.0" if space else "127.0.0.1")
    root_path = root_path or os.environ.get("GRADIO_ROOT_PATH")
    if not (public or password or is_loopback(host)):
        raise ConfigError(
            f"--host {host}: others could reach this page and every run; add --public, or set a password in PATCHRL_PASSWORD."
        )
    if port is not None and not 0 < port < 65536:
        raise ConfigError(f"--port {port}: choose a port from 1 to 65535.")
    if port is not None and _is_taken(port):
        raise ConfigError(f"--port {port} is taken by another program; choose another port.")
    limits = Limits(public=public, uploads=not public or os.environ.get("PATCHRL_UPLOADS") == "1")
    # With a password or in public, any name may lead here: the browser's cookie belongs to the name it was set under.
    hosts = None if public or password else {*LOOPBACK_NAMES, host, host_name(root_path or "")} - {""}
    session = Session(runs_dir, limits)
    middleware = [Middleware(RequestFilter, hosts=hosts, public=public, uploads=limits.uploads)]
    if public:
        home = Path(runs_dir or default_runs_dir())
        cookies = Cookies(server_secret(home), os.environ.get("PATCHRL_ADMIN_TOKEN", ""), embedded=space)
        middleware.append(Middleware(VisitorMiddleware, cookies=cookies))
        keep_sweeping(home)
    if not password:  # before the password nobody sees a run
        middleware.append(Middleware(FirstView, session=session, css=CSS))
    os.environ |= NO_SUMMARIES
    demo = build(session)
    demo.queue(max_size=64).launch(
        server_name=host,
        server_port=port,
        root_path=root_path,
        auth=[(PASSWORD_USER, password)] if password else None,
        auth_message=f"The user name is {PASSWORD_USER}." if password else None,
        app_kwargs={"middleware": middleware},
        share=False,
        ssr_mode=False,
        theme=theme(),
        css=CSS,
        head=plotly_script() + SCRIPTS,
        max_file_size="20mb" if public else "200mb",
        footer_links=[],
        run_history=False,
        state_session_capacity=MAX_SESSIONS,
        **options,
    )
    return demo


def is_public() -> bool:
    """Whether this machine serves a public page: a Space does, and PATCHRL_PUBLIC=1 says so anywhere."""
    return "SPACE_ID" in os.environ or os.environ.get("PATCHRL_PUBLIC") == "1"


def theme() -> gr.themes.Base:
    """The page's colours and fonts, which come from the visitor's own machine."""
    return gr.themes.Default(primary_hue="emerald", font=FONTS, font_mono=["ui-monospace", "monospace"]).set(
        # Contrast of 4.5 and more (WCAG AA); the theme's own help texts and buttons have less.
        block_info_text_color="*neutral_600",
        body_text_color_subdued="*neutral_600",
        input_placeholder_color="*neutral_500",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_800",
        button_cancel_background_fill="#b91c1c",
        button_cancel_background_fill_hover="#991b1b",
    )


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
