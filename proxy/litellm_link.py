"""What LiteLLM's process and its parent say to each other, beside the OpenAI wire."""

from __future__ import annotations

import msgspec

SECRET_HEADER = "x-litellm-secret"  # noqa: S105 - its name
"""In every request: that it is the parent's."""
PARAMS_HEADER = "x-litellm-params"
"""In a request: LiteLLM's parameters, as JSON."""
SETUP_HEADER = "x-litellm-setup"
"""In an answer: what is wrong with the set-up, for the operator to read."""


class Start(msgspec.Struct):
    """The first line that the process reads. secret: each request has it. socket: the path to
    listen at; None for a port on loopback, which is then the first line that it writes."""

    secret: str
    socket: str | None
    max_body_bytes: int
    calls_at_once: int
