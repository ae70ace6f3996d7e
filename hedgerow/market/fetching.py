"""Fetching: one document of a feed over HTTP, within limits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp

from benchmarks.alarms import AlarmName
from benchmarks.errors import FeedRefused
from benchmarks.feeds.document import MOST_BYTES, Document
from hedgerow.market.sources import Address

TIMEOUT_S = 30.0
CONNECTIONS = 4


@asynccontextmanager
async def feed_session() -> AsyncIterator[aiohttp.ClientSession]:
    """Connections to feeds, apart from those to providers; closed at the end."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=CONNECTIONS),
        timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,  # what is small on the way may be without end when it is unpacked
        trust_env=False,
    ) as session:
        yield session


async def fetched(
    session: aiohttp.ClientSession, address: Address, last: Document | None, at: datetime
) -> Document:
    """The document as it is now; `last`, known anew, if it has not changed since.

    Redirects are not followed: a key is sent nowhere else. Raises FeedRefused.
    """
    headers = {"accept-encoding": "identity", "accept": "application/json, */*;q=0.5"}
    if last is not None and last.etag is not None:
        headers["if-none-match"] = last.etag
    try:
        async with session.get(
            address.url, headers={**headers, **address.headers}, allow_redirects=False
        ) as response:
            if response.status == 304 and last is not None:
                return replace(last, known_at=at)
            if response.status != 200:
                raise FeedRefused(AlarmName.UNREACHABLE, _refusal(response))
            if response.headers.get("content-encoding", "identity") != "identity":
                raise FeedRefused(AlarmName.MALFORMED, "packed, though it was asked for as it is")
            body = await _body(response)
            stated = response.headers.get("last-modified")
            etag = response.headers.get("etag")
            return Document(body, at, _moment(stated, at), etag=etag)
    except TimeoutError as error:
        raise FeedRefused(AlarmName.UNREACHABLE, f"no answer within {TIMEOUT_S:g} s") from error
    except aiohttp.ClientPayloadError as error:
        raise FeedRefused(
            AlarmName.TRUNCATED, "the connection ended within the document"
        ) from error
    except (aiohttp.ClientError, OSError) as error:
        raise FeedRefused(AlarmName.UNREACHABLE, str(error) or type(error).__name__) from error


async def _body(response: aiohttp.ClientResponse) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > MOST_BYTES:
            raise FeedRefused(AlarmName.TOO_LARGE, f"more than {MOST_BYTES} bytes")
        parts.append(part)
    return b"".join(parts)


def _refusal(response: aiohttp.ClientResponse) -> str:
    if 300 <= response.status < 400:
        return f"HTTP {response.status}: it lies elsewhere now"
    more = ": nothing is called so there" if response.status == 404 else ""
    return f"HTTP {response.status} {response.reason or ''}".rstrip() + more


def _moment(http_date: str | None, at: datetime) -> datetime | None:
    """A `Last-Modified`; None for what is none, or is yet to come."""
    if http_date is None:
        return None
    try:
        found = parsedate_to_datetime(http_date)
    except ValueError:
        return None
    found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    return found if found <= at else None
