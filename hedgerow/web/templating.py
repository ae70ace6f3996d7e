"""Templates: pages as jinja2 makes them; what is put into them is escaped."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from hedgerow.web import formats
from hedgerow.web.assets import Assets
from hedgerow.web.plots import plot_of


@dataclass(frozen=True, slots=True)
class Templates:
    """The environment; each template is read from disk when it is first wanted."""

    environment: Environment

    async def rendered(self, template: str, values: Mapping[str, Any]) -> str:
        """In a thread: a long table takes a while."""
        return await asyncio.to_thread(self._rendered, template, values)

    def _rendered(self, template: str, values: Mapping[str, Any]) -> str:
        return self.environment.get_template(template).render(values)


def templates(assets: Assets) -> Templates:
    environment = Environment(
        loader=PackageLoader("hedgerow.web"),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "money": formats.money,
        "amount": formats.amount,
        "dollars": formats.dollars,
        "dollars_text": formats.dollars_text,
        "count": formats.count,
        "part": formats.part,
        "moment": formats.moment,
        "second": formats.second,
        "ms": formats.ms,
        "day": formats.day,
        "day_of": formats.day_of,
        "usd": formats.usd,
        "size": formats.size,
        "number": formats.number,
        "sentence": formats.sentence,
        "plot": plot_of,
    }
    environment.globals |= {"asset": assets.url, "UNKNOWN": formats.UNKNOWN}
    return Templates(environment)
