"""/v1/messages/count_tokens: how long a prompt is, before it is paid for."""

from __future__ import annotations

import msgspec

from benchmarks.snapshot import Listing
from ledger.ids import new_id
from proxy.accounts import Busy
from proxy.auth import authenticate
from proxy.chat import refuse_model, tell
from proxy.endpoints import Endpoint
from proxy.errors import as_answer
from proxy.exchange import JSON, Exchange, Headers
from proxy.house import House
from proxy.legs import ANTHROPIC_VERSION
from proxy.terms import on_terms
from proxy.upstream import UpstreamError, UpstreamRequest
from proxy.wires import body as bodies
from proxy.wires.messages import ask_of_count
from proxy.wires.vocabulary import for_provider

ANSWER_LIMIT = 1 << 20
TIMEOUT_S = 10.0


class _Count(msgspec.Struct):
    input_tokens: int


async def serve_count(x: Exchange, house: House) -> None:
    """Count, at a provider that counts for nothing; where none does, by what was learned of the
    model's prompts, and the answer says that it is an estimate."""
    request_id = new_id("req", house.clock.now_ns(), house.random_bytes)
    try:
        who = authenticate(x, house)
        ask = on_terms(ask_of_count(x.body), x.headers, house.names)
        refuse_model(ask.model, house, who)
        with house.doors.inside(who.key_id):
            count = None
            models = house.market.snapshot.models
            for listing in (one for name in house.models_of(ask.model) for one in models[name]):
                provider = house.providers[listing.offer.provider]
                if count is None and Endpoint.COUNT_TOKENS in provider.endpoints:
                    count = await _counted_by(listing, x.body, house)
        headers: Headers = [JSON, ("x-request-id", request_id), ("request-id", request_id)]
        if count is None:
            headers.append(("x-hedgerow-estimated", "1"))
            count = house.learned.prompt_tokens(ask.model, ask.prompt_bytes)
        await x.answer(200, headers, bodies.encode(_Count(count)))
    except Exception as error:  # noqa: BLE001 - the edge: every error becomes an answer
        await tell(x, Endpoint.COUNT_TOKENS, as_answer(error, request_id), request_id)


async def _counted_by(listing: Listing, body: bytes, house: House) -> int | None:
    """What a provider says; None if it does not."""
    provider = house.providers[listing.offer.provider]
    # Providers limit the counting apart: who counts for nothing keeps nobody from asking.
    account = house.accounts.take(provider.name, house.clock.monotonic_s(), is_counted=False)
    if isinstance(account, Busy):
        return None
    request = UpstreamRequest(
        url=provider.url(Endpoint.COUNT_TOKENS),
        headers={"anthropic-version": ANTHROPIC_VERSION}
        | provider.headers_for(account, "application/json"),
        body=bodies.encode(for_provider(body, provider, listing.offer.model)),
        first_byte_timeout_s=TIMEOUT_S,
        idle_timeout_s=TIMEOUT_S,
    )
    try:
        answer = await house.upstream.send(request)
        try:
            said = await answer.all(ANSWER_LIMIT)
        finally:
            answer.close()
        return msgspec.json.decode(said, type=_Count).input_tokens if answer.status == 200 else None
    except (UpstreamError, *bodies.UNREADABLE):
        return None
    finally:
        house.accounts.give_back(provider.name, account)
