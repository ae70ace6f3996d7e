"""The policy tables: what is written is read again, and every change is seen."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from decimal import Decimal

import pytest

from ledger.budgets import Budget, Mode, Raise, Scope, Threshold, Throttle
from ledger.databases.migrations.history import NEWEST, steps
from ledger.databases.sql import Sql
from ledger.errors import KeyRefused, NameTaken
from ledger.keys import KeyRecord, Role, hash_of, label_of, mint, new_key
from ledger.limits import Limits, Whose, budgets_for, limits_in
from ledger.measures import Measure
from ledger.money import Money, usd
from ledger.owners import Owner, OwnerKind
from ledger.plans import Plan
from ledger.tables.policy import KeyFilter, PolicyTable
from ledger.windows import Window, window_of
from tests.ledger.databases import MakeBooks


@pytest.fixture
def sql(make_books: MakeBooks) -> Iterator[Sql]:
    sql = make_books().open()
    with closing(sql), sql.transaction():
        yield sql


@pytest.fixture
def table(sql: Sql) -> PolicyTable:
    return PolicyTable(sql)


def make_key(table: PolicyTable, at_ns: int = 1, **who: object) -> tuple[str, KeyRecord]:
    secret, key = mint(at_ns, secrets.token_bytes, **who)  # type: ignore[arg-type]
    table.add_key(key, hash_of(secret))
    return secret, key


FULL = Budget(
    "full",
    Scope(team="research", user="*"),
    window_of("rolling:30d"),
    "Europe/Berlin",
    1000,
    Measure.TOKENS,
    (
        Threshold(Decimal("0.7"), notify=("ops", "mail")),
        Threshold(Decimal("0.85"), cheapest=True, throttle=Throttle(3)),
        Threshold(Decimal("0.95"), only_models=frozenset({"oak", "elm"})),
        Threshold(Decimal("1.1"), blocks=True),
    ),
    Mode.SHADOW,
    "allow",
)


def test_budgets_are_read_as_they_were_written(table: PolicyTable) -> None:
    """Every field of a budget, thresholds included; a name is taken once."""
    plain = Budget("plain", Scope(), Window.MONTH, "UTC", usd("1.5"))
    table.add_budget(FULL, 1)
    table.add_budget(plain, 2)
    assert table.budgets() == (FULL, plain)
    with pytest.raises(NameTaken, match="there is a budget plain already"):
        table.add_budget(replace(FULL, name="plain"), 3)
    assert table.change_budget(replace(FULL, name="plain", cap=7))
    assert table.budget("plain") == replace(FULL, name="plain", cap=7)
    assert not table.change_budget(replace(FULL, name="none"))
    assert table.remove_budget("plain")
    assert not table.remove_budget("plain")
    assert table.budget("plain") is None


def test_keys_are_read_as_they_were_written(table: PolicyTable) -> None:
    """Every field of a key, and its hash; a change of it is a change of all but its secret."""
    secret, key = make_key(
        table,
        name="ci",
        org="acme",
        team="research",
        project="p",
        user="ada",
        tags=("x", "y"),
        models=frozenset({"oak"}),
        expires_at_ns=99,
        metadata='{"a":1}',
    )
    assert table.keys() == {hash_of(secret): key}
    assert table.key(key.id) == table.key_of(hash_of(secret)) == key
    changed = replace(key, name=None, blocked=True, expires_at_ns=None)
    changed = replace(changed, principal=replace(key.principal, team=None, models=None))
    assert table.change_key(changed)
    assert table.keys() == {hash_of(secret): changed}
    assert not table.change_key(replace(changed, id="key_none"))
    assert table.key("key_none") is None


def test_a_rotated_key_has_two_secrets_until_the_grace_is_over(table: PolicyTable) -> None:
    """The earlier one works until then, whatever it is rotated again; the id stays, and is found
    with the newer one."""
    secret, key = make_key(table, name="ci")
    newer = new_key(secrets.token_bytes)
    assert table.rotate_key(key.id, hash_of(newer), label_of(newer), until_ns=100)
    found = table.keys()
    assert list(found) == [hash_of(secret), hash_of(newer)]
    for one in found.values():
        one.check(99)
        assert one.id == key.id
    found[hash_of(newer)].check(100)
    with pytest.raises(KeyRefused, match="was replaced"):
        found[hash_of(secret)].check(100)
    assert found[hash_of(secret)].label == label_of(secret)
    newest = new_key(secrets.token_bytes)
    table.rotate_key(key.id, hash_of(newest), label_of(newest), until_ns=200)
    assert list(table.keys()) == [hash_of(newer), hash_of(newest)]


def test_pages_of_keys(table: PolicyTable) -> None:
    """Page by page each key of a filter comes once, in the order they were made."""
    made = [make_key(table, at * 10**6, team="ab"[at % 2])[1] for at in range(1, 8)]
    wanted = KeyFilter(team="b")
    found: list[KeyRecord] = []
    while page := table.key_page(wanted, after=found[-1].id if found else "", limit=2):
        found += page
    assert found == [one for one in made if one.principal.team == "b"]
    assert table.count_keys(wanted) == len(found)
    table.revoke_key(made[0].id, 5)
    assert table.count_keys(KeyFilter(unrevoked_at_ns=4)) == 7
    assert table.count_keys(KeyFilter(unrevoked_at_ns=5)) == 6


def test_owners_are_read_as_they_were_written(table: PolicyTable) -> None:
    """And what they may not do, their keys may not."""
    secret, _ = make_key(table, team="research", models=frozenset({"oak", "elm"}))
    team = Owner(OwnerKind.TEAM, "research", 5, "Research", "acme", frozenset({"oak"}), '{"a":1}')
    table.add_owner(team)
    table.add_owner(replace(team, kind=OwnerKind.USER))
    assert table.owner(OwnerKind.TEAM, "research") == team
    with pytest.raises(NameTaken, match="there is a team research already"):
        table.add_owner(team)
    who = table.keys()[hash_of(secret)].principal
    assert (who.models, who.org) == (frozenset({"oak"}), "acme")
    assert table.change_owner(replace(team, blocked=True))
    with pytest.raises(KeyRefused, match="team research is blocked"):
        table.keys()[hash_of(secret)].check(6)
    assert table.remove_owner(OwnerKind.TEAM, "research")
    table.keys()[hash_of(secret)].check(6)
    assert table.owner_page(OwnerKind.TEAM, limit=5) == []
    assert [one.kind for one in table.owner_page(OwnerKind.USER, limit=5)] == [OwnerKind.USER]


def test_limits_take_the_place_of_earlier_ones(table: PolicyTable) -> None:
    """A changed limit keeps the name under which it has counted so far; what is no longer limited
    is gone, and so is its increase."""
    whose = Whose("key", "key_1")
    table.add_budget(FULL, 1)
    first = Limits(usd=usd(5), window=Window.DAY, rpm=3)
    table.set_limits("key", "key_1", budgets_for(whose, first), at_ns=1)
    table.add_raise(Raise("raise_1", "key key_1 rpm", None, 1, 0, 9, "more"))
    assert [one.name for one in table.limits_of("key", "key_1")] == [
        "key key_1 rpm",
        "key key_1 usd",
    ]
    second = Limits(usd=usd(7), window=Window.MONTH, tpm=9)
    table.set_limits("key", "key_1", budgets_for(whose, second), at_ns=2)
    assert limits_in(whose, table.limits_of("key", "key_1")) == second
    assert table.raises() == ()
    assert table.named_budgets() == (FULL,)


def test_an_owners_name_takes_no_other_owners_limit(table: PolicyTable) -> None:
    """Names that read alike are no way to another's budget: the second is refused."""
    odd, plain = Whose("team", "a model oak"), Whose("team", "a", model="oak")
    table.set_limits("team", odd.id, budgets_for(odd, Limits(rpm=1)), at_ns=1)
    with pytest.raises(NameTaken):
        table.set_limits("team", plain.id, budgets_for(plain, Limits(rpm=10**6)), at_ns=1)


def test_raises_end(table: PolicyTable) -> None:
    """An increase counts until it is over, or is ended."""
    one = Raise("raise_1", "full", "user=ada", 5, 10, 20, "release week")
    table.add_raise(one)
    assert table.raises(19) == (one,)
    assert table.raises(20) == ()
    assert table.end_raise("raise_1", 15)
    assert table.raises(15) == ()
    assert not table.end_raise("raise_1", 15)


BUDGET = Budget("b", Scope(), Window.DAY, "UTC", Money(1))
BUDGET2 = replace(BUDGET, name="user u usd")
TEAM = Owner(OwnerKind.TEAM, "t", 1)
CHANGES: dict[str, Callable[[PolicyTable, KeyRecord], object]] = {
    "add_key": lambda table, _key: make_key(table),
    "change_key": lambda table, key: table.change_key(key),
    "revoke_key": lambda table, key: table.revoke_key(key.id, 1),
    "rotate_key": lambda table, key: table.rotate_key(key.id, b"1", "l", 1),
    "add_owner": lambda table, _key: table.add_owner(replace(TEAM, id="u")),
    "change_owner": lambda table, _key: table.change_owner(TEAM),
    "remove_owner": lambda table, _key: table.remove_owner(OwnerKind.TEAM, "t"),
    "add_budget": lambda table, _key: table.add_budget(replace(BUDGET, name="c"), 1),
    "change_budget": lambda table, _key: table.change_budget(BUDGET),
    "remove_budget": lambda table, _key: table.remove_budget("b"),
    "set_limits": lambda table, _key: table.set_limits("user", "u", (BUDGET2,), at_ns=1),
    "add_raise": lambda table, _key: table.add_raise(Raise("r2", "b", None, 1, 0, 9, "x")),
    "end_raise": lambda table, _key: table.end_raise("r", 1),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_change_is_news(
    table: PolicyTable, change: Callable[[PolicyTable, KeyRecord], object]
) -> None:
    """The version grows, so that every worker reads the policy anew."""
    _, key = make_key(table)
    table.add_owner(TEAM)
    table.add_budget(BUDGET, 1)
    table.add_raise(Raise("r", "b", None, 1, 0, 9, "x"))
    version = table.version()
    change(table, key)
    assert table.version() > version


def test_every_change_is_tried() -> None:
    """The list above names each method that writes."""
    writing = ("add_", "change_", "remove_", "set_", "end_", "revoke_", "rotate_")
    assert {one for one in vars(PolicyTable) if one.startswith(writing)} == set(CHANGES)


def test_back_and_forth(table: PolicyTable, sql: Sql) -> None:
    """Back to the older tables and forth again: what those can hold is still there, what goes is
    said, and nothing gets looser: a blocked key is revoked, and so is a person's."""
    secret, key = make_key(table, name="ci", team="research")
    _, barred = make_key(table, at_ns=2)
    table.change_key(replace(barred, blocked=True))
    _, person = make_key(table, at_ns=3, name="anna", role=Role.APPROVER)
    table.add_budget(FULL, 1)
    table.add_budget(BUDGET, 2)
    table.add_owner(TEAM)
    own = budgets_for(Whose("key", key.id), Limits(usd=usd(5), rpm=1))
    table.set_limits("key", key.id, own, at_ns=3)
    dropped = steps(sql, 7)
    assert [one.split(" goes")[0] for one in dropped] == [
        f"key {person.label} had the role approver and is revoked",
        "budget full",
        f"budget key {key.id} rpm",
        "what was known of team t",
        f"key {barred.label} was blocked and is revoked",
    ]
    steps(sql, NEWEST)
    assert table.keys()[hash_of(secret)] == key
    assert table.key(barred.id) == replace(barred, revoked_at_ns=2)
    assert table.key(person.id) == replace(person, role=None, revoked_at_ns=3)
    assert {one.name for one in table.budgets()} == {"b", f"key {key.id} usd"}
    assert [one.name for one in table.limits_of("key", key.id)] == [f"key {key.id} usd"]


def test_plans(table: PolicyTable) -> None:
    """Plans are kept, found, changed and forgotten, and so is who has one: one at most."""
    first, second = Plan("a", '{"rpm_limit":1}', 1), Plan("b", "{}", 2)
    for plan in (first, second):
        table.plans.add(plan)
    with pytest.raises(NameTaken, match="there is a plan a already"):
        table.plans.add(first)
    assert table.plans.get("a") == first
    assert table.plans.page(limit=1) == [first]
    assert table.plans.page(after="a", limit=5) == [second]
    table.plans.use("key", "key_1", "a")
    table.plans.use("key", "key_1", "b")
    table.plans.use(OwnerKind.TEAM, "t", "b")
    assert table.plans.used_by("key", "key_1") == "b"
    assert table.plans.users("a") == []
    assert table.plans.users("b") == [("key", "key_1"), ("team", "t")]
    assert table.plans.change("b", '{"rpm_limit":2}')
    assert table.plans.get("b") == replace(second, terms='{"rpm_limit":2}')
    table.add_owner(TEAM)
    table.remove_owner(OwnerKind.TEAM, "t")
    assert table.plans.users("b") == [("key", "key_1")]
    assert table.plans.remove("b")
    assert not table.plans.remove("b")
    assert not table.plans.change("b", "{}")
    assert table.plans.used_by("key", "key_1") is None


def test_a_key_is_found_by_either_secret(table: PolicyTable) -> None:
    """By the hash of the one before, too: as the key whose time is over then."""
    secret, key = make_key(table)
    newer = new_key(secrets.token_bytes)
    table.rotate_key(key.id, hash_of(newer), label_of(newer), until_ns=100)
    earlier, now = table.key_of(hash_of(secret)), table.key_of(hash_of(newer))
    assert earlier is not None
    assert now is not None
    assert (earlier.id, earlier.replaced_at_ns, earlier.label) == (key.id, 100, key.label)
    assert (now.replaced_at_ns, now.label) == (None, label_of(newer))
    assert table.hash_of(key.id) == hash_of(newer)
    assert table.key_of(b"none") is None
