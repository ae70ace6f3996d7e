"""The demo's house: a real configuration, written to a folder where it can be read.

One open model at the providers that sell it, at the prices of the installed price file; three
teams, one of which has a budget that runs out.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.feeds import litellm
from benchmarks.feeds.reading import PricedModel
from hedgerow.errors import FolderRefused

MODEL = "llama-3.3-70b"
TEAMS = ("research", "product", "interns")
INTERNS_CAP_USD = "0.01"
"""What the interns may spend: some dozens of requests."""

_TITLE = "# The demo: sandbox providers on loopback, at the real prices of the installed file."
_SOLD_BY = (  # the first is what an application would call without a router
    ("together", "together_ai", "meta-llama/Llama-3.3-70B-Instruct-Turbo"),
    ("deepinfra", "deepinfra", "meta-llama/Llama-3.3-70B-Instruct-Turbo"),
    ("hyperbolic", "hyperbolic", "meta-llama/Llama-3.3-70B-Instruct"),
    ("nebius", "nebius", "meta-llama/Llama-3.3-70B-Instruct"),
    ("novita", "novita", "meta-llama/llama-3.3-70b-instruct"),
    ("crusoe", "crusoe", "meta-llama/Llama-3.3-70B-Instruct"),
    ("nscale", "nscale", "meta-llama/Llama-3.3-70B-Instruct"),
    ("sambanova", "sambanova", "Meta-Llama-3.3-70B-Instruct"),
    ("cerebras", "cerebras", "llama-3.3-70b"),
)


def write_config(folder: Path) -> Path:
    """Write hedgerow.yaml and its policy; the path of the first.

    The providers' URLs are of no host at all: the rehearsal puts sandbox providers in their place.
    Raises FolderRefused, MarketError.
    """
    prices = litellm.read_installed()
    sold = [
        (name, provider, known)
        for name, provider, model in _SOLD_BY
        if (known := prices.find(provider, model)) is not None and known.rates is not None
    ]
    path = folder / "hedgerow.yaml"
    policies = folder / "policies"
    try:
        if path.exists() and not path.read_text(encoding="utf-8").startswith(_TITLE):
            raise FolderRefused(f"{path} is not the demo's, and stays: name another --folder")
        policies.mkdir(parents=True, exist_ok=True)
        path.write_text(_config(sold), encoding="utf-8")
        (policies / "demo.yaml").write_text(_POLICY, encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FolderRefused(
            f"cannot write the demo's files to {folder}: {error}; name another --folder"
        ) from error
    return path


def _config(sold: list[tuple[str, str, PricedModel]]) -> str:
    lines = [_TITLE, 'ledger: {url: "sqlite:///demo.db"}', "providers:"]
    lines += [
        f"  {name}: {{dialect: openai, base_url: http://{name}.invalid/v1,"
        f" litellm_provider: {provider}}}"
        for name, provider, _ in sold
    ]
    lines += ["models:", f"  {MODEL}:", "    offers:"]
    lines += [f"      - {{provider: {name}, model: {known.model}}}" for name, _, known in sold]
    lines += ["policies: [policies/*.yaml]", ""]
    return "\n".join(lines)


_POLICY = f"""\
budgets:
  - {{name: everyone, scope: {{}}, window: month, cap_usd: 100}}
  - {{name: team-month, scope: {{team: "*"}}, window: month, cap_usd: 50}}
  - {{name: interns-day, scope: {{team: interns}}, window: day, cap_usd: {INTERNS_CAP_USD}}}
"""
