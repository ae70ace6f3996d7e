"""Presets: what is known of the hosts that people buy from, so that their name is enough.

Each is one value. `sources` says where it was read, `unverified` what could not be checked. Where
it is not sure that a host speaks an endpoint as its inventor does, the endpoint is left out: what
can be translated is, the rest is not asked of it. Who knows better writes `endpoints:`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from proxy.endpoints import Endpoint
from proxy.providers import OPENAI_WIRE, MaxTokensField, Prefill

Dialect = Literal["openai", "anthropic"]


@dataclass(frozen=True, slots=True)
class Preset:
    """A host, or a server that people run.

    base_url: None where it is the operator's own, which looks like own_base_url. aliases: other
    names for the same.
    key_variable: the environment variable that usually holds its key; None where none is needed.
    litellm_providers: its names in LiteLLM's price file; none where that has no prices of it.
    model_prefix: put before a model's name that has no slash in it. model_prefix_cut: taken off one
    that has it. quirks: what to know of it that is not a field here.
    The other fields are those of proxy.providers.Provider.
    """

    name: str
    base_url: str | None
    endpoints: frozenset[Endpoint]
    sources: tuple[str, ...]
    own_base_url: str = ""
    key_variable: str | None = None
    litellm_providers: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    dialect: Dialect = "openai"
    key_header: str = "Authorization"
    key_prefix: str = "Bearer "
    headers: Mapping[str, str] = field(default_factory=dict)
    max_tokens_field: MaxTokensField = "max_tokens"
    paths: Mapping[Endpoint, str] = field(default_factory=dict)
    prefill: Prefill | None = None
    is_strict: bool = False
    takes_preferences: bool = False
    model_prefix: str = ""
    model_prefix_cut: str = ""
    quirks: tuple[str, ...] = ()
    unverified: tuple[str, ...] = ()

    def model_name(self, written: str) -> str:
        """The name that the host knows a model by, and the price file too."""
        if self.model_prefix and "/" not in written:
            return self.model_prefix + written
        return written.removeprefix(self.model_prefix_cut)


_CHAT = frozenset({Endpoint.CHAT})
_TEXT = frozenset({Endpoint.CHAT, Endpoint.COMPLETIONS})
_BATCH = frozenset({Endpoint.FILES, Endpoint.BATCHES})
_HEARING = frozenset({Endpoint.TRANSCRIPTIONS, Endpoint.TRANSLATIONS})
_MESSAGES = frozenset({Endpoint.MESSAGES, Endpoint.COUNT_TOKENS})
_LITELLM = "LiteLLM's provider code, as installed"
_BIFROST = "github.com/maximhq/bifrost, docs/providers/supported-providers"

ANTHROPIC = Preset(
    name="anthropic",
    base_url="https://api.anthropic.com/v1",
    dialect="anthropic",
    endpoints=_MESSAGES,
    key_variable="ANTHROPIC_API_KEY",
    litellm_providers=("anthropic",),
    key_header="x-api-key",
    key_prefix="",
    headers={"anthropic-version": "2023-06-01"},
    sources=("the anthropic SDK for Python, as installed",),
    quirks=("Its batches have a shape of their own: ours are run line by line.",),
)
"""Also what every provider of `dialect: anthropic` is taken to be like."""

_ALL = (
    Preset(
        name="openai",
        base_url="https://api.openai.com/v1",
        endpoints=OPENAI_WIRE - {Endpoint.RERANK} | {Endpoint.RESPONSES} | _BATCH,
        key_variable="OPENAI_API_KEY",
        litellm_providers=("openai",),
        max_tokens_field="max_completion_tokens",
        is_strict=True,
        sources=("the openai SDK for Python, as installed",),
    ),
    Preset(
        name="groq",
        base_url="https://api.groq.com/openai/v1",
        endpoints=_CHAT | _HEARING | _BATCH | {Endpoint.RESPONSES, Endpoint.SPEECH},
        key_variable="GROQ_API_KEY",
        litellm_providers=("groq",),
        is_strict=True,
        sources=(
            "console.groq.com/docs/responses-api",
            "github.com/groq/groq-python, src/groq/resources",
            "batchwork.dev/providers/groq",
        ),
        quirks=(
            "/responses is in beta, and keeps no state between requests.",
            "n above 1 is refused.",
        ),
        unverified=("whether any model is left for the /embeddings that its SDK has: left out",),
    ),
    Preset(
        name="together",
        base_url="https://api.together.ai/v1",
        endpoints=_TEXT
        | _HEARING
        | {Endpoint.EMBEDDINGS, Endpoint.IMAGES, Endpoint.SPEECH, Endpoint.RERANK},
        key_variable="TOGETHER_API_KEY",
        litellm_providers=("together_ai",),
        sources=("docs.together.ai/docs/inference/openai-compatibility", _LITELLM),
        quirks=(
            "api.together.xyz is its older name.",
            "Its batches have a shape of their own: ours are run line by line.",
        ),
    ),
    Preset(
        name="fireworks",
        base_url="https://api.fireworks.ai/inference/v1",
        endpoints=_TEXT | {Endpoint.RESPONSES, Endpoint.MESSAGES, Endpoint.EMBEDDINGS},
        key_variable="FIREWORKS_API_KEY",
        litellm_providers=("fireworks_ai", "fireworks_ai-embedding-models"),
        model_prefix="accounts/fireworks/models/",
        sources=(
            "docs.fireworks.ai/tools-sdks/openai-compatibility",
            "docs.fireworks.ai/tools-sdks/anthropic-compatibility",
            "docs.fireworks.ai/api-reference/anthropic-messages",
            _BIFROST,
        ),
        quirks=(
            "A name without a slash is one of accounts/fireworks/models/.",
            "Its routers, and models of other accounts, are written in full.",
            "It cuts max_tokens to what fits into the context, where OpenAI refuses.",
            "Audio is on other hosts of theirs; its rerank answers in a shape of its own.",
        ),
    ),
    Preset(
        name="deepinfra",
        base_url="https://api.deepinfra.com/v1/openai",
        endpoints=_TEXT | _BATCH | {Endpoint.EMBEDDINGS, Endpoint.IMAGES, Endpoint.SPEECH},
        key_variable="DEEPINFRA_TOKEN",
        litellm_providers=("deepinfra",),
        sources=(
            "deepinfra.com/docs/openai_api",
            "docs.deepinfra.com/batch/batch-endpoints",
            "docs.deepinfra.com/api-reference/openai-audio-speech-1",
        ),
        quirks=("Images come as b64_json only. LiteLLM calls the variable DEEPINFRA_API_KEY.",),
        unverified=("/audio/transcriptions, and an endpoint of Anthropic's wire: left out",),
    ),
    Preset(
        name="nebius",
        base_url="https://api.tokenfactory.nebius.com/v1",
        endpoints=_TEXT | _BATCH | {Endpoint.EMBEDDINGS},
        key_variable="NEBIUS_API_KEY",
        litellm_providers=("nebius",),
        sources=(
            "docs.tokenfactory.nebius.com/api-reference/inference",
            "docs.tokenfactory.nebius.com/ai-models-inference/batch-inference",
        ),
        quirks=(
            "Regions have hosts of their own: write their base_url.",
            "A batch is of one model.",
        ),
        unverified=("/images/generations and /responses: left out",),
    ),
    Preset(
        name="lambda",
        base_url="https://api.lambda.ai/v1",
        endpoints=_CHAT,
        key_variable="LAMBDA_API_KEY",
        litellm_providers=("lambda_ai",),
        sources=("apis.io, Lambda Inference API", _LITELLM),
        quirks=("Lambda has announced that this API is winding down (seen in May 2026).",),
        unverified=("whether it still answers; /completions: left out",),
    ),
    Preset(
        name="cerebras",
        base_url="https://api.cerebras.ai/v1",
        endpoints=_TEXT,
        key_variable="CEREBRAS_API_KEY",
        litellm_providers=("cerebras",),
        is_strict=True,
        sources=(
            "github.com/Cerebras/cerebras-cloud-sdk-python, api.md",
            "inference-docs.cerebras.ai/api-reference/completions",
        ),
    ),
    Preset(
        name="sambanova",
        base_url="https://api.sambanova.ai/v1",
        endpoints=_CHAT | {Endpoint.RESPONSES, Endpoint.EMBEDDINGS},
        key_variable="SAMBANOVA_API_KEY",
        litellm_providers=("sambanova",),
        sources=(
            "docs.sambanova.ai/docs/en/features/openai-compatibility",
            "docs.sambanova.ai/docs/api-reference/embeddings",
        ),
        quirks=("Its audio models are not on SambaCloud, only on SambaStack.",),
    ),
    Preset(
        name="mistral",
        base_url="https://api.mistral.ai/v1",
        endpoints=_CHAT | {Endpoint.EMBEDDINGS, Endpoint.MODERATIONS, Endpoint.TRANSCRIPTIONS},
        key_variable="MISTRAL_API_KEY",
        litellm_providers=("mistral",),
        is_strict=True,
        sources=("docs.mistral.ai/api", "github.com/mistralai/client-python, README.md", _LITELLM),
        quirks=(
            "Its batches and its /audio/speech have shapes of their own.",
            "The seed is called random_seed.",
        ),
        unverified=("whether `prefix: true` says what is there already again: not used",),
    ),
    Preset(
        name="deepseek",
        base_url="https://api.deepseek.com",
        endpoints=_CHAT | {Endpoint.MESSAGES},
        key_variable="DEEPSEEK_API_KEY",
        litellm_providers=("deepseek",),
        paths={Endpoint.MESSAGES: "anthropic/v1/messages"},
        sources=("api-docs.deepseek.com/guides/anthropic_api", _LITELLM),
        quirks=(
            "On /messages it ignores cache_control, top_k and budget_tokens.",
            "On /messages another model answers for a name that it does not know.",
        ),
    ),
    Preset(
        name="openrouter",
        base_url="https://openrouter.ai/api/v1",
        endpoints=_TEXT
        | {
            Endpoint.RESPONSES,
            Endpoint.MESSAGES,
            Endpoint.EMBEDDINGS,
            Endpoint.RERANK,
            Endpoint.SPEECH,
            Endpoint.TRANSCRIPTIONS,
        },
        key_variable="OPENROUTER_API_KEY",
        takes_preferences=True,
        sources=(
            "openrouter.ai/docs/api/api-reference",
            "github.com/OpenRouterTeam/python-sdk, docs/sdks",
            _BIFROST,
        ),
        quirks=(
            "The installed price file has no prices of it: give its offers a price.",
            "/responses is in beta; images are under a path of their own.",
        ),
        unverified=("whether its batches (beta) have OpenAI's shape: left out",),
    ),
    Preset(
        name="xai",
        base_url="https://api.x.ai/v1",
        endpoints=_TEXT | {Endpoint.RESPONSES, Endpoint.IMAGES},
        key_variable="XAI_API_KEY",
        litellm_providers=("xai",),
        sources=("docs.x.ai/docs/api-reference", _LITELLM),
        quirks=(
            "It counts reasoning tokens beside completion_tokens.",
            "Its /messages is given up, its batches and audio have shapes of their own.",
        ),
        unverified=("whether max_tokens bounds reasoning tokens too",),
    ),
    Preset(
        name="gemini",
        base_url="https://generativelanguage.googleapis.com/v1beta/openai",
        endpoints=_CHAT | {Endpoint.EMBEDDINGS},
        key_variable="GEMINI_API_KEY",
        litellm_providers=("gemini",),
        model_prefix_cut="models/",
        sources=("ai.google.dev/gemini-api/docs/openai", "ai.google.dev/api/compatibility"),
        quirks=("Models may be written with models/ before them or without.",),
        unverified=(
            "/images/generations and the batches of this endpoint: left out",
            "whether its usage counts thinking tokens within completion_tokens",
        ),
    ),
    Preset(
        name="azure",
        base_url=None,
        own_base_url="https://RESOURCE.openai.azure.com/openai/v1",
        endpoints=_CHAT | {Endpoint.RESPONSES, Endpoint.EMBEDDINGS, Endpoint.IMAGES},
        key_variable="AZURE_OPENAI_API_KEY",
        litellm_providers=("azure",),
        key_header="api-key",
        key_prefix="",
        max_tokens_field="max_completion_tokens",
        is_strict=True,
        sources=(
            "learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle",
            "github.com/Azure/azure-rest-api-specs, specification/ai/data-plane/OpenAI.v1",
            _LITELLM,
        ),
        quirks=(
            "Under /openai/v1 it needs no api-version.",
            "An offer's model is your deployment's name. Unless that is its model's, give a price.",
        ),
        unverified=("audio, /completions and batches under /openai/v1: left out",),
    ),
    Preset(
        name="vllm",
        base_url="http://localhost:8000/v1",
        endpoints=_TEXT | _MESSAGES | _HEARING | {Endpoint.EMBEDDINGS, Endpoint.RERANK},
        prefill=Prefill(request={"add_generation_prompt": False, "continue_final_message": True}),
        sources=(
            "github.com/vllm-project/vllm, docs/serving/online_serving/README.md",
            "github.com/vllm-project/vllm, vllm/entrypoints/openai/chat_completion/protocol.py",
        ),
        quirks=(
            "Which endpoints answer depends on the model that is served.",
            "Its /responses was seen, at W&B, to stream tool calls as text: it is translated.",
        ),
    ),
    Preset(
        name="sglang",
        base_url="http://localhost:30000/v1",
        endpoints=_TEXT | _MESSAGES | {Endpoint.EMBEDDINGS},
        sources=(
            "github.com/sgl-project/sglang, python/sglang/srt/entrypoints/http_server.py",
            "github.com/sgl-project/sglang, docs/basic_usage/anthropic_api.md",
        ),
        unverified=(
            "how whole its /responses is, and the shape of its /rerank: left out",
            "whether continue_final_message says what is there already again: not used",
        ),
    ),
    Preset(
        name="ollama",
        base_url="http://localhost:11434/v1",
        endpoints=_TEXT | {Endpoint.RESPONSES, Endpoint.MESSAGES, Endpoint.EMBEDDINGS},
        litellm_providers=("ollama",),
        sources=(
            "github.com/ollama/ollama, docs/api/openai-compatibility.mdx",
            "github.com/ollama/ollama, docs/api/anthropic-compatibility.mdx",
        ),
        quirks=(
            "It has no tool_choice, no n and no image URLs, and keeps no state for /responses.",
            "Its /images/generations is experimental: left out.",
        ),
    ),
    Preset(
        name="llama.cpp",
        base_url="http://localhost:8080/v1",
        aliases=("llamacpp", "llama-server"),
        endpoints=_TEXT | {Endpoint.COUNT_TOKENS, Endpoint.EMBEDDINGS, Endpoint.RERANK},
        sources=("github.com/ggml-org/llama.cpp, tools/server/README.md",),
        quirks=(
            "Tools need --jinja, /rerank a rerank model, /embeddings a pooling.",
            "/responses say `completed` of what was cut, and ignore a schema: they are translated.",
            "/messages ignore a schema, too: they are translated.",
        ),
        unverified=("whether a continued answer says what is there already again: not used",),
    ),
    Preset(
        name="wandb",
        base_url="https://api.inference.wandb.ai/v1",
        aliases=("coreweave",),
        endpoints=_TEXT,
        key_variable="WANDB_API_KEY",
        litellm_providers=("wandb",),
        sources=("docs.wandb.ai/guides/inference/api-reference", _BIFROST),
        quirks=(
            "headers: {OpenAI-Project: team/project} says which project the usage is of.",
            "Its /responses streams tool calls as text: it is translated.",
        ),
    ),
    Preset(
        name="hyperbolic",
        base_url="https://api.hyperbolic.xyz/v1",
        endpoints=_TEXT,
        key_variable="HYPERBOLIC_API_KEY",
        litellm_providers=("hyperbolic",),
        sources=("docs.hyperbolic.ai/inference/text-apis", "apis.io, Hyperbolic"),
        unverified=("its image and audio endpoints: left out",),
    ),
    Preset(
        name="novita",
        base_url="https://api.novita.ai/v3/openai",
        endpoints=_TEXT | {Endpoint.EMBEDDINGS},
        key_variable="NOVITA_API_KEY",
        litellm_providers=("novita",),
        sources=(
            "novita.ai/docs/guides/llm-api",
            "novita.ai/docs/api-reference/model-apis-llm-create-embeddings",
        ),
        unverified=("its rerank, its batches, and a newer base URL that is said to be: left out",),
    ),
    Preset(
        name="parasail",
        base_url="https://api.parasail.io/v1",
        endpoints=_TEXT | _BATCH | {Endpoint.EMBEDDINGS},
        key_variable="PARASAIL_API_KEY",
        sources=("docs.parasail.io/parasail-docs", "apis.io, Parasail"),
        quirks=("The installed price file has no prices of it: give its offers a price.",),
        unverified=("/responses, on which sources differ: left out",),
    ),
    ANTHROPIC,
    Preset(
        name="cohere",
        base_url="https://api.cohere.com",
        endpoints=_CHAT | {Endpoint.EMBEDDINGS, Endpoint.RERANK},
        key_variable="CO_API_KEY",
        litellm_providers=("cohere", "cohere_chat"),
        paths={
            Endpoint.CHAT: "compatibility/v1/chat/completions",
            Endpoint.EMBEDDINGS: "compatibility/v1/embeddings",
            Endpoint.RERANK: "v2/rerank",
        },
        sources=("docs.cohere.com/docs/compatibility-api", _LITELLM),
        quirks=("LiteLLM calls the variable COHERE_API_KEY.",),
        unverified=("the path of its transcriptions: left out",),
    ),
    Preset(
        name="jina",
        base_url="https://api.jina.ai/v1",
        endpoints=frozenset({Endpoint.EMBEDDINGS, Endpoint.RERANK}),
        key_variable="JINA_API_KEY",
        litellm_providers=("jina_ai",),
        sources=("api.jina.ai/openapi.json", _LITELLM),
        quirks=("LiteLLM calls the variable JINA_AI_API_KEY.",),
        unverified=("whether encoding_format: base64, which OpenAI's clients send, is taken",),
    ),
    Preset(
        name="voyage",
        base_url="https://api.voyageai.com/v1",
        endpoints=frozenset({Endpoint.EMBEDDINGS}),
        key_variable="VOYAGE_API_KEY",
        litellm_providers=("voyage",),
        sources=("github.com/voyage-ai/openapi", _LITELLM),
        quirks=(
            "It says output_dimension where OpenAI says dimensions.",
            "Its rerank has a shape of its own.",
            "Keys from MongoDB (al-...) are for base_url: https://ai.mongodb.com/v1.",
        ),
    ),
)


def _by_name(presets: Iterable[Preset]) -> dict[str, Preset]:
    return {name: one for one in presets for name in (one.name, *one.aliases)}


PRESETS: Mapping[str, Preset] = _by_name(_ALL)
"""Every preset by each of its names."""
_BY_URL = {one.base_url: one for one in _ALL if one.base_url is not None}


def preset_at(base_url: str) -> Preset | None:
    """The preset of a base URL without a slash at its end, if it is one's own."""
    return _BY_URL.get(base_url)
