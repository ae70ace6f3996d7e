"""HTML: one file that needs nothing else, says every number exactly, and runs nothing."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from html.parser import HTMLParser
from itertools import pairwise

from hedgerow.reports.document import Document, Figure
from hedgerow.reports.figures import exact, known, shown
from hedgerow.reports.html import html
from tests.hedgerow.reports import documents

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """What a page is made of; refuses a page whose elements do not close in their order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.data: list[tuple[str, str]] = []
        self.says: list[str] = []
        self._value: str | None = None
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)
        self._value = dict(attrs).get("value") if tag == "data" else None

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._value is not None:
            self.data.append((self._value, data))
            self._value = None
        if data.strip():
            self.says.append(data.strip())

    def values(self, name: str) -> list[str]:
        return [value for _, attribute, value in self.attributes if attribute == name]


def page(document: Document) -> Page:
    return Page(html(document).decode())


def figures(document: Document) -> list[Figure]:
    cells = (cell for table in document.tables() for row in table.rows for cell in row.cells)
    return [
        *(one.figure for one in document.verdict.headlines),
        *(cell for cell in cells if isinstance(cell, Figure)),
    ]


def test_every_number_is_there_exactly_and_leads_to_its_source() -> None:
    """As `<data value>` with what is read beside it, within a link; what is not known is said."""
    document = documents.full()
    found = page(document)
    known_ones = [one for one in figures(document) if known(one) is not None]
    assert Counter(found.data) == Counter((exact(one), shown(one)) for one in known_ones)
    assert all(Decimal(value).is_finite() for value, _ in found.data)
    anchors = set(found.values("id"))
    inside = [link for link in found.values("href") if link.startswith("#")]
    assert {link.removeprefix("#") for link in inside} <= anchors
    assert {f"#source-{one.source}" for one in known_ones} <= set(inside)
    unknown = [one for one in figures(document) if known(one) is None]
    assert unknown
    assert found.says.count("not known") == len(unknown)


def test_ids_are_unique_and_nothing_is_asked_of_the_outside() -> None:
    """No script, no style of an element, no address beyond the page; and the page's own policy
    allows its one style sheet, by its hash, and nothing else."""
    text = html(documents.full()).decode()
    found = Page(text)
    assert max(Counter(found.values("id")).values()) == 1
    assert found.tags["script"] == 0
    assert found.tags["style"] == 1
    assert found.values("style") == []
    assert not [name for _, name, _ in found.attributes if name.startswith("on")]
    addresses = found.values("href") + found.values("src")
    assert all(one.startswith("#") for one in addresses)
    assert re.findall(r"https?://[^\"' <]+", text.replace("http://www.w3.org/2000/svg", "")) == []
    style = text[text.index("<style>") + 7 : text.index("</style>")]
    of = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = next(value for value in found.values("content") if "default-src" in value)
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{of}';")


def test_a_reader_who_does_not_see_it_can_read_it() -> None:
    """A language, one first heading, headings without a gap, tables with captions and scopes,
    pictures with words, a way past the beginning."""
    document = documents.full()
    text = html(document).decode()
    found = Page(text)
    assert ("html", "lang", "en") in found.attributes
    levels = [int(level) for level in re.findall(r"<h([1-6])", text)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert found.tags["caption"] == found.tags["table"]
    assert {"col", "row"} <= set(found.values("scope"))
    charts = list(document.charts())
    assert found.values("role").count("img") == len(charts) == found.tags["figcaption"]
    assert all(one.says in " ".join(found.says) for one in charts)
    assert "#main" in found.values("href")


def test_what_people_named_is_text() -> None:
    """Markup in a name, a title or a note is shown as it was written, in charts too."""
    bad = "<script>alert('1')</script> & \"q\""
    document = documents.full()
    chart = next(document.charts())
    series = tuple(replace(one, name=bad) for one in chart.series)
    section = replace(document.sections[0], title=bad, blocks=(replace(chart, series=series),))
    text = html(replace(document, title=bad, labels=(bad,), sections=(section,))).decode()
    found = Page(text)
    assert found.tags["script"] == 0
    assert bad in found.says


def test_code_in_a_sentence_is_set_as_code() -> None:
    """Between backticks; a lone one stays."""
    document = documents.empty()
    verdict = replace(document.verdict, sentences=("run `hedgerow check` now", "a ` alone"))
    text = html(replace(document, verdict=verdict)).decode()
    assert "<p>run <code>hedgerow check</code> now</p>" in text
    assert "<p>a ` alone</p>" in text
