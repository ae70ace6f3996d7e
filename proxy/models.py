"""/v1/models: what a key may ask for."""

from __future__ import annotations

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


async def listing(x: Exchange, house: House) -> None:
    """Every model that the key may use."""
    await x.answer(200, [JSON], _encode(ModelList(_allowed(x, house))))


async def one(x: Exchange, house: House) -> None:
    """The model that the path ends with."""
    wanted = x.path.partition("/models/")[2]
    for model in _allowed(x, house):
        if model.id == wanted:
            await x.answer(200, [JSON], _encode(model))
            return
    raise NotFound(
        f"there is no model {wanted!r} here: GET /v1/models lists those that there are",
        param="model",
        code="model_not_found",
    )


def _allowed(x: Exchange, house: House) -> list[Model]:
    who, snapshot = authenticate(x, house), house.market.snapshot
    return [
        Model(name, house.opened_at_s)
        for name in snapshot.models
        if who.models is None or name in who.models
    ]
