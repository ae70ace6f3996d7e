"""The proxy before each kind of provider: the same application must not notice which it is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from benchmarks.offers import Task
from tests.serving import Proxy, offer, serving

WIRES = {
    "a host with every wire": (
        "chat/completions, completions, responses, messages, messages/count_tokens, embeddings,"
        " moderations, images/generations, audio/speech, audio/transcriptions,"
        " audio/translations, rerank"
    ),
    "a host with chats alone": "chat/completions",
    "a host with messages alone": "messages",
}


@pytest.fixture(params=list(WIRES))
async def proxy(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Proxy]:
    """Its one provider speaks what the parameter says; at the end the books agree with it."""
    endpoints = f", endpoints: [{WIRES[request.param]}]"
    async with serving(tmp_path, provider=endpoints) as running:
        yield running


@pytest.fixture
async def full_proxy(tmp_path: Path) -> AsyncIterator[Proxy]:
    """Its one provider speaks every wire; of sound and images it does not say what it bills."""
    endpoints = f", endpoints: [{WIRES['a host with every wire']}]"
    offers = {"a": offer("a", more=f", tasks: [{', '.join(Task)}]")}
    async with serving(tmp_path, provider=endpoints, offers=offers, honest=False) as running:
        yield running
