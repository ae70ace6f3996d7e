"""Feeds as they are written under `market.feeds`: where prices, latency and quality come from.

Only a feed with an address is asked over the network, and only if it is written down: without
`market` there is the price file of the installed LiteLLM, and no network.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from hedgerow.files.settings import BaseUrl, DocumentUrl, Name, Part, Seconds, Secret, Text

OPENROUTER_URL = "https://openrouter.ai/api/v1"
ARTIFICIAL_ANALYSIS_URL = "https://artificialanalysis.ai/api/v2"
HOUR_S = 3600.0


class LitellmFeed(Part):
    """LiteLLM's price file."""

    kind: Literal["litellm"] = Field(
        description="LiteLLM's price file: that of the installed package, without network, or one"
        " at a `url`",
        examples=["litellm"],
    )
    url: DocumentUrl | None = Field(
        None,
        description="Where the file lies; when not given, in the installed litellm package",
        examples=["https://mirror.example/model_prices_and_context_window.json"],
    )
    every: Seconds = Field(
        HOUR_S, description="How often it is looked whether there is another", examples=["1h"]
    )


class OpenRouterFeed(Part):
    """Prices, latency and uptime of the endpoints behind OpenRouter's models."""

    kind: Literal["openrouter"] = Field(
        description="Prices, latency and uptime of providers' endpoints, as OpenRouter lists them:"
        " of models with an `openrouter` name",
        examples=["openrouter"],
    )
    url: BaseUrl = Field(
        OPENROUTER_URL, description="OpenRouter's address", examples=[OPENROUTER_URL]
    )
    api_key: Secret | None = Field(
        None,
        description="A key of OpenRouter's; without one, it tells no percentiles of latency",
        examples=["${OPENROUTER_API_KEY}"],
    )
    every: Seconds = Field(300.0, description="How often it is asked", examples=["5m"])


class ArtificialAnalysisFeed(Part):
    """Quality of models, by their indices."""

    kind: Literal["artificial_analysis"] = Field(
        description="Quality of models, of those with an `artificial_analysis` name",
        examples=["artificial_analysis"],
    )
    url: BaseUrl = Field(
        ARTIFICIAL_ANALYSIS_URL,
        description="The address of its API",
        examples=[ARTIFICIAL_ANALYSIS_URL],
    )
    api_key: Secret = Field(
        description="A key of theirs; 1000 requests a day are free",
        examples=["${ARTIFICIAL_ANALYSIS_API_KEY}"],
    )
    every: Seconds = Field(12 * HOUR_S, description="How often it is asked", examples=["12h"])


class ProviderFeed(Part):
    """A provider's own list of models, with prices."""

    kind: Literal["provider"] = Field(
        description="A provider's own list of models: Together's, DeepInfra's, Novita's, Nebius',"
        " OpenRouter's and Chutes' have prices",
        examples=["provider"],
    )
    provider: Name = Field(description="A name under `providers`", examples=["together"])
    every: Seconds = Field(HOUR_S, description="How often it is asked", examples=["1h"])


class GpuIndexFeed(Part):
    """Prices of GPU-hours."""

    kind: Literal["gpu_index"] = Field(
        description="Prices of GPU-hours from files: CSV with a header, or JSON",
        examples=["gpu_index"],
    )
    path: Text = Field(
        description="A file or a glob, relative to this file's folder",
        examples=["indices/*.csv"],
    )


class PricesFeed(Part):
    """The operator's own prices."""

    kind: Literal["prices"] = Field(
        description="A file of your own prices, which acts when it is changed", examples=["prices"]
    )
    path: Text = Field(
        "prices.yaml",
        description="The file, relative to this file's folder",
        examples=["prices.yaml"],
    )


FeedSpec: TypeAlias = Annotated[
    LitellmFeed
    | OpenRouterFeed
    | ArtificialAnalysisFeed
    | ProviderFeed
    | GpuIndexFeed
    | PricesFeed,
    Field(discriminator="kind"),
]
