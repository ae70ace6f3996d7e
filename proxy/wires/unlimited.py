"""Unlimited: what the wires have in common whose requests are JSON and take no limit."""

from __future__ import annotations

from ledger.money import Money
from proxy.providers import Provider
from proxy.wires import body as bodies
from proxy.wires.vocabulary import for_provider
from proxy.wires.wire import Ask, Reader


class UnlimitedWire:
    """Only the name of the model is ours to change, and what is for the router. What is held is not
    told to the provider: it follows from the request."""

    def rewrite(
        self,
        body: bytes,
        content_type: str,  # noqa: ARG002 - a wire's door
        provider: Provider,
        model: str,
        limit: int | None,  # noqa: ARG002 - there is no such field
    ) -> bytes:
        return bodies.encode(for_provider(body, provider, model))

    def reader(self, ask: Ask) -> Reader:
        """For the wires that have no streams."""
        raise AssertionError(f"a stream of {ask.task} was asked for: there is none")

    def with_cost(self, body: bytes, cost: Money) -> bytes:
        return bodies.with_cost(body, cost)
