"""Presets: each is whole, says where it comes from, and agrees with the price file."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from benchmarks.feeds import litellm
from proxy.endpoints import Endpoint
from proxy.presets import PRESETS, Preset, preset_at
from proxy.providers import Account, Provider

ALL = list(dict.fromkeys(one.name for one in PRESETS.values()))
each = pytest.mark.parametrize("known", [PRESETS[name] for name in ALL], ids=ALL)

WANTED = (
    *("openai", "groq", "together", "fireworks", "deepinfra", "nebius", "lambda", "cerebras"),
    *("sambanova", "mistral", "deepseek", "openrouter", "xai", "gemini", "azure", "vllm", "sglang"),
    *("ollama", "llama.cpp", "coreweave", "wandb", "hyperbolic", "novita", "parasail", "anthropic"),
)
LITELLM_SAYS = (
    "constants.py",
    "main.py",
    "litellm_core_utils/get_llm_provider_logic.py",
    "llms/openai_like/providers.json",
    "llms/voyage/common_utils.py",
    "llms/jina_ai/embedding/transformation.py",
)


@pytest.mark.parametrize("name", WANTED)
def test_the_hosts_that_people_use(name: str) -> None:
    """Those that were asked for are there."""
    assert name in PRESETS


@pytest.fixture(scope="module")
def litellms_code() -> str:
    """What the installed LiteLLM says of hosts, as text: it is not imported."""
    package = metadata.distribution("litellm")
    files = (Path(str(package.locate_file(f"litellm/{name}"))) for name in LITELLM_SAYS)
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


@each
def test_base_urls_are_those_that_litellm_knows(known: Preset, litellms_code: str) -> None:
    """An independent list has the same URLs; where it has another, we say why."""
    others = {
        "gemini": "LiteLLM speaks Google's own API",
        "nebius": "its pages name a newer host",
    }
    url = urlsplit(known.base_url or "http://localhost")
    if url.hostname != "localhost":
        assert (f"{url.netloc}{url.path}" in litellms_code) == (known.name not in others)


def test_no_name_or_url_stands_twice() -> None:
    """Every name and every URL means one preset."""
    presets = [PRESETS[name] for name in ALL]
    names = [name for one in presets for name in (one.name, *one.aliases)]
    assert sorted(names) == sorted(PRESETS)
    urls = [one.base_url for one in presets if one.base_url]
    assert len(set(urls)) == len(urls)
    assert all(preset_at(str(one.base_url)) is one for one in presets if one.base_url)
    assert preset_at("https://api.example.com/v1") is None


@each
def test_a_preset_is_whole(known: Preset) -> None:
    """It can be asked something, at a URL that joins with a path, and its source is named."""
    assert known.sources
    assert known.endpoints
    assert known.paths.keys() <= known.endpoints
    url = known.base_url or known.own_base_url
    assert not url.endswith("/")
    parts = urlsplit(url)
    is_here = parts.hostname == "localhost"
    assert parts.scheme == ("http" if is_here else "https")
    assert (known.key_variable is None) == is_here, "a host on the internet wants a key"
    if known.key_variable:
        assert re.fullmatch(r"[A-Z][A-Z_]+", known.key_variable)
    assert known.name == known.name.lower()
    for sentence in known.quirks:
        assert sentence.endswith(".")


@each
def test_what_cannot_be_alone(known: Preset) -> None:
    """Batches need files to read, and a wire has its endpoint."""
    assert (Endpoint.FILES in known.endpoints) == (Endpoint.BATCHES in known.endpoints)
    if known.dialect == "anthropic":
        assert known.endpoints <= {Endpoint.MESSAGES, Endpoint.COUNT_TOKENS}


@each
def test_agrees_with_the_price_file(known: Preset) -> None:
    """The names that it has there have models there, and the price file's list of hosts says so."""
    priced = {model.provider for model in litellm.read_installed()}
    if known.litellm_providers:
        assert priced & set(known.litellm_providers)
    if known.base_url:
        by_host = litellm.provider_of(known.base_url)
        assert by_host is None or by_host in (*known.litellm_providers, known.name)


@pytest.mark.parametrize(
    ("name", "endpoint", "url"),
    [
        ("openai", Endpoint.RESPONSES, "https://api.openai.com/v1/responses"),
        ("groq", Endpoint.CHAT, "https://api.groq.com/openai/v1/chat/completions"),
        ("deepseek", Endpoint.CHAT, "https://api.deepseek.com/chat/completions"),
        ("deepseek", Endpoint.MESSAGES, "https://api.deepseek.com/anthropic/v1/messages"),
        ("fireworks", Endpoint.MESSAGES, "https://api.fireworks.ai/inference/v1/messages"),
        ("cohere", Endpoint.RERANK, "https://api.cohere.com/v2/rerank"),
        ("anthropic", Endpoint.MESSAGES, "https://api.anthropic.com/v1/messages"),
    ],
)
def test_urls_as_the_hosts_document_them(name: str, endpoint: Endpoint, url: str) -> None:
    """Base URL and path together are the URL that the host's own pages name."""
    known = PRESETS[name]
    assert endpoint in known.endpoints
    provider = Provider(
        name, str(known.base_url), (Account("main", None),), known.endpoints, paths=known.paths
    )
    assert provider.url(endpoint) == url


@pytest.mark.parametrize(
    ("name", "endpoint"),
    [
        ("together", Endpoint.BATCHES),  # a job object, and uploads to a signed URL
        ("mistral", Endpoint.BATCHES),  # /v1/batch/jobs
        ("mistral", Endpoint.SPEECH),  # answers JSON with base64
        ("xai", Endpoint.MESSAGES),  # given up by its host
        ("voyage", Endpoint.RERANK),  # top_k, and `data` where others have `results`
        ("wandb", Endpoint.RESPONSES),  # streams tool calls as text
    ],
)
def test_what_is_not_asked(name: str, endpoint: Endpoint) -> None:
    """Where a host has the path, but not the inventor's shape behind it, it is left out."""
    assert endpoint not in PRESETS[name].endpoints


def test_model_names() -> None:
    """A rule of names completes short ones and leaves full ones; elsewhere names stay."""
    fireworks, gemini, groq = PRESETS["fireworks"], PRESETS["gemini"], PRESETS["groq"]
    assert fireworks.model_name("kimi-k2p5") == "accounts/fireworks/models/kimi-k2p5"
    assert fireworks.model_name("accounts/a/models/b") == "accounts/a/models/b"
    assert gemini.model_name("models/gemini-3-flash") == "gemini-3-flash"
    assert groq.model_name("models/x") == "models/x"
