"""Listening: sockets that are bound once, by whoever starts the workers, and listened on by all.

What waits to be taken belongs to no worker: if one dies, another takes it.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Callable, Iterable, Sequence

from hedgerow.errors import PortTaken

BACKLOG = 1024
"""How many connections may wait to be taken."""


async def bound(host: str, port: int) -> tuple[socket.socket, ...]:
    """A socket for each address of a host, as asyncio binds them. Raises PortTaken."""
    loop = asyncio.get_running_loop()
    try:
        server = await loop.create_server(asyncio.Protocol, host, port, start_serving=False)
    except (OSError, UnicodeError) as error:  # the second: a name that no resolver takes
        why, hint = _refusal(error)
        raise PortTaken(f"cannot listen on {host}:{port}: {why}; {hint}") from error
    sockets = tuple(socket.socket(fileno=os.dup(one.fileno())) for one in server.sockets)
    server.close()
    return sockets


async def listening(
    sockets: Iterable[socket.socket], connection: Callable[[], asyncio.BaseProtocol]
) -> list[asyncio.Server]:
    """Take connections from sockets that are bound."""
    loop = asyncio.get_running_loop()
    every = (loop.create_server(connection, sock=one, backlog=BACKLOG) for one in sockets)
    return [await one for one in every]


def base_url(host: str, sockets: Sequence[socket.socket]) -> str:
    """Where clients find what listens on them, ending in /v1."""
    return _url(host, sockets[0].getsockname()[1])


def near_url(host: str, port: int) -> str:
    """Where this machine itself finds what listens there: who listens on every address does so on
    loopback, too."""
    return _url(_NEAR.get(host, host), port)


_NEAR = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}  # noqa: S104 - asks, binds nothing


def _url(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"


def _refusal(error: OSError | UnicodeError) -> tuple[str, str]:
    """Why an address cannot be had, and what to do."""
    code = error.errno or 0 if isinstance(error, OSError) else 0
    why = os.strerror(code) if code > 0 else str(error)  # a resolver's codes are negative
    if code == errno.EADDRINUSE:
        return why, "choose another port with --port, or stop what uses it"
    return why, "check --host and --port, or server.host and server.port"
