"""What LiteLLM raises, as an answer: the status says whether anything may be billed."""

from __future__ import annotations

import json
import socket
from itertools import pairwise

import aiohttp
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.litellm_fault import MESSAGE_LIMIT, fault_of

REQUEST = httpx.Request("POST", "http://provider.test/v1/chat/completions")


def raised(name: str, message: str = "", **fields: object) -> Exception:
    """As LiteLLM's own classes are: a message and a status, and what else they carry."""
    error = type(name, (Exception,), {"message": message} | fields)(message)
    assert isinstance(error, Exception)
    return error


def answered(status: int, **headers: str) -> Exception:
    """The provider's own answer, as the HTTP client raises it."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    response = httpx.Response(status, headers=named, request=REQUEST)
    return httpx.HTTPStatusError("no", request=REQUEST, response=response)


def chained(*errors: BaseException) -> Exception:
    """The first, raised because of the second, and so on."""
    for error, cause in pairwise(errors):
        error.__cause__ = cause
    first = errors[0]
    assert isinstance(first, Exception)
    return first


OURS = raised("InternalServerError", "litellm.InternalServerError: oh", status_code=500)
KEY = aiohttp.client_reqrep.ConnectionKey("provider.test", 443, True, True, None, None, None)


@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize(
    ("chain", "status"),
    [
        ([raised("BadRequestError", status_code=400)], 400),
        ([raised("RateLimitError", status_code=429), answered(429)], 429),
        ([raised("Timeout", status_code=408), answered(408)], 408),
        ([raised("InternalServerError", status_code=500), answered(503)], 503),
        ([raised("APIError", status_code=200), answered(302)], 502),
        ([raised("LiteLLMUnknownProvider", status_code=400)], 404),
        ([raised("BadRequestError", status_code=400), ModuleNotFoundError("google")], 501),
        ([OURS, httpx.ConnectError(""), ConnectionRefusedError()], 503),
        ([OURS, httpx.ConnectError(""), aiohttp.ClientConnectorError(KEY, OSError())], 503),
        ([OURS, httpx.ConnectTimeout("")], 503),
        ([OURS, socket.gaierror()], 503),
        ([OURS, httpx.ConnectError(""), aiohttp.ClientOSError(104, "reset")], 504),
        ([OURS, httpx.ReadError("")], 504),
        ([raised("Timeout", status_code=408), httpx.ReadTimeout("")], 504),
        ([OURS, TimeoutError()], 504),
    ],
)
def test_the_status_of_a_chain(chain: list[BaseException], status: int, asked: bool) -> None:
    """What the provider answered, what LiteLLM refused to ask, what could not be sent; and 504
    wherever the provider may have been at work."""
    assert fault_of(chained(*chain), asked=asked).status == status


@given(st.sampled_from([ValueError, KeyError, TypeError, AttributeError, RuntimeError]))
def test_what_litellm_does_wrong_by_itself(kind: type[Exception]) -> None:
    """After it asked, any fault of its own may be billed; before, none can be, and the operator
    should hear of it."""
    error = raised("APIConnectionError", "litellm.APIConnectionError: oh", status_code=500)
    error.__context__ = kind("oh")
    assert fault_of(error, asked=True).status == 504
    before = fault_of(error, asked=False)
    assert (before.status, before.setup) == (500, True)


@pytest.mark.parametrize(
    "wrapped",
    [
        "litellm.RateLimitError: RateLimitError: Hosted_vllmException - {}",
        "litellm.BadRequestError: Vertex_aiException BadRequestError - {}",
        "litellm.Timeout: APITimeoutError - {}",
        "litellm.UnsupportedParamsError: {}. To drop these, set `litellm.drop_params=True`",
        "litellm.APIConnectionError: {}\nTraceback (most recent call last):\n  File secret.py",
        "{}",
    ],
)
def test_plain_words_are_unwrapped(wrapped: str) -> None:
    """Who caught and raised it again is nobody's concern, nor is where in LiteLLM."""
    found = fault_of(raised("AnyError", wrapped.format("slow down")), asked=False)
    assert found.message.rstrip(".") == "slow down"


@given(
    st.text(min_size=1), st.sampled_from([None, "messages"]), st.sampled_from([None, "too_long"])
)
def test_a_providers_error_is_passed_on(text: str, param: str | None, code: str | None) -> None:
    """Whatever it says, in JSON in the middle of LiteLLM's message: its own words, param, code."""
    said = json.dumps({"error": {"message": text, "type": "t", "param": param, "code": code}})
    wrapped = f"litellm.BadRequestError: BadRequestError: XException - b'{said}'"
    found = fault_of(raised("BadRequestError", wrapped, status_code=400), asked=True)
    assert found.message == text[:MESSAGE_LIMIT]
    assert (found.param, found.code) == (param, code)


@given(st.text(), st.booleans())
def test_an_error_is_always_whole(message: str, asked: bool) -> None:
    """Whatever was raised, with any text: an error status, four keys, something said, bounded."""
    found = fault_of(raised("OddError", message, status_code="?"), asked=asked)
    error = json.loads(found.body())["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert 0 < len(error["message"]) <= MESSAGE_LIMIT
    assert 400 <= found.status < 600


def test_when_to_come_back() -> None:
    """It stands in the provider's answer, however deep in the chain, or beside LiteLLM's error;
    other headers of it are not passed on."""
    limited = raised("RateLimitError", status_code=429)
    found = fault_of(chained(limited, answered(429, retry_after="7", x_other="1")), asked=True)
    assert found.headers == {"retry-after": "7"}
    beside = raised(
        "RateLimitError", status_code=429, litellm_response_headers={"retry-after-ms": "250"}
    )
    assert fault_of(beside, asked=True).headers == {"retry-after-ms": "250"}
