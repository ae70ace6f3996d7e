"""llm, the command line: its models are told of in a file, as its manual says."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.clients.outside import complaint_of, environment, output_of, started
from tests.serving import MODEL, PACED, Gate, Proxy, serving

LLM = str(Path(sys.executable).parent / "llm")
CHATS, RESPONSES = "chats", "responses"
"""What it calls our model, by the wire that it is to speak."""
QUESTION = "one two three"
TWO_WORDS = ("-o", "max_tokens", "2")
ECHO = """
def echo(echo: str) -> str:
    "Says it again."
    return "an echo"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Its home, instead of the user's."""
    home = tmp_path / "llm"
    home.mkdir()
    return home


def home_of(folder: Path, proxy: Proxy) -> Mapping[str, str]:
    lines = []
    for name in (CHATS, RESPONSES):
        lines += [
            f"- model_id: {name}",
            f"  model_name: {MODEL}",
            f"  api_base: {proxy.base_url}",
            "  api_key_name: hedgerow",
            "  supports_tools: true",
            "  supports_schema: true",
            f"  responses: {json.dumps(name == RESPONSES)}",
        ]
    (folder / "extra-openai-models.yaml").write_text("\n".join(lines))
    (folder / "keys.json").write_text(json.dumps({"hedgerow": proxy.key}))
    return environment(LLM_USER_PATH=str(folder))


def log_at(folder: Path, name: str) -> tuple[str, str]:
    """A log of its own: two that begin one at once get in each other's way."""
    return "-d", str(folder / f"{name}.db")


async def test_both_wires(proxy: Proxy, folder: Path) -> None:
    """Streamed, as it does it left alone; before every kind of host."""
    env = home_of(folder, proxy)
    runs = [
        output_of(LLM, "-m", model, *TWO_WORDS, *log_at(folder, model), QUESTION, env=env)
        for model in (CHATS, RESPONSES)
    ]
    assert await asyncio.gather(*runs) == ["hawthorn hazel\n"] * 2
    for charge in await proxy.charges():
        assert (charge.usage.prompt, charge.usage.completion) == (3, 2)
        assert not charge.estimated


async def test_tools_and_schemas(full_proxy: Proxy, folder: Path) -> None:
    """It runs the function that is called, and asks again with its result; what a schema was asked
    for is JSON."""
    env = home_of(folder, full_proxy)
    with_tool = ("--functions", ECHO, "use the tool, please", *log_at(folder, "tool"))
    with_schema = ("--schema", "answer str", "one", *log_at(folder, "schema"))
    printed, structured = await asyncio.gather(
        output_of(LLM, "-m", CHATS, *with_tool, env=env),
        output_of(LLM, "-m", CHATS, *with_schema, env=env),
    )
    assert printed.startswith("hawthorn")
    assert json.loads(structured)["answer"]
    assert any(b"an echo" in one.body for one in full_proxy.a.tally.exchanges)


async def test_a_conversation_and_its_log(full_proxy: Proxy, folder: Path) -> None:
    """-c goes on where it was, here without a stream; the tokens in its log are those in the
    books."""
    env = home_of(folder, full_proxy)
    whole = ("--no-stream", *TWO_WORDS)
    assert await output_of(LLM, "-m", CHATS, QUESTION, *whole, env=env) == "hawthorn hazel\n"
    assert not full_proxy.a.tally.exchanges[-1].streamed
    await output_of(LLM, "-c", "four", *TWO_WORDS, env=env)
    logged = json.loads(await output_of(LLM, "logs", "--json", "-n", "0", env=env))
    told = [(one["input_tokens"], one["output_tokens"]) for one in logged]
    booked = [(one.usage.prompt, one.usage.completion) for one in await full_proxy.charges()]
    assert told == booked == [(3, 2), (6, 2)]


async def test_an_error_is_told(full_proxy: Proxy, folder: Path) -> None:
    """In our words, on its last line."""
    wrong = ("--key", "sk-wrong")
    env = home_of(folder, full_proxy)
    complaint = await complaint_of(LLM, "-m", CHATS, QUESTION, *wrong, env=env)
    assert "Error code: 401" in complaint.splitlines()[-1]
    assert "key" in complaint.splitlines()[-1]


async def test_an_interrupt(tmp_path: Path, folder: Path) -> None:
    """Ctrl-C in the middle of an answer: what was printed is charged, as an estimate."""
    gate = Gate(4)
    async with serving(tmp_path, behaviour=PACED, gate=gate, honest=False) as proxy:
        command = (LLM, "-m", CHATS, QUESTION)
        async with started(*command, env=home_of(folder, proxy)) as process:
            assert process.stdout is not None
            assert await process.stdout.readexactly(8) == b"hawthorn"
            ended = asyncio.ensure_future(process.communicate())
            while not ended.done():  # a client that is just cleaning up may not hear the first
                process.send_signal(signal.SIGINT)
                await asyncio.wait([ended], timeout=2.0)
        await proxy.a.tally.until(lambda tally: tally.disconnects == 1)
        (charge,) = await proxy.settled(attempts=1)
        assert charge.estimated
        assert (charge.usage.completion or 0) > 0
