"""Prompt: one line of a prompts file: what is asked, and how its answers are graded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from benchmarks.errors import PromptsInvalid
from benchmarks.evals.graders import Expected, Grader, check

MOST_PROMPTS = 10_000
MOST_LINE_BYTES = 2 * 2**20
MAX_TOKENS = 1024
"""What a prompt that names no `max_tokens` allows for its answer."""
_MOST_ID_CHARS = 200


class _Line(Struct, forbid_unknown_fields=True):
    id: str
    grader: Grader
    prompt: str | None = None
    messages: list[dict[str, Any]] | None = None
    expect: Expected = None
    task: str | None = None
    tools: list[dict[str, Any]] = []
    max_tokens: int = MAX_TOKENS
    temperature: float | None = None
    response_format: dict[str, Any] | None = None


_decoder = msgspec.json.Decoder(_Line)


@dataclass(frozen=True, slots=True)
class Prompt:
    """hash: names everything that makes an answer better or worse: of prompts that have the same
    one, scores may be compared. text: what is asked, for people and for whoever learns from it."""

    id: str
    messages: tuple[Mapping[str, Any], ...]
    grader: Grader
    expect: Expected
    task: str | None
    tools: tuple[Mapping[str, Any], ...]
    max_tokens: int
    temperature: float | None
    response_format: Mapping[str, Any] | None
    hash: str

    @property
    def text(self) -> str:
        return "\n\n".join(_text(one.get("content")) for one in self.messages)

    def request(self, model: str) -> dict[str, object]:
        """The body of the chat completion that asks it of a model."""
        body: dict[str, object] = {
            "model": model,
            "messages": self.messages,
            "max_tokens": self.max_tokens,
        }
        if self.tools:
            body["tools"] = self.tools
        if self.temperature is not None:
            body["temperature"] = self.temperature
        if self.response_format is not None:
            body["response_format"] = self.response_format
        return body


def read_prompts(path: Path) -> list[Prompt]:
    """Every prompt of a JSONL file; empty lines are left out.

    Raises PromptsInvalid, with file and line, for what is no prompt, for a grader that could not
    grade, for an id that is there twice, and for a file with none.
    """
    try:
        with path.open("rb") as file:
            prompts = list(_prompts(file, str(path)))
    except OSError as error:
        reason = error.strerror or error
        raise PromptsInvalid(f"{path} cannot be read ({reason}): name a JSONL file") from None
    if not prompts:
        raise PromptsInvalid(f"{path} has no prompts: write one JSON object on each line")
    return prompts


def _prompts(lines: Iterator[bytes], source: str) -> Iterator[Prompt]:
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        place = f"{source}:{number}"
        if len(line) > MOST_LINE_BYTES:
            raise PromptsInvalid(f"{place}: the line is longer than {MOST_LINE_BYTES} bytes")
        if len(seen) >= MOST_PROMPTS:
            raise PromptsInvalid(f"{place}: more than {MOST_PROMPTS} prompts: split the file")
        try:
            prompt = _prompt(_decoder.decode(line))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
            raise PromptsInvalid(f"{place}: {error}; docs/evals.md says what a line has") from None
        if prompt.id in seen:
            raise PromptsInvalid(
                f"{place}: id {prompt.id!r} is that of line {seen[prompt.id]} already: give each"
                " prompt one of its own"
            )
        seen[prompt.id] = number
        yield prompt


def _prompt(line: _Line) -> Prompt:
    """Raises ValueError."""
    if not line.id.isprintable() or not 0 < len(line.id) <= _MOST_ID_CHARS:
        raise ValueError(f"id {line.id[:40]!r} is empty, too long or has control characters")
    if (line.prompt is None) == (line.messages is None):
        raise ValueError("write either `prompt` or `messages`")
    messages = line.messages
    if messages is None:
        messages = [{"role": "user", "content": line.prompt}]
    if not messages:
        raise ValueError("`messages` is empty")
    if not 1 <= line.max_tokens <= 1_000_000:
        raise ValueError(f"max_tokens is {line.max_tokens}: write 1 to 1000000")
    tools = tuple(line.tools)
    check(line.grader, line.expect, tools)
    asked = (messages, tools, line.max_tokens, line.temperature, line.response_format)
    made = msgspec.json.encode((asked, line.grader, line.expect), order="deterministic")
    return Prompt(
        id=line.id,
        messages=tuple(messages),
        grader=line.grader,
        expect=line.expect,
        task=line.task,
        tools=tools,
        max_tokens=line.max_tokens,
        temperature=line.temperature,
        response_format=line.response_format,
        hash=hashlib.sha256(made).hexdigest()[:32],
    )


def _text(content: object) -> str:
    """The words of a message; what is no text is left out."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(
        str(one["text"]) for one in parts if isinstance(one, Mapping) and "text" in one
    )
