"""Images: as many as were painted are charged, and no image has more tokens than were held."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.offers import Task
from ledger.money import usd
from ledger.usage import TokenUsage
from proxy.errors import Invalid
from proxy.wires.images import OWN_WORDS, ImagesWire, most_image_tokens
from proxy.wires.wire import Plain
from tests.proxy.wire_clients import talk

WIRE = ImagesWire()
JSON = "application/json"


def raw(body: object) -> bytes:
    return json.dumps(body).encode()


def ask(**fields: Any) -> Any:
    return WIRE.ask(raw({"model": "m", "prompt": "a cat"} | fields), JSON)


@pytest.mark.parametrize(
    ("quality", "size", "tokens"),
    [
        # gpt-image-1, -1-mini, -1.5: OpenAI's table
        ("low", "1024x1024", 272),
        ("low", "1024x1536", 408),
        ("low", "1536x1024", 400),
        ("medium", "1024x1024", 1056),
        ("medium", "1024x1536", 1584),
        ("medium", "1536x1024", 1568),
        ("high", "1024x1024", 4160),
        ("high", "1024x1536", 6240),
        ("high", "1536x1024", 6208),
        # gpt-image-2: what OpenAI's calculator says
        ("high", "1024x1024", 7024),
        ("high", "1536x1024", 5488),
        ("high", "1792x1024", 5063),
        ("high", "3584x2048", 12329),
        # gpt-image-1.5, as seen in an answer: 209 of these are text
        ("low", "1024x1024", 481),
    ],
)
def test_no_published_count_is_above_the_bound(quality: str, size: str, tokens: int) -> None:
    """For the size itself; and for `auto`, which chooses among the three of these models."""
    own_words = 209 if tokens == 481 else 0
    assert most_image_tokens(size, quality) - OWN_WORDS >= tokens - own_words
    assert own_words <= OWN_WORDS
    if tokens <= 7024:
        assert most_image_tokens("auto", quality) >= tokens


@pytest.mark.parametrize(("size", "tokens"), [("1024x1024", 7024), ("3584x2048", 12329)])
def test_large_images_are_counted_as_the_calculator_does(size: str, tokens: int) -> None:
    """Where gpt-image-2 is the dearest, the bound is its own count to the token."""
    assert most_image_tokens(size, "high") == tokens + OWN_WORDS


@given(st.none() | st.text() | st.from_regex(r"\A\d{1,6}x\d{1,6}\Z"), st.none() | st.text())
def test_what_is_not_known_counts_as_the_dearest(size: str | None, quality: str | None) -> None:
    """Other qualities (`hd`, `auto`, none) are held as high, other sizes as a square."""
    most = most_image_tokens(size, quality)
    assert most >= most_image_tokens(size, "low") >= 408
    if quality not in ("low", "medium"):
        assert most >= 6240


@given(st.integers(1, 10) | st.none())
def test_every_image_is_held(n: int | None) -> None:
    """By the image, and by its tokens."""
    asked = ask(n=n, size="1024x1024", quality="low")
    assert asked.task is Task.IMAGE
    assert asked.units == asked.choices == (n or 1)
    assert asked.most_completion_tokens == most_image_tokens("1024x1024", "low")


@pytest.mark.parametrize(
    "extra",
    [
        {"stream": True},
        {"partial_images": 2},
        {"num_images": 4},
        {"batch_size": 4},
        {"sequential_image_generation": "auto"},
    ],
    ids=str,
)
def test_more_than_n_images_are_refused(extra: dict[str, Any]) -> None:
    """Unfinished images are billed by tokens of their own; other counts may be larger than `n`."""
    with pytest.raises(Invalid) as refused:
        ask(**extra)
    assert (refused.value.code, refused.value.param) == ("unpriced_feature", next(iter(extra)))


def test_defaults_may_be_said() -> None:
    """A client that says them asks for nothing more."""
    said = ask(stream=False, partial_images=0, num_images=None)
    assert (said.stream, said.units) == (False, 1)


USAGE = {
    "input_tokens": 13,
    "input_tokens_details": {"image_tokens": 0, "text_tokens": 13},
    "output_tokens": 481,
    "output_tokens_details": {"image_tokens": 272, "text_tokens": 209},
    "total_tokens": 494,
}


def test_the_official_client_sends_and_reads_images() -> None:
    """Tokens where they are named, with the images that came beside them."""
    told = WIRE.with_cost(
        raw({"created": 1, "data": [{"b64_json": "AA=="}], "usage": USAGE}), usd("0.25")
    )
    sent, made = talk(
        lambda client: client.images.generate(
            model="m", prompt="a cat", n=2, size="1024x1024", quality="low"
        ),
        told,
    )
    assert made.usage is not None
    assert made.usage.model_dump()["cost"] == 0.25
    assert made.data is not None
    assert made.data[0].b64_json == "AA=="
    plain = WIRE.plain(told, sent.ask())
    assert plain == Plain(TokenUsage(13, 481, units=1))


@given(st.integers(0, 4))
def test_an_answer_that_names_no_tokens_is_counted_by_its_images(images: int) -> None:
    """Its tokens are unknown; who has to estimate them finds the most that so many can have."""
    asked = ask(n=4)
    plain = WIRE.plain(raw({"created": 1, "data": [{"url": "http://a/b"}] * images}), asked)
    assert plain is not None
    assert plain.usage == TokenUsage(None, None, units=images)
    assert plain.text_bytes == 4 * images * asked.most_completion_tokens


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        (
            {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
            TokenUsage(1, 2, units=1),
        ),
        ({"generated_images": 1, "output_tokens": 4096}, TokenUsage(None, None, units=1)),
        ({"input_tokens": 0, "output_tokens": 0}, TokenUsage(0, 0, units=1)),
        ("free", TokenUsage(None, None, units=1)),
    ],
    ids=str,
)
def test_usage_is_read_in_the_forms_that_hosts_have(usage: Any, counted: TokenUsage) -> None:
    """OpenAI's, a chat's, or one that says too little."""
    plain = WIRE.plain(raw({"data": [{}], "usage": usage}), ask())
    assert plain is not None
    assert plain.usage == counted


@pytest.mark.parametrize("body", [b"", b"[]", b'{"data":null}', b'{"error":{"message":"no"}}'])
def test_an_answer_without_images_is_none(body: bytes) -> None:
    """A 200 that has no list of images is nonsense."""
    assert WIRE.plain(body, ask()) is None
