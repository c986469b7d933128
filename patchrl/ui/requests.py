"""Which requests the page answers: of its own address, of its own pages and, where it is public, of the paths it needs."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
# What Gradio's page asks for. Everything else of Gradio's server, such as fetching other addresses, is closed to visitors.
PUBLIC_PATHS = ("/", "/config", "/theme.css", "/favicon.ico", "/manifest.json", "/robots.txt")
SIGN_IN_PATHS = ("/login", "/login/huggingface", "/login/callback", "/logout", "/host")
PUBLIC_FOLDERS = ("/assets/", "/static/", "/svelte/", "/pwa_icon", "/gradio_api/heartbeat/", "/gradio_api/file=/")
PUBLIC_CALLS = (
    "queue/join",
    "queue/data",
    "component_server",
    "cancel",
    "info",
    "startup-events",
    "theme.css",
    "login_check",
)
UPLOAD_CALLS = ("upload", "upload_progress")


def host_name(address: str) -> str:
    """The host of a Host header, an Origin or an address, without its port; empty where there is none."""
    try:
        return (urlsplit(address if "//" in address else f"//{address}").hostname or "").lower()
    except ValueError:
        return ""


def page_path(scope: Scope) -> str:
    """The path of a request below the path that a proxy serves the page at."""
    root = urlsplit(scope.get("root_path") or "").path.rstrip("/")
    path: str = scope["path"]
    return path.removeprefix(root) or "/" if path == root or path.startswith(f"{root}/") else path


def is_public_path(path: str, uploads: bool) -> bool:
    """Whether visitors of a public page may ask for a path."""
    calls = PUBLIC_CALLS + (UPLOAD_CALLS if uploads else ())
    return (
        path in (*PUBLIC_PATHS, *SIGN_IN_PATHS)
        or path.startswith(PUBLIC_FOLDERS)
        or (path.startswith("/gradio_api/") and path.removeprefix("/gradio_api/").rstrip("/") in calls)
    )


class RequestFilter:
    """Refuses what no page of this server sends.

    A name that an attacker points at 127.0.0.1 (DNS rebinding) is refused by `hosts`, the names that the page is reached by
    (None: any). What another site's page sends is refused by its Origin. `public` closes all paths but those of the page.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] | None, public: bool = False, uploads: bool = True) -> None:
        self.app, self.hosts, self.public, self.uploads = app, hosts, public, uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and (problem := self.problem(scope)):
            return await PlainTextResponse(problem, 403)(scope, receive, send)
        return await self.app(scope, receive, send)

    def problem(self, scope: Scope) -> str:
        """Why a request is refused; empty where it is not."""
        headers = Headers(scope=scope)
        host, origin = host_name(headers.get("host", "")), headers.get("origin")
        if self.hosts is not None and host not in self.hosts:
            return f"This page is not served as {host or 'a host without a name'}; open it as http://127.0.0.1 with its port."
        # A proxy may set its own Host; another site's page cannot send X-Forwarded-Host without a preflight, which fails.
        forwarded = host_name(headers.get("x-forwarded-host", "").partition(",")[0])
        if origin is not None and host_name(origin) not in {host, forwarded, *(self.hosts or ())} - {""}:
            return "Another site's page sent this request; PatchRL answers its own page only."
        if self.public and not is_public_path(page_path(scope), self.uploads):
            return "This public page does not offer that."
        return ""
