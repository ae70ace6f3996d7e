"""The page of providers and of the hosts that are known, written from the presets.

`python -m hedgerow.presets_page > docs/providers.md`
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from hedgerow.providers import LITELLM_WIRE
from proxy.endpoints import Endpoint
from proxy.presets import ANTHROPIC, PRESETS, Preset
from proxy.providers import OPENAI_WIRE

_WIDTH = 100
_INTRODUCTION = """\
# Providers

Written by `python -m hedgerow.presets_page` from the presets in proxy/presets.py; a test holds both
together. Every key of a provider is in [the reference of settings](reference/settings.md).

```yaml
providers:
  groq: {}                                  # the name is a preset's: the rest is known
  fast: {preset: groq, api_key: "${KEY}"}   # the same host under another name
  azure: {preset: azure, base_url: https://RESOURCE.openai.azure.com/openai/v1}
  ours:                                     # any other host that speaks OpenAI's API
    base_url: http://gpu-1.internal:8000/v1
    endpoints: [chat/completions, completions, messages]
  bedrock:                                  # a host that the installed litellm package speaks to
    dialect: litellm
    litellm_provider: bedrock
    litellm_params: {aws_region_name: eu-central-1}
  together:                                 # several accounts: requests are spread over them
    accounts:
      - {name: team-a, api_key: "${TOGETHER_A}", parallel: 50}
      - {name: team-b, api_key: "${TOGETHER_B}", requests_per_minute: 600}
```

- A preset is meant by `preset`; by the provider's own name, where there is neither `dialect` nor
  `base_url`; or by a `base_url` that is the preset's. What is written goes before what it knows.
- Without `api_key` and `accounts`, the key is the value of the preset's environment variable. It is
  sent to the preset's own URL only. `hedgerow check` names the variable where there is no key.
- `headers` are sent with every request; `query` is put after every URL. The values of `headers` and
  of `litellm_params` are secrets like keys: no message shows them.
- An endpoint that a provider does not speak is translated, where that can be done, or not asked of
  it. `endpoints` says what it speaks, instead of the preset or the dialect.
- Where presets have rules for the names of models, the short form of a name is enough in `offers`.
"""
_HOSTS = """\
## Presets

Read where each says, never tried with a key. Where it is not sure that a host speaks an endpoint as
its inventor does, the endpoint is left out. A preset without a name in litellm's price file has
offers that need a `price`.
"""


def page() -> str:
    """docs/providers.md."""
    known = [preset for name, preset in PRESETS.items() if name == preset.name]
    return "\n".join(
        [
            _INTRODUCTION.rstrip("\n"),
            *_item("`dialect: openai`, where no preset says more, is asked for", OPENAI_WIRE),
            *_item("`dialect: anthropic` is asked for", ANTHROPIC.endpoints),
            *_item("`dialect: litellm` is asked for", LITELLM_WIRE),
            "",
            _HOSTS,
            "| Preset | Base URL | Key variable | In the price file |",
            "|---|---|---|---|",
            *(_row(one) for one in known),
            *(line for one in known for line in _section(one)),
            "",
        ]
    )


def _row(known: Preset) -> str:
    url = known.base_url or f"yours: {known.own_base_url}"
    variable = f"`{known.key_variable}`" if known.key_variable else ""
    priced = ", ".join(f"`{name}`" for name in known.litellm_providers)
    return f"| [{known.name}](#{known.name.replace('.', '')}) | {url} | {variable} | {priced} |"


def _section(known: Preset) -> Iterator[str]:
    yield from ("", f"### {known.name}", "")
    if known.aliases:
        yield from _wrapped(f"Also called {_listed(known.aliases)}.")
    yield from _item("Speaks", known.endpoints)
    yield from (line for fact in _facts(known) for line in _wrapped(fact))
    yield from (line for quirk in known.quirks for line in _wrapped(quirk))
    if known.unverified:
        yield from _wrapped(f"Not verified: {'; '.join(known.unverified)}.")
    yield from _wrapped(f"Read in {'; '.join(known.sources)}.")


def _facts(known: Preset) -> Iterator[str]:
    """What differs from the usual."""
    if (known.key_header, known.key_prefix) != ("Authorization", "Bearer "):
        yield f"The key is sent as `{known.key_header}: {known.key_prefix}KEY`."
    for name, value in known.headers.items():
        yield f"Gets `{name}: {value}`."
    if known.max_tokens_field != "max_tokens":
        yield f"A chat's limit is called `{known.max_tokens_field}`."
    for endpoint, path in known.paths.items():
        if path != endpoint:
            yield f"Has `{endpoint}` under `{path}`."
    if known.prefill:
        yield "An answer that broke off is continued here, with `stream_rescue: prefix_match`."


def _item(text: str, endpoints: Iterable[Endpoint]) -> Iterator[str]:
    spoken = frozenset(endpoints)
    return _wrapped(f"{text} {_listed(one for one in Endpoint if one in spoken)}.")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _wrapped(text: str) -> Iterator[str]:
    """One item of a list."""
    words = textwrap.TextWrapper(
        _WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
    yield from words.wrap(f"- {text}")


if __name__ == "__main__":
    print(page(), end="")
