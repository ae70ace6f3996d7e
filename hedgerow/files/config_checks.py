"""Checks across keys. They read the plain data, so that they work while other keys are wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping

from benchmarks.feeds.provider_models import SHAPES, shape_name
from hedgerow.files.config_errors import did_you_mean, nearest
from hedgerow.files.model_spec import OfferSpec
from hedgerow.files.provider_spec import ProviderSpec, preset_of, usual_key
from hedgerow.files.settings import is_key
from hedgerow.files.yaml_source import Data, Source, Steps, items_in, mapping_in, shown, text_in
from proxy.presets import ANTHROPIC, PRESETS, Preset


def _known(name: str, provider: Mapping[str, Data]) -> Preset | None:
    preset, dialect, url = (text_in(provider.get(key)) for key in ("preset", "dialect", "base_url"))
    return preset_of(name, preset, dialect, url)


_HOST = ("preset", "dialect", "base_url", "litellm_provider")


def check_providers(source: Source, environ: Mapping[str, str]) -> None:
    """Each provider can be reached, and it is clear with which keys."""
    for name, written in mapping_in(source.data.get("providers")).items():
        steps: Steps = ("providers", name)
        if not isinstance(written, dict) or steps in source.errors:
            continue
        # a key misspelt may be one of those that are looked for here
        if written.keys() <= ProviderSpec.model_fields.keys() and not any(
            (*steps, key) in source.errors for key in _HOST
        ):
            _check_host(source, steps, name, written)
        _check_accounts(source, steps, name, written, environ)


def _check_host(source: Source, steps: Steps, name: str, written: dict[str, Data]) -> None:
    dialect, known = written.get("dialect"), _known(name, written)
    if dialect == "litellm":
        for key in {"preset", "base_url"} & written.keys():
            hint = "take it out; litellm has litellm_params: {api_base: ...}"
            source.refuse((*steps, key), "goes with no provider of litellm's", hint)
        at: Steps = (*steps, "litellm_provider")
        if "litellm_provider" not in written:
            source.refuse(at, "is missing", "write, for example, litellm_provider: bedrock")
        elif not re.fullmatch(r"[A-Za-z0-9_.-]+", str(written["litellm_provider"])):
            source.refuse(at, "is no provider of litellm's", "write, for example, bedrock")
        return
    if "litellm_params" in written:
        hint = "take them out, or write dialect: litellm"
        source.refuse((*steps, "litellm_params"), "are for dialect litellm only", hint)
    if known and dialect not in (None, known.dialect):
        message = f"the preset {known.name} speaks {known.dialect}"
        source.refuse((*steps, "dialect"), message, "take the dialect out")
    if not known and not written.keys() & {*_HOST} and (near := nearest(name, PRESETS)):
        more = f"; for a name of your own write preset: {near}" if written else ""
        message = f"no preset is called {shown(name)}"
        source.refuse(steps, message, f'did you mean "{near}"?{more}')
        return
    if "base_url" not in written and not (known and known.base_url):
        url = known.own_base_url if known else "https://api.groq.com/openai/v1"
        more = f", or preset: {name} alone" if not known and name in PRESETS else ""
        hint = f"write, for example, base_url: {url}{more}"
        source.refuse((*steps, "base_url"), "is missing", hint)


def _check_accounts(
    source: Source,
    steps: Steps,
    name: str,
    written: dict[str, Data],
    environ: Mapping[str, str],
) -> None:
    known, has_key = _known(name, written), {"api_key", "accounts"} & written.keys()
    if has_key == {"api_key", "accounts"}:
        hint = "move that key into one of the accounts"
        source.refuse((*steps, "accounts"), "stand beside an api_key", hint)
    first: dict[str, int | None] = {}
    for at, account in items_in(written.get("accounts")):
        path: Steps = (*steps, "accounts", at, "name")
        if (called := text_in(account.get("name"))) is None:
            continue
        if called in first:
            message = f"an account in line {first[called]} is called so already"
            source.refuse(path, message, "give one of them another name")
        first.setdefault(called, source.line(path))
    usual = usual_key(known, text_in(written.get("base_url")), environ) if known else ""
    if usual and not has_key and not is_key(usual) and known:
        message = f"the environment variable {known.key_variable} holds no key"
        source.refuse((*steps, "api_key"), message, "set it to one, or write api_key")
    wire = known or (ANTHROPIC if written.get("dialect") == "anthropic" else None)
    key_header = wire.key_header if wire else "Authorization"
    for header in mapping_in(written.get("headers")):
        if not has_key and not usual:
            continue
        if header.lower() == key_header.lower():
            message, hint = "is the header that the key is in", "take one of them out"
            source.refuse((*steps, "headers", header), message, hint)
        elif header.lower() == "authorization":
            message = f"stands beside a key, which is sent as {key_header}"
            hint = f"take one of them out, or write both under headers: {key_header}, too"
            source.refuse((*steps, "headers", header), message, hint)


_IDENTITY = ("provider", "model", "region", "quantization", "service_tier")


def check_admin(source: Source) -> None:
    """An admin API has a key."""
    server = mapping_in(source.data.get("server"))
    if server.get("admin") is not None and "admin_key" not in server:
        hint = "add server.admin_key: ${HEDGEROW_ADMIN_KEY}"
        source.refuse(("server", "admin"), "is an address that nobody could use", hint)


def check_offers(source: Source) -> None:
    """Each offer names a provider that is there, has a price from somewhere, and stands once."""
    providers = mapping_in(source.data.get("providers"))
    has_feeds = mapping_in(source.data.get("market")).get("feeds") != []
    for name, model in mapping_in(source.data.get("models")).items():
        seen: dict[tuple[str, ...], int] = {}
        for at, offer in items_in(mapping_in(model).get("offers")):
            steps: Steps = ("models", name, "offers", at)
            # an offer with a key misspelt or a value missing may be meant to be another one
            is_clear = offer.keys() <= OfferSpec.model_fields.keys() and not any(
                (*steps, key) in source.errors for key in _IDENTITY
            )
            seller = text_in(offer.get("provider"))
            known = _known(seller, mapping_in(providers.get(seller))) if seller else None
            full = known.model_name(str(offer.get("model"))) if known else offer.get("model")
            same = tuple(str((offer | {"model": full}).get(key)) for key in _IDENTITY)
            if is_clear and (first := seen.setdefault(same, at)) != at:
                line = source.line(("models", name, "offers", first))
                source.refuse(steps, f"the same offer stands in line {line}", "keep one of them")
            provider = offer.get("provider")
            is_known = not isinstance(provider, str) or provider in providers
            if providers and not is_known:
                named = shown(source.written[*steps, "provider"])
                hint = did_you_mean(str(provider), providers) or "name one under providers"
                source.refuse((*steps, "provider"), f"no provider is called {named}", hint)
            if not has_feeds and "price" not in offer:
                hint = "write price: {input: 0.88, output: 0.88}, or feed litellm"
                source.refuse(steps, "has no price, and there are no feeds", hint)


def check_feeds(source: Source) -> None:
    """Each feed stands once; a provider's is of one that is there, and whose list has prices."""
    providers = mapping_in(source.data.get("providers"))
    seen: dict[tuple[str, str], int | None] = {}
    for at, feed in items_in(mapping_in(source.data.get("market")).get("feeds")):
        steps: Steps = ("market", "feeds", at)
        kind = str(feed.get("kind"))
        what = str(feed.get(_TOLD_APART_BY.get(kind, ""), ""))
        if (kind, what) in seen:
            message = f"the same feed stands in line {seen[kind, what]}"
            source.refuse(steps, message, "keep one of them")
        seen.setdefault((kind, what), source.line(steps))
        provider = text_in(feed.get("provider"))
        if kind != "provider" or provider is None or not providers:
            continue
        if provider not in providers:
            named = shown(source.written[*steps, "provider"])
            hint = did_you_mean(provider, providers) or "name one under providers"
            source.refuse((*steps, "provider"), f"no provider is called {named}", hint)
            continue
        written = mapping_in(providers.get(provider))
        known = _known(provider, written)
        preset, url = known.name if known else None, text_in(written.get("base_url")) or ""
        if shape_name(preset, url) is None:
            message = "its own list names no prices"
            hint = f"lists with prices: {', '.join(SHAPES)}; feed litellm knows many others"
            source.refuse((*steps, "provider"), message, hint)


_TOLD_APART_BY = {"litellm": "url", "provider": "provider", "gpu_index": "path", "prices": "path"}


def check_classes(source: Source) -> None:
    """Each class names models that are there, and have offers of their own."""
    models = mapping_in(source.data.get("models"))
    for name, model in models.items():
        written = mapping_in(model).get("any_of")
        members = written if isinstance(written, list) else []
        for at, member in enumerate(members):
            steps: Steps = ("models", name, "any_of", at)
            if not isinstance(member, str) or steps in source.errors:
                continue
            if member not in models:
                hint = did_you_mean(member, models) or "name a model of this file"
                source.refuse(steps, f"no model is called {member}", hint)
            elif "any_of" in mapping_in(models[member]):
                source.refuse(steps, f"{member} is such a class itself", "name its models instead")
            elif member in members[:at]:
                source.refuse(steps, f"{member} stands there already", "keep one of them")
