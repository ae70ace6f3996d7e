"""What the configuration says of what becomes of a request, and of which fields are taken."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from benchmarks.offers import Offer
from hedgerow.config import Config, load_config
from hedgerow.errors import ConfigInvalid
from hedgerow.market.offers import quoted_offers
from hedgerow.market.price_book import PriceBook

AT = datetime(2026, 11, 20, tzinfo=UTC)


def load(provider: str, offer: str) -> Config:
    text = f"""\
market: {{feeds: []}}
providers:
  p: {{base_url: "http://localhost:1/v1"{provider}}}
models:
  m: {{offers: [{{provider: p, model: m, price: {{input: 1, output: 1}}{offer}}}]}}
"""
    with TemporaryDirectory() as folder:
        path = Path(folder, "hedgerow.yaml")
        path.write_text(text)
        return load_config(path, {})


def sold(provider: str, offer: str) -> Offer:
    ((quoted,),) = quoted_offers(load(provider, offer), PriceBook((), {}), AT).values()
    return quoted.offer


@pytest.mark.parametrize(
    ("provider", "offer", "may_train", "keeps_nothing"),
    [
        ("", "", None, None),
        ("may_train: false", "", False, None),
        ("may_train: false", "keeps_nothing: true", False, True),
        ("keeps_nothing: true", "", False, True),
        ("keeps_nothing: true", "keeps_nothing: false", None, False),
        ("keeps_nothing: true", "may_train: true", True, False),
        ("may_train: true", "keeps_nothing: true", False, True),
        ("may_train: true", "may_train: false", False, None),
        ("", "keeps_nothing: true", False, True),
        ("may_train: false, keeps_nothing: true", "keeps_nothing: false", False, False),
    ],
)
def test_an_offer_knows_better_than_its_provider(
    provider: str, offer: str, may_train: bool | None, keeps_nothing: bool | None
) -> None:
    """What it does not say is as the provider has it, unless the two contradict each other; who
    keeps nothing trains on nothing."""
    wrote = [f", data: {{{one}}}" if one else "" for one in (provider, offer)]
    found = sold(*wrote)
    assert (found.may_train, found.keeps_nothing) == (may_train, keeps_nothing)


@pytest.mark.parametrize("at_offer", [False, True])
def test_nobody_trains_on_what_he_does_not_keep(at_offer: bool) -> None:
    """Both together are refused, where they stand, with what to do."""
    both = ", data: {may_train: true, keeps_nothing: true}"
    with pytest.raises(ConfigInvalid) as caught:
        load("" if at_offer else both, both if at_offer else "")
    (error,) = caught.value.errors
    assert error.where == ("models.m.offers[0].data" if at_offer else "providers.p.data")
    assert "keep the one that is true" in str(error)


def test_parameters() -> None:
    """Those that are listed; without a list nobody knows."""
    assert sold("", "").parameters is None
    assert sold("", ", parameters: [seed, tools]").parameters == frozenset({"seed", "tools"})
