"""The prices of one entry of LiteLLM's price file, as rate cards.

A card must hold the whole bill. An entry with a price that its card could not hold gets none: to
charge it by the others would book less than is billed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, TypeAlias

from benchmarks.feeds.litellm_hours import off_peak_hours
from benchmarks.offers import Task
from benchmarks.quotes import Override
from ledger.errors import NotAPrice
from ledger.rates import RateCard
from ledger.usage import Unit

Entry: TypeAlias = Mapping[str, Any]

_MTOK = Decimal(1_000_000)
_ENDLESS = 10**18
"""Tokens: no prompt is as long, and no count of them is written so."""
_DEAREST_UNIT_USD = 1000
_ABOVE = re.compile(r"input_cost_per_token_above_(\d+)k_tokens$")
TIERS = ("priority", "flex", "ultrafast", "balanced")
"""Service tiers with prices of their own, as the file marks them."""
_OTHER_TERMS = re.compile(rf"_(batches|decisions|{'|'.join(TIERS)})$")

_INPUT, _OUTPUT = "input_cost_per_token", "output_cost_per_token"
_READ, _WRITE = "cache_read_input_token_cost", "cache_creation_input_token_cost"
_WRITE_1H, _THOUGHT = f"{_WRITE}_above_1hr", "output_cost_per_reasoning_token"
_TOKENS = frozenset((_INPUT, _OUTPUT, _READ, _WRITE))
_SECONDS = frozenset(("input_cost_per_second", "output_cost_per_second"))
_IMAGES = frozenset(("input_cost_per_image", "output_cost_per_image"))
_HEARD, _SPOKEN = "input_cost_per_audio_token", "output_cost_per_audio_token"
_PAINTED = "output_cost_per_image_token"
_SEEN = frozenset(("input_cost_per_image_token", "cache_read_input_image_token_cost"))
# What is embedded beside text; Databricks names each price a second time in units of its own.
_NOT_TEXT = re.compile(r"input_cost_per_(image|audio|video)\w*|(in|out)put_dbu_cost_per_token")

MODERATES_FOR_NOTHING = frozenset(("openai",))
"""Whose documentation says that moderation is free. Elsewhere the file's 0 is a price that nobody
has looked up: Mistral's, for one, which has billed its moderation by the token."""


@dataclass(frozen=True, slots=True)
class Cards:
    """rates: None where the file names no believable price that a card can hold.

    A price of zero in a feed is not believed: free models exist, but so do missing numbers. An
    operator who has a free offer says so in his own configuration.

    tiers: what the same costs at service tiers that the file names prices of.
    """

    rates: RateCard | None = None
    overrides: tuple[Override, ...] = ()
    batch_rates: RateCard | None = None
    batch_overrides: tuple[Override, ...] = ()
    tiers: Mapping[str, Cards] = field(default_factory=dict)


def cards(task: Task, provider: str, model: str, entry: Entry, *, is_sized: bool) -> Cards:
    """What an entry costs. is_sized: an image of this model has no one price."""
    match task:
        case Task.CHAT | Task.COMPLETION:
            return Cards() if _searches(provider, model, entry) else _writing(entry)
        case Task.EMBEDDING:
            is_text = _TOKENS.issuperset(one for one in _named(entry) if not _NOT_TEXT.match(one))
            return _by_tokens(entry, free_output=True) if is_text else Cards()
        case Task.MODERATION:
            return Cards(_moderation(provider, entry))
        case Task.IMAGE:
            return Cards(_image(entry, is_sized=is_sized))
        case Task.SPEECH:
            return Cards(_speech(entry))
        case Task.TRANSCRIPTION:
            return Cards(_transcription(entry))
        case Task.RERANK:
            return Cards(_rerank(entry))


def is_blind(entry: Entry) -> bool:
    """True if what it sees has another price than what it reads."""
    return bool(_named(entry) & {"input_cost_per_image", *_SEEN})


def _named(entry: Entry) -> Set[str]:
    """The prices, other than nothing, for work on the usual terms: now, and at no paid tier."""
    return {
        name
        for name, price in entry.items()
        if "cost" in name and price not in (0, None) and not _OTHER_TERMS.search(name)
    }


# -- each kind of work


def _searches(provider: str, model: str, entry: Entry) -> bool:
    """Searches are beyond a card; of models that search whether asked to or not."""
    return "search_context_cost_per_query" in entry and (
        provider == "perplexity" or "search" in model
    )


def _writing(entry: Entry) -> Cards:
    """With ranges of prompts, hours, and tiers of service; none if the file says of one of them
    what cannot be understood."""
    ranges = _ranges(entry)
    if ranges is None:
        return Cards()
    found = _by_tokens(ranges[0][1], free_output=False)
    longer = [Override(card, above) for above, one in ranges[1:] if (card := _tokens(one))]
    hours = _off_peak(ranges[0][1])
    if found.rates is None or hours is None or len(longer) < len(ranges) - 1:
        return Cards()
    # Above a threshold the file names no hours: it is as dear by night.
    overrides = (*hours, *found.overrides, *longer)
    tiers = {
        name: priced
        for name in TIERS
        if f"{_INPUT}_{name}" in entry and (priced := _at_tier(entry, name)).rates is not None
    }
    return replace(found, overrides=overrides, tiers=tiers)


def _at_tier(entry: Entry, tier: str) -> Cards:
    rates = _on_terms(entry, "", tier, free_output=False)
    longer = [
        Override(card, above)
        for above, suffix in _thresholds(entry)
        if (card := _on_terms(entry, suffix, tier, free_output=False))
    ]
    return Cards(rates, tuple(longer))


def _ranges(entry: Entry) -> list[tuple[int, Entry]] | None:
    """The entry as it is above so many tokens of a prompt, the shortest first; None for ranges that
    leave a gap or overlap. In the end of a range lies the prompt that is as long."""
    if "tiered_pricing" not in entry:
        return [(0, entry)]
    written = entry["tiered_pricing"]
    if not isinstance(written, list) or not written:
        return None
    found: list[tuple[int, Entry]] = []
    above = 0
    for one in written:
        ends = one.get("range") if isinstance(one, dict) else None
        if not isinstance(ends, list) or len(ends) != 2 or ends[0] != above:
            return None
        if not one.keys() >= {_INPUT, _OUTPUT}:
            return None
        if not isinstance(ends[1], int | Decimal) or not above < ends[1] < _ENDLESS or ends[1] % 1:
            return None
        found.append((above, _changed(entry, one)))
        above = int(ends[1])
    return found


def _off_peak(entry: Entry) -> tuple[Override, ...] | None:
    """Prices at hours; None if there are some that cannot be understood."""
    written = entry.get("off_peak_pricing")
    if written is None:
        return ()
    hours = off_peak_hours(written)
    card = _tokens(_changed(entry, written)) if hours else None
    return None if card is None else tuple([Override(card, hours=one) for one in hours or ()])


def _moderation(provider: str, entry: Entry) -> RateCard | None:
    if provider in MODERATES_FOR_NOTHING and entry.get(_INPUT) == 0 and not _named(entry):
        return RateCard.of(Decimal(0), Decimal(0))
    return _tokens(entry, free_output=True) if _named(entry) <= _TOKENS else None


def _image(entry: Entry, *, is_sized: bool) -> RateCard | None:
    """By the image, whichever side the file names it on, unless size or quality make its price; or
    by tokens, of text in and of images out."""
    named = _named(entry)
    if named <= _IMAGES:
        return None if is_sized else _by_one(entry, named, Unit.IMAGE)
    only_images_come_out = entry.get(_OUTPUT, entry.get(_PAINTED)) == entry.get(_PAINTED)
    if _PAINTED in named <= _TOKENS | _SEEN | {_PAINTED} and only_images_come_out:
        return _tokens(entry, output=_PAINTED)
    return None


def _speech(entry: Entry) -> RateCard | None:
    """By the character, or by tokens, of text in and of audio out; a price per second beside tokens
    is what the same bill is estimated at."""
    named = _named(entry)
    if named == {"input_cost_per_character"}:
        return _by_one(entry, named, Unit.CHARACTER)
    if _SPOKEN in named <= _TOKENS | _SECONDS | {_SPOKEN}:
        return _tokens(entry, output=_SPOKEN)
    return None


def _transcription(entry: Entry) -> RateCard | None:
    """By the second of audio, or by tokens, if those of audio cost what those of text do."""
    named = _named(entry)
    if named <= _SECONDS:
        return _by_one(entry, named, Unit.SECOND)
    only_one_price_goes_in = entry.get(_HEARD, entry.get(_INPUT)) == entry.get(_INPUT)
    if named <= _TOKENS | _SECONDS | {_HEARD} and only_one_price_goes_in:
        return _tokens(entry)
    return None


def _rerank(entry: Entry) -> RateCard | None:
    named = _named(entry)
    if named == {"input_cost_per_query"}:
        return _by_one(entry, named, Unit.SEARCH)
    return _tokens(entry, free_output=True) if named <= _TOKENS else None


# -- cards


def _by_one(entry: Entry, named: Set[str], per: Unit) -> RateCard | None:
    """A card of the one price that all these names stand for; None if they are at odds."""
    prices = {_usd(entry[name], _DEAREST_UNIT_USD) for name in named}
    price = prices.pop() if len(prices) == 1 else None
    if price is None:
        return None
    price = price.quantize(Decimal("1e-12")).normalize()
    return RateCard.of(Decimal(0), Decimal(0), unit=price, per=per) if price else None


def _by_tokens(entry: Entry, *, free_output: bool) -> Cards:
    rates = _tokens(entry, free_output=free_output)
    if rates is None:
        return Cards()
    batch = _on_terms(entry, "", "batches", free_output=free_output)
    longer: list[Override] = []
    longer_batch: list[Override] = []
    for above, suffix in _thresholds(entry):
        if card := _tokens(_with(entry, suffix), free_output=free_output):
            longer.append(Override(card, above))
        card = _on_terms(entry, suffix, "batches", free_output=free_output)
        if batch and card:
            longer_batch.append(Override(card, above))
    return Cards(rates, tuple(longer), batch, tuple(longer_batch))


def _thresholds(entry: Entry) -> list[tuple[int, str]]:
    """The prompts, in tokens, above which prices are others, and how the file marks those."""
    found = (_ABOVE.match(name) for name in entry)
    return sorted((int(one[1]) * 1000, f"_above_{one[1]}k_tokens") for one in found if one)


def _with(entry: Entry, suffix: str) -> dict[str, Any]:
    """The entry with the prices that it names under a suffix in place of the plain ones; a price
    that it does not name there stays as it was."""
    return _changed(entry, _under(entry, suffix)) if suffix else {**entry}


def _changed(entry: Entry, named: Entry) -> dict[str, Any]:
    """The entry with other prices of what is named. What is not stays as it was; but an hour's
    cache then has no known price, and reasoning, if it had one, that or the output's, if that is
    more."""
    found = {**entry, _THOUGHT: None, _WRITE_1H: None, **named}
    if _THOUGHT not in named and (thought := _thought(entry)) is not None:
        found[_THOUGHT] = _dearer(thought, found.get(_OUTPUT))
    return found


def _under(entry: Entry, suffix: str) -> dict[str, Any]:
    return {
        name.removesuffix(suffix): price for name, price in entry.items() if name.endswith(suffix)
    }


def _on_terms(entry: Entry, suffix: str, terms: str, *, free_output: bool) -> RateCard | None:
    """What tokens cost in the provider's batches, or at a service tier; `suffix` for prompts above
    a threshold.

    What the file does not say of these terms is taken so that never less is booked than billed: a
    long prompt costs what it does elsewhere, or a short one on these terms, if that is more; a
    cached token what any other on these terms does; and one written to the cache its usual price,
    if that is more.
    """
    usual, named = _with(entry, suffix), _under(entry, f"{suffix}_{terms}")
    if suffix:
        short = _under(entry, f"_{terms}")
        longer = {name: _dearer(usual.get(name), short.get(name)) for name in (_INPUT, _OUTPUT)}
        named = {**longer, **named}
    if _THOUGHT not in named and (thought := _thought(entry)) is not None:
        named[_THOUGHT] = _dearer(thought, named.get(_OUTPUT))
    written = _per_mtok(named.get(_WRITE)) or _per_mtok(usual.get(_WRITE))
    plain = _per_mtok(named.get(_INPUT))
    if _WRITE not in named and written is not None and plain is not None:
        written = max(written, plain)
    return _card(named, _OUTPUT, written, free_output=free_output)


def _dearer(one: Any, other: Any) -> Any:
    return max((price for price in (one, other) if _usd(price, 1) is not None), default=None)


def _thought(entry: Entry) -> Any:
    """The price of a token of reasoning, if it is not that of the others of an output."""
    price = entry.get(_THOUGHT)
    return None if price == entry.get(_OUTPUT) else price


def _tokens(entry: Entry, *, output: str = _OUTPUT, free_output: bool = False) -> RateCard | None:
    return _card(entry, output, _per_mtok(entry.get(_WRITE)), free_output=free_output)


def _card(
    entry: Entry, output: str, cache_write: Decimal | None, *, free_output: bool
) -> RateCard | None:
    """free_output: there is none that a provider could bill, and the file need not price it."""
    plain, completion = _per_mtok(entry.get(_INPUT)), _per_mtok(entry.get(output))
    if completion is None and free_output and entry.get(output) in (0, None):
        completion = Decimal(0)
    thought = entry.get(_THOUGHT) if output == _OUTPUT else None
    reasoning, hour = _per_mtok(thought), _per_mtok(entry.get(_WRITE_1H))
    if plain is None or completion is None or (reasoning is None and thought not in (0, None)):
        return None
    try:
        return RateCard.of(
            plain,
            completion,
            _per_mtok(entry.get(_READ)),
            cache_write,
            reasoning=reasoning,
            cache_write_1h=hour,
        )
    except NotAPrice:
        return None


def _per_mtok(price: object) -> Decimal | None:
    exact = _usd(price, 1)
    if exact is None:
        return None
    # The file's numbers went through floats: 9.9999999e-08 is 0.1 USD per million.
    rounded = (exact * _MTOK).quantize(Decimal("0.000001")).normalize()
    return rounded or None  # too small to be a price


def _usd(price: object, most: int) -> Decimal | None:
    """A number that can be a price, of something that costs no more than so many USD."""
    if isinstance(price, bool) or not isinstance(price, int | Decimal) or not 0 < price <= most:
        return None
    return Decimal(price)
