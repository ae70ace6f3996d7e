"""FocusRow: one row of FOCUS Cost and Usage, and the columns of the versions that we write.

FOCUS is the FinOps Open Cost and Usage Specification. What a gateway cannot know (regions,
resources, invoices) is a column of nulls where the version demands the column, and none elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from operator import attrgetter

from ledger.exports.columns import Column, Kind, Row


class FocusVersion(StrEnum):
    V1_2 = "1.2"
    V1_0 = "1.0"
    """What the `focus-validator` package can check."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FocusRow:
    """Each field is the column of that name: `charge_category` is ChargeCategory.

    Costs and prices are in USD; moments in nanoseconds since 1970, ends exclusive.
    """

    charge_category: str
    charge_description: str
    charge_frequency: str
    charge_period_start: int
    charge_period_end: int
    billing_period_start: int
    billing_period_end: int
    billing_account_id: str
    billing_account_name: str
    provider_name: str
    billed_cost: Decimal
    effective_cost: Decimal
    contracted_cost: Decimal
    list_cost: Decimal
    contracted_unit_price: Decimal | None = None
    list_unit_price: Decimal | None = None
    pricing_category: str | None = None
    pricing_quantity: Decimal | None = None
    pricing_unit: str | None = None
    consumed_quantity: Decimal | None = None
    consumed_unit: str | None = None
    sku_id: str | None = None
    sku_meter: str | None = None
    sku_price_id: str | None = None
    sku_price_details: str | None = None
    sub_account_id: str | None = None
    sub_account_name: str | None = None
    sub_account_type: str | None = None
    tags: str = "{}"
    commitment_discount_category: str | None = None
    commitment_discount_id: str | None = None
    commitment_discount_name: str | None = None
    commitment_discount_quantity: Decimal | None = None
    commitment_discount_status: str | None = None
    commitment_discount_type: str | None = None
    commitment_discount_unit: str | None = None
    x_request_id: str | None = None
    x_attempt_id: str | None = None
    x_estimated: bool | None = None
    x_model: str | None = None
    x_org: str | None = None
    x_team: str | None = None
    x_project: str | None = None
    x_user: str | None = None
    x_key_id: str | None = None
    x_batch_id: str | None = None
    x_rate_card: str | None = None
    billing_account_type: str = "Provider account"
    billing_currency: str = "USD"
    service_category: str = "AI and Machine Learning"
    service_subcategory: str = "Generative AI"
    charge_class: str | None = None
    """Always null: a row of the books is never corrected, a later one says what changed."""
    invoice_id: str | None = None
    region_id: str | None = None
    region_name: str | None = None
    resource_id: str | None = None
    resource_name: str | None = None
    resource_type: str | None = None

    @property
    def charge_type(self) -> str:
        return self.charge_category

    @property
    def provider(self) -> str:
        return self.provider_name

    @property
    def publisher(self) -> str:
        return self.provider_name

    @property
    def invoice_issuer(self) -> str:
        return self.provider_name

    @property
    def invoice_issuer_name(self) -> str:
        return self.provider_name

    @property
    def publisher_name(self) -> str:
        return self.provider_name

    @property
    def service_name(self) -> str:
        return f"{self.provider_name} inference"

    @property
    def x_sku_meter(self) -> str | None:
        return self.sku_meter


def columns(version: FocusVersion) -> tuple[Column, ...]:
    """The columns of a version, in the order of the specification, and then ours."""
    return tuple(Column(name, _KINDS.get(name, Kind.LABEL)) for name in _NAMES[version])


def cells(version: FocusVersion) -> Callable[[FocusRow], Row]:
    """What makes a row into the cells of `columns(version)`."""
    return attrgetter(*(_field(name) for name in _NAMES[version]))


def _field(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _names(text: str) -> list[str]:
    return text.split()


_BOTH = _names("""
    BilledCost BillingAccountId BillingAccountName BillingCurrency BillingPeriodEnd
    BillingPeriodStart ChargeCategory ChargeClass ChargeDescription ChargeFrequency ChargePeriodEnd
    ChargePeriodStart CommitmentDiscountCategory CommitmentDiscountId CommitmentDiscountName
    CommitmentDiscountStatus CommitmentDiscountType ConsumedQuantity ConsumedUnit ContractedCost
    ContractedUnitPrice EffectiveCost InvoiceIssuerName ListCost ListUnitPrice PricingCategory
    PricingQuantity PricingUnit ProviderName PublisherName RegionId RegionName ResourceId
    ResourceName ResourceType ServiceCategory ServiceName SkuId SkuPriceId SubAccountId
    SubAccountName Tags
""")
_SINCE_1_2 = _names("""
    BillingAccountType CommitmentDiscountQuantity CommitmentDiscountUnit InvoiceId
    ServiceSubcategory SkuMeter SkuPriceDetails SubAccountType
""")
_AS_VALIDATED = ["ChargeType", "InvoiceIssuer", "Provider", "Publisher", "ResourceID"]
"""The validator of 1.0 asks for these names, which 1.0 itself had left behind: it gets both."""
_OURS = _names("""
    x_RequestId x_AttemptId x_Estimated x_Model x_Org x_Team x_Project x_User x_KeyId x_BatchId
    x_RateCard
""")
_NAMES = {
    FocusVersion.V1_2: (*sorted(_BOTH + _SINCE_1_2), *_OURS),
    FocusVersion.V1_0: (*sorted(_BOTH + _AS_VALIDATED), "x_SkuMeter", *_OURS),
}
_KINDS = {
    **dict.fromkeys(("x_RequestId", "x_AttemptId"), Kind.ID),
    **dict.fromkeys(("Tags", "SkuPriceDetails"), Kind.TEXT),
    **dict.fromkeys(
        ("BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd"),
        Kind.SECOND,
    ),
    **dict.fromkeys(
        (
            *("BilledCost", "EffectiveCost", "ContractedCost", "ListCost"),
            *("ContractedUnitPrice", "ListUnitPrice", "PricingQuantity", "ConsumedQuantity"),
            "CommitmentDiscountQuantity",
        ),
        Kind.FINEST,
    ),
    "x_Estimated": Kind.FLAG,
}
