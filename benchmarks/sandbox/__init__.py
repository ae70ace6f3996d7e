"""Sandbox providers: real HTTP servers on loopback that speak as real ones do.

OpenAI's endpoints (chat completions, completions, responses, embeddings, moderations, images,
audio, files, batches, models), Anthropic's messages, and rerank as Cohere and Jina have it. They
stand in for providers in the demo and in tests. Latency and failures are drawn from a seed, and
each server counts what it would bill, so that our books can be compared with its own. Its
tokenizer is the simplest there is: a token is a word, that is what stands between white space.

Every JSON request may carry the field `sandbox` (`Wish`): how long its answer is to be, and the
fault that it is to meet; a form may, as a part of the same name.
"""

from benchmarks.sandbox.behaviour import ENDPOINTS, Behaviour, Draws
from benchmarks.sandbox.bill import Bill, Billed
from benchmarks.sandbox.faults import Fault, FaultRates
from benchmarks.sandbox.server import SandboxProvider
from benchmarks.sandbox.tally import Exchange, Tally
from benchmarks.sandbox.wire import Wish

__all__ = [
    "ENDPOINTS",
    "Behaviour",
    "Bill",
    "Billed",
    "Draws",
    "Exchange",
    "Fault",
    "FaultRates",
    "SandboxProvider",
    "Tally",
    "Wish",
]
