"""Receivers of notices that are really there: HTTP and SMTP on loopback."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiohttp import web
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass(slots=True)
class Hook:
    """A receiver of webhooks: answers as `answer` says, and keeps what came."""

    answer: Callable[[int], web.StreamResponse] = lambda _: web.Response()
    url: str = ""
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.bodies.append(await request.read())
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        return self.answer(len(self.bodies))


@asynccontextmanager
async def hook(
    answer: Callable[[int], web.StreamResponse] = lambda _: web.Response(),
) -> AsyncIterator[Hook]:
    one = Hook(answer)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", one.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        one.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        yield one
    finally:
        await runner.cleanup()


@dataclass(slots=True)
class Mailbox:
    """A mail server: refuses `unknown` addresses, knows one user, keeps what came."""

    unknown: frozenset[str] = frozenset()
    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    users: list[bytes] = field(default_factory=list)
    was_tls: list[bool] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        if address in self.unknown:
            return "550 5.1.1 nobody here of that name"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - the same
        self, _server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        mail = message_from_bytes(content, policy=default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        self.recipients.append(envelope.rcpt_tos)
        self.was_tls.append(session.ssl is not None)
        return "250 OK"

    def authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _how: str, given: Any
    ) -> AuthResult:
        assert isinstance(given, LoginPassword)
        self.users.append(given.login)
        return AuthResult(success=given.password == b"open sesame", handled=False)


@asynccontextmanager
async def mailbox(
    *,
    tls: ssl.SSLContext | None = None,
    at_once: bool = False,
    auth: bool = False,
    unknown: frozenset[str] = frozenset(),
) -> AsyncIterator[Mailbox]:
    """tls: what it can speak; at_once: from the first byte, else after STARTTLS."""
    one = Mailbox(unknown)
    loop = asyncio.get_running_loop()

    def session() -> SMTP:
        return SMTP(
            one,
            hostname="mail.test",
            tls_context=None if at_once else tls,
            require_starttls=tls is not None and not at_once,
            auth_required=auth,
            auth_require_tls=not at_once,
            authenticator=one.authenticate,
            loop=loop,
        )

    server = await loop.create_server(session, "127.0.0.1", 0, ssl=tls if at_once else None)
    async with server:
        one.port = server.sockets[0].getsockname()[1]
        yield one
