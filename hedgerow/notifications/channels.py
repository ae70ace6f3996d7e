"""Channels, made from what is written under `notify`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp

from hedgerow.files.notify_spec import USUAL_PORT, EmailSpec, LogSpec, NotifySpec, WebhookSpec
from hedgerow.notifications.channel import Channel
from hedgerow.notifications.journal import Journal
from hedgerow.notifications.mail import Mail, MailServer
from hedgerow.notifications.webhook import Webhook
from proxy.clock import Clock

CONNECTIONS = 20


def channels(
    specs: Mapping[str, NotifySpec], session: aiohttp.ClientSession, clock: Clock
) -> dict[str, Channel]:
    """By their names. Reads the system's authorities from disk where one mails over TLS."""
    return {name: _channel(spec, session, clock) for name, spec in specs.items()}


def _channel(spec: NotifySpec, session: aiohttp.ClientSession, clock: Clock) -> Channel:
    match spec:
        case WebhookSpec():
            secret = spec.secret.get_secret_value() if spec.secret else None
            return Webhook(session, spec.url.get_secret_value(), secret, clock)
        case EmailSpec():
            server = MailServer(
                host=spec.host,
                port=spec.port or USUAL_PORT[spec.security],
                security=spec.security,
                username=spec.username,
                password=spec.password.get_secret_value() if spec.password else None,
            )
            return Mail(server, spec.sender, spec.to)
        case LogSpec():
            return Journal()


@asynccontextmanager
async def webhook_session() -> AsyncIterator[aiohttp.ClientSession]:
    """Connections to receivers, apart from those to providers; closed at the end."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=CONNECTIONS),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    ) as session:
        yield session
