"""Policy: keys and budgets as of one moment, and which accounts an attempt draws on by them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ledger.budgets import Account, Budget, Raise, Subject, accounts_of
from ledger.directives import Ladders
from ledger.instants import instant
from ledger.keys import KeyRecord
from ledger.money import MAX_NANOS
from ledger.principals import Principal
from ledger.slices import Slice

SUBJECTS_REMEMBERED = 10_000
_CROWDS = ("key", "user", "team", "project", "org", "tag")
"""Dimensions that may have members by the ten thousand, those with the most first."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What files say: it is theirs alone, and nothing here changes it."""

    budgets: tuple[Budget, ...] = ()
    raises: tuple[Raise, ...] = ()


@dataclass(slots=True)
class Drawing:
    """What a subject draws on between two moments: the same windows, caps and thresholds."""

    principal: Principal
    since_ns: int
    until_ns: int
    accounts: tuple[Account, ...]
    ladders: Ladders
    slices: tuple[Slice, ...] = ()
    epoch: int = field(default=-1)


class Policy:
    """Keys and budgets as of one version.

    Budgets of one key, user or team alone are kept apart from the others: there may be some for
    each of them.
    """

    def __init__(
        self,
        version: int,
        keys: Mapping[bytes, KeyRecord],
        budgets: Iterable[Budget],
        raises: Iterable[Raise] = (),
    ) -> None:
        self.version = version
        self.keys = keys
        self.raises = tuple(raises)
        self.by_name: dict[str, Budget] = {}
        self._key_by_id = {one.id: one for one in keys.values()}
        self._common: list[tuple[int, Budget]] = []
        self._own: dict[tuple[str, str], list[tuple[int, Budget]]] = {}
        """Those of one member of a dimension. Each with its place among all."""
        for place, budget in enumerate(budgets):
            if self.by_name.setdefault(budget.name, budget) is not budget:
                continue  # of two by one name the first counts: they would draw on one account
            own = next((one for one in map(budget.scope.one_of, _CROWDS) if one is not None), None)
            of = self._common if own is None else self._own.setdefault(own, [])
            of.append((place, budget))
        self._remembered: dict[tuple[str, tuple[str, ...], str, str], Drawing] = {}

    def key(self, key_id: str) -> KeyRecord | None:
        return self._key_by_id.get(key_id)

    def drawing(self, subject: Subject, at_ns: int) -> Drawing:
        """What an attempt at `at_ns` draws on; before it has a provider, whatever that will be.

        Within their windows that is the same for every request of a key, and remembered; but what
        a key did before it was changed may be asked about as well.
        """
        who = subject.principal
        key = (who.key_id, who.tags, subject.model, subject.provider)
        found = self._remembered.get(key)
        if (
            found is None
            or not found.since_ns <= at_ns < found.until_ns
            or (found.principal is not who and found.principal != who)
        ):
            if len(self._remembered) >= SUBJECTS_REMEMBERED:
                self._remembered.clear()
            found = self._remembered[key] = self._drawing(subject, at_ns)
        return found

    def accounts(self, subject: Subject, at_ns: int) -> tuple[Account, ...]:
        """Every account that an attempt at `at_ns` must fit into at once."""
        return self.drawing(subject, at_ns).accounts

    def _drawing(self, subject: Subject, at_ns: int) -> Drawing:
        placed = list(self._common)
        for dimension in _CROWDS:
            for value in set(subject.values(dimension)):
                placed += self._own.get((dimension, value), ())
        budgets = [one for _, one in sorted(placed, key=lambda one: one[0])]
        if not subject.provider:
            budgets = [one for one in budgets if one.scope.provider is None]
        accounts = accounts_of(budgets, subject, instant(at_ns), self.raises)
        edges = [edge for one in self.raises for edge in (one.since_ns, one.until_ns)]
        since = [one.window_start_ns for one in accounts]
        since += [edge for edge in edges if edge <= at_ns]
        until = [one.resets_at_ns for one in accounts]
        until += [edge for edge in edges if edge > at_ns]
        return Drawing(
            principal=subject.principal,
            since_ns=max(since, default=0),
            until_ns=min(until, default=MAX_NANOS),
            accounts=accounts,
            ladders=Ladders(budgets, accounts, at_ns, self.raises),
        )

    def changed_since(self, before: Policy) -> frozenset[str]:
        """The budgets that are others than before, or have other increases."""
        names = {one.budget for one in set(self.raises) ^ set(before.raises)}
        names.update(
            name
            for name in self.by_name.keys() | before.by_name.keys()
            if self.by_name.get(name) != before.by_name.get(name)
        )
        return frozenset(names)

    def has_edge_between(self, since_ns: int, until_ns: int) -> bool:
        """Whether an increase begins or ends in `(since, until]`."""
        return any(
            since_ns < edge <= until_ns
            for one in self.raises
            for edge in (one.since_ns, one.until_ns)
        )
