"""The page of providers and the code say the same."""

from __future__ import annotations

import re
from pathlib import Path

from hedgerow.config import load_config
from hedgerow.presets_page import page
from hedgerow.providers import providers
from proxy.presets import PRESETS

PAGE = (Path(__file__).parents[2] / "docs" / "providers.md").read_text(encoding="utf-8")


def test_the_page_is_of_today() -> None:
    """docs/providers.md is what the presets write; if not, write it anew:
    python -m hedgerow.presets_page > docs/providers.md"""
    assert page() == PAGE


def test_every_preset_is_on_it_once() -> None:
    """With a row that leads to its section, its URL, and all of its names."""
    sections = re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]
    by_title = {section.splitlines()[0]: section for section in sections}
    assert len(by_title) == len(sections)
    assert set(by_title) == {known.name for known in PRESETS.values()}
    for name, known in PRESETS.items():
        assert name == known.name or f"`{name}`" in by_title[known.name]
        anchor = re.sub(r"[^a-z0-9-]", "", known.name)
        (row,) = re.findall(
            rf"^\| \[{re.escape(known.name)}\]\(#{anchor}\) .*$", PAGE, re.MULTILINE
        )
        assert (known.base_url or known.own_base_url) in row


def test_its_example_is_a_configuration(tmp_path: Path) -> None:
    """Each provider that it shows is taken as it stands there, and is asked at the right place."""
    (example,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    path = tmp_path / "hedgerow.yaml"
    path.write_text(example + "models: {m: {offers: [{provider: groq, model: m}]}}\n")
    variables = dict.fromkeys(re.findall(r"\$\{(\w+)\}", example), "sk-1")
    found = providers(load_config(path, variables))
    assert {name: one.base_url for name, one in found.items()} == {
        "groq": "https://api.groq.com/openai/v1",
        "fast": "https://api.groq.com/openai/v1",
        "azure": "https://RESOURCE.openai.azure.com/openai/v1",
        "ours": "http://gpu-1.internal:8000/v1",
        "bedrock": "litellm://bedrock",
        "together": "https://api.together.ai/v1",
    }
    assert [account.api_key for account in found["together"].accounts] == ["sk-1", "sk-1"]
