"""LiteLLM's /model/info, and its names of health checks."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from aiohttp import web

from benchmarks.snapshot import Listing
from proxy.admin.asked import Asked, Told
from proxy.admin.desk import AdminDesk


@dataclass(frozen=True, slots=True)
class ModelRoutes:
    desk: AdminDesk

    def routes(self) -> list[web.RouteDef]:
        return [
            *(
                web.get(f"{prefix}/model/info", self.desk.admin(self._models), allow_head=False)
                for prefix in ("", "/v1", "/api/v1")
            ),
            web.get("/health/liveliness", self._live, allow_head=False),
            web.get("/health/readiness", self._ready, allow_head=False),
        ]

    async def _models(self, asked: Asked) -> Told:
        """Each offer of each model, with its list price of the moment."""
        asked.refuse_queries()
        models = self.desk.snapshot().models
        return {"data": [_told(name, one) for name, its in models.items() for one in its]}

    async def _live(self, _request: web.Request) -> web.Response:
        return web.json_response("I'm alive!")

    async def _ready(self, request: web.Request) -> web.Response:
        async def story(_asked: Asked) -> Told:
            await self.desk.books.read(lambda sql: sql.execute("SELECT 1").fetchone())
            return {"status": "healthy", "db": "connected"}

        return await self.desk.answered(request, story)


def _told(model: str, one: Listing) -> dict[str, Any]:
    rates = None if one.quote is None else one.quote.rates
    million = Decimal(1_000_000)
    return {
        "model_name": model,
        "litellm_params": {"model": f"{one.offer.provider}/{one.offer.model}"},
        "model_info": {
            "id": one.offer.id,
            "litellm_provider": one.offer.provider,
            "input_cost_per_token": None if rates is None else rates.input / million,
            "output_cost_per_token": None if rates is None else rates.output / million,
            "max_input_tokens": one.offer.context_tokens,
        },
    }
