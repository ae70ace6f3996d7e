"""Providers in the configuration: what a preset fills in, several accounts, what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedgerow.config import Config, load_config
from hedgerow.errors import ConfigInvalid
from hedgerow.providers import LITELLM_WIRE, providers
from proxy import litellm_call
from proxy.endpoints import Endpoint
from proxy.presets import PRESETS, Preset
from proxy.providers import OPENAI_WIRE, Account, Provider


def load(
    written: str, environ: Mapping[str, str] | None = None, name: str = "p", model: str = "m"
) -> Config:
    """The configuration with one provider, written in flow style, and one offer of it."""
    text = f"""\
providers:
  {name}: {written}
models:
  m: {{offers: [{{provider: {name}, model: "{model}", price: {{input: 1, output: 1}}}}]}}
"""
    with TemporaryDirectory() as folder:
        path = Path(folder, "hedgerow.yaml")
        path.write_text(text)
        return load_config(path, environ or {})


def asked(written: str, environ: Mapping[str, str] | None = None, name: str = "p") -> Provider:
    """How the proxy asks that provider."""
    return providers(load(written, environ, name))[name]


def errors_of(written: str, environ: Mapping[str, str] | None = None, name: str = "p") -> list[str]:
    with pytest.raises(ConfigInvalid) as caught:
        load(written, environ, name)
    return [
        str(error).split(".yaml:2: ")[1].replace("providers.", "") for error in caught.value.errors
    ]


# The examples of the design


def test_the_design_loads(tmp_path: Path) -> None:
    """A host of each dialect, as people write it: where it is asked, with which header."""
    path = tmp_path / "hedgerow.yaml"
    path.write_text("""\
providers:
  groq:      {dialect: openai,    base_url: https://api.groq.com/openai/v1,  api_key: ${GROQ}}
  together:  {dialect: openai,    base_url: https://api.together.xyz/v1,     api_key: ${TOGETHER}}
  claude:    {dialect: anthropic, base_url: https://api.anthropic.com/v1,    api_key: ${ANTHROPIC}}
  bedrock:   {dialect: litellm,   litellm_provider: bedrock}
models:
  llama-3.3-70b:
    offers:
      - {provider: groq,     model: llama-3.3-70b-versatile}
      - {provider: together, model: meta-llama/Llama-3.3-70B-Instruct-Turbo}
routing:  {ttft_ms_p95_max: 2000, attempts: 3, first_byte_timeout: 20s, stream_rescue: error}
""")
    environ = {"GROQ": "sk-g", "TOGETHER": "sk-t", "ANTHROPIC": "sk-a"}
    found = providers(load_config(path, environ))
    asked_as = {
        name: (one.url(Endpoint.CHAT), one.key_header, one.accounts[0].api_key)
        for name, one in found.items()
    }
    assert asked_as == {
        "groq": ("https://api.groq.com/openai/v1/chat/completions", "Authorization", "sk-g"),
        "together": ("https://api.together.xyz/v1/chat/completions", "Authorization", "sk-t"),
        "claude": ("https://api.anthropic.com/v1/chat/completions", "x-api-key", "sk-a"),
        "bedrock": ("litellm://bedrock/chat/completions", "Authorization", None),
    }
    assert Endpoint.CHAT not in found["claude"].endpoints, "it is translated"
    assert found["groq"].endpoints == PRESETS["groq"].endpoints


def test_openai_by_its_url() -> None:
    """A host by its URL and a key: bearer, asked for all that the OpenAI wire has."""
    provider = asked("{dialect: openai, base_url: http://h:1/v1/, api_key: sk}")
    assert provider == Provider("p", "http://h:1/v1", (Account("main", "sk"),))
    assert provider.endpoints == OPENAI_WIRE
    headers = provider.headers_for(provider.accounts[0], "application/json")
    assert headers["Authorization"] == "Bearer sk"


def test_anthropic_by_its_url() -> None:
    """Anthropic's API at any host: its header for the key, its version, its two endpoints."""
    provider = asked("{dialect: anthropic, base_url: http://h:1/v1, api_key: sk}")
    headers = provider.headers_for(provider.accounts[0], "application/json")
    assert (headers["x-api-key"], headers["anthropic-version"]) == ("sk", "2023-06-01")
    assert "Authorization" not in headers
    assert provider.endpoints == {Endpoint.MESSAGES, Endpoint.COUNT_TOKENS}
    assert provider.url(Endpoint.MESSAGES) == "http://h:1/v1/messages"


def test_litellm() -> None:
    """A provider of litellm's: its name as a URL, its parameters as one header in ASCII."""
    written = "{dialect: litellm, litellm_provider: bedrock, litellm_params: {k: 'é\n\"'}}"
    provider = asked(written)
    assert provider.url(Endpoint.CHAT) == "litellm://bedrock/chat/completions"
    assert provider.headers == {"x-litellm-params": '{"k": "\\u00e9 \\""}'}
    assert provider.accounts == (Account("main", None),)
    assert Endpoint.CHAT in provider.endpoints
    assert Endpoint.MESSAGES not in provider.endpoints
    plain = asked("{dialect: litellm, litellm_provider: vertex_ai}")
    assert plain.headers == {}


def test_litellm_is_asked_for_what_its_process_has() -> None:
    """Each endpoint is one of its functions', and none of them is left out."""
    assert litellm_call.FUNCTIONS.keys() == LITELLM_WIRE


# Presets


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_enough(name: str) -> None:
    """With a preset's name alone, as `preset` or as the provider's own, the rest is filled in."""
    known = PRESETS[name]
    more = "" if known.base_url else f", base_url: {known.own_base_url}"
    provider = asked(f"{{preset: {name}{more}, api_key: sk}}")
    assert provider.base_url == (known.base_url or known.own_base_url)
    assert provider.endpoints == known.endpoints
    assert provider.max_tokens_field == known.max_tokens_field
    assert (provider.paths, provider.prefill) == (known.paths, known.prefill)
    headers = provider.headers_for(provider.accounts[0], "application/json")
    assert headers[known.key_header] == f"{known.key_prefix}sk"
    assert known.headers.items() <= headers.items()
    if known.base_url:
        by_name = asked("{api_key: sk}", name=name)
        assert by_name == asked(f"{{preset: {name}, api_key: sk}}", name=name)


@pytest.mark.parametrize("known", PRESETS.values(), ids=lambda known: known.name)
def test_a_presets_url_means_the_preset(known: Preset) -> None:
    """A base URL that is a preset's, with a slash at its end or without, is that host."""
    if known.base_url is None:
        return
    for written in (
        f"{{base_url: {known.base_url}}}",
        f"{{dialect: {known.dialect}, base_url: {known.base_url}/}}",
    ):
        assert load(written).providers["p"].known == known
    other = "anthropic" if known.dialect == "openai" else "openai"
    assert load(f"{{dialect: {other}, base_url: {known.base_url}}}").providers["p"].known is None


def test_a_name_is_no_preset_beside_a_url_or_a_dialect() -> None:
    """`groq` with a URL of its own is only called so."""
    provider = asked("{base_url: http://h/v1}", name="groq")
    assert (provider.base_url, provider.endpoints) == ("http://h/v1", OPENAI_WIRE)


def test_what_is_written_goes_before_the_preset() -> None:
    """Every key of a provider overrides what its preset knows; headers one by one."""
    provider = asked(
        "{preset: anthropic, base_url: http://h/v1, endpoints: [messages],"
        " headers: {Anthropic-Version: '2024-01-01', X-Team: a b}, query: {a: 'x y', b: '1'},"
        " max_tokens_field: max_completion_tokens, api_key: sk}"
    )
    assert provider.endpoints == {Endpoint.MESSAGES}
    assert provider.headers == {"Anthropic-Version": "2024-01-01", "X-Team": "a b"}
    assert provider.url(Endpoint.MESSAGES) == "http://h/v1/messages?a=x+y&b=1"
    assert provider.max_tokens_field == "max_completion_tokens"
    assert provider.key_header == "x-api-key"


@pytest.mark.parametrize(
    ("preset", "written", "sent"),
    [
        (
            "fireworks",
            "llama-v3p3-70b-instruct",
            "accounts/fireworks/models/llama-v3p3-70b-instruct",
        ),
        ("fireworks", "accounts/me/models/mine", "accounts/me/models/mine"),
        ("fireworks", "nomic-ai/nomic-embed-text-v1.5", "nomic-ai/nomic-embed-text-v1.5"),
        ("gemini", "models/gemini-2.5-flash", "gemini-2.5-flash"),
        ("gemini", "gemini-2.5-flash", "gemini-2.5-flash"),
        ("groq", "openai/gpt-oss-20b", "openai/gpt-oss-20b"),
    ],
)
def test_models_are_named_as_the_host_names_them(preset: str, written: str, sent: str) -> None:
    """Where names follow a rule, the short form of a name is that model."""
    (offer,) = load(f"{{preset: {preset}}}", model=written).models["m"].offers
    assert offer.model == sent


def test_two_forms_of_a_name_are_one_offer(tmp_path: Path) -> None:
    """The same model of the same host, once in short and once in full, stands twice."""
    path = tmp_path / "hedgerow.yaml"
    path.write_text("""\
providers: {gemini: {}}
models:
  m:
    offers:
      - {provider: gemini, model: gemini-2.5-flash}
      - {provider: gemini, model: models/gemini-2.5-flash}
""")
    with pytest.raises(ConfigInvalid, match=r"offers\[1\]: the same offer stands in line 5"):
        load_config(path, {})


def test_price_file_names() -> None:
    """Offers are priced by a preset's names in the price file, or by the one that is written."""
    cohere = load("{preset: cohere}").providers["p"]
    assert cohere.litellm_provider == "cohere"
    assert cohere.litellm_names == ("cohere", "cohere_chat")
    other = load("{preset: cohere, litellm_provider: bedrock}").providers["p"]
    assert other.litellm_names == ("bedrock",)
    assert load("{base_url: http://h/v1}").providers["p"].litellm_names == ()


# Keys


def test_the_usual_variable() -> None:
    """Without a key, the preset's variable holds it; what is written goes first."""
    environ = {"GROQ_API_KEY": "sk-env"}
    assert asked("{preset: groq}", environ).accounts == (Account("main", "sk-env"),)
    assert asked("{}", environ, "groq").accounts == (Account("main", "sk-env"),)
    assert asked("{preset: groq, api_key: sk}", environ).accounts == (Account("main", "sk"),)
    assert asked("{preset: groq}", {"GROQ_API_KEY": ""}).accounts == (Account("main", None),)


@given(st.sampled_from([one for one in PRESETS.values() if one.key_variable and one.base_url]))
def test_the_usual_key_goes_to_no_other_host(known: Preset) -> None:
    """The environment's key is for the preset's own host: at another URL none is sent."""
    environ = {str(known.key_variable): "sk-env"}
    own = f"{{preset: {known.name}, base_url: {known.base_url}/}}"
    assert asked(own, environ).accounts[0].api_key == "sk-env"
    other = f"{{preset: {known.name}, base_url: http://elsewhere/v1}}"
    assert asked(other, environ).accounts[0].api_key is None


def test_several_accounts() -> None:
    """Each with a key and limits of its own; the usual variable is not looked at."""
    provider = asked(
        "{preset: groq, accounts: [{name: a, api_key: ka, parallel: 5}, "
        "{name: b, api_key: ${B}, requests_per_minute: 60}]}",
        {"B": "kb", "GROQ_API_KEY": "sk-env"},
    )
    assert provider.accounts == (Account("a", "ka", 5, None), Account("b", "kb", None, 60))


def test_no_secret_is_ever_shown() -> None:
    """Keys, headers and parameters are in no repr of the configuration."""
    config = load(
        "{dialect: litellm, litellm_provider: x, headers: {X-Key: confidential}, "
        "litellm_params: {k: confidential}, accounts: [{name: a, api_key: confidential}]}"
    )
    assert "confidential" not in repr(config)
    assert "confidential" not in repr(load("{preset: groq}", {"GROQ_API_KEY": "confidential"}))


# What is wrong


@pytest.mark.parametrize(
    ("written", "name", "says"),
    [
        ("{preset: gorq}", "p", 'p.preset: no preset is called "gorq"; did you mean "groq"?'),
        ("{preset: zzz}", "p", "write one of openai, groq, "),
        ("{api_key: k}", "p", "p.base_url: is missing; write, for example, base_url: https://"),
        ("{dialect: openai}", "groq", "groq.base_url: is missing; write, for example, base_url: "),
        ("{dialect: openai}", "groq", ", or preset: groq alone"),
        ("{preset: azure}", "p", "base_url: https://RESOURCE.openai.azure.com/openai/v1"),
        ("{}", "azure", "azure.base_url: is missing"),
        ("{preset: groq, dialect: anthropic}", "p", "p.dialect: the preset groq speaks openai"),
        ("{preset: groq, dialect: litellm, litellm_provider: x}", "p", "p.preset: goes with no"),
        ("{dialect: litellm, litellm_provider: x, base_url: http://h/v1}", "p", "p.base_url: goes"),
        ("{dialect: litellm}", "p", "p.litellm_provider: is missing; write, for example, litellm_"),
        ("{dialect: litellm, litellm_provider: a/b}", "p", "p.litellm_provider: is no provider"),
        (
            "{preset: groq, litellm_params: {a: b}}",
            "p",
            "p.litellm_params: are for dialect litellm",
        ),
        ("{preset: groq, api_key: k, accounts: [{name: a}]}", "p", "p.accounts: stand beside an"),
        ("{preset: groq, accounts: []}", "p", "p.accounts: is empty; write at least 1"),
        ("{preset: groq, accounts: [{name: a}, {name: a}]}", "p", "p.accounts[1].name: an account"),
        ("{preset: groq, accounts: [{api_key: k}]}", "p", "p.accounts[0].name: is missing"),
        ("{preset: groq, accounts: [{name: a, paralel: 1}]}", "p", 'did you mean "parallel"?'),
        (
            "{preset: groq, endpoints: [chat]}",
            "p",
            'p.endpoints[0]: "chat" is not supported; did you mean "chat/completions"?',
        ),
        (
            "{preset: groq, endpoints: [audio]}",
            "p",
            'mean "audio/speech" or "audio/transcriptions" or "audio/translations"?',
        ),
        ("{preset: groq, endpoints: [embedings]}", "p", 'did you mean "embeddings"?'),
        ("{preset: groq, endpoints: [x]}", "p", "write chat/completions, completions, "),
        ("{}", "groqq", 'groqq: no preset is called "groqq"; did you mean "groq"?'),
        ("{api_key: k}", "groqq", "for a name of your own write preset: groq"),
        ("{dialect: openai}", "groqq", "groqq.base_url: is missing"),
        ("{}", "zzz", "zzz.base_url: is missing"),
        ("{preset: groq, endpoints: []}", "p", "p.endpoints: is empty"),
        ("{preset: groq, headers: {Host: h}}", "p", "p.headers.Host: is a header that Hedgerow"),
        (
            "{preset: groq, headers: {X-LiteLLM-Secret: h}}",
            "p",
            "Secret: is a header that Hedgerow",
        ),
        ("{preset: groq, headers: {a b: h}}", "p", 'p.headers."a b": is no name of an HTTP header'),
        ('{preset: groq, headers: {a: "b\\n"}}', "p", "p.headers.a: is empty, or has line ends"),
        ("{preset: groq, api_key: k, headers: {authorization: b}}", "p", "is the header that the"),
        (
            "{preset: azure, base_url: http://h, api_key: k, headers: {API-Key: b}}",
            "p",
            "API-Key: is",
        ),
        ("{base_url: http://h/v1/messages/count_tokens}", "p", 'write "http://h/v1"'),
        ("{base_url: http://h/v1/audio/speech/}", "p", "ends with /audio/speech, which is added"),
    ],
)
def test_bad_provider(written: str, name: str, says: str) -> None:
    """One mistake is one error, at its path, that says what to write."""
    (error,) = errors_of(written, name=name)
    assert says in error


def test_a_variable_that_holds_no_key() -> None:
    """A usual variable with spaces in it is named, and its value is not."""
    (error,) = errors_of("{preset: groq}", {"GROQ_API_KEY": "my secret"})
    assert error.startswith("p.api_key: the environment variable GROQ_API_KEY holds no key")
    assert "secret" not in error
    provider = asked("{preset: groq, api_key: k}", {"GROQ_API_KEY": "my secret"})
    assert provider.accounts == (Account("main", "k"),)


def test_headers_may_carry_another_kind_of_key() -> None:
    """Without a key, an operator's own Authorization is sent as it is."""
    provider = asked("{base_url: http://h/v1, headers: {Authorization: Basic eDp5}}")
    headers = provider.headers_for(provider.accounts[0], "application/json")
    assert headers["Authorization"] == "Basic eDp5"


def test_two_keys_in_one_header() -> None:
    """A header for the key beside a key is an error, also where that comes from the environment."""
    written = "{preset: groq, headers: {authorization: Basic eDp5}}"
    (error,) = errors_of(written, {"GROQ_API_KEY": "sk"})
    assert error.startswith("p.headers.authorization: is the header that the key is in")
    assert asked(written).headers == {"authorization": "Basic eDp5"}


@pytest.mark.parametrize(
    ("written", "key_header"),
    [
        ("{dialect: anthropic, base_url: http://h/v1", "x-api-key"),
        ("{preset: azure, base_url: http://h/v1", "api-key"),
    ],
)
def test_authorization_beside_a_key(written: str, key_header: str) -> None:
    """Where the key is in another header, too, they are an error; two headers are none."""
    (error,) = errors_of(f"{written}, api_key: k, headers: {{Authorization: Basic eDp5}}}}")
    says = f"p.headers.Authorization: stands beside a key, which is sent as {key_header}; take one"
    assert error.startswith(says)
    both = {"Authorization": "Basic eDp5", key_header: "k"}
    sent = asked(f"{written}, headers: {{Authorization: Basic eDp5, {key_header}: k}}}}").headers
    assert both.items() <= sent.items()


def test_a_stand_in_has_no_keys() -> None:
    """A rehearsal's stand-in keeps how a provider is priced and told a limit, and no secret."""
    config = load(
        "{preset: azure, base_url: https://x/openai/v1, accounts: [{name: a, api_key: k}],"
        " headers: {X-Key: k}}"
    )
    stand_in = config.providers["p"].stand_in("http://127.0.0.1:1/v1", "azure")
    provider = providers(config.replaced({"p": stand_in}))["p"]
    assert provider.accounts == (Account("main", None),)
    assert (provider.headers, provider.endpoints) == ({}, OPENAI_WIRE)
    assert provider.max_tokens_field == "max_completion_tokens"
    assert stand_in.litellm_names == ("azure",)


@pytest.mark.parametrize(("workers", "share"), [(1, 9), (2, 4), (3, 3), (9, 1), (64, 1)])
def test_the_limits_of_an_account_are_shared_by_workers(workers: int, share: int) -> None:
    """Rounded down, so that all together keep them, but each gets one at the least; what has no
    limit has none."""
    config = load(
        "{dialect: openai, base_url: http://h/v1, accounts: [{name: a, api_key: k, parallel: 9,"
        " requests_per_minute: 9}, {name: b, api_key: k}]}"
    )
    limited, free = providers(config, workers)["p"].accounts
    assert (limited.parallel, limited.requests_per_minute) == (share, share)
    assert (free.parallel, free.requests_per_minute) == (None, None)
