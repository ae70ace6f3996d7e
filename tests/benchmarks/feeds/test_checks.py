"""What of a feed is believed: nothing wrong changes a price without an alarm."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.alarms import AlarmName
from benchmarks.errors import FeedRefused, FeedUnreadable
from benchmarks.feeds import gpu_index, openrouter
from benchmarks.feeds.beliefs import Belief, belief_of, belief_text
from benchmarks.feeds.checks import FOR, STALE_AFTER, TIMES, Terms, check, refused
from benchmarks.feeds.document import MOST_BYTES, Document
from benchmarks.feeds.reading import CapacityRow, PricedModel, Reading
from ledger.rates import RateCard
from tests.benchmarks.feeds import bodies
from tests.benchmarks.feeds.bodies import AT, document, endpoint, endpoints

FEED = "openrouter oak/oak-70b"
TERMS = Terms(FEED, lambda _: True)
NOTHING = Belief("openrouter")
MINUTE = timedelta(minutes=1)
PRICED = ("prompt", "completion", "input_cache_read")

Body = dict[str, Any]
Draw = Callable[[st.SearchStrategy[Any]], Any]


def heard(
    document: Document,
    last: Belief,
    terms: Terms = TERMS,
    read: Callable[[Document], Reading] = openrouter.endpoints,
) -> Belief:
    """A document, as the feeds hear it."""
    try:
        reading = read(document)
    except FeedRefused as error:
        return refused(error, last, terms.feed, document.known_at)
    return check(reading, last, terms)


def cards(belief: Belief) -> dict[str, object]:
    return {
        one.entry.key: (one.entry.rates, one.entry.overrides, one.entry.context_tokens)
        for one in belief.models()
    }


def names(belief: Belief) -> set[AlarmName]:
    return {one.name for one in belief.alarms}


def priced(per_mtok: str, **more: Any) -> Body:
    """A document of one endpoint whose input costs so much, and its output three times that."""
    plain = Decimal(per_mtok) / 1_000_000
    pricing = {"prompt": f"{plain:f}", "completion": f"{plain * 3:f}"}
    return endpoints(endpoint(pricing=pricing, **more))


@pytest.mark.parametrize("step", ["7", "0.14"])
def test_small_steps_are_a_jump_together(step: str) -> None:
    """A price that goes far in steps that are none by themselves is doubted as one that jumps; it
    may go back, and what stays for as long as a jump has to is believed."""
    factor, price = Decimal(step), Decimal(2)
    first = heard(document(priced("2")), NOTHING)
    once = heard(document(priced(f"{price * factor}"), known_at=AT + MINUTE), first)
    assert names(once) == set()
    twice = priced(f"{price * factor * factor}")
    belief = belief_of(belief_text(once))
    for minute in (2, 30):
        belief = heard(document(twice, known_at=AT + minute * MINUTE), belief)
        assert names(belief) == {AlarmName.JUMP}
        assert cards(belief) == cards(once)
    back = heard(document(priced("2"), known_at=AT + 31 * MINUTE), belief)
    assert (names(back), cards(back)) == (set(), cards(first))
    later = heard(document(twice, known_at=AT + 2 * FOR), belief)
    assert names(later) == set()
    assert cards(later) != cards(once)


def test_what_a_model_can_do_is_not_unlearned_at_once() -> None:
    """A list that has lost what models can do would have every request refused that needs it."""
    known = heard(document(priced("1")), NOTHING)
    (before,) = known.models()
    belief = known
    for minute in (1, 30, 59):
        said = document(priced("1", supported_parameters=[]), known_at=AT + minute * MINUTE)
        belief = heard(said, belief)
        (model,) = belief.models()
        assert (model.entry.features, names(belief)) == (before.entry.features, {AlarmName.JUMP})
    said = document(priced("1", supported_parameters=[]), known_at=AT + FOR + MINUTE)
    (model,) = heard(said, belief).models()
    assert model.entry.features == frozenset()


# -- any mutation of any document


@st.composite
def bodies_of(draw: st.DrawFn) -> Body:
    """Plausible endpoints, each of another provider, most with a price of cached tokens."""
    listed = []
    for at in range(draw(st.integers(2, 5))):
        plain = draw(st.decimals(Decimal("0.02"), 60, places=3))
        output = plain * draw(st.decimals(1, 10, places=1))
        pricing = {"prompt": plain, "completion": output}
        if draw(st.booleans()):
            pricing["input_cache_read"] = plain * draw(
                st.sampled_from([Decimal("0.1"), Decimal("0.5")])
            )
        if draw(st.booleans()):
            pricing["request"] = Decimal(1000)  # per million: 0.001 each
        texts = {name: f"{usd / 1_000_000:f}" for name, usd in pricing.items()}
        listed.append(endpoint(f"p{at}/fp8", pricing=texts))
    return endpoints(*listed)


def _field(change: Callable[[str], Any]) -> Callable[[Body, Draw], bytes]:
    """Spoil one price of one endpoint."""

    def spoil(body: Body, draw: Draw) -> bytes:
        one = draw(st.sampled_from(body["data"]["endpoints"]))
        name = draw(st.sampled_from([name for name in PRICED if name in one["pricing"]]))
        one["pricing"][name] = change(one["pricing"][name])
        return json.dumps(body).encode()

    return spoil


def _times(factor: str) -> Callable[[str], str]:
    return lambda text: f"{Decimal(text) * Decimal(factor):f}"


def _all_times(factor: str) -> Callable[[Body, Draw], bytes]:
    """Spoil the unit of the whole document."""

    def spoil(body: Body, _: Draw) -> bytes:
        for one in body["data"]["endpoints"]:
            pricing = one["pricing"]
            for name in pricing:
                pricing[name] = _times(factor)(pricing[name])
        return json.dumps(body).encode()

    return spoil


def _without(path: str) -> Callable[[Body, Draw], bytes]:
    def spoil(body: Body, draw: Draw) -> bytes:
        one = draw(st.sampled_from(body["data"]["endpoints"]))
        if path == "price":
            names = [name for name in PRICED if name in one["pricing"]]
            del one["pricing"][draw(st.sampled_from(names))]
        elif path == "endpoint":
            body["data"]["endpoints"].remove(one)
        else:
            del one[path]
        return json.dumps(body).encode()

    return spoil


def _doubled(body: Body, _: Draw) -> bytes:
    listed = body["data"]["endpoints"]
    other = copy.deepcopy(listed[0])
    other["pricing"]["prompt"] = _times("1.5")(other["pricing"]["prompt"])
    listed.append(other)
    return json.dumps(body).encode()


def _bytes(change: Callable[[bytes], bytes]) -> Callable[[Body, Draw], bytes]:
    return lambda body, _: change(json.dumps(body).encode())


MUTATIONS: dict[str, tuple[Callable[[Body, Draw], bytes], set[AlarmName]]] = {
    "zero": (_field(lambda _: "0"), {AlarmName.ZERO, AlarmName.MISSING}),
    "negative": (_field(lambda text: f"-{text}"), {AlarmName.NEGATIVE}),
    "NaN": (_field(lambda _: "NaN"), {AlarmName.NOT_A_NUMBER}),
    "a bare NaN": (_field(lambda _: float("nan")), {AlarmName.MALFORMED}),
    "infinity": (_field(lambda _: "Infinity"), {AlarmName.NOT_A_NUMBER}),
    "words": (_field(lambda _: "contact sales"), {AlarmName.NOT_A_NUMBER}),
    "a list": (_field(lambda _: []), {AlarmName.NOT_A_NUMBER}),
    "null": (_field(lambda _: None), {AlarmName.MISSING}),
    "times 1000": (_field(_times("1000")), {AlarmName.UNIT_ERROR, AlarmName.IMPLAUSIBLE}),
    "by 1000": (_field(_times("0.001")), {AlarmName.UNIT_ERROR, AlarmName.IMPLAUSIBLE}),
    "times a million": (
        _field(_times("1000000")),
        {AlarmName.UNIT_ERROR, AlarmName.IMPLAUSIBLE},
    ),
    "by a million": (
        _field(_times("0.000001")),
        {AlarmName.UNIT_ERROR, AlarmName.IMPLAUSIBLE, AlarmName.ZERO},
    ),
    "times 20": (_field(_times("20")), {AlarmName.JUMP, AlarmName.IMPLAUSIBLE}),
    "all times 1000": (_all_times("1000"), {AlarmName.UNIT_ERROR, AlarmName.IMPLAUSIBLE}),
    "all by 1000": (_all_times("0.001"), {AlarmName.UNIT_ERROR, AlarmName.IMPLAUSIBLE}),
    "no price": (_without("price"), {AlarmName.MISSING}),
    "no pricing": (_without("pricing"), {AlarmName.MISSING}),
    "no endpoint": (_without("endpoint"), {AlarmName.GONE, AlarmName.TOO_FEW}),
    "no tag": (_without("tag"), {AlarmName.GONE}),
    "doubled": (_doubled, {AlarmName.DUPLICATE}),
    "html": (_bytes(lambda _: b"<html>rate limited</html>"), {AlarmName.HTML}),
    "cut": (_bytes(lambda body: body[:-20]), {AlarmName.TRUNCATED}),
    "empty": (_bytes(lambda _: b""), {AlarmName.TRUNCATED}),
    "another document": (_bytes(lambda _: b'{"error": {"code": 429}}'), {AlarmName.MALFORMED}),
    "no endpoints": (
        _bytes(lambda _: json.dumps(endpoints()).encode()),
        {AlarmName.TOO_FEW},
    ),
    "huge": (_bytes(lambda body: body.ljust(MOST_BYTES + 1)), {AlarmName.TOO_LARGE}),
}


@pytest.mark.parametrize("which", MUTATIONS)
@settings(max_examples=25)
@given(data=st.data())
def test_nothing_wrong_changes_a_price_and_all_of_it_is_named(
    which: str, data: st.DataObject
) -> None:
    """However a document is spoilt, every price stays what it last was, the alarm says what is
    wrong, and the next good document is believed."""
    spoil, expected = MUTATIONS[which]
    body = data.draw(bodies_of())
    good = heard(document(body), NOTHING)
    assert good.alarms == ()
    assert len(good.standings) == len(body["data"]["endpoints"])

    bad = heard(document(spoil(copy.deepcopy(body), data.draw), known_at=AT + MINUTE), good)

    assert cards(bad) == cards(good)
    assert bad.alarms
    assert names(bad) <= expected
    assert all(one.last_good for one in bad.alarms)  # it says what counts instead, and how old
    again = heard(document(body, known_at=AT + 2 * MINUTE), bad)
    assert (cards(again), again.alarms, again.doubts) == (cards(good), (), {})


@given(data=st.data(), which=st.sampled_from(sorted(MUTATIONS)))
def test_what_is_wrong_by_nature_stays_wrong(data: st.DataObject, which: str) -> None:
    """Said ten times over ten hours, a zero, a unit error or a page for people is no price yet;
    what is believed in time is a change that could be one."""
    spoil, expected = MUTATIONS[which]
    body = data.draw(bodies_of())
    good = heard(document(body), NOTHING)
    spoilt = spoil(copy.deepcopy(body), data.draw)
    belief = good
    for hour in range(1, 11):
        belief = heard(document(spoilt, known_at=AT + timedelta(hours=hour)), belief)
    if not expected & {AlarmName.JUMP, AlarmName.MISSING}:
        assert cards(belief) == cards(good)
        assert belief.alarms
    for one in belief.models():
        assert one.entry.rates is not None
        assert one.entry.rates.input > 0 < one.entry.rates.output


# -- what is doubted, and believed in time


def at_minute(minute: int) -> datetime:
    return AT + minute * MINUTE


def test_a_price_that_jumped_is_believed_when_it_stays() -> None:
    """Ten times the price: not at once, nor often within minutes, nor twice in hours; but said
    three times over an hour. Another value begins the count anew."""
    belief = heard(document(priced("1")), NOTHING)
    before = cards(belief)
    for minute in (5, 10, 15, 20):
        belief = heard(document(priced("10"), known_at=at_minute(minute)), belief)
        assert (cards(belief), names(belief)) == (before, {AlarmName.JUMP})
    belief = heard(document(priced("11"), known_at=at_minute(70)), belief)
    assert cards(belief) == before
    for minute in (90, 120):
        belief = heard(document(priced("11"), known_at=at_minute(minute)), belief)
        assert cards(belief) == before
    belief = heard(document(priced("11"), known_at=at_minute(131)), belief)
    (one,) = belief.models()
    assert one.entry.rates == RateCard.of(Decimal(11), Decimal(33))
    assert (one.known_at, belief.alarms) == (at_minute(131), ())


def test_a_small_change_is_believed_at_once() -> None:
    """Half, or seven times as much: since when it is known is said."""
    belief = heard(document(priced("1")), NOTHING)
    for minute, price in ((1, "0.5"), (2, "3.4")):
        belief = heard(document(priced(price), known_at=at_minute(minute)), belief)
        (one,) = belief.models()
        assert one.entry.rates is not None
        assert one.entry.rates.input == Decimal(price)
        assert (one.known_at, one.as_of, belief.alarms) == (
            at_minute(minute),
            at_minute(minute),
            (),
        )


def test_what_is_said_again_is_as_old_as_it_was_first_said() -> None:
    """Time and version of a price are those of the document in which it first stood."""
    first = heard(document(priced("1"), version="v1"), NOTHING)
    (one,) = heard(document(priced("1"), version="v2", known_at=at_minute(9)), first).models()
    assert (one.version, one.known_at, one.seen_at) == ("v1", AT, at_minute(9))


def peers(*prices: str) -> Callable[[PricedModel], tuple[RateCard, ...]]:
    return lambda _: tuple(RateCard.of(Decimal(one), Decimal(one) * 3) for one in prices)


@pytest.mark.parametrize(
    ("others", "believed"),
    [(("10", "11"), True), (("1", "1.1"), False), (("3",), False), ((), False)],
)
def test_another_feed_confirms_a_jump(others: tuple[str, ...], believed: bool) -> None:
    """What others ask for the same offer clears a jump if it is much the same, and only then."""
    belief = heard(document(priced("1")), NOTHING)
    terms = Terms(FEED, lambda _: True, peers(*others))
    belief = heard(document(priced("10"), known_at=at_minute(1)), belief, terms)
    (one,) = belief.models()
    assert one.entry.rates is not None
    assert (one.entry.rates.input == 10) is believed
    assert names(belief) == (set() if believed else {AlarmName.JUMP})


@pytest.mark.parametrize(
    ("price", "name"),
    [("1", None), ("7", None), ("9", AlarmName.DISAGREES), ("900", AlarmName.UNIT_ERROR)],
)
def test_a_first_price_far_from_all_others_is_not_believed(
    price: str, name: AlarmName | None
) -> None:
    """Without a price of its own to compare with, a feed is compared with the others."""
    terms = Terms(FEED, lambda _: True, peers("1", "1"))
    plain = f"{Decimal(price) / 1_000_000:f}"
    body = endpoints(endpoint(pricing={"prompt": plain, "completion": "0.000003"}))
    if price == "900":
        body["data"]["endpoints"][0]["pricing"]["completion"] = "0.0009"
    belief = heard(document(body), NOTHING, terms)
    assert names(belief) == ({name} if name else set())
    assert len(belief.standings) == (0 if name else 1)


def test_the_operator_accepts_what_is_doubted() -> None:
    """By the name that the alarm gives; a price that is none cannot be accepted."""
    belief = heard(document(priced("1")), NOTHING)
    (alarm,) = heard(document(priced("1000"), known_at=at_minute(1)), belief).alarms
    assert f"--accept '{alarm.what}'" in alarm.advice
    terms = Terms(FEED, lambda _: True, accepted=(alarm.what,))
    belief = heard(document(priced("1000"), known_at=at_minute(2)), belief, terms)
    (one,) = belief.models()
    assert one.entry.rates == RateCard.of(Decimal(1000), Decimal(3000))
    belief = heard(document(priced("0"), known_at=at_minute(3)), belief, terms)
    assert names(belief) == {AlarmName.ZERO}
    assert belief.models()[0].entry.rates == one.entry.rates


def test_a_document_that_is_older_than_the_last_is_refused() -> None:
    """A mirror that fell behind does not bring back the prices of last month."""
    good = heard(document(priced("1"), as_of=AT), NOTHING)
    old = document(priced("2"), as_of=AT - MINUTE, known_at=AT + MINUTE)
    belief = heard(old, good)
    assert (cards(belief), names(belief)) == (cards(good), {AlarmName.STALE})


def test_a_document_that_nobody_keeps_up_is_said_to_be_old() -> None:
    """Its prices are the best that are known: they stay, with an alarm."""
    belief = heard(document(priced("1"), as_of=AT - STALE_AFTER - MINUTE), NOTHING)
    assert names(belief) == {AlarmName.STALE}
    assert len(belief.models()) == 1


def test_a_list_that_shrank_for_good_is_believed_in_time() -> None:
    """Half of the entries gone is refused, until it was so for an hour."""
    many = [endpoint(f"p{at}") for at in range(6)]
    good = heard(document(endpoints(*many)), NOTHING)
    belief = good
    for minute in (1, 30):
        few = document(endpoints(*many[:2]), known_at=at_minute(minute))
        belief = heard(few, belief)
        assert (belief.listed, names(belief)) == (6, {AlarmName.TOO_FEW})
    belief = heard(document(endpoints(*many[:2]), known_at=at_minute(61)), belief)
    assert belief.listed == 2
    assert names(belief) == {AlarmName.GONE}  # and what each of the others cost is still known
    assert cards(belief) == cards(good)


def test_a_fact_that_is_not_said_is_not_taken_back() -> None:
    """A context length or features that are missing for once stay known; a context that is a
    thousandth is doubted as a price is."""
    good = heard(document(priced("1")), NOTHING)
    bare = priced("1", context_length=None, supported_parameters=None)
    (one,) = heard(document(bare, known_at=at_minute(1)), good).models()
    assert (one.entry.context_tokens, one.entry.features) == (
        131072,
        good.models()[0].entry.features,
    )
    odd = heard(document(priced("1", context_length=131), known_at=at_minute(1)), good)
    assert (cards(odd), names(odd)) == (cards(good), {AlarmName.JUMP})


def test_how_an_endpoint_does_is_heard_while_its_price_is_doubted() -> None:
    """The latency beside a doubtful price is that of now."""
    good = heard(document(priced("1")), NOTHING)
    body = priced("100", uptime_last_30m=12)
    (one,) = heard(document(body, known_at=at_minute(1)), good).models()
    assert one.entry.stats is not None
    assert one.entry.stats.uptime_30m == 0.12
    assert one.entry.rates == RateCard.of(Decimal(1), Decimal(3))


def test_what_is_not_for_sale_here_is_neither_kept_nor_said() -> None:
    """Entries that no offer is of raise no alarm, and are forgotten with their offer."""
    both = endpoints(endpoint("ours"), endpoint("theirs", pricing={"prompt": "0"}))
    terms = Terms(FEED, lambda one: isinstance(one, PricedModel) and one.provider == "ours")
    belief = heard(document(both), NOTHING, terms)
    assert list(belief.standings) == ["ours/oak/oak-70b"]
    assert belief.alarms == ()
    nothing_of_it = Terms(FEED, lambda _: False)
    assert heard(document(both, known_at=at_minute(1)), belief, nothing_of_it).standings == {}


def test_the_operators_own_word_is_believed() -> None:
    """His file may say anything that is a price, at once."""
    terms = Terms("prices.yaml", lambda _: True, is_own_word=True)
    good = heard(document(priced("1")), NOTHING, terms)
    (one,) = heard(document(priced("1000"), known_at=at_minute(1)), good, terms).models()
    assert one.entry.rates is not None
    assert one.entry.rates.input == 1000


def test_of_a_series_of_gpu_hours_the_newest_row_counts() -> None:
    """Whatever the order of the file; and a tenfold price is doubted."""
    rows = [
        {"date": f"2026-11-0{day}", "provider": "oak", "gpu": "H100", "usd_per_gpu_hour": usd}
        for day, usd in ((2, 2.2), (3, 2.1), (1, 2.5))
    ]
    terms = Terms("gpu", lambda _: True)
    belief = heard(document(rows), Belief("gpu"), terms, gpu_index.read)
    (one,) = belief.standings.values()
    assert isinstance(one.entry, CapacityRow)
    assert one.entry.usd_per_gpu_hour == Decimal("2.1")
    rows.append({"date": "2026-11-04", "provider": "oak", "gpu": "H100", "usd_per_gpu_hour": 21})
    later = heard(document(rows, known_at=at_minute(1)), belief, terms, gpu_index.read)
    assert names(later) == {AlarmName.JUMP}
    assert [kept.entry for kept in later.standings.values()] == [one.entry]


@given(data=st.data())
def test_a_belief_that_is_written_down_is_read_as_it_was(data: st.DataObject) -> None:
    """Prices, doubts and alarms survive a restart to the last decimal."""
    body = data.draw(bodies_of())
    pricing = body["data"]["endpoints"][0]["pricing"]
    pricing["overrides"] = [{"min_prompt_tokens": 200_000, "prompt": pricing["completion"]}]
    good = heard(document(body), NOTHING)
    spoil, _ = MUTATIONS[data.draw(st.sampled_from(sorted(MUTATIONS)))]
    belief = heard(document(spoil(copy.deepcopy(body), data.draw), known_at=AT + MINUTE), good)
    assert belief_of(belief_text(belief)) == belief
    terms = Terms("gpu", lambda _: True)
    gpus = heard(document(bodies.GPU_CSV), Belief("gpu"), terms, gpu_index.read)
    assert belief_of(belief_text(gpus)) == gpus


def test_a_belief_that_nobody_can_read_is_refused() -> None:
    """It is fetched anew then: nothing is half believed."""
    with pytest.raises(FeedUnreadable):
        belief_of(b'{"source": 1}')


def test_the_rule_is_what_its_docstring_says() -> None:
    """Three readings over an hour."""
    assert (TIMES, timedelta(hours=1)) == (3, FOR)
