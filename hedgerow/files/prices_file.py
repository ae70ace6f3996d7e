"""prices.yaml: the operator's own prices, in a file that acts when it is changed.

prices:
  - {provider: groq, model: openai/gpt-oss-120b, input: 0.10, output: 0.50}
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, ValidationError

from benchmarks.alarms import AlarmName
from benchmarks.errors import FeedRefused
from benchmarks.feeds.document import Document
from benchmarks.feeds.reading import PricedModel, Reading, reading_of
from hedgerow.errors import ConfigInvalid
from hedgerow.files.config_errors import explain
from hedgerow.files.price_spec import PriceSpec
from hedgerow.files.settings import Name, Part, Text
from hedgerow.files.yaml_source import read_yaml


class OfferPrice(PriceSpec):
    """An offer's prices, by all that the offer is called by."""

    provider: Name = Field(description="A name under `providers`", examples=["groq"])
    model: Name = Field(
        description="The model's name at the provider", examples=["openai/gpt-oss-120b"]
    )
    region: Text | None = Field(
        None, description="The offer's region, if it has one", examples=["eu-west-1"]
    )
    quantization: Text | None = Field(
        None, description="The offer's quantization, if it has one", examples=["fp8"]
    )
    service_tier: Text | None = Field(
        None, description="The offer's service tier, if it has one", examples=["flex"]
    )


class PricesFile(Part):
    """A file of prices as written."""

    prices: tuple[OfferPrice, ...] = Field(
        description="Prices of offers, which count before those of all feeds",
        examples=["[{provider: groq, model: openai/gpt-oss-120b, input: 0.10, output: 0.50}]"],
    )


def read_prices(document: Document, path: Path, environ: Mapping[str, str]) -> Reading:
    """The prices of a file. Raises FeedRefused for a file in which anything is wrong."""
    written = _checked(path, environ)
    found = [_priced(one) for one in written.prices]
    reading = reading_of(document, path.name, found, len(found))
    if reading.faults:
        named = ", ".join(one.key for one in reading.faults)
        raise FeedRefused(AlarmName.DUPLICATE, f"{named}: stands twice with other prices")
    return reading


def _checked(path: Path, environ: Mapping[str, str]) -> PricesFile:
    try:
        source = read_yaml(path, environ)
    except ConfigInvalid as invalid:
        raise FeedRefused(AlarmName.MALFORMED, str(invalid)) from invalid
    try:
        found = PricesFile.model_validate(source.data)
    except ValidationError as invalid:
        explain(invalid, PricesFile, source)
    else:
        if not source.errors:
            return found
    raise FeedRefused(AlarmName.MALFORMED, "; ".join(map(str, source.errors.values())))


def _priced(one: OfferPrice) -> PricedModel:
    return PricedModel(
        provider=one.provider,
        model=one.model,
        task=None,
        rates=one.rate_card(),
        overrides=one.overrides(),
        batch_rates=one.batch_card(),
        region=one.region,
        quantization=one.quantization,
        tag=one.service_tier,
        valid_until=one.ends_at(),
    )
