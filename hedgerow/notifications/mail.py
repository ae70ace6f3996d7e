"""Mail: notices as e-mail, by SMTP."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Literal

import aiosmtplib

from hedgerow.errors import NotSent
from ledger.notices import Notice
from proxy.errors import log

Security = Literal["starttls", "tls", "none"]
TIMEOUT_S = 30.0
LONGEST_REASON = 300


@dataclass(frozen=True, slots=True)
class MailServer:
    """Who takes our mail. security: `starttls` asks for TLS and sends nothing without it; `none`
    is for a relay on the same host. Without a username nobody logs in."""

    host: str
    port: int
    security: Security
    username: str | None
    password: str | None


class Mail:
    """One message to all recipients. tls: whom to trust, the system's authorities if None."""

    def __init__(
        self,
        server: MailServer,
        sender: str,
        recipients: Sequence[str],
        tls: ssl.SSLContext | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._server = server
        self._sender = sender
        self._recipients = tuple(recipients)
        self._timeout_s = timeout_s
        # Here and not with each message: it reads a file.
        self._tls = tls or (None if server.security == "none" else ssl.create_default_context())

    async def send(self, notice: Notice) -> None:
        server = self._server
        try:
            async with asyncio.timeout(self._timeout_s):
                refused, _ = await aiosmtplib.send(
                    message(notice, self._sender, self._recipients),
                    sender=self._sender,
                    recipients=self._recipients,
                    hostname=server.host,
                    port=server.port,
                    username=server.username,
                    password=server.password,
                    timeout=self._timeout_s,
                    use_tls=server.security == "tls",
                    start_tls=server.security == "starttls",
                    tls_context=self._tls,
                )
        except TimeoutError:
            raise NotSent(f"{server.host} gave no answer in {self._timeout_s:g} s") from None
        except (aiosmtplib.SMTPException, OSError) as error:
            raise NotSent(f"{server.host}: {_why(error)}") from None
        # The others have it: to send it again would tell them twice.
        for address, said in refused.items():
            log.error("%s was not mailed to %s: %s", notice.id, address, _said(said))


def message(notice: Notice, sender: str, recipients: Sequence[str]) -> EmailMessage:
    """The same, down to its Message-ID, however often it is sent: mailboxes show it once."""
    mail = EmailMessage(policy=SMTP)
    mail["From"] = sender
    mail["To"] = ", ".join(recipients)
    mail["Subject"] = f"[Hedgerow] {notice.subject}"
    mail["Date"] = format_datetime(datetime.fromtimestamp(notice.at_ns // 1_000_000_000, UTC))
    mail["Message-ID"] = f"<{notice.id}@{sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(f"{notice.text()}\n\nNotice {notice.id}\n")
    return mail


def _why(error: aiosmtplib.SMTPException | OSError) -> str:
    match error:
        case aiosmtplib.SMTPRecipientsRefused():
            return "; ".join(f"{one.recipient}: {_said(one)}" for one in error.recipients)
        case aiosmtplib.SMTPResponseException():
            return _said(error)
        case _:
            return _one_line(str(error)) or type(error).__name__


def _said(answer: aiosmtplib.SMTPResponse | aiosmtplib.SMTPResponseException) -> str:
    return _one_line(f"{answer.code} {answer.message}")


def _one_line(text: str) -> str:
    return " ".join(text.split())[:LONGEST_REASON]
