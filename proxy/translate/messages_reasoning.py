"""Reasoning: what a model thought, as thinking blocks and as `reasoning_details`.

A chat shows it as text (`reasoning_content`). What must come back untouched with the next request
travels beside it in `reasoning_details`, as OpenRouter's clients keep it:

    thinking, with its signature    {"type": "reasoning.text", "text", "signature", "format"}
    redacted_thinking               {"type": "reasoning.encrypted", "data", "format"}

A message has no other place for what is opaque than `redacted_thinking.data`: another provider's
encrypted detail is put there whole, and taken out again. Claude's own data is base64 and never
looks like it.
"""

from __future__ import annotations

from typing import Any

import msgspec

FORMAT = "anthropic-claude-v1"
_PLACE = "block_"


class Detail(msgspec.Struct, gc=False, omit_defaults=True):
    """One of `reasoning_details`. Streamed ones with the same index belong together."""

    type: str = ""
    text: str | None = None
    summary: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    format: str | None = None
    index: int | None = None

    @property
    def is_claudes(self) -> bool:
        """Some clients that put streams together write the format as often as it came."""
        return self.format is None or self.format.startswith(FORMAT)

    @property
    def place(self) -> int:
        """Which block of its message it was; first of all, if that is not known."""
        digits = (self.id or "").removeprefix(_PLACE)
        return int(digits) if digits.isdecimal() and len(digits) < 6 else 0


_details = msgspec.json.Decoder(list[Detail] | None).decode
_detail = msgspec.json.Decoder(Detail).decode
_encode = msgspec.json.encode


def details_in(raw: msgspec.Raw) -> list[Detail]:
    """A `reasoning_details` field; what cannot be understood adds nothing to the text beside it."""
    if bytes(raw) in (b"", b"null", b"[]"):
        return []
    try:
        return _details(raw) or []
    except msgspec.DecodeError:
        return []


# -- in a message


def redacted(detail: Detail) -> dict[str, Any]:
    """An encrypted detail as a block."""
    data = detail.data or ""
    if not detail.is_claudes:
        data = _encode(detail).decode()
    return {"type": "redacted_thinking", "data": data}


def blocks_of(raw: msgspec.Raw) -> list[tuple[int, dict[str, Any]]]:
    """The blocks that a client gives back, with their places in the message, in their order.

    Without a signature of Claude's a block is refused; and reasoning that was not signed may be
    left out, for it was never needed again.
    """
    blocks: list[tuple[int, dict[str, Any]]] = []
    for one in _whole(details_in(raw)):
        if not one.is_claudes:
            continue
        if one.type == "reasoning.text" and one.signature:
            block = {"type": "thinking", "thinking": one.text or "", "signature": one.signature}
            blocks.append((one.place, block))
        elif one.type == "reasoning.encrypted" and one.data:
            blocks.append((one.place, {"type": "redacted_thinking", "data": one.data}))
    return sorted(blocks, key=lambda placed: placed[0])


def _whole(details: list[Detail]) -> list[Detail]:
    """Some clients keep the pieces of a stream as they came."""
    whole: list[Detail] = []
    for one in details:
        last = whole[-1] if whole else None
        if last is None or one.index is None or (last.type, last.index) != (one.type, one.index):
            whole.append(one)
            continue
        last.text = (last.text or "") + (one.text or "")
        last.signature = one.signature or last.signature
    return whole


# -- in a chat


def detail_of_thinking(text: str, signature: str, index: int) -> Detail:
    return Detail("reasoning.text", text=text, signature=signature, format=FORMAT, index=index)


def detail_of_redacted(data: str, index: int) -> Detail:
    """The detail that `redacted` was made of."""
    if data.startswith("{"):
        try:
            return _detail(data)
        except msgspec.DecodeError:
            pass  # then it is none of ours
    return Detail("reasoning.encrypted", data=data, format=FORMAT, index=index)


def opening(kind: str, block: int, index: int) -> Detail:
    """The first piece of a streamed detail: only it names what must not be put together twice."""
    return Detail(kind, id=f"{_PLACE}{block}", format=FORMAT, index=index)
