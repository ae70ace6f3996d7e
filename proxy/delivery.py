"""Delivery: an answer on its way to the client, charged before its last byte goes out."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from benchmarks.traffic.observations import Outcome
from ledger.money import Money
from proxy.attempt import Opened
from proxy.errors import ProxyError, UpstreamFailed, UpstreamLate
from proxy.exchange import EVENTS, Exchange, Headers
from proxy.house import House
from proxy.patience import StreamRescue
from proxy.pursuit import Pursuit
from proxy.relay import StreamRelay
from proxy.trial import Request
from proxy.upstream import Diverged, Late, UpstreamError

HEARTBEAT = b": still there\n\n"


async def charge_plain(opened: Opened) -> tuple[Money, Money | None, bytes]:
    """Post a plain answer. Returns the charge, what is left, and the body as the client reads it,
    with its cost."""
    trial, plain = opened.trial, opened.plain
    if plain is None:
        raise AssertionError("a stream has no plain answer")
    usage, estimated = trial.used(plain)
    trial.answered(None if estimated else usage.completion)
    cost, left = await trial.post(usage, estimated=estimated)
    body = opened.body
    if not estimated:
        body = trial.leg.body.ours.with_cost(body, cost)
    return cost, left, body


async def first_of(pursuit: Pursuit, request: Request, x: Exchange) -> Opened:
    """The answer, when it has begun. Meanwhile a client whose model has heartbeats gets them: its
    stream is open then, and if there is no answer it can be told so only in there."""
    beat_s, ask = request.patience.heartbeat_s, request.ask
    if beat_s is None or not ask.stream or not ask.task.is_writing:
        return await pursuit.answer()
    answering = asyncio.ensure_future(pursuit.answer())
    try:
        while True:
            done, _ = await asyncio.wait((answering,), timeout=beat_s)
            if done:
                return answering.result()
            if not x.has_begun:
                about = [("x-request-id", request.id), EVENTS, ("Cache-Control", "no-cache")]
                await x.open(200, about)
            await x.write(HEARTBEAT)
    except BaseException:
        answering.cancel()
        (came,) = await asyncio.gather(answering, return_exceptions=True)
        if isinstance(came, Opened):  # just when its client left
            came.answer.close()
            await came.trial.abandon()
        raise


@dataclass(slots=True)
class StreamDelivery:
    """A stream on its way to one client, over as many providers as it takes."""

    x: Exchange
    house: House
    pursuit: Pursuit

    async def pass_on(self, opened: Opened, headers: Headers) -> ProxyError | None:
        """Pass a stream on to its end. Returns what cut it, when the client has been told."""
        first_fault: ProxyError | None = None
        while True:
            relay = _relay_of(opened)
            fault, cost = await self._relay(opened, relay, None if self.x.has_begun else headers)
            if fault is None:
                self.pursuit.ended_well()
                await self.x.finish(relay.close(cost))
                return None
            self.pursuit.note(opened.trial, fault.message)
            first_fault = first_fault or fault
            rest = await self.pursuit.rest_of(opened)
            if rest is None:
                await self.x.fail(relay.broken(first_fault))
                return first_fault
            opened = rest

    async def _relay(
        self, opened: Opened, relay: StreamRelay, headers: Headers | None
    ) -> tuple[ProxyError | None, Money]:
        """Pass on what one provider says, and charge it. headers: if nothing has begun yet."""
        trial, fault, x, diverged = opened.trial, None, self.x, False
        clock, idle_s = self.house.clock, trial.request.patience.idle_timeout_s
        last_event_s = began_s = clock.monotonic_s()
        reading_s = 0.0  # the client's part of the time
        try:
            if headers is not None:
                await x.open(200, headers)
            if opened.body:
                await x.write(opened.body)
            last_event_s = began_s = clock.monotonic_s()
            while relay.fault is None and not relay.done:
                # The idle limit is on events: comments keep a connection alive, but are no answer.
                data = await self._some(opened, last_event_s + idle_s)
                if not data:
                    break
                events_before = relay.events
                passed, came_s = relay.feed(data), clock.monotonic_s()
                if relay.events > events_before:
                    last_event_s = came_s
                if passed:
                    await x.write(passed)
                    took_s = clock.monotonic_s() - came_s
                    reading_s, last_event_s = reading_s + took_s, last_event_s + took_s
        except UpstreamError as error:
            diverged = isinstance(error, Diverged)
            if diverged or not relay.complete:
                late = isinstance(error, Late)
                fault = UpstreamLate(str(error)) if late else UpstreamFailed(str(error))
        finally:  # also when the client has left: what was delivered is charged
            if not relay.done:  # else its connection is about to be free for the next request
                opened.answer.close()
            usage, estimated = trial.heard(relay)
            trial.unjudged()  # unless it is judged below: the client may have left
            try:
                cost, _ = await trial.post(usage, estimated=estimated)
            finally:
                opened.answer.close()
        if fault is None and not relay.complete:
            fault = UpstreamFailed(relay.fault or "the provider ended its answer in the middle")
        if fault is None:
            # What was held back until it was whole came at once: that says nothing of its writing.
            came_at_once = trial.request.patience.stream_rescue is StreamRescue.BUFFER
            writing_s = None if came_at_once else last_event_s - began_s - reading_s
            trial.answered(usage.completion, writing_s)
        else:
            if not diverged:  # then it is sound, only no help
                trial.failed(Outcome.FAILED)
            fault.message = f"{trial.listing.offer.provider} broke off: {fault.message}"
            fault.request_id = trial.request.id
        return fault, cost

    async def _some(self, opened: Opened, until_s: float) -> bytes:
        """More of the answer; meanwhile, heartbeats for a client that wants them."""
        clock, beat_s = self.house.clock, opened.trial.request.patience.heartbeat_s
        while True:
            left_s = max(0.0, until_s - clock.monotonic_s())
            if beat_s is None or beat_s >= left_s:
                return await opened.answer.some(left_s)
            try:
                return await opened.answer.some(beat_s)
            except Late:
                await self.x.write(HEARTBEAT)


def _relay_of(opened: Opened) -> StreamRelay:
    if opened.relay is None:
        raise AssertionError("a plain answer is no stream")
    return opened.relay
