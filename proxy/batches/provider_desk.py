"""ProviderDesk: files and batches at a provider, with one of our accounts there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedReader
from itertools import islice
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from proxy.endpoints import Endpoint
from proxy.house import House
from proxy.providers import Account, Provider
from proxy.refusals import read_refusal
from proxy.upstream import Answer, NotConnected, UpstreamError, UpstreamRequest, retry_after_s
from proxy.wires import body as bodies

ANSWER_LIMIT = 8 << 20
TIMEOUT_S = 120.0
"""Of silence: files are long, and nobody waits at the other end."""
LISTED_AT_ONCE, MOST_LISTED = 100, 2000
"""Batches that are looked through for one of ours."""
RETRY_AFTER_S = 1.0

T = TypeVar("T")
Method = Literal["POST", "GET", "DELETE"]


class DeskRefused(Exception):
    """The provider will not, now or later. status: its answer's."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(f"it answers {status}: {why}")
        self.status = status


class DeskBusy(Exception):
    """It did not work, and may later. is_sent: the provider may have done it all the same."""

    def __init__(self, why: str, *, is_sent: bool, retry_after_s: float = RETRY_AFTER_S) -> None:
        super().__init__(why)
        self.is_sent = is_sent
        self.retry_after_s = retry_after_s


class TheirFile(msgspec.Struct):
    id: str


class TheirBatch(msgspec.Struct):
    """A provider's batch, as far as we read it. Some (Together) are sparing with fields."""

    id: str
    status: str
    output_file_id: str | None = None
    error_file_id: str | None = None
    metadata: dict[str, str] | None = None

    @property
    def has_ended(self) -> bool:
        return self.status.lower() in ("completed", "failed", "expired", "cancelled", "canceled")


class TheirResponse(msgspec.Struct):
    """What a line got there."""

    status_code: int
    body: msgspec.Raw = msgspec.Raw(b"null")


class TheirLine(msgspec.Struct):
    """A line of a provider's output or error file."""

    custom_id: str
    response: TheirResponse | None = None


_their_line = msgspec.json.Decoder(TheirLine).decode


def read_lines(file: BufferedReader, most: int) -> list[TheirLine]:
    """The next lines of a provider's file that can be read; none at its end. Runs in a thread."""
    found: list[TheirLine] = []
    while not found and (texts := list(islice(file, most))):
        for text in texts:
            with suppress(msgspec.DecodeError, UnicodeDecodeError):
                found.append(_their_line(text))
    return found


class _TheirList(msgspec.Struct):
    data: list[TheirBatch] = []
    has_more: bool = False


@dataclass(frozen=True, slots=True)
class ProviderDesk:
    """Each call raises DeskRefused or DeskBusy."""

    house: House
    provider: Provider
    account: Account

    async def upload(self, filename: str, content: bytes) -> str:
        """The provider's id of a new file, for a batch."""
        boundary = "hedgerow-" + self.house.random_bytes(16).hex()
        form = b"".join(
            (
                f'--{boundary}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\n'
                f"batch\r\n--{boundary}\r\nContent-Disposition: form-data;"
                f' name="file"; filename="{filename}"\r\n'
                "Content-Type: application/jsonl\r\n\r\n".encode(),
                content,
                f"\r\n--{boundary}--\r\n".encode(),
            )
        )
        kind = f"multipart/form-data; boundary={boundary}"
        said = await self._ask("POST", self._url(Endpoint.FILES), form, kind)
        return _read(said, TheirFile).id

    async def create(self, body: dict[str, object]) -> TheirBatch:
        said = await self._ask("POST", self._url(Endpoint.BATCHES), bodies.encode(body))
        return _read(said, TheirBatch)

    async def get(self, batch_id: str) -> TheirBatch:
        return _read(await self._ask("GET", self._url(Endpoint.BATCHES, batch_id)), TheirBatch)

    async def find(self, name: str, value: str) -> TheirBatch | None:
        """The batch with this in its metadata, among the newest."""
        after: dict[str, str] = {}
        for _ in range(MOST_LISTED // LISTED_AT_ONCE):
            query = {"limit": str(LISTED_AT_ONCE), **after}
            said = await self._ask("GET", self._url(Endpoint.BATCHES, query=query))
            page = _read(said, _TheirList)
            for one in page.data:
                if (one.metadata or {}).get(name) == value:
                    return one
            if not page.has_more or not page.data:
                return None
            after = {"after": page.data[-1].id}
        return None

    async def cancel(self, batch_id: str) -> None:
        await self._ask("POST", self._url(Endpoint.BATCHES, batch_id, "cancel"), b"{}")

    async def delete_file(self, file_id: str) -> None:
        await self._ask("DELETE", self._url(Endpoint.FILES, file_id))

    async def download(self, file_id: str, to: Path) -> None:
        """Write a file of theirs to disk as it comes."""
        url = self._url(Endpoint.FILES, file_id, "content")
        out = await asyncio.to_thread(to.open, "wb")
        try:
            async for data in self._stream(url):
                await asyncio.to_thread(out.write, data)
        finally:
            await asyncio.to_thread(out.close)

    # -- HTTP

    def _url(self, endpoint: Endpoint, *more: str, query: dict[str, str] | None = None) -> str:
        url, _, usual = self.provider.url(endpoint).partition("?")
        path = "".join(f"/{quote(one, safe='')}" for one in more)
        asked = "&".join(one for one in (usual, urlencode(query or {})) if one)
        return f"{url}{path}" + (f"?{asked}" if asked else "")

    async def _ask(
        self, method: Method, url: str, body: bytes = b"", kind: str = "application/json"
    ) -> bytes:
        answer = await self._sent(method, url, body, kind)
        try:
            return await answer.all(ANSWER_LIMIT)
        except UpstreamError as error:
            raise DeskBusy(str(error), is_sent=True) from error
        finally:
            answer.close()

    async def _stream(self, url: str) -> AsyncIterator[bytes]:
        answer = await self._sent("GET", url, b"", "application/json")
        try:
            while data := await answer.some():
                yield data
        except UpstreamError as error:
            raise DeskBusy(str(error), is_sent=True) from error
        finally:
            answer.close()

    async def _sent(self, method: Method, url: str, body: bytes, kind: str) -> Answer:
        """The head of an answer that is a success."""
        request = UpstreamRequest(
            url=url,
            headers=self.provider.headers_for(self.account, kind),
            body=body,
            first_byte_timeout_s=TIMEOUT_S,
            idle_timeout_s=TIMEOUT_S,
            method=method,
        )
        try:
            answer = await self.house.upstream.send(request)
        except UpstreamError as error:
            raise DeskBusy(str(error), is_sent=not isinstance(error, NotConnected)) from error
        if 200 <= answer.status < 300:
            return answer
        try:
            said = await answer.all(ANSWER_LIMIT)
        except UpstreamError:
            said = b""  # the status has said enough
        finally:
            answer.close()
        status, now_ns = answer.status, self.house.clock.now_ns()
        why = read_refusal(status, said).error.message
        if status == 429:
            rest_s = retry_after_s(answer.headers, now_ns)
            raise DeskBusy(why, is_sent=False, retry_after_s=rest_s)
        if status >= 500 or status == 408:
            raise DeskBusy(f"it answers {status}: {why}", is_sent=True)
        raise DeskRefused(status, why)


def _read(said: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(said, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DeskBusy(f"its answer cannot be read: {error}", is_sent=True) from error
