"""`market.probe` in hedgerow.yaml, as it is written."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from hedgerow.files.settings import Cap, Kind, Part, Seconds


class Probe(Part):
    """Short requests to offers that nobody has asked lately."""

    every: Seconds = Field(
        600.0, description="How far rounds are apart, more or less", examples=["10m"]
    )
    budget_usd_per_day: Cap = Field(
        description="The most that they may cost in a day (UTC): a budget in the books",
        examples=["0.50"],
    )
    max_tokens: Annotated[int, Field(ge=1, le=1024), Kind("whole number")] = Field(
        16, description="How long an answer may be", examples=["16"]
    )
    prompt: Annotated[str, Field(min_length=1, max_length=1000), Kind("text")] = Field(
        "Count from one to ten.", description="What is asked", examples=["Count from one to ten."]
    )
