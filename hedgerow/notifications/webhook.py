"""Webhook: notices as signed JSON, by POST.

A receiver that has the channel's secret can tell that a notice is ours and fresh: the header
`x-hedgerow-signature: t=UNIX_SECONDS,v1=HEX` carries the HMAC-SHA256 of `t`, a dot and the body as
it came. `x-hedgerow-notice-id` is the same however often a notice is sent.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime

import aiohttp
import msgspec

from hedgerow.errors import NotSent
from ledger.notices import Notice
from proxy.clock import Clock

TIMEOUT_S = 10.0
LONGEST_REASON_BYTES = 200
_encode = msgspec.json.Encoder(decimal_format="number").encode


class Webhook:
    """url: may be a secret itself, so nothing ever shows it. secret: signs; None signs nothing, for
    receivers that cannot look (Slack). 2xx is success; a redirect is not followed: the notice, and
    its signature, are for this URL alone."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        secret: str | None,
        clock: Clock,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._session = session
        self._url = url
        self._secret = secret
        self._clock = clock
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)

    async def send(self, notice: Notice) -> None:
        body = payload(notice)
        headers = {"content-type": "application/json", "x-hedgerow-notice-id": notice.id}
        if self._secret is not None:
            at_s = self._clock.now_ns() // 1_000_000_000
            headers["x-hedgerow-signature"] = signature(self._secret, at_s, body)
        try:
            async with self._session.post(
                self._url,
                data=body,
                headers=headers,
                allow_redirects=False,
                timeout=self._timeout,
            ) as answer:
                if not 200 <= answer.status < 300:
                    raise NotSent(await _reason(answer), _retry_after_s(answer))
        except TimeoutError:
            raise NotSent(f"no answer in {self._timeout.total:g} s") from None
        except aiohttp.ClientError as error:
            raise NotSent(f"no answer: {_cause(error)}") from None


def payload(notice: Notice) -> bytes:
    """The body. Amounts are USD where the measure is `usd`. `text` is for people, with `&`, `<` and
    `>` escaped as Slack and those like it want: a name in it rings nobody's bell."""
    return _encode(
        {
            "id": notice.id,
            "kind": notice.kind,
            "at": _iso(notice.at_ns),
            "budget": notice.budget,
            "scope": notice.scope,
            "measure": notice.measure,
            "spent": notice.in_unit(notice.spent),
            "cap": notice.in_unit(notice.cap),
            "part": notice.part,
            "window": notice.window,
            "window_start": _iso(notice.window_start_ns),
            "resets_at": notice.resets_at.isoformat() if notice.resets_at else None,
            "about": notice.about or None,
            "text": _escaped(notice.text()),
        }
    )


def signature(secret: str, at_s: int, body: bytes) -> str:
    """The value of `x-hedgerow-signature`."""
    signed = b"%d.%b" % (at_s, body)
    return f"t={at_s},v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


def _iso(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns // 1_000_000_000, UTC).isoformat()


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


async def _reason(answer: aiohttp.ClientResponse) -> str:
    """The status, and how its body begins: many say there what is wrong."""
    status = f"HTTP {answer.status}"
    if 300 <= answer.status < 400:
        return f"{status}: it points elsewhere, which is not followed; write the final URL"
    begun = await answer.content.read(LONGEST_REASON_BYTES)
    text = " ".join(begun.decode("utf-8", "replace").split())
    return f"{status}: {text}" if text else status


def _retry_after_s(answer: aiohttp.ClientResponse) -> float | None:
    """Whole seconds, as Slack sends them; a date is passed over."""
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _cause(error: aiohttp.ClientError) -> str:
    """Without the URL, which aiohttp would show."""
    match error:
        case aiohttp.ClientConnectorDNSError():
            return "its name is not known"
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
            return "TLS failed"
        case aiohttp.ClientConnectorError(os_error=OSError(strerror=str(said))):
            return said.lower()
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError():
            return "it hung up"
        case _:
            return type(error).__name__
