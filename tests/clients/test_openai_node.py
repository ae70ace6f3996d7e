"""The openai package on node, in a process of its own; node/client.mjs has what it does."""

from __future__ import annotations

import json
import shutil
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from benchmarks.sandbox import Fault
from ledger.money import as_usd
from tests.clients.outside import openai_environment, output_of
from tests.serving import PACED, Gate, Proxy, serving

FOLDER = Path(__file__).parent / "node"
NODE = shutil.which("node")
OLDEST = 20
"""The major version of node below which the package does not work."""

pytestmark = [
    pytest.mark.skipif(NODE is None, reason="there is no node here: install nodejs and npm"),
    pytest.mark.skipif(
        not (FOLDER / "node_modules").exists(),
        reason="the node packages are not installed: `make test` does it where there is npm",
    ),
]


@pytest.fixture(scope="module", autouse=True)
def _node_is_new_enough() -> None:
    assert NODE is not None
    said = subprocess.run([NODE, "--version"], capture_output=True, text=True, check=True).stdout
    if int(said.removeprefix("v").partition(".")[0]) < OLDEST:
        pytest.skip(f"node is {said.strip()} here: the openai package needs {OLDEST} or newer")


SEVEN = "hawthorn hazel holly dogwood elder field maple"


async def seen(proxy: Proxy, group: str) -> dict[str, Any]:
    """What the checks of a group saw, by name."""
    assert NODE is not None
    printed = await output_of(
        NODE, str(FOLDER / "client.mjs"), group, env=openai_environment(proxy)
    )
    checks: dict[str, Any] = json.loads(printed, parse_float=Decimal)
    threw = {
        name: one["failed"]
        for name, one in checks.items()
        if isinstance(one, dict) and "failed" in one
    }
    assert threw == {}
    return checks


async def test_text(proxy: Proxy) -> None:
    """Chats and responses, plain and streamed, with tools and structure, on every kind of host."""
    found = await seen(proxy, "text")
    costs = [found[name].pop("cost") for name in ("chat", "chat_streamed")]
    answered = {"text": SEVEN, "finish": "stop", "usage": [3, 7]}
    echoed = {"echo": "use the tool, please"}
    assert found == {
        "chat": {**answered, "has_request_id": True},
        "chat_streamed": answered,
        "chat_without_usage": 0,
        "tools_run": {
            "called": [echoed],
            "has_answer": True,
            "roles": ["user", "assistant", "tool", "assistant"],
        },
        "structured": "string",
        "responses": {"text": SEVEN, "status": "completed", "tokens": 7},
        "responses_streamed": {
            "text": SEVEN,
            "first": "response.created",
            "last": "response.completed",
            "in_order": True,
            "status": "completed",
            "tokens": 7,
        },
        "responses_tools": {"name": "echo", "arguments": echoed, "has_answer": True},
        "responses_structured": "string",
    }
    charges = await proxy.charges()
    assert [Decimal(one) for one in costs] == [as_usd(one.effective) for one in charges[:2]]
    assert not any(one.estimated for one in charges)


async def test_other_than_text(full_proxy: Proxy) -> None:
    """Models, embeddings as the client decodes them itself, sound both ways, images."""
    found = await seen(full_proxy, "other")
    assert found == {
        "models": ["oak"],
        "embeddings": {"agree": True, "indexes": [0, 1], "tokens": 3},
        "speech": {"type": "audio/wav", "head": "RIFF", "bytes": 44 + 13 * 160},
        "transcription": 4,
        "images": [True, True],
    }


async def test_errors_have_their_classes(full_proxy: Proxy) -> None:
    """Each error is the class that its status means, with the fields that the body had."""
    found = await seen(full_proxy, "errors")
    classes = {
        "unknown_path": ("NotFoundError", 404),
        "unknown_model": ("NotFoundError", 404),
        "wrong_key": ("AuthenticationError", 401),
        "no_messages": ("BadRequestError", 400),
        "web_search": ("BadRequestError", 400),
    }
    assert {name: (one["class"], one["status"]) for name, one in found.items()} == classes
    assert all(one["is_api_error"] and one["has_request_id"] for one in found.values())
    assert found["web_search"]["code"] == "unpriced_feature"


@pytest.mark.parametrize("endpoints", ["chat/completions", "messages"])
async def test_an_aborted_stream(tmp_path: Path, endpoints: str) -> None:
    """It ends at once for both sides; what was delivered is charged, as an estimate."""
    gate = Gate(5)
    async with serving(
        tmp_path, behaviour=PACED, gate=gate, provider=f", endpoints: [{endpoints}]", honest=False
    ) as proxy:
        found = await seen(proxy, "abort")
        assert found == {"chat": {"words": 3, "aborted": True}}
        await proxy.a.tally.until(lambda tally: tally.disconnects == 1)
        (charge,) = await proxy.settled(attempts=1)
        assert charge.estimated
        assert 3 <= (charge.usage.completion or 0) < 60


@pytest.mark.parametrize("endpoints", ["chat/completions", "messages", "responses"])
async def test_a_cut_stream_throws(tmp_path: Path, endpoints: str) -> None:
    """Read piece by piece or through a helper, on either wire: never a silent end."""
    async with serving(tmp_path, provider=f", endpoints: [{endpoints}]", honest=False) as proxy:
        proxy.a.fault = Fault.CUT
        found = await seen(proxy, "cut")
        assert {name: one["broke_off"] for name, one in found.items()} == {
            "chat": True,
            "chat_helper": True,
            "responses": True,
            "responses_helper": True,
        }
        charges = await proxy.charges()
        assert len(charges) == 4
        assert all(one.estimated for one in charges)
