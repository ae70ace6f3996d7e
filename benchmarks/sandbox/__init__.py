"""Sandbox providers: real HTTP servers on loopback that speak OpenAI chat completions.

They stand in for providers in the demo and in tests. Latency and failures are drawn from a seed,
and each server counts what it would bill, so that our books can be compared with its own. Its
tokenizer is the simplest there is: a token is a word, that is what stands between white space.
"""

from benchmarks.sandbox.behaviour import Behaviour, Draws, Fault, FaultRates
from benchmarks.sandbox.server import SandboxProvider
from benchmarks.sandbox.tally import Exchange, Tally

__all__ = [
    "Behaviour",
    "Draws",
    "Exchange",
    "Fault",
    "FaultRates",
    "SandboxProvider",
    "Tally",
]
