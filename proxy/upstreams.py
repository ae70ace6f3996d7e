"""Upstreams: the way to each provider, by the scheme of its URL."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.litellm_upstream import SCHEME
from proxy.upstream import Answer, Upstream, UpstreamRequest


@dataclass(frozen=True, slots=True)
class Upstreams:
    """http: to providers that are spoken to over HTTP. litellm: to those that LiteLLM speaks to."""

    http: Upstream
    litellm: Upstream

    async def send(self, request: UpstreamRequest) -> Answer:
        """As `Upstream.send`."""
        way = self.litellm if request.url.startswith(f"{SCHEME}://") else self.http
        return await way.send(request)
