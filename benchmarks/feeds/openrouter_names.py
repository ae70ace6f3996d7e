"""What OpenRouter calls the providers that others know by other names."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

SLUGS: Mapping[str, str] = {
    "anthropic": "anthropic",
    "azure": "azure",
    "cerebras": "cerebras",
    "cohere": "cohere",
    "deepinfra": "deepinfra",
    "deepseek": "deepseek",
    "fireworks": "fireworks",
    "gemini": "google-ai-studio",
    "groq": "groq",
    "hyperbolic": "hyperbolic",
    "lambda": "lambda",
    "mistral": "mistral",
    "nebius": "nebius",
    "novita": "novita",
    "openai": "openai",
    "parasail": "parasail",
    "sambanova": "sambanova",
    "together": "together",
    "wandb": "wandb",
    "xai": "xai",
}
"""By our preset's name: the part of an endpoint's tag before its slash."""
_LITELLM = {
    "bedrock": "amazon-bedrock",
    "bedrock_converse": "amazon-bedrock",
    "vertex_ai": "google-vertex",
    "azure_ai": "azure",
    "gemini": "google-ai-studio",
    "together_ai": "together",
    "fireworks_ai": "fireworks",
}
_HOSTS = {"llm.chutes.ai": "chutes", "api.minimax.io": "minimax", "api.moonshot.ai": "moonshotai"}
TIERS = frozenset(("flex", "priority", "batch", "fast"))
"""Ends of tags that are service tiers, and never meant by the bare slug."""


def slug_of(preset: str | None, base_url: str, litellm_provider: str | None, name: str) -> str:
    """What OpenRouter calls a provider: by its preset, its host or LiteLLM's name of it; by our own
    name of it where none of these is known."""
    host = urlsplit(base_url).hostname or ""
    return (
        SLUGS.get(preset or "")
        or _HOSTS.get(host)
        or _LITELLM.get(litellm_provider or "")
        or SLUGS.get(name, name)
    )
