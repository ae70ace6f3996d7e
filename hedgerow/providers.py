"""The configured providers, as the proxy asks them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import urlencode

from hedgerow.config import Config
from hedgerow.files import provider_spec
from proxy.endpoints import Endpoint
from proxy.litellm_link import PARAMS_HEADER
from proxy.presets import ANTHROPIC, Preset
from proxy.providers import OPENAI_WIRE, Account, Provider

LITELLM_WIRE = OPENAI_WIRE - {Endpoint.TRANSLATIONS}
"""What a provider that LiteLLM speaks to is asked for, unless the configuration says."""

_UNKNOWN = {
    "openai": Preset("openai", None, OPENAI_WIRE, ()),
    "anthropic": ANTHROPIC,
    "litellm": Preset("litellm", None, LITELLM_WIRE, ()),
}
"""What a provider without a preset is taken to be like, by its dialect."""


def providers(config: Config, workers: int = 1) -> dict[str, Provider]:
    """Every provider by its name, with its keys in the clear, as one of `workers` asks it."""
    return {name: _provider(name, one, workers) for name, one in config.providers.items()}


def _provider(name: str, one: provider_spec.Provider, workers: int) -> Provider:
    known = one.known or _UNKNOWN[one.dialect]
    return Provider(
        name=name,
        base_url=one.base_url,
        accounts=tuple(_account(account, workers) for account in one.accounts),
        endpoints=one.endpoints or known.endpoints,
        key_header=known.key_header,
        key_prefix=known.key_prefix,
        headers=_headers(one, known.headers),
        query=urlencode(one.query),
        max_tokens_field=one.output_limit_field,
        paths=known.paths,
        prefill=known.prefill,
        is_strict=known.is_strict,
        takes_preferences=known.takes_preferences,
    )


def _account(one: provider_spec.AccountSpec, workers: int) -> Account:
    key = None if one.api_key is None else one.api_key.get_secret_value()
    return Account(
        one.name, key, _share(one.parallel, workers), _share(one.requests_per_minute, workers)
    )


def _share(most: int | None, workers: int) -> int | None:
    """Of what all may together: in all never more, where each gets any."""
    return None if most is None else max(1, most // workers)


def _headers(one: provider_spec.Provider, usual: Mapping[str, str]) -> dict[str, str]:
    """Those that are configured, and the usual ones that they do not replace."""
    headers = {name: value.get_secret_value() for name, value in one.headers.items()}
    written = {name.lower() for name in headers}
    headers |= {name: value for name, value in usual.items() if name.lower() not in written}
    if one.litellm_params:
        params = {name: value.get_secret_value() for name, value in one.litellm_params.items()}
        headers[PARAMS_HEADER] = json.dumps(params)
    return headers
