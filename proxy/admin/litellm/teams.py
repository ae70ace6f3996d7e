"""LiteLLM's /team routes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal

import msgspec
from aiohttp import web
from msgspec import UNSET, UnsetType

from ledger.budgets import EACH, Budget
from ledger.databases.sql import Sql
from ledger.limits import Whose
from ledger.owners import Owner, OwnerKind
from ledger.tables.policy import KeyFilter, PolicyTable
from proxy.admin.asked import Asked, Story, Told, invalid, label, metadata_of
from proxy.admin.desk import AdminDesk
from proxy.admin.limits_body import Amount
from proxy.admin.litellm.bodies import Member, apart, body_of, with_notes
from proxy.admin.litellm.limit_fields import Terms, budgets_after
from proxy.admin.litellm.look import Look
from proxy.admin.litellm.owners import (
    OwnerFields,
    delete_owner,
    found_owner,
    keep_changed,
    keep_new,
    new_owner,
    owner_after,
)

TEAM = OwnerKind.TEAM
TEAMS_LISTED = 1000


class TeamFields(OwnerFields, omit_defaults=True):
    """team_member_…: limits of each member by itself, within the team's."""

    team_id: str | None = None
    team_alias: str | UnsetType | None = UNSET
    organization_id: str | UnsetType | None = UNSET
    members_with_roles: tuple[Member, ...] | UnsetType = UNSET
    team_member_budget: Decimal | UnsetType | None = UNSET
    team_member_budget_duration: str | UnsetType | None = UNSET
    team_member_rpm_limit: Amount | UnsetType | None = UNSET
    team_member_tpm_limit: Amount | UnsetType | None = UNSET

    @property
    def of_members(self) -> Terms:
        return Terms(
            max_budget=self.team_member_budget,
            budget_duration=self.team_member_budget_duration,
            rpm_limit=self.team_member_rpm_limit,
            tpm_limit=self.team_member_tpm_limit,
        )


class NamedTeam(msgspec.Struct):
    team_id: str


class NamedTeams(msgspec.Struct):
    team_ids: tuple[str, ...]


class Membership(msgspec.Struct):
    """max_budget_in_team and the limits: of this member alone, within the team's."""

    team_id: str
    member: Member | tuple[Member, ...]
    max_budget_in_team: Decimal | UnsetType | None = UNSET
    budget_duration: str | UnsetType | None = UNSET

    @property
    def members(self) -> tuple[Member, ...]:
        return self.member if isinstance(self.member, tuple) else (self.member,)


class MemberChange(msgspec.Struct):
    team_id: str
    user_id: str
    role: Literal["admin", "user"] | None = None
    max_budget_in_team: Decimal | UnsetType | None = UNSET
    budget_duration: str | UnsetType | None = UNSET
    rpm_limit: Amount | UnsetType | None = UNSET
    tpm_limit: Amount | UnsetType | None = UNSET


class MemberOut(msgspec.Struct):
    team_id: str
    user_id: str


@dataclass(frozen=True, slots=True)
class TeamRoutes:
    desk: AdminDesk

    def routes(self) -> list[web.RouteDef]:
        admin = self.desk.admin
        return [
            web.post("/team/new", admin(self._new)),
            web.get("/team/info", admin(self._info), allow_head=False),
            web.post("/team/update", admin(self._update)),
            web.post("/team/delete", admin(self._delete)),
            web.get("/team/list", admin(self._list), allow_head=False),
            web.post("/team/block", admin(self._blocking(blocked=True))),
            web.post("/team/unblock", admin(self._blocking(blocked=False))),
            web.post("/team/member_add", admin(self._member_add)),
            web.post("/team/member_update", admin(self._member_update)),
            web.post("/team/member_delete", admin(self._member_delete)),
        ]

    async def _new(self, asked: Asked) -> Told:
        given = body_of(asked, TeamFields, "a team")

        def new(table: PolicyTable) -> Told:
            team = self._after(new_owner(TEAM, given.team_id, self.desk), given)
            told = keep_new(table, team, given, self.desk)
            self._limit_members(table, team.id, EACH, given.of_members)
            return told

        return await self.desk.books.change(new)

    async def _update(self, asked: Asked) -> Told:
        given = body_of(asked, TeamFields, "a change of a team")

        def update(table: PolicyTable) -> Told:
            team = self._after(found_owner(table, TEAM, given.team_id), given)
            told = keep_changed(table, team, given, self.desk)
            self._limit_members(table, team.id, EACH, given.of_members)
            return {"team_id": team.id, "data": told}

        return await self.desk.books.change(update)

    def _after(self, team: Owner, given: TeamFields) -> Owner:
        members = given.members_with_roles
        return owner_after(
            team,
            given,
            self.desk,
            name=given.team_alias,
            org=given.organization_id,
            members_with_roles=UNSET if members is UNSET else _noted(members),
        )

    async def _info(self, asked: Asked) -> Told:
        asked.refuse_queries("team_id")
        team_id, now_ns = asked.query("team_id"), self.desk.now_ns()

        def look(sql: Sql) -> Told:
            team = found_owner(PolicyTable(sql), TEAM, team_id)
            its = KeyFilter(team=team.id, unrevoked_at_ns=now_ns)
            seen = Look(sql, now_ns)
            return {
                "team_id": team.id,
                "team_info": seen.owner(team),
                "keys": seen.keys_of(its),
                "team_memberships": self._memberships(seen, team),
            }

        return await self.desk.books.read(look)

    def _memberships(self, seen: Look, team: Owner) -> list[dict[str, Any]]:
        budgets = seen.table.limits_of(TEAM, team.id)
        return [
            {
                "team_id": team.id,
                "user_id": one.user_id,
                "litellm_budget_table": seen.told(
                    Whose(TEAM, team.id, user=one.user_id), budgets, None
                ),
            }
            for one in _members(team)
        ]

    async def _delete(self, asked: Asked) -> Told:
        given, now_ns = body_of(asked, NamedTeams, "teams to delete"), self.desk.now_ns()

        def delete(table: PolicyTable) -> Told:
            found = [found_owner(table, TEAM, one) for one in given.team_ids]
            return [delete_owner(table, one, now_ns) for one in found]

        return await self.desk.books.change(delete)

    async def _list(self, asked: Asked) -> Told:
        asked.refuse_queries("user_id", "organization_id")
        user, org, now_ns = (
            asked.query("user_id"),
            asked.query("organization_id"),
            self.desk.now_ns(),
        )

        def look(sql: Sql) -> Told:
            teams = PolicyTable(sql).owner_page(TEAM, limit=TEAMS_LISTED)
            return [
                Look(sql, now_ns).owner(one)
                for one in teams
                if (org is None or one.org == org)
                and (user is None or user in {member.user_id for member in _members(one)})
            ]

        return await self.desk.books.read(look)

    def _blocking(self, *, blocked: bool) -> Story:
        async def story(asked: Asked) -> Told:
            given, now_ns = body_of(asked, NamedTeam, "a team"), self.desk.now_ns()

            def change(table: PolicyTable) -> Told:
                team = replace(found_owner(table, TEAM, given.team_id), blocked=blocked)
                table.change_owner(team)
                return Look(table.sql, now_ns).owner(team)

            return await self.desk.books.change(change)

        return story

    # -- members

    async def _member_add(self, asked: Asked) -> Told:
        given, now_ns = body_of(asked, Membership, "a membership"), self.desk.now_ns()
        its = Terms(max_budget=given.max_budget_in_team, budget_duration=given.budget_duration)

        def add(table: PolicyTable) -> Told:
            team = found_owner(table, TEAM, given.team_id)
            there = {one.user_id: one for one in _members(team)}
            for one in given.members:
                there[label(one.user_id, "member.user_id")] = one
                if table.owner(OwnerKind.USER, one.user_id) is None:
                    table.add_owner(Owner(OwnerKind.USER, one.user_id, now_ns))
                self._limit_members(table, team.id, one.user_id, its)
            team = _with_members(team, tuple(there.values()))
            table.change_owner(team)
            return self._told(table, team)

        return await self.desk.books.change(add)

    async def _member_update(self, asked: Asked) -> Told:
        given = body_of(asked, MemberChange, "a change of a membership")
        its = Terms(
            max_budget=given.max_budget_in_team,
            budget_duration=given.budget_duration,
            rpm_limit=given.rpm_limit,
            tpm_limit=given.tpm_limit,
        )

        def update(table: PolicyTable) -> Told:
            team = found_owner(table, TEAM, given.team_id)
            there = {one.user_id: one for one in _members(team)}
            _refuse_stranger(team, there, given.user_id)
            if given.role is not None:
                there[given.user_id] = Member(given.user_id, given.role)
                team = _with_members(team, tuple(there.values()))
                table.change_owner(team)
            self._limit_members(table, team.id, given.user_id, its)
            return self._told(table, team) | {"user_id": given.user_id}

        return await self.desk.books.change(update)

    async def _member_delete(self, asked: Asked) -> Told:
        given = body_of(asked, MemberOut, "a membership to end")

        def delete(table: PolicyTable) -> Told:
            team = found_owner(table, TEAM, given.team_id)
            there = {one.user_id: one for one in _members(team)}
            _refuse_stranger(team, there, given.user_id)
            del there[given.user_id]
            team = _with_members(team, tuple(there.values()))
            table.change_owner(team)
            nothing = Terms(max_budget=None, rpm_limit=None, tpm_limit=None)
            self._limit_members(table, team.id, given.user_id, nothing)
            return self._told(table, team)

        return await self.desk.books.change(delete)

    def _limit_members(self, table: PolicyTable, team_id: str, user: str, given: Terms) -> None:
        """Limit each member, or one of them, within the team."""
        there = table.limits_of(TEAM, team_id)
        after: tuple[Budget, ...] = budgets_after(
            there, Whose(TEAM, team_id, user=user), given, self.desk
        )
        table.set_limits(TEAM, team_id, after, at_ns=self.desk.now_ns())

    def _told(self, table: PolicyTable, team: Owner) -> dict[str, Any]:
        seen = Look(table.sql, self.desk.now_ns())
        return seen.owner(team) | {"team_memberships": self._memberships(seen, team)}


def _members(team: Owner) -> tuple[Member, ...]:
    _, notes = apart(team.metadata)
    return msgspec.convert(notes.get("members_with_roles", ()), tuple[Member, ...])


def _with_members(team: Owner, members: tuple[Member, ...]) -> Owner:
    own, notes = apart(team.metadata)
    notes["members_with_roles"] = _noted(members)
    return replace(team, metadata=metadata_of(with_notes(own, notes), "members_with_roles"))


def _noted(members: tuple[Member, ...]) -> list[dict[str, str]]:
    return [{"user_id": label(one.user_id, "user_id"), "role": one.role} for one in members]


def _refuse_stranger(team: Owner, there: dict[str, Member], user_id: str) -> None:
    if user_id not in there:
        raise invalid(f"{user_id[:80]} is no member of {team.id}: add it first", "user_id")
