"""`routing.hedge` in hedgerow.yaml, as it is written: a second offer where the first is silent."""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field

from hedgerow.files.settings import P95, HedgeAfter, Part, PartOfRequests
from routing.limits import MILLIONTHS, SecondOfferRule


class SecondOfferSpec(Part):
    """When a second offer is asked for the same answer, and how often."""

    after: HedgeAfter = Field(
        None,
        description="How long the first offer is silent until a second is asked, too; whichever"
        " begins first is passed on. `p95`: the 95th percentile of its own times to the first"
        " token, once it is known",
        examples=["p95"],
    )
    share: PartOfRequests = Field(
        Decimal("0.05"),
        description="The most requests of a model that get a second offer, so that an outage does"
        " not double the bill",
        examples=["5%"],
    )
    plain: bool = Field(
        False,
        description="Whether answers that are not streamed get one, too: most providers bill them"
        " in full, whoever still listens",
        examples=["true"],
    )

    def rule(self) -> SecondOfferRule | None:
        """None: there is never a second offer."""
        if self.after is None:
            return None
        after_ms = None if self.after == P95 else 1000 * self.after
        return SecondOfferRule(after_ms, int(self.share * MILLIONTHS), self.plain)
