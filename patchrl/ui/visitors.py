"""Who sends a request to a public page: a sign-in, a signed cookie of the browser, or the host with the admin token."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from itsdangerous import BadSignature, Signer, TimestampSigner
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from patchrl.errors import ConfigError
from patchrl.jobs.owners import Visitor
from patchrl.ui.requests import page_path

VISITOR_COOKIE, HOST_COOKIE = "patchrl-visitor", "patchrl-host"
VISITOR_SECONDS = 180 * 24 * 3600
HOST_SECONDS = 12 * 3600
HOST_PATH = "/host"
MIN_TOKEN_CHARACTERS = 16
HOST_FORM = """<!doctype html><html lang="en"><title>PatchRL: host</title><style>body{{font:16px system-ui;margin:3em auto;max-width:30em}}
</style><h1>Host of this page</h1><p>With the admin token you see and control every visitor's runs for 12 hours.</p>
<form method="post"><label>Admin token <input type="password" name="token" required></label> <button>Sign in</button></form>
<p role="status">{message}</p></html>"""


@dataclass(frozen=True)
class Cookies:
    """Signs and reads this page's two cookies.

    `secret` signs them; `admin_token` makes a visitor the host, and nobody becomes the host where it is empty. `embedded`: the
    page is shown inside another site's, as Spaces are, and its cookies have to be sent there.
    """

    secret: str
    admin_token: str = ""
    embedded: bool = False

    def __post_init__(self) -> None:
        if self.admin_token and len(self.admin_token) < MIN_TOKEN_CHARACTERS:
            raise ConfigError(f"PATCHRL_ADMIN_TOKEN is short; use at least {MIN_TOKEN_CHARACTERS} random characters.")

    @property
    def _browser(self) -> Signer:
        return Signer(self.secret, salt=VISITOR_COOKIE)

    @property
    def _host(self) -> TimestampSigner:
        # Another admin token ends the sessions of the former.
        return TimestampSigner(self.secret + self.admin_token, salt=HOST_COOKIE)

    def browser_id(self, request: Request) -> str | None:
        """The id in the browser's cookie; None without a cookie that this server signed."""
        try:
            return self._browser.unsign(request.cookies.get(VISITOR_COOKIE, "")).decode()
        except (BadSignature, UnicodeDecodeError):
            return None

    def is_host(self, request: Request) -> bool:
        """Whether the browser gave the admin token within the last hours."""
        return bool(self.admin_token) and self._host.validate(request.cookies.get(HOST_COOKIE, ""), HOST_SECONDS)

    def visitor(self, request: Request) -> Visitor:
        """Who sent a request; a visitor who has signed in also owns what the same browser started before."""
        ids = [signed_in_id(request), self.browser_id(request)]
        return Visitor(tuple(name for name in ids if name), self.is_host(request))

    def new_visitor(self, request: Request) -> str:
        """The header of a cookie for a browser without one."""
        name = f"browser-{secrets.token_urlsafe(16)}"
        return self._header(request, VISITOR_COOKIE, self._browser.sign(name).decode(), VISITOR_SECONDS)

    def host_header(self, request: Request) -> str:
        """The header of a cookie for the host."""
        return self._header(request, HOST_COOKIE, self._host.sign("host").decode(), HOST_SECONDS)

    def _header(self, request: Request, name: str, value: str, seconds: int) -> str:
        path = urlsplit(request.scope.get("root_path") or "").path or "/"
        header = f"{name}={value}; Path={path}; Max-Age={seconds}; HttpOnly"
        if self.embedded:
            return f"{header}; SameSite=None; Secure; Partitioned"
        return f"{header}; SameSite=Lax" + ("; Secure" if request.url.scheme == "https" else "")


def signed_in_id(request: Request) -> str | None:
    """The owner's name of a visitor who signed in with Hugging Face; None for others."""
    session: Any = request.scope.get("session") or {}
    info = session.get("oauth_info") or {}
    subject = (info.get("userinfo") or {}).get("sub")
    return f"user-{subject}" if subject and info.get("expires_at", 0) > time.time() else None


class VisitorMiddleware:
    """Tells every handler who asks, as `request.state.visitor`, and gives a new browser its cookie with the page."""

    def __init__(self, app: ASGIApp, cookies: Cookies) -> None:
        self.app, self.cookies = app, cookies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        request = Request(scope, receive)
        if page_path(scope) == HOST_PATH and self.cookies.admin_token:
            response = await self._sign_in(request)
            return await response(scope, receive, send)
        request.state.visitor = self.cookies.visitor(request)
        # Only the page itself brings a cookie: its other requests come in parallel and would make several visitors.
        is_page = scope["method"] == "GET" and "text/html" in request.headers.get("accept", "")
        if not is_page or self.cookies.browser_id(request):
            return await self.app(scope, receive, send)
        header = self.cookies.new_visitor(request)

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).append("set-cookie", header)
            await send(message)

        return await self.app(scope, receive, send_with_cookie)

    async def _sign_in(self, request: Request) -> Response:
        if request.method != "POST":
            return HTMLResponse(HOST_FORM.format(message=""))
        token = str((await request.form()).get("token", ""))
        if not secrets.compare_digest(token.encode(), self.cookies.admin_token.encode()):
            return HTMLResponse(HOST_FORM.format(message="This is not the admin token."), 403)
        response = RedirectResponse("./", 303)
        response.headers.append("set-cookie", self.cookies.host_header(request))
        return response
