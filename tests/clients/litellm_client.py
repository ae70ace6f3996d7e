"""The LiteLLM SDK as a client, in a process of its own: its import takes seconds.

A line of JSON in, `{"check", "model", "api_base", "api_key"}`, one out: what the check saw.
"""

from __future__ import annotations

import asyncio
import json
import sys
import traceback
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import litellm as its_package
import openai
from litellm.litellm_core_utils.duration_parser import get_next_standardized_reset_time
from litellm.proxy.client import Client, UsersManagementClient
from pydantic import BaseModel

litellm: Any = its_package
"""Its answers are unions of much that cannot come here: the checks find out."""
Checks = dict[str, Callable[[dict[str, str]], Awaitable[Any]]]

MESSAGES = [{"role": "user", "content": "one two three"}]
USE_IT = [{"role": "user", "content": "use the tool, please"}]
WISH = {"sandbox": {"output_tokens": 7}}
OWN_TOOLS = {"_skip_mcp_handler": True}
"""Else LiteLLM imports a package for tools of MCP servers, which does not come with it."""
TOOL = {
    "type": "function",
    "function": {
        "name": "echo",
        "parameters": {"type": "object", "properties": {"echo": {"type": "string"}}},
    },
}


class Trees(BaseModel):
    answer: str


async def chat(at: dict[str, str]) -> Any:
    answer = await litellm.acompletion(messages=MESSAGES, max_tokens=50, **WISH, **at)
    return said(answer)


async def chat_streamed(at: dict[str, str]) -> Any:
    """LiteLLM's own builder puts the chunks together."""
    stream = await litellm.acompletion(
        messages=MESSAGES,
        max_tokens=50,
        **WISH,
        stream=True,
        stream_options={"include_usage": True},
        **at,
    )
    chunks = [one async for one in stream]
    return said(litellm.stream_chunk_builder(chunks, messages=MESSAGES))


async def tools(at: dict[str, str]) -> Any:
    """Plain and streamed; then the call's result, and what is said to that."""
    ask = {"messages": USE_IT, "tools": [TOOL], "max_tokens": 500, **OWN_TOOLS, **at}
    plain = await litellm.acompletion(**ask)
    chunks = [one async for one in await litellm.acompletion(**ask, stream=True)]
    streamed = litellm.stream_chunk_builder(chunks, messages=USE_IT)
    calls = [one.choices[0].message.tool_calls[0] for one in (plain, streamed)]
    result = {"role": "tool", "tool_call_id": calls[0].id, "content": "an echo"}
    ended = await litellm.acompletion(
        messages=[*USE_IT, plain.choices[0].message.model_dump(), result],
        tools=[TOOL],
        max_tokens=50,
        **OWN_TOOLS,
        **at,
    )
    return {
        "calls": [[one.function.name, json.loads(one.function.arguments)] for one in calls],
        "finish": [one.choices[0].finish_reason for one in (plain, streamed, ended)],
    }


async def structured(at: dict[str, str]) -> Any:
    answer = await litellm.acompletion(
        messages=MESSAGES, max_tokens=50, response_format=Trees, **at
    )
    return type(Trees.model_validate_json(answer.choices[0].message.content).answer).__name__


async def messages(at: dict[str, str]) -> Any:
    """Its own client of Anthropic's wire; streamed it needs packages that do not come with it."""
    answer = await litellm.anthropic_messages(messages=MESSAGES, max_tokens=3, **at)
    return {
        "text": answer["content"][0]["text"],
        "stop": answer["stop_reason"],
        "usage": [answer["usage"]["input_tokens"], answer["usage"]["output_tokens"]],
    }


async def embeddings(at: dict[str, str]) -> Any:
    answer = await litellm.aembedding(input=["one two", "three"], **at)
    return {
        "indexes": [one["index"] for one in answer.data],
        "are_numbers": all(isinstance(value, float) for value in answer.data[0]["embedding"]),
        "tokens": answer.usage.prompt_tokens,
    }


async def errors(at: dict[str, str]) -> Any:
    """The names of the classes that LiteLLM makes of ours."""
    provider = at["model"].partition("/")[0]
    return [
        await caught({**at, "api_key": "sk-wrong"}),
        await caught({**at, "model": f"{provider}/elm"}),
        await caught({**at, "messages": []}),
    ]


async def caught(ask: dict[str, Any]) -> str | None:
    try:
        await litellm.acompletion(**{"messages": MESSAGES, "max_tokens": 5, **ask})
    except openai.APIError as error:  # the root of LiteLLM's, too
        return type(error).__name__
    return None


def said(answer: Any) -> Any:
    (choice,) = answer.choices
    return {
        "text": choice.message.content,
        "finish": choice.finish_reason,
        "usage": [answer.usage.prompt_tokens, answer.usage.completion_tokens],
    }


async def aborted(at: dict[str, str]) -> Any:
    """Leaves after three words."""
    stream = await litellm.acompletion(
        messages=MESSAGES,
        max_tokens=60,
        sandbox={"output_tokens": 60},
        stream=True,
        **at,
    )
    words = 0
    async for chunk in stream:
        words += bool(chunk.choices[0].delta.content)
        if words == 3:
            break
    await stream.aclose()
    return words


async def management(at: dict[str, str]) -> Any:
    """What its own client of its management routes can do, with the master key."""
    where = (at["api_base"], at["api_key"])
    return await asyncio.to_thread(managed, Client(*where), UsersManagementClient(*where))


def managed(client: Any, users: Any) -> Any:
    user = users.create_user({"user_id": "ada", "auto_create_key": False})
    made = client.keys.generate(key_alias="ci", user_id="ada", duration="30d", models=[])
    token = made["token"]
    client.keys.update(key=made["key"], key_alias="nightly")
    seen = {
        "user": user["user_id"],
        "users": [one["user_id"] for one in users.list_users()],
        "its_keys": [one["token"] == token for one in users.get_user("ada")["keys"]],
        "alias": client.keys.info(made["key"])["info"]["key_alias"],
        "listed": token in client.keys.list(user_id="ada", size=10)["keys"],
        "teams": client.teams.list(organization_id="acme"),
        "models": sorted({one["model_name"] for one in client.models.info()}),
        "health": client.http.request("GET", "/health/readiness")["status"],
    }
    client.keys.delete(keys=[made["key"]])
    users.delete_user(["ada"])
    return seen | {"left": client.keys.list(user_id="ada")["keys"]}


async def resets(at: dict[str, str]) -> Any:
    """When LiteLLM would start budgets anew, by their duration, at each of these moments."""
    return [
        get_next_standardized_reset_time(duration, datetime.fromisoformat(moment)).isoformat()
        for duration in at["durations"].split()
        for moment in at["moments"].split()
    ]


CHECKS: Checks = {
    one.__name__: one
    for one in (
        *(chat, chat_streamed, tools, structured, messages, embeddings, errors, aborted),
        *(management, resets),
    )
}


async def look(asked: dict[str, str]) -> Any:
    try:
        return await CHECKS[asked.pop("check")](asked)
    except Exception:  # noqa: BLE001 - told to the test, which fails by it
        return {"failed": traceback.format_exc()}


async def serve() -> None:
    print("{}", flush=True)  # imported, and ready
    while line := await asyncio.to_thread(sys.stdin.readline):
        seen = await look(json.loads(line))
        print(json.dumps(seen), flush=True)


if __name__ == "__main__":
    litellm.telemetry = False
    litellm.suppress_debug_info = True
    asyncio.run(serve())
