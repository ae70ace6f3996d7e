"""Bodies of the shapes that feeds really have, with figures of our own."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from benchmarks.feeds.document import Document

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def document(body: bytes | Any, **more: Any) -> Document:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Document(data, **({"known_at": AT} | more))


def endpoint(tag: str = "deepinfra/fp8", **more: Any) -> dict[str, Any]:
    """One of `endpoints`: more overrides its keys, and None stays, as OpenRouter writes it."""
    pricing = {"prompt": "0.00000004", "completion": "0.00000019", "request": "0", "image": "0"}
    return {
        "name": "DeepInfra | oak/oak-70b",
        "model_id": "oak/oak-70b",
        "model_name": "Oak 70B",
        "context_length": 131072,
        "pricing": pricing | {"discount": 0, "input_cache_read": "0.00000001"},
        "provider_name": "DeepInfra",
        "tag": tag,
        "quantization": "fp8",
        "max_completion_tokens": 16384,
        "max_prompt_tokens": None,
        "supported_parameters": ["tools", "tool_choice", "max_tokens", "structured_outputs"],
        "status": 0,
        "uptime_last_5m": 99.5,
        "uptime_last_30m": 99.25,
        "uptime_last_1d": None,
        "latency_last_30m": {"p50": 310, "p75": 420, "p90": 700, "p99": 2100},
        "throughput_last_30m": {"p50": 61, "p75": 55.5, "p90": 40, "p99": 12},
        "supports_implicit_caching": True,
        **more,
    }


def endpoints(*listed: dict[str, Any], inputs: tuple[str, ...] = ("text",)) -> dict[str, Any]:
    return {
        "data": {
            "id": "oak/oak-70b",
            "name": "Oak 70B",
            "created": 1780000000,
            "description": "",
            "architecture": {
                "modality": "text->text",
                "input_modalities": list(inputs),
                "output_modalities": ["text"],
                "tokenizer": "Other",
                "instruct_type": None,
            },
            "endpoints": list(listed),
        }
    }


OPENROUTER_MODELS: dict[str, Any] = {
    "data": [
        {
            "id": "oak/oak-70b",
            "canonical_slug": "oak/oak-70b-20260601",
            "name": "Oak 70B",
            "created": 1780000000,
            "context_length": 131072,
            "architecture": {"modality": "text+image->text", "input_modalities": ["text", "image"]},
            "pricing": {"prompt": "0.00000005", "completion": "0.0000002"},
            "top_provider": {"context_length": 131072, "max_completion_tokens": 32768},
            "supported_parameters": ["tools", "logprobs"],
            "expiration_date": "2027-01-31",
        },
        {
            "id": "oak/oak-70b:free",
            "pricing": {"prompt": "0", "completion": "0"},
            "context_length": 8192,
        },
        {"id": "openrouter/auto", "pricing": {"prompt": "-1", "completion": "-1"}},
    ]
}

ARTIFICIAL_ANALYSIS: dict[str, Any] = {
    "status": 200,
    "prompt_options": {"parallel_queries": 1, "prompt_length": "medium"},
    "data": [
        {
            "id": "0b2c0c11-0000-4000-8000-000000000001",
            "name": "Oak 70B",
            "slug": "oak-70b",
            "model_creator": {"id": "0b2c", "name": "Oak", "slug": "oak"},
            "evaluations": {
                "artificial_analysis_intelligence_index": 41.5,
                "artificial_analysis_coding_index": 38,
                "artificial_analysis_math_index": None,
                "gpqa": 0.61,
            },
            "pricing": {"price_1m_input_tokens": 0.05, "price_1m_output_tokens": 0.2},
            "median_output_tokens_per_second": 92.1,
            "median_time_to_first_token_seconds": 0.4,
        }
    ],
}

TOGETHER: list[dict[str, Any]] = [
    {
        "id": "oak/Oak-70B-Turbo",
        "object": "model",
        "created": 1780000000,
        "type": "chat",
        "running": False,
        "display_name": "Oak 70B Turbo",
        "organization": "Oak",
        "context_length": 131072,
        "config": {"chat_template": None, "stop": []},
        "pricing": {"hourly": 0, "input": 0.88, "output": 0.88, "base": 0, "finetune": 0},
    },
    {
        "id": "oak/oak-embed",
        "type": "embedding",
        "context_length": 512,
        "pricing": {"hourly": 0, "input": 0.02, "output": 0, "base": 0, "finetune": 0},
    },
    {"id": "oak/paint", "type": "image", "pricing": {"input": 0, "output": 0}},
]

DEEPINFRA: dict[str, Any] = {
    "object": "list",
    "data": [
        {
            "id": "oak/Oak-70B",
            "object": "model",
            "created": 1780000000,
            "owned_by": "deepinfra",
            "root": "oak/Oak-70B",
            "metadata": {
                "description": "",
                "context_length": 131072,
                "max_tokens": 16384,
                "pricing": {"input_tokens": 0.23, "output_tokens": 0.4, "cache_read_tokens": 0.1},
                "tags": ["chat"],
            },
        },
        {"id": "oak/speaks", "metadata": {"pricing": {"input_characters": 0.8}}},
        {"id": "oak/unknown", "metadata": None},
    ],
}

NOVITA: dict[str, Any] = {
    "data": [
        {
            "id": "oak/oak-70b",
            "title": "oak/oak-70b",
            "context_size": 131072,
            "max_output_tokens": 32768,
            "input_token_price_per_m": 2690,
            "output_token_price_per_m": 4000,
            "pricing": {"input_cache_read": {"price_per_m": 1345}},
            "features": ["function-calling", "reasoning"],
            "input_modalities": ["text"],
            "status": 1,
        }
    ]
}

CHUTES: dict[str, Any] = {
    "object": "list",
    "data": [
        {
            "id": "oak/Oak-70B-TEE",
            "pricing": {"prompt": 0.2, "completion": 0.8, "input_cache_read": 0.1},
            "quantization": "fp8",
            "context_length": 131072,
            "max_output_length": 65536,
            "input_modalities": ["text"],
            "supported_features": ["json_mode", "tools", "structured_outputs"],
            "supported_sampling_parameters": ["temperature", "top_p"],
        }
    ],
}

GPU_CSV = b"""date,provider,region,gpu,gpu_count,contract,usd_per_gpu_hour,stat,n_offers,source
2026-11-01,gcp,asia-east1,A100-40,1,on-demand,3.65,list,1,ours
2026-11-01,index/oak,,H100,,reserved-1y,2.19,index,,
2026-11-02,lambda,,H100-SXM,8,,,,,
"""
GPU_JSON: list[dict[str, Any]] = [
    {
        "at": "2026-11-02T10:00:00Z",
        "provider": "oak-exchange",
        "chip": "H100",
        "bid": 1.9,
        "ask": 2,
    },
    {"at": "2026-11-02", "provider": "aws", "gpu": "H100", "gpu_count": 8, "usd_per_hour": 31.44},
]
