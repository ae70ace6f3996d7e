"""Outbox: where the courier finds what is to be delivered, and says what became of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Protocol, TypeVar

from ledger.notices import Delivery
from ledger.tables.outbox import OutboxTable

T = TypeVar("T")


class Outbox(Protocol):
    """Each raises StoreUnavailable when it cannot be read or written now."""

    async def due(
        self, now_ns: int, limit: int, except_channels: Collection[str]
    ) -> Sequence[Delivery]:
        """Deliveries whose time has come, the longest due first."""

    async def delivered(self, delivery: Delivery) -> bool:
        """It has arrived. False if it had ended already."""

    async def failed(self, delivery: Delivery, next_try_at_ns: int, why: str) -> bool:
        """It is due again later. False if it had ended already."""

    async def given_up(self, delivery: Delivery, why: str) -> bool:
        """It is not tried again, but kept. False if it had ended already."""

    async def forget(self, now_ns: int, limit: int) -> int:
        """Delete what ended long ago; how many, `limit` at most."""


class Submit(Protocol):
    """Runs a call where the table may be used, in a transaction of its own."""

    def __call__(self, call: Callable[[], T], /) -> Awaitable[T]: ...


class StoredOutbox:
    """An OutboxTable as the event loop sees it: submit is the way to the thread that has it."""

    def __init__(self, table: OutboxTable, submit: Submit) -> None:
        self._table = table
        self._submit = submit

    async def due(
        self, now_ns: int, limit: int, except_channels: Collection[str]
    ) -> Sequence[Delivery]:
        return await self._submit(lambda: self._table.due(now_ns, limit, except_channels))

    async def delivered(self, delivery: Delivery) -> bool:
        return await self._submit(lambda: self._table.delivered(delivery))

    async def failed(self, delivery: Delivery, next_try_at_ns: int, why: str) -> bool:
        return await self._submit(lambda: self._table.failed(delivery, next_try_at_ns, why))

    async def given_up(self, delivery: Delivery, why: str) -> bool:
        return await self._submit(lambda: self._table.given_up(delivery, why))

    async def forget(self, now_ns: int, limit: int) -> int:
        return await self._submit(lambda: self._table.forget(now_ns, limit))
