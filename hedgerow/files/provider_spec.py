"""Providers as they are written, and with what is known of them filled in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator

from hedgerow.files.config_errors import wrong
from hedgerow.files.settings import (
    BaseUrl,
    Count,
    HeaderName,
    HeaderValue,
    Name,
    Parameter,
    Part,
    PresetName,
    Secret,
    Text,
)
from proxy.endpoints import Endpoint
from proxy.presets import PRESETS, Preset, preset_at
from proxy.providers import MaxTokensField


class DataPolicy(Part):
    """What becomes of what a provider is sent. Requests with `provider.data_collection: deny`, or
    with `provider.zdr`, go only where it is known."""

    may_train: bool | None = Field(
        None,
        description="Whether it may train on what it is sent, or keep it for that; when not given,"
        " nobody knows",
        examples=["false"],
    )
    keeps_nothing: bool | None = Field(
        None,
        description="Whether it keeps nothing of it (zero data retention); when not given, nobody"
        " knows",
        examples=["true"],
    )

    @model_validator(mode="after")
    def _trains_on_nothing(self) -> Self:
        if self.may_train and self.keeps_nothing:
            raise wrong(
                "has both may_train and keeps_nothing",
                "keep the one that is true: nobody can train on what he does not keep",
            )
        return self

    def over(self, usual: DataPolicy | None) -> DataPolicy:
        """With what this does not say from `usual`, unless the two contradict each other; who keeps
        nothing trains on nothing."""
        usual = usual or DataPolicy()
        may_train = usual.may_train if self.may_train is None else self.may_train
        keeps_nothing = usual.keeps_nothing if self.keeps_nothing is None else self.keeps_nothing
        if self.may_train:
            keeps_nothing = False
        return DataPolicy(
            may_train=False if keeps_nothing else may_train, keeps_nothing=keeps_nothing
        )


class AccountSpec(Part):
    """One of our accounts at a provider."""

    name: Name = Field(
        description="What logs and the books call it; once for each provider", examples=["team-a"]
    )
    api_key: Secret | None = Field(
        None, description="Its key; without one none is sent", examples=["${GROQ_KEY_A}"]
    )
    parallel: Count | None = Field(
        None,
        description="The most requests that it may have under way at once; each worker has its"
        " share. When not given, there is no limit",
        examples=["50"],
    )
    requests_per_minute: Count | None = Field(
        None,
        description="The most requests that may begin in a minute; each worker has its share."
        " When not given, there is no limit",
        examples=["600"],
    )


MAIN_ACCOUNT = "main"
"""The name of a provider's account where it has only one."""

Dialect: TypeAlias = Literal["openai", "anthropic", "litellm"]


class ProviderSpec(Part):
    """One upstream API, as written."""

    preset: PresetName | None = Field(
        None,
        description="A host that Hedgerow knows, from docs/providers.md; also meant where the"
        " provider's own name is a preset's and there is neither `dialect` nor `base_url`, and"
        " where `base_url` is a preset's",
        examples=["groq"],
    )
    dialect: Dialect | None = Field(
        None,
        description="The API that it speaks: `openai`, `anthropic`, or `litellm` for one that the"
        " installed litellm package speaks to; when not given, the preset's, else `openai`",
        examples=["openai"],
    )
    base_url: BaseUrl | None = Field(
        None,
        description="Its URL up to and with the version, without /chat/completions; when not"
        " given, the preset's. With `dialect: litellm` there is none",
        examples=["https://api.groq.com/openai/v1"],
    )
    api_key: Secret | None = Field(
        None,
        description="Our key there; when not given, the value of the preset's environment variable"
        " if that is set and `base_url` is the preset's; without one none is sent",
        examples=["${GROQ_API_KEY}"],
    )
    accounts: tuple[AccountSpec, ...] | None = Field(
        None,
        min_length=1,
        max_length=100,
        description="Several accounts there, instead of `api_key`: requests are spread over them,"
        " and one that is refused leaves them to the others",
        examples=["[{name: team-a, api_key: ${GROQ_KEY_A}, requests_per_minute: 600}]"],
    )
    endpoints: frozenset[Endpoint] | None = Field(
        None,
        min_length=1,
        description="All that it speaks itself; what is not among them is translated, or not asked"
        " of it. When not given, what the preset or the dialect has",
        examples=["[chat/completions, embeddings]"],
    )
    headers: Mapping[HeaderName, HeaderValue] = Field(
        {},
        description="Sent with every request, besides the key",
        examples=["{OpenAI-Project: team/project}"],
    )
    query: Mapping[Name, Text] = Field(
        {},
        description="Put after every URL; URLs are no place for secrets",
        examples=["{api-version: 2024-10-21}"],
    )
    litellm_provider: Name | None = Field(
        None,
        description="What litellm calls it: in its price file, if that is not its preset's or its"
        " name here, and as whom to speak to with `dialect: litellm`, which needs it",
        examples=["groq"],
    )
    litellm_params: Mapping[Name, Parameter] = Field(
        {},
        description="Parameters of litellm's, for `dialect: litellm`",
        examples=["{aws_region_name: eu-central-1}"],
    )
    data: DataPolicy | None = Field(
        None,
        description="What becomes of what it is sent; an offer may say otherwise",
        examples=["{may_train: false}"],
    )
    max_tokens_field: MaxTokensField | None = Field(
        None,
        description="The request field that limits the output, under which every limit is sent;"
        " when not given, the preset's, else `max_completion_tokens` at OpenAI and Azure OpenAI,"
        " `max_tokens` elsewhere",
        examples=["max_tokens"],
    )


class Provider(ProviderSpec):
    """One upstream API, with what its preset and its dialect know filled in.

    base_url: `litellm://NAME` for one that litellm speaks to. accounts: at least one.
    """

    dialect: Dialect
    base_url: str
    accounts: tuple[AccountSpec, ...]

    @property
    def known(self) -> Preset | None:
        return PRESETS[self.preset] if self.preset else None

    @property
    def output_limit_field(self) -> MaxTokensField:
        """The request field that limits the output: the one given, or what the host takes."""
        if self.max_tokens_field:
            return self.max_tokens_field
        if self.known:
            return self.known.max_tokens_field
        host = urlsplit(self.base_url).hostname or ""
        is_openai = host == "api.openai.com" or host.endswith(".openai.azure.com")
        return "max_completion_tokens" if is_openai else "max_tokens"

    @property
    def litellm_names(self) -> tuple[str, ...]:
        """Its names in LiteLLM's price file that are known, the likeliest first."""
        if self.litellm_provider is None:
            return ()
        known = self.known.litellm_providers if self.known else ()
        return known if self.litellm_provider in known else (self.litellm_provider,)

    def stand_in(self, base_url: str, litellm_provider: str | None) -> Provider:
        """One that speaks OpenAI's API at another URL: priced as this one, without its keys."""
        return Provider(
            dialect="openai",
            base_url=base_url,
            accounts=(AccountSpec(name=MAIN_ACCOUNT, api_key=None),),
            litellm_provider=litellm_provider,
            max_tokens_field=self.output_limit_field,
        )


def filled_in(name: str, spec: ProviderSpec, environ: Mapping[str, str]) -> Provider:
    """The provider with what is known of it filled in."""
    known = preset_of(name, spec.preset, spec.dialect, spec.base_url)
    dialect = spec.dialect or (known.dialect if known else "openai")
    usual = known.litellm_providers if known else ()
    key = spec.api_key
    if key is None and known and (text := usual_key(known, spec.base_url, environ)):
        key = SecretStr(text)
    base_url = spec.base_url or (known.base_url if known else None)
    more = {
        "preset": known.name if known else None,
        "dialect": dialect,
        "base_url": f"litellm://{spec.litellm_provider}" if dialect == "litellm" else base_url,
        "api_key": key,
        "accounts": spec.accounts or (AccountSpec(name=MAIN_ACCOUNT, api_key=key),),
        "litellm_provider": spec.litellm_provider or next(iter(usual), None),
    }
    return Provider.model_validate(spec.model_dump(exclude={*more}) | more)


def preset_of(
    name: str, preset: str | None, dialect: str | None, base_url: str | None
) -> Preset | None:
    """The preset that a provider is of: the one named, that of its URL, or that of its name."""
    if preset is not None:
        return PRESETS.get(preset)
    if base_url is not None:
        known = preset_at(base_url.rstrip("/"))
        return known if known and dialect in (None, known.dialect) else None
    return PRESETS.get(name) if dialect is None else None


def usual_key(known: Preset, base_url: str | None, environ: Mapping[str, str]) -> str:
    """The key in the preset's environment variable, "" if there is none for that URL."""
    return environ.get(usual_variable(known, base_url), "")


def usual_variable(known: Preset, base_url: str | None) -> str:
    """The environment variable that is looked into for a key, "" if there is none.

    The key goes to the preset's own host only, or, where that is always an operator's, to the one
    given.
    """
    is_its_own = base_url is None or known.base_url in (None, base_url.rstrip("/"))
    return (known.key_variable or "") if is_its_own else ""
