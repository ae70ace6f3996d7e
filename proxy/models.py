"""/v1/models: what a key may ask for, as OpenAI's clients read it, or Anthropic's."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from proxy.auth import authenticate
from proxy.errors import NotFound
from proxy.exchange import JSON, Exchange
from proxy.house import House

_encode = msgspec.json.Encoder().encode


class Model(msgspec.Struct):
    """A model name of the configuration, as OpenAI lists one."""

    id: str
    created: int
    object: str = "model"
    owned_by: str = "hedgerow"


class ModelList(msgspec.Struct):
    data: list[Model]
    object: str = "list"


class AnthropicModel(msgspec.Struct):
    """The same, as Anthropic lists one."""

    id: str
    display_name: str
    created_at: datetime
    type: str = "model"


class AnthropicModelList(msgspec.Struct):
    data: list[AnthropicModel]
    first_id: str | None
    last_id: str | None
    has_more: bool = False


async def listing(x: Exchange, house: House) -> None:
    """Every model that the key may use."""
    found = _allowed(x, house)
    if not _is_anthropics(x):
        await x.answer(200, [JSON], _encode(ModelList(found)))
        return
    theirs = [_as_anthropic(one) for one in found]
    first, last = (theirs[0].id, theirs[-1].id) if theirs else (None, None)
    await x.answer(200, [JSON], _encode(AnthropicModelList(theirs, first, last)))


async def one(x: Exchange, house: House) -> None:
    """The model that the path ends with."""
    wanted = x.path.partition("/models/")[2]
    for model in _allowed(x, house):
        if model.id == wanted:
            told = _as_anthropic(model) if _is_anthropics(x) else model
            await x.answer(200, [JSON], _encode(told))
            return
    raise NotFound(
        f"there is no model {wanted!r} here: GET /v1/models lists those that there are",
        param="model",
        code="model_not_found",
    )


def _is_anthropics(x: Exchange) -> bool:
    """Whether the client is one of Anthropic's: they all say which version they speak."""
    return "anthropic-version" in x.headers


def _as_anthropic(model: Model) -> AnthropicModel:
    return AnthropicModel(model.id, model.id, datetime.fromtimestamp(model.created, UTC))


def _allowed(x: Exchange, house: House) -> list[Model]:
    who = authenticate(x, house)
    return [
        Model(name, house.opened_at_s)
        for name in house.names
        if who.models is None or name in who.models
    ]
