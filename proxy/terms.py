"""Terms: what a request asks for outside its body: headers, and suffixes of model names."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from decimal import ROUND_FLOOR, Decimal, InvalidOperation

from benchmarks.offers import paid_tier
from ledger.money import Money, usd
from proxy.errors import Invalid, NotFound
from proxy.house import House
from proxy.wires.vocabulary import MOST_SESSION_CHARS, MOST_USD
from proxy.wires.wire import Ask
from routing.preferences import Preferences, Sort

OFFER_HEADER = "x-hedgerow-offer"
MAX_COST_HEADER = "x-hedgerow-max-cost-usd"
SESSION_HEADER = "x-session-id"

_SUFFIXES = {"floor": (Sort.PRICE, "flex"), "nitro": (Sort.THROUGHPUT, "priority")}
"""Each: the order that it stands for, and the service tier that may compete in it."""
SUFFIXES_ELSEWHERE = frozenset(("free", "batch", "thinking", "extended", "exacto", "online"))
"""OpenRouter's, which are nothing here."""


def on_terms(ask: Ask, headers: Mapping[str, str], known: Collection[str]) -> Ask:
    """With what its headers say, and the suffixes of its models.

    headers: their names in lower case. known: the models of the configuration: one whose very name
    ends like a suffix is meant as it is written. Raises Invalid, naming the header or the field.
    """
    if OFFER_HEADER in headers:
        pinned = replace(ask.preferences, offer_id=headers[OFFER_HEADER])
        ask = replace(ask, preferences=pinned)
    if MAX_COST_HEADER in headers:
        ask = replace(ask, max_cost=_max_cost(headers[MAX_COST_HEADER]))
    if ask.session is None and SESSION_HEADER in headers:
        ask = replace(ask, session=_session(headers[SESSION_HEADER]))
    if ask.model in known and not ask.fallbacks:
        return ask
    return _without_suffixes(ask, known)


def refuse_offer(ask: Ask, house: House) -> None:
    """Raises Invalid for an offer that none of the request's models has."""
    wanted = ask.preferences.offer_id
    if wanted is None:
        return
    asked = [model for name in (ask.model, *ask.fallbacks) for model in house.models_of(name)]
    models = house.market.snapshot.models
    ids = [one.offer.id for name in asked for one in models.get(name, ())]
    if wanted not in ids:
        raise Invalid(
            f"{OFFER_HEADER}: there is no offer {wanted[:200]!r} of {', '.join(asked)}; there are:"
            f" {', '.join(ids[:20]) or 'none'}",
            param=OFFER_HEADER,
            code="offer_not_found",
        )


def unknown_model(name: str, allowed: Sequence[str], param: str = "model") -> NotFound:
    """allowed: those that there are, for this client."""
    base, _, suffix = name.rpartition(":")
    hint = ""
    if base in allowed and suffix in SUFFIXES_ELSEWHERE:
        hint = f" (a :{suffix} of it is nothing here; :floor and :nitro are)"
    return NotFound(
        f"there is no model {name!r} here{hint}; there are: {', '.join(allowed[:20]) or 'none'}",
        param=param,
        code="model_not_found",
    )


def _max_cost(text: str) -> Money:
    try:
        amount = Decimal(text.strip())
    except InvalidOperation:
        amount = Decimal("NaN")
    if not (amount.is_finite() and 0 < amount <= MOST_USD):
        raise Invalid(
            f"{MAX_COST_HEADER} is {text[:50]!r}: write USD, above 0 and at most {MOST_USD}",
            param=MAX_COST_HEADER,
            code="invalid_type",
        )
    return usd(amount.quantize(Decimal("1e-9"), ROUND_FLOOR))


def _session(text: str) -> str:
    if not 0 < len(text) <= MOST_SESSION_CHARS:
        raise Invalid(
            f"{SESSION_HEADER} has {len(text)} characters: write 1 to {MOST_SESSION_CHARS}",
            param=SESSION_HEADER,
            code="invalid_type",
        )
    return text


def _without_suffixes(ask: Ask, known: Collection[str]) -> Ask:
    model, sort = _split(ask.model, known)
    fallbacks, sorts = [], {} if sort is None else {sort: "model"}
    for written in ask.fallbacks:
        name, sort = _split(written, known)
        if name != model and name not in fallbacks:
            fallbacks.append(name)
        if sort is not None:
            sorts.setdefault(sort, "models")
    ask = replace(ask, model=model, fallbacks=tuple(fallbacks))
    if not sorts:
        return ask
    if len(sorts) > 1:
        raise Invalid(
            "models have suffixes that stand for two orders: a request has one",
            param="models",
            code="invalid_type",
        )
    suffix, param = next(iter(sorts.items()))
    return replace(ask, preferences=_sorted_by(suffix, param, ask))


def _sorted_by(suffix: str, param: str, ask: Ask) -> Preferences:
    sort, tier = _SUFFIXES[suffix]
    said = ask.preferences.sort
    if said not in (None, sort):
        raise Invalid(
            f":{suffix} sorts by {sort}, and provider.sort says {said}: leave one of them out",
            param=param,
            code="invalid_type",
        )
    # Whoever names providers in an order, or the usual tier, wants no dearer or slower one.
    is_usual = ask.service_tier not in (None, "auto") and paid_tier(ask.service_tier) is None
    tiers = () if is_usual or ask.preferences.order else (tier,)
    return replace(ask.preferences, sort=sort, tiers=frozenset(tiers))


def _split(name: str, known: Collection[str]) -> tuple[str, str | None]:
    """A model's name without suffixes, and the last of these; as it is if it is no such name."""
    base, last = name, None
    while base not in known:
        base, _, suffix = base.rpartition(":")
        if suffix not in _SUFFIXES or not base:
            return name, None
        last = last or suffix
    return base, last
