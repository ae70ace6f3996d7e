"""Vocabulary: the fields of a request that are for the router, in OpenRouter's words.

They are read at our door and stay here: no provider is sent them, but OpenRouter itself those that
say what an offer must be like, whoever buys it. What `provider.order`, `only` and `ignore` name are
our providers, and `models` our models: they mean nothing there.

https://openrouter.ai/docs/guides/routing/provider-selection
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import ROUND_FLOOR, Decimal
from typing import Annotated, Any, Literal, TypeAlias, TypeVar, get_args

import msgspec

from proxy.errors import Invalid
from proxy.providers import Provider
from proxy.wires import body as bodies
from proxy.wires.body import ABSENT, is_given, unpriced
from proxy.wires.wire import Ask
from routing.preferences import MaxPrice, Preferences, Sort, Wish

T = TypeVar("T")

WORDS = frozenset(
    (
        *("provider", "models", "route", "session_id", "usage"),
        *("plugins", "preset", "transforms", "debug"),
    )
)
"""Each of them is read here, or refused."""
MOST_MODELS = 10
MOST_NAMES = 100
MOST_SESSION_CHARS = 256
MOST_USD = 1_000_000
MOST_PARAMETERS, MOST_PARAMETER_CHARS = 200, 200
"""Fields of a request with `require_parameters`: what is asked of offers is remembered."""
_FINEST = Decimal("1e-12")
"""USD: no price has more decimals."""

# fmt: off
Quantization: TypeAlias = Literal[
    "int4", "int8", "fp4", "mxfp4", "nvfp4", "fp6", "fp8", "mxfp8", "fp16", "bf16", "fp32",
    "unknown",
]
# fmt: on
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Names = Annotated[list[Name], msgspec.Meta(max_length=MOST_NAMES)]
Measure = Annotated[float, msgspec.Meta(gt=0, le=1e9)]


class _Percentiles(msgspec.Struct, forbid_unknown_fields=True):
    p50: Measure | None = None
    p75: Measure | None = None
    p90: Measure | None = None
    p99: Measure | None = None


class _Sort(msgspec.Struct, forbid_unknown_fields=True):
    by: Literal["price", "throughput", "latency"] | None = None
    partition: Literal["model", "none"] | None = None


class _MaxPrice(msgspec.Struct, forbid_unknown_fields=True):
    prompt: Decimal | None = None
    completion: Decimal | None = None
    request: Decimal | None = None
    image: Decimal | None = None
    audio: Decimal | None = None


class _Provider(msgspec.Struct, forbid_unknown_fields=True):
    order: Names | None = None
    only: Names | None = None
    ignore: Names | None = None
    allow_fallbacks: bool | None = None
    require_parameters: bool | None = None
    data_collection: Literal["allow", "deny"] | None = None
    zdr: bool | None = None
    enforce_distillable_text: bool | None = None
    quantizations: list[Quantization] | None = None
    sort: Literal["price", "throughput", "latency"] | _Sort | None = None
    preferred_max_latency: Measure | _Percentiles | None = None
    preferred_min_throughput: Measure | _Percentiles | None = None
    max_price: _MaxPrice | None = None


class _Usage(msgspec.Struct, forbid_unknown_fields=True):
    include: bool | None = None


_provider = msgspec.json.Decoder(_Provider | None).decode
_models = msgspec.json.Decoder(
    Annotated[list[Name], msgspec.Meta(max_length=MOST_MODELS)] | None
).decode
_route = msgspec.json.Decoder(Literal["fallback", "sort"] | None).decode
_session = msgspec.json.Decoder(
    Annotated[str, msgspec.Meta(min_length=1, max_length=MOST_SESSION_CHARS)] | None
).decode
_usage = msgspec.json.Decoder(_Usage | None).decode


# -- read


def for_router(ask: Ask, fields: dict[str, msgspec.Raw]) -> Ask:
    """With what the fields of its request say to the router.

    Raises Invalid, naming the field, for what is wrong in them, and for a request without a model.
    """
    if WORDS.isdisjoint(fields):
        if not ask.model:
            raise _no_model()
        return ask
    models = _read(_models, fields, "models", "a list of models") or []
    model = ask.model or next(iter(models), "")
    if not model:
        raise _no_model()
    _refuse_others(fields)
    preferences = _preferences(fields)
    return replace(
        ask,
        model=model,
        fallbacks=tuple(dict.fromkeys(one for one in models if one != model)),
        preferences=preferences,
        parameters=parameters_of(fields) if preferences.require_parameters else ask.parameters,
        session=_read(_session, fields, "session_id", "a session"),
    )


def _no_model() -> Invalid:
    return Invalid(
        "model is missing: name one, or several in models", param="model", code="invalid_type"
    )


def _preferences(fields: dict[str, msgspec.Raw]) -> Preferences:
    said = _read(_provider, fields, "provider", "an object of provider preferences") or _Provider()
    if said.enforce_distillable_text:
        raise _not_honoured(
            "provider.enforce_distillable_text", "what a model's author allows is not known here"
        )
    sort = said.sort if isinstance(said.sort, _Sort) else _Sort(said.sort)
    by_model = sort.partition != "none"
    if _read(_route, fields, "route", "a route") == "sort":  # its older name
        by_model = False
    return Preferences(
        order=tuple(said.order or ()),
        only=None if said.only is None else frozenset(said.only),
        ignore=frozenset(said.ignore or ()),
        allow_fallbacks=said.allow_fallbacks is not False,
        require_parameters=said.require_parameters is True,
        data_collection=said.data_collection != "deny",
        zdr=said.zdr is True,
        quantizations=None if said.quantizations is None else frozenset(said.quantizations),
        sort=None if sort.by is None else Sort(sort.by),
        by_model=by_model,
        max_latency=_wishes(said.preferred_max_latency, 1000),
        min_throughput=_wishes(said.preferred_min_throughput, 1),
        max_price=None if said.max_price is None else _max_price(said.max_price),
    )


def _wishes(said: float | _Percentiles | None, times: int) -> tuple[Wish, ...]:
    """A bare number is a median."""
    if said is None:
        return ()
    if not isinstance(said, _Percentiles):
        return (Wish(0.50, said * times),)
    shares = ((0.50, said.p50), (0.75, said.p75), (0.90, said.p90), (0.99, said.p99))
    return tuple(Wish(share, limit * times) for share, limit in shares if limit is not None)


def _max_price(said: _MaxPrice) -> MaxPrice | None:
    limits = msgspec.structs.asdict(said)
    for name, limit in limits.items():
        if limit is not None and not (limit.is_finite() and 0 <= limit <= MOST_USD):
            raise Invalid(
                f"provider.max_price.{name} is no price: write USD, from 0 to {MOST_USD}",
                param=f"provider.max_price.{name}",
                code="invalid_type",
            )
    # 1e-999999 is a million characters where it is said back.
    limits = {
        name: None if limit is None else limit.quantize(_FINEST, ROUND_FLOOR)
        for name, limit in limits.items()
    }
    return MaxPrice(**limits) if any(one is not None for one in limits.values()) else None


def _refuse_others(fields: dict[str, msgspec.Raw]) -> None:
    """What is not done here, unless it asks for nothing."""
    _read(_usage, fields, "usage", "an object with `include`")
    for name in ("plugins", "preset"):
        if _asks(fields, name):
            raise unpriced(name, name)
    if _asks(fields, "transforms"):
        raise _not_honoured("transforms", "prompts go to a model as they are")
    if _asks(fields, "debug"):
        raise _not_honoured("debug", "nothing is shown of what a provider is sent")


def _asks(fields: dict[str, msgspec.Raw], name: str) -> bool:
    raw = fields.get(name)
    return raw is not None and is_given(raw) and bytes(raw) not in (b"[]", b"{}")


def _not_honoured(param: str, why: str) -> Invalid:
    return Invalid(f"{why}: leave {param} out", param=param, code="not_honoured")


_CHOICES = {
    "provider.sort": "price, throughput or latency",
    "provider.sort.by": "price, throughput or latency",
    "provider.sort.partition": "model or none",
    "provider.data_collection": "allow or deny",
    "provider.quantizations": ", ".join(get_args(Quantization)),
    "route": "fallback or sort",
}


def _read(
    decode: Callable[[bytes], T | None], fields: dict[str, msgspec.Raw], name: str, what: str
) -> T | None:
    """A field; None where it is not given."""
    raw = fields.get(name)
    if raw is None:
        return None
    try:
        return decode(bytes(raw))
    except msgspec.ValidationError as error:
        wrong = bodies.misfit(error, what, name)
        choices = _CHOICES.get((wrong.param or "").partition("[")[0])
        if choices is not None and wrong.message.endswith("known here"):
            wrong.message += f": write {choices}"
        raise wrong from None
    except msgspec.DecodeError as error:  # a number of which no Decimal can be made
        raise Invalid(f"{name} is no JSON: {error}", param=name, code="invalid_json") from None


# -- which parameters a request has, in the words of OpenRouter's `supported_parameters`

_PARAMETERS: dict[str, str | None] = {
    "max_completion_tokens": "max_tokens",
    "max_output_tokens": "max_tokens",
    "stop_sequences": "stop",
    "reasoning_effort": "reasoning",
    "thinking": "reasoning",
    **dict.fromkeys(("model", "messages", "prompt", "input", "system", "instructions")),
    **dict.fromkeys(("stream", "stream_options", "user", "metadata", "store", "n")),
    **dict.fromkeys(("service_tier", "safety_identifier", "prompt_cache_key")),
    **dict.fromkeys(("prompt_cache_retention", "cache_control", "include", "truncation")),
    **dict.fromkeys(WORDS),
}
"""What fields are called there; None for what no answer is another without, or all take."""


def parameters_of(fields: dict[str, msgspec.Raw]) -> frozenset[str]:
    """Those that a provider may not know."""
    found = {
        name
        for key, raw in fields.items()
        if is_given(raw) and (name := _PARAMETERS.get(key, key)) is not None
    }
    form = _form_of(fields)
    if "text" in found:  # a Responses request has the form of its answer in there
        found.discard("text")
        found |= {"response_format"} if form not in (None, "text") else set()
    if form == "json_schema":
        found.add("structured_outputs")
    if len(found) > MOST_PARAMETERS or any(len(one) > MOST_PARAMETER_CHARS for one in found):
        raise Invalid(
            f"a request with provider.require_parameters has at most {MOST_PARAMETERS} parameters,"
            f" of {MOST_PARAMETER_CHARS} characters",
            param="provider.require_parameters",
            code="invalid_type",
        )
    return frozenset(found)


class _Typed(msgspec.Struct):
    type: str | None = None


class _Text(msgspec.Struct):
    format: _Typed | None = None


_typed = msgspec.json.Decoder(_Typed | None).decode
_text = msgspec.json.Decoder(_Text | None).decode


def _form_of(fields: dict[str, msgspec.Raw]) -> str | None:
    try:
        if (raw := fields.get("text")) is not None:
            text = _text(bytes(raw))
            form = None if text is None else text.format
        else:
            form = _typed(bytes(fields.get("response_format", b"null")))
    except msgspec.DecodeError:
        return None
    return None if form is None else form.type


# -- sent


def for_provider(body: bytes | msgspec.Raw, provider: Provider, model: str) -> dict[str, Any]:
    """The fields of a request as an offer's provider is sent them, under its name of the model."""
    tree = bodies.tree_of(body)
    if not WORDS.isdisjoint(tree):
        kept = _for_openrouter(tree) if provider.takes_preferences else {}
        for word in WORDS:
            tree.pop(word, None)
        tree |= kept
    tree["model"] = model
    return tree


_ABOUT_OFFERS = frozenset(_Provider.__struct_fields__) - {
    *("order", "only", "ignore", "allow_fallbacks", "enforce_distillable_text"),
}


def _for_openrouter(tree: dict[str, Any]) -> dict[str, Any]:
    """What holds for its endpoints, too; and the session, by which it stays at one of them."""
    kept = {}
    if is_given(tree.get("session_id", ABSENT)):
        kept["session_id"] = tree["session_id"]
    said = bodies.tree_of(tree["provider"]) if is_given(tree.get("provider", ABSENT)) else {}
    if about := {name: one for name, one in said.items() if name in _ABOUT_OFFERS}:
        kept["provider"] = about
    return kept
