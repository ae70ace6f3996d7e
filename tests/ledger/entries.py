"""What the tests of the books put into them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from ledger.attempts import Attempt, Charge, Hold, Settlement
from ledger.budgets import Budget, Scope, accounts_of
from ledger.money import Money
from ledger.principals import Principal
from ledger.rates import RateCard
from ledger.store import Store
from ledger.usage import TokenUsage, Unit
from ledger.windows import Window

NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
NOW_NS = 1_773_500_966_000_000_000
NANO_PER_TOKEN = RateCard.of(Decimal(0), Decimal("0.001"))
"""One completion token costs one nano-USD: any amount is the charge of some usage."""
CENT_PER_IMAGE = RateCard.of(Decimal(0), Decimal(0), unit=Decimal("0.01"), per=Unit.IMAGE)
SOMEBODY = Principal("key_1", team="research", user="ada")


def clock_ns() -> int:
    return NOW_NS


def attempt(
    attempt_id: str,
    worst_case: int,
    principal: Principal = SOMEBODY,
    *,
    at_ns: int = NOW_NS,
    model: str = "llama",
    provider: str = "acme",
    rates: RateCard = NANO_PER_TOKEN,
    account: str | None = None,
    batch: str | None = None,
) -> Attempt:
    return Attempt(
        id=attempt_id,
        request_id=f"req_{attempt_id}",
        at_ns=at_ns,
        principal=principal,
        model=model,
        provider=provider,
        upstream_model=f"{provider}-{model}",
        rates=rates,
        streamed=False,
        worst_case=Money(worst_case),
        account=account,
        batch=batch,
    )


def settlement(
    nanos: int,
    *,
    prompt: int = 0,
    first_offer: int | None = None,
    cheapest: int | None = None,
    estimated: bool = False,
    at_ns: int = NOW_NS,
) -> Settlement:
    """An end at a cost of `nanos`: so many completion tokens, at one nano-USD each."""
    amount = Money(nanos)
    return Settlement(
        at_ns=at_ns,
        usage=TokenUsage(prompt, nanos),
        rates=NANO_PER_TOKEN,
        charge=Charge(
            billed=amount,
            effective=amount,
            contracted=amount,
            list=amount,
            first_offer=None if first_offer is None else Money(first_offer),
            cheapest=None if cheapest is None else Money(cheapest),
        ),
        estimated=estimated,
        ttft_ms=None,
        total_ms=12.5,
    )


def settlement_by_units(units: int, rates: RateCard) -> Settlement:
    """An end of work that has no tokens: the provider counts units, and they cost what it says."""
    usage = TokenUsage(None, None, units=units)
    cost = rates.charge(usage)
    charge = Charge(cost, cost, cost, cost, None, None)
    return replace(settlement(0), usage=usage, rates=rates, charge=charge)


def budget(
    name: str,
    cap: int,
    scope: Scope | None = None,
    window: Window = Window.LIFETIME,
    timezone: str = "UTC",
) -> Budget:
    return Budget(name, scope or Scope(), window, timezone, Money(cap))


def hold_of(one: Attempt, *budgets: Budget, now: datetime = NOW) -> Hold:
    return Hold(one, accounts_of(budgets, one.subject, now))


def take(store: Store, hold: Hold, expires_at_ns: int | None = None) -> Money | None:
    """A hold that is kept in the store itself; what is left after it."""
    with store.transaction():
        return store.holds.hold_all([hold], expires_at_ns)[0].left


def writer_of(store: Store, name: str = "writer") -> int:
    with store.transaction():
        return store.writers.open(name, NOW_NS)[0]


def charge(store: Store, hold: Hold, nanos: int) -> Money | None:
    """The end of such a hold."""
    writer_id = writer_of(store)
    with store.transaction():
        return store.holds.post(writer_id, hold, settlement(nanos))


def room_in(store: Store, *budgets: Budget, now: datetime = NOW) -> int:
    """The least that nobody has spent, held or leased of what `SOMEBODY` draws on."""
    accounts = accounts_of(budgets, attempt("x", 0).subject, now)
    with store.view():
        return min(store.leases.standing(one).room for one in accounts)
