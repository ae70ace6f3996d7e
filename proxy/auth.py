"""Authentication: the owner of a request's key."""

from __future__ import annotations

from collections.abc import Mapping

from ledger.errors import KeyRefused
from ledger.principals import Principal
from proxy.errors import NotAuthenticated
from proxy.exchange import Exchange
from proxy.house import House


def authenticate(x: Exchange, house: House) -> Principal:
    """Raises NotAuthenticated, saying what is wrong with the key."""
    return owner_of_key(x.headers, house)


def key_sent(headers: Mapping[str, str]) -> str:
    """The key that a request comes with; empty for none."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        # Anthropic's clients, and Azure's, have headers of their own.
        key = headers.get("x-api-key") or headers.get("api-key") or ""
    return key.strip()


def owner_of_key(headers: Mapping[str, str], house: House) -> Principal:
    """The same for what has no story: headers, their names in any case that they compare in."""
    key = key_sent(headers)
    if not key:
        raise NotAuthenticated(
            "no API key: send the header `Authorization: Bearer sk-hedge-…`"
            " (your platform team has them: `hedgerow key create`)"
        )
    try:
        return house.book.principal(key)
    except KeyRefused as refused:
        raise NotAuthenticated(str(refused)) from None
