"""Forms: what is read is what was sent, one field is replaced and nothing else, and what two
parsers could read differently is refused."""

from __future__ import annotations

from typing import Any

import aiohttp
import httpx
import pytest
import requests
from hypothesis import assume, given
from hypothesis import strategies as st

from proxy.errors import Invalid
from proxy.wires.multipart import HEAD_LIMIT, PART_LIMIT, read_form

SOUND = b"RIFF\x00\xff--b\r\n--\r\n\r\nmodel"
TYPE = "multipart/form-data; boundary=b"


def form(*parts: tuple[str, bytes], boundary: str = "b") -> bytes:
    """Parts, each with its headers and its value."""
    mark = f"--{boundary}".encode()
    lines = [mark + b"\r\n" + head.encode() + b"\r\n\r\n" + value for head, value in parts]
    return b"\r\n".join([*lines, mark + b"--\r\n"])


def field(name: str, value: bytes = b"v") -> tuple[str, bytes]:
    return f'Content-Disposition: form-data; name="{name}"', value


def file(value: bytes) -> tuple[str, bytes]:
    head = 'Content-Disposition: form-data; name="file"; filename="a;b\\"name=x.wav"'
    return f"{head}\r\nContent-Type: audio/wav", value


names = st.text(
    st.characters(exclude_characters='"%\\', exclude_categories=("Cc", "Cs")), min_size=1
)
boundaries = st.from_regex(
    r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]", fullmatch=True
)
values = st.binary(max_size=99) | st.text("-\r\nb", max_size=20).map(str.encode)
contents = st.lists(st.tuples(names, values, st.booleans()), max_size=6)


@given(boundaries, contents)
def test_what_was_written_is_what_is_read(
    boundary: str, content: list[tuple[str, bytes, bool]]
) -> None:
    """Any boundary, any names, any bytes that are not the boundary itself."""
    delimiter = f"\r\n--{boundary}".encode()
    assume(not any(delimiter in b"\r\n" + value + b"\r\n" for _, value, _ in content))
    assume(content)
    parts = [
        (f'content-disposition: form-data; name="{name}"' + ('; filename=""' * is_file), value)
        for name, value, is_file in content
    ]
    body = form(*parts, boundary=boundary)
    found = read_form(body, f'multipart/form-data; boundary="{boundary}"; charset=utf-8')
    assert [(one.name, body[one.start : one.end], one.is_file) for one in found.parts] == content


@given(st.text(), values, contents, st.integers(0, 6))
def test_only_one_value_is_replaced(
    model: str, old: bytes, content: list[tuple[str, bytes, bool]], place: int
) -> None:
    """Every byte before it and after it stays: files, headers, the order of the parts."""
    others = [(f'Content-Disposition: form-data; name="x{one[0]}"', one[1]) for one in content]
    assume(not any(b"--b" in value for _, value in [*others, ("", old)]))
    before, after = others[:place], others[place:]
    body = form(*before, field("model", old), *after)
    sent = read_form(body, TYPE).with_text("model", model)
    assert sent == form(*before, field("model", model.encode()), *after)


def test_a_file_may_hold_anything_but_its_boundary() -> None:
    """Half boundaries, line ends, the names of other fields, quotes and semicolons in its name."""
    body = form(field("model", b"whisper"), file(SOUND))
    found = read_form(body, TYPE)
    sound = found.part("file")
    assert sound is not None
    assert body[sound.start : sound.end] == SOUND
    assert found.text("model") == "whisper"


@given(st.integers(0, 10_000))
def test_a_form_that_was_cut_is_refused(cut: int) -> None:
    """Wherever it ends before its last boundary."""
    body = form(field("model"), file(SOUND), field("language", b"de"))
    body = body.removesuffix(b"\r\n")
    with pytest.raises(Invalid) as refused:
        read_form(body[: cut % len(body)], TYPE)
    assert refused.value.code == "invalid_form"


@given(st.binary(max_size=300), st.sampled_from([TYPE, 'multipart/form-data; boundary="b"']))
def test_any_bytes_are_a_form_or_are_invalid(noise: bytes, content_type: str) -> None:
    """Nothing makes another exception, in the middle of a form either."""
    for body in (
        noise,
        b"--b\r\n" + noise,
        form(field("model")) + noise,
        form((repr(noise), noise)),
    ):
        try:
            read_form(body, content_type)
        except Invalid as refused:
            assert refused.code == "invalid_form"  # noqa: PT017 - what is no form is refused by this


def through_httpx(data: dict[str, Any], files: dict[str, Any]) -> tuple[bytes, str]:
    request = httpx.Request("POST", "http://here", data=data, files=files)
    return request.read(), request.headers["content-type"]


def through_requests(data: dict[str, Any], files: dict[str, Any]) -> tuple[bytes, str]:
    request = requests.Request("POST", "http://here", data=data, files=files).prepare()
    assert isinstance(request.body, bytes)
    return request.body, str(request.headers["content-type"])


@pytest.mark.parametrize("client", [through_httpx, through_requests])
@pytest.mark.parametrize("filename", ["a.wav", 'a "b"; name=c.wav', "c:\\d.wav", "für.wav", "ö%22"])
def test_what_clients_send_is_read(client: Any, filename: str) -> None:
    """The file names that people have, as the libraries that they use write them."""
    data = {"model": "whisper-1", "timestamp_granularities[]": ["word", "segment"]}
    body, content_type = client(data, {"file": (filename, SOUND, "audio/wav")})
    found = read_form(body, content_type)
    assert found.text("model") == "whisper-1"
    assert [one.name for one in found.parts].count("timestamp_granularities[]") == 2
    sound = found.part("file")
    assert sound is not None
    assert sound.is_file
    assert body[sound.start : sound.end] == SOUND


class _Written:
    """What a client of aiohttp writes."""

    def __init__(self) -> None:
        self.body = b""

    async def write(self, data: bytes) -> None:
        self.body += data


async def test_what_aiohttp_sends_is_read() -> None:
    """Its forms have other headers first, and a file name with percent signs."""
    sent = aiohttp.FormData()
    sent.add_field("model", "whisper-1")
    sent.add_field("file", SOUND, filename='a "b".wav', content_type="audio/wav")
    payload, written = sent(), _Written()
    await payload.write(written)  # type: ignore[arg-type]
    found = read_form(written.body, payload.headers["content-type"])
    assert found.text("model") == "whisper-1"
    sound = found.part("file")
    assert sound is not None
    assert written.body[sound.start : sound.end] == SOUND


GOOD = form(field("model"))


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (GOOD, ""),
        (GOOD, "application/json"),
        (GOOD, "multipart/form-data"),
        (GOOD, "multipart/mixed; boundary=b"),
        (GOOD, "multipart/form-data; boundary=b; boundary=c"),
        (GOOD, "multipart/form-data; boundary="),
        (GOOD, 'multipart/form-data; boundary="b'),
        (form(field("a"), boundary="b" * 71), f"multipart/form-data; boundary={'b' * 71}"),
        (form(field("a"), boundary="ü"), "multipart/form-data; boundary=ü"),
        (form(field("a"), boundary="b "), 'multipart/form-data; boundary="b "'),
        (GOOD, "multipart/form-data; boundary=c"),
        (b"\r\n" + GOOD, TYPE),
        (b"preamble\r\n" + GOOD, TYPE),
        (GOOD + b"--b--\r\n", TYPE),
        (GOOD.replace(b"\r\n", b"\n"), TYPE),
        (GOOD.replace(b"--b\r\n", b"--b \r\n"), TYPE),
        (GOOD.replace(b"--b\r\n", b"--bcc"), TYPE),
        (form(("", b"v")), TYPE),
        (form(("Content-Type: text/plain", b"v")), TYPE),
        (form(('Content-Disposition: form-data; filename="a"', b"v")), TYPE),
        (form(('Content-Disposition: attachment; name="model"', b"v")), TYPE),
        (form(('Content-Disposition: form-data; name="a"; name="model"', b"v")), TYPE),
        (form(("Content-Disposition: form-data; name*=utf-8''model", b"v")), TYPE),
        (form(('Content-Disposition: form-data; name="mod\\el"', b"v")), TYPE),
        (form(('Content-Disposition: form-data; name="mod%65l"', b"v")), TYPE),
        (form(('Content-Disposition: form-data; name="model', b"v")), TYPE),
        (form(('Content-Disposition: form-data;\r\n name="model"', b"v")), TYPE),
        (form(('Content-Disposition: form-data; x=\r; name="model"', b"v")), TYPE),
        (form(("Content-Disposition: form-data; name=\"a\"; name*=utf-8''model", b"v")), TYPE),
        (form(('Content-Disposition : form-data; name="model"', b"v")), TYPE),
        (form((field("a")[0] + "\r\n X: folded", b"v")), TYPE),
        (form((field("a")[0] + '\r\nX: a\nContent-Disposition: form-data; name="b"', b"v")), TYPE),
        (form((field("a")[0] + "\r\n" + field("model")[0], b"v")), TYPE),
        (form((field("model")[0] + "\r\nContent-Transfer-Encoding: base64", b"v")), TYPE),
        (form((field("model")[0] + "\r\nX: " + "x" * HEAD_LIMIT, b"v")), TYPE),
        (form(*[field("a")] * (PART_LIMIT + 1)), TYPE),
    ],
)
def test_what_is_read_in_several_ways_is_refused(body: bytes, content_type: str) -> None:
    """One parser takes the first of two names, another the last; one unescapes, another does not;
    one reads what stands around the form. The refusal says what is wrong."""
    with pytest.raises(Invalid, match="form with files: ") as refused:
        read_form(body, content_type)
    assert refused.value.code == "invalid_form"


@pytest.mark.parametrize("encoding", ["7bit", "8bit", "binary", "BINARY"])
def test_values_may_say_that_they_are_as_they_are(encoding: str) -> None:
    """Some libraries do."""
    head = f"{field('model')[0]}\r\nContent-Transfer-Encoding: {encoding}"
    assert read_form(form((head, b"v")), TYPE).text("model") == "v"


def test_as_many_parts_as_are_allowed() -> None:
    """The limit itself is within."""
    assert len(read_form(form(*[field("a")] * PART_LIMIT), TYPE).parts) == PART_LIMIT


@pytest.mark.parametrize(
    "parts",
    [
        (field("model"), field("model")),
        (field("model", b"\xff"),),
        (('Content-Disposition: form-data; name="model"; filename="a"', b"v"),),
        (("Content-Disposition: form-data; name=model; filename*=utf-8''a", b"v"),),
    ],
)
def test_a_field_that_is_asked_for_is_one_text(parts: tuple[tuple[str, bytes], ...]) -> None:
    """Twice, not UTF-8, or a file: refused by its name."""
    with pytest.raises(Invalid) as refused:
        read_form(form(*parts), TYPE).text("model")
    assert (refused.value.param, refused.value.code) == ("model", "invalid_type")


def test_lookalikes_are_refused() -> None:
    """`Model` is nothing to us, and to some hosts the same as `model`."""
    found = read_form(form(field("Model")), TYPE)
    with pytest.raises(Invalid) as refused:
        found.refuse_lookalikes({"model"})
    assert refused.value.param == "Model"
    found.refuse_lookalikes({"file"})
