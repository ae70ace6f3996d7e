"""Said: what a sandbox provider says, token by token, before any wire gives it a form."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

import msgspec

WORDS = ("hawthorn", "hazel", "holly", "dogwood", "elder", "field", "maple", "spindle", "rose")


class Finish(StrEnum):
    """Why an answer ended, in OpenAI's words."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"


@dataclass(frozen=True, slots=True)
class Said:
    """pieces: one per token. Together they are the content or, with a tool, its arguments.

    thoughts: what was thought before, one per token too, and billed like them.
    """

    pieces: tuple[str, ...]
    finish: Finish
    tool: str | None = None
    thoughts: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def tokens(self) -> int:
        return len(self.thoughts) + len(self.pieces)


@dataclass(frozen=True, slots=True)
class Called:
    """The tool that is called, and what it is told."""

    name: str
    echo: str


def say(
    wished: int,
    limit: int,
    *,
    called: Called | None = None,
    as_json: bool = False,
    voice: str | None = None,
    prefill: str = "",
    thought_tokens: int = 0,
) -> Said:
    """What is said: as long as wished, within the limit, thoughts included.

    A tool call is as long as its arguments. JSON stays JSON however short it has to be.
    prefill: the answer has begun with it already; `wished` is the length of both together.
    """
    thoughts = _thoughts(min(thought_tokens, limit - 1))
    limit -= len(thoughts)
    if called is not None:
        # Each word with the space after it: together they are every byte of the arguments.
        arguments = msgspec.json.encode({"echo": called.echo}).decode()
        every = tuple(re.findall(r"\S+\s*", arguments))
        finish = Finish.TOOL_CALLS if len(every) <= limit else Finish.LENGTH
        return Said(every[:limit], finish, called.name, thoughts)
    if prefill:
        most = limit + len(prefill.split())
        every = _rest(_words(min(wished, most), as_json=as_json, voice=voice), prefill)
        finish = Finish.STOP if wished <= most and len(every) <= limit else Finish.LENGTH
        return Said(every[:limit], finish, None, thoughts)
    pieces = _words(min(wished, limit), as_json=as_json, voice=voice)
    return Said(pieces, Finish.STOP if wished <= limit else Finish.LENGTH, None, thoughts)


def recite(text: str, limit: int) -> Said:
    """A given text, as far as the limit lets it."""
    every = tuple(re.findall(r"\s*\S+", text)) or ("",)
    return Said(every[:limit], Finish.STOP if len(every) <= limit else Finish.LENGTH)


def _words(count: int, *, as_json: bool, voice: str | None) -> tuple[str, ...]:
    known = WORDS if voice is None else [f"{voice}-{word}" for word in WORDS]
    words = [" " + known[place % len(known)] for place in range(count)]
    words[0] = words[0].lstrip()
    if as_json:
        words[0] = '{"answer":"' + words[0]
        words[-1] += '"}'
    return tuple(words)


def _thoughts(count: int) -> tuple[str, ...]:
    return tuple(WORDS[-1 - place % len(WORDS)] + " " for place in range(count))


def _rest(pieces: tuple[str, ...], prefill: str) -> tuple[str, ...]:
    """What comes after a beginning; if that is not ours, what comes after as many words."""
    if not "".join(pieces).startswith(prefill):
        return pieces[len(prefill.split()) :]
    gone = len(prefill)
    for place, piece in enumerate(pieces):
        if gone < len(piece):
            return (piece[gone:], *pieces[place + 1 :])
        gone -= len(piece)
    return ()
