"""What holds for every test: repeatable examples, no blocked event loop, no other machine."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from blockbuster import BlockBuster
from hypothesis import settings

from tests.ledger.databases import books, make_books, postgres, sql

__all__ = ["books", "make_books", "postgres", "sql"]

settings.register_profile(
    "hedgerow", derandomize=True, deadline=None, database=None, max_examples=60
)
settings.load_profile("hedgerow")

ROOMS = ["hedgerow", "proxy", "routing", "hedge", "ledger", "benchmarks"]
MAY_BLOCK = {
    "hedgerow/app.py": {"running", "sole_place", "_book"},  # before the first request
    "ledger/opening.py": {"open_book"},  # the same
    "ledger/journal.py": {"append", "_made", "begin"},  # into the page cache: microseconds
    "ledger/budgets.py": {"__post_init__"},  # reads its time zone, once
}


@pytest.fixture(autouse=True, scope="session")
def _nothing_blocks_the_loop() -> Iterator[None]:
    """A call of ours that blocks a running event loop raises BlockingError."""
    guard = BlockBuster(scanned_modules=ROOMS)
    for function in guard.functions.values():
        for filename, names in MAY_BLOCK.items():
            function.can_block_in(filename, names)
    guard.activate()
    yield
    guard.deactivate()


def _is_here(host: object) -> bool:
    if host in (None, "", "localhost"):
        return True
    try:
        address = ipaddress.ip_address(host if isinstance(host, str) else str(host))
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _refuse_elsewhere(host: object) -> None:
    if not _is_here(host):
        pytest.fail(f"a test wanted to reach {host}: tests stay on loopback")


@pytest.fixture(autouse=True, scope="session")
def _nothing_leaves_this_machine(_nothing_blocks_the_loop: None) -> Iterator[None]:
    """Neither a connection to, nor the lookup of, anything but loopback."""
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex
    getaddrinfo = socket.getaddrinfo

    def checked(sock: socket.socket, address: Any) -> None:
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            _refuse_elsewhere(address[0])
        connect(sock, address)

    def checked_ex(sock: socket.socket, address: Any) -> int:
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            _refuse_elsewhere(address[0])
        return connect_ex(sock, address)

    def checked_lookup(host: Any, *rest: Any, **named: Any) -> Any:
        _refuse_elsewhere(host.decode() if isinstance(host, bytes) else host)
        return getaddrinfo(host, *rest, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", checked)
        patch.setattr(socket.socket, "connect_ex", checked_ex)
        patch.setattr(socket, "getaddrinfo", checked_lookup)
        yield
