"""Routes: /v1/files and /v1/batches over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

from aiohttp import web

from ledger.ids import new_id
from proxy.auth import owner_of_key
from proxy.batches.batch import Batch, read_request
from proxy.batches.batch_store import BatchStore
from proxy.batches.file_store import BATCH, FileStore, no_such_file, owner_of
from proxy.batches.runner import Runner
from proxy.batches.upload import CHUNK_BYTES, receive
from proxy.errors import Invalid, NotFound, TooSlow
from proxy.house import House
from proxy.wires import body as bodies

MOST_FILES_LISTED, MOST_BATCHES_LISTED, BATCHES_LISTED = 10_000, 100, 20


@dataclass(frozen=True, slots=True)
class BatchDesk:
    """What answers requests about files and batches."""

    house: House
    files: FileStore
    batches: BatchStore
    runner: Runner

    async def stop(self, _app: web.Application) -> None:
        """The server stops: begin no more lines of batches."""
        self.runner.stop()

    def routes(self, prefix: str) -> list[web.RouteDef]:
        return [
            web.post(f"{prefix}/files", self._answered(self._upload)),
            web.get(f"{prefix}/files", self._answered(self._files), allow_head=False),
            web.get(f"{prefix}/files/{{id}}", self._answered(self._file), allow_head=False),
            web.delete(f"{prefix}/files/{{id}}", self._answered(self._delete)),
            web.get(
                f"{prefix}/files/{{id}}/content", self._answered(self._content), allow_head=False
            ),
            web.post(f"{prefix}/batches", self._answered(self._create)),
            web.get(f"{prefix}/batches", self._answered(self._batches), allow_head=False),
            web.get(f"{prefix}/batches/{{id}}", self._answered(self._batch), allow_head=False),
            web.post(f"{prefix}/batches/{{id}}/cancel", self._answered(self._cancel)),
        ]

    def _answered(self, story: _Story) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """A story as a handler, for those who have a key."""

        async def handler(request: web.Request) -> web.StreamResponse:
            house = self.house
            who = owner_of_key(request.headers, house)
            request_id = new_id("req", house.clock.now_ns(), house.random_bytes)
            asked = _Asked(request, who.key_id, owner_of(who), request_id)
            with house.doors.inside(who.key_id):
                told = await story(asked)
            if isinstance(told, web.StreamResponse):
                return told
            headers = {"Content-Type": "application/json", "x-request-id": request_id}
            return web.Response(body=bodies.encode(told), headers=headers)

        return handler

    # -- files

    async def _upload(self, asked: _Asked) -> _Told:
        house = self.house
        file_id = new_id("file", house.clock.now_ns(), house.random_bytes)
        file = await receive(
            asked.request, self.files, file_id=file_id, owner=asked.owner, now_s=self._now_s()
        )
        return file.as_json()

    async def _files(self, asked: _Asked) -> _Told:
        order = asked.query("order") or "desc"
        if order not in ("asc", "desc"):
            raise _invalid("order is asc or desc", "order")
        page = await self.files.page(
            asked.owner,
            purpose=asked.query("purpose"),
            after=asked.query("after"),
            limit=asked.limit(MOST_FILES_LISTED, MOST_FILES_LISTED),
            newest_first=order == "desc",
        )
        return _listed([one.as_json() for one in page.files], has_more=page.has_more)

    async def _file(self, asked: _Asked) -> _Told:
        return (await self.files.find(asked.owner, asked.id)).as_json()

    async def _delete(self, asked: _Asked) -> _Told:
        await self.files.delete(asked.owner, asked.id)
        return {"id": asked.id, "object": "file", "deleted": True}

    async def _content(self, asked: _Asked) -> _Told:
        file = await self.files.find(asked.owner, asked.id)
        try:
            content = await asyncio.to_thread(self.files.path(file.id).open, "rb")
        except FileNotFoundError:  # deleted at this moment
            raise no_such_file(file.id) from None
        try:
            return await self._sent(asked, content, file.bytes)
        finally:
            await asyncio.shield(asyncio.to_thread(content.close))

    async def _sent(self, asked: _Asked, content: BinaryIO, size: int) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"Content-Type": "application/octet-stream", "x-request-id": asked.request_id}
        )
        response.content_length = size
        await response.prepare(asked.request)
        try:
            while data := await asyncio.to_thread(content.read, CHUNK_BYTES):
                async with asyncio.timeout(self.files.limits.idle_timeout_s):
                    await response.write(data)
        except TimeoutError:
            if asked.request.transport is not None:
                asked.request.transport.abort()
            raise ConnectionResetError("the client has stopped reading") from None
        return response

    # -- batches

    async def _create(self, asked: _Asked) -> _Told:
        request = read_request(await asked.body(self.files.limits.idle_timeout_s))
        try:
            source = await self.files.find(asked.owner, request.input_file_id)
        except NotFound as error:
            raise _invalid(error.message, "input_file_id") from None
        if source.purpose != BATCH:
            why = f"the purpose of {source.id} is {source.purpose}, not {BATCH}"
            raise _invalid(why, "input_file_id")
        house, now_s = self.house, self._now_s()
        batch = Batch(
            id=new_id("batch", house.clock.now_ns(), house.random_bytes),
            owner=asked.owner,
            key_id=asked.key_id,
            input_file_id=source.id,
            endpoint=request.endpoint,
            completion_window=request.completion_window,
            created_at=now_s,
            expires_at=now_s + request.window_s,
            output_expires_after=request.kept_s,
            metadata=request.metadata,
        )
        await self.batches.add(batch)
        self.runner.begin(batch.id)
        return batch.as_json()

    async def _batches(self, asked: _Asked) -> _Told:
        limit = asked.limit(MOST_BATCHES_LISTED, BATCHES_LISTED)
        found, has_more = await self.batches.page(asked.owner, asked.query("after"), limit)
        return _listed([one.as_json() for one in found], has_more=has_more)

    async def _batch(self, asked: _Asked) -> _Told:
        return (await self.batches.find(asked.owner, asked.id)).as_json()

    async def _cancel(self, asked: _Asked) -> _Told:
        batch = await self.batches.cancel(asked.owner, asked.id, self._now_s())
        self.runner.look(batch.id)
        return batch.as_json()

    def _now_s(self) -> int:
        return self.house.clock.now_ns() // 1_000_000_000


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request of somebody whose key is known."""

    request: web.Request
    key_id: str
    owner: str
    request_id: str

    @property
    def id(self) -> str:
        return self.request.match_info["id"]

    def query(self, name: str) -> str | None:
        return self.request.query.get(name)

    def limit(self, most: int, usual: int) -> int:
        """Raises Invalid."""
        text = self.query("limit")
        if text is None:
            return usual
        if not (text.isascii() and text.isdecimal() and len(text) < 9 and 1 <= int(text) <= most):
            raise _invalid(f"limit is a whole number from 1 to {most}", "limit")
        return int(text)

    async def body(self, timeout_s: float) -> bytes:
        """Raises TooSlow."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self.request.read()
        except TimeoutError:
            raise TooSlow(f"the body did not arrive in {timeout_s:g} s: send it faster") from None


_Told = dict[str, Any] | web.StreamResponse
_Story = Callable[[_Asked], Awaitable[_Told]]


def _listed(data: list[dict[str, Any]], *, has_more: bool) -> dict[str, Any]:
    first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    return {
        "object": "list",
        "data": data,
        "first_id": first,
        "last_id": last,
        "has_more": has_more,
    }


def _invalid(why: str, param: str) -> Invalid:
    return Invalid(why, param=param, code="invalid_type")
