"""The official client as judge of the wires: what it really sends, and what it makes of answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import httpx
from openai import OpenAI

from proxy.endpoints import Endpoint
from proxy.providers import Account, Provider
from proxy.wires.table import WIRES
from proxy.wires.wire import Ask

T = TypeVar("T")
PROVIDER = Provider("a", "http://a/v1", (Account("a", None),))


@dataclass(frozen=True)
class Sent:
    """One request of the client."""

    path: str
    body: bytes
    content_type: str

    def ask(self) -> Ask:
        return WIRES[Endpoint(self.path)].ask(self.body, self.content_type)

    def rewritten(self, model: str, limit: int | None = None) -> bytes:
        wire = WIRES[Endpoint(self.path)]
        return wire.rewrite(self.body, self.content_type, PROVIDER, model, limit)


def talk(
    call: Callable[[OpenAI], T], answer: bytes, content_type: str = "application/json"
) -> tuple[Sent, T]:
    """What the client sends, and what it makes of this answer. Nothing leaves the process."""
    requests: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, content=answer, headers={"content-type": content_type})

    with httpx.Client(transport=httpx.MockTransport(handler)) as http:
        client = OpenAI(api_key="k", base_url="http://here/v1", http_client=http, max_retries=0)
        made = call(client)
    (request,) = requests
    path = request.url.path.removeprefix("/v1/")
    return Sent(path, request.read(), request.headers["content-type"]), made
