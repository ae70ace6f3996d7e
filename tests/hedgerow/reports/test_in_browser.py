"""The report in a real browser, from a file and without a network: on a desk, a phone, paper."""

from __future__ import annotations

import re
from pathlib import Path

import pypdfium2
from playwright.sync_api import sync_playwright

from hedgerow.reports.html import html
from tests.hedgerow.reports import documents
from tests.web.browser import ARGUMENTS, NARROW, WIDE, chromium

FITS = "document.documentElement.scrollWidth <= window.innerWidth"
SKIPS = "document.activeElement.getAttribute('href')"


def test_it_opens_fits_and_prints(tmp_path: Path) -> None:
    """Its own policy blocks nothing that it has, nothing is asked of the outside; a phone scrolls
    tables within their boxes, the first key leads past the beginning; printed, its first page has
    the verdict and the five numbers, and every section begins a page."""
    document = documents.full()
    file = tmp_path / "report.html"
    file.write_bytes(html(document))
    said: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        for size, scheme in ((WIDE, "light"), (NARROW, "dark")):
            context = browser.new_context(
                viewport={"width": size["width"], "height": size["height"]},
                color_scheme="dark" if scheme == "dark" else "light",
                offline=True,
            )
            page = context.new_page()
            page.on("console", lambda message: said.append(message.text))
            page.on("request", lambda request: said.append(request.url))
            page.goto(file.as_uri())
            assert page.evaluate(FITS)
            page.keyboard.press("Tab")
            assert page.evaluate(SKIPS) == "#main"
            assert page.title() == f"{document.title}: {document.subtitle}"
            if scheme == "light":
                page.pdf(path=tmp_path / "report.pdf", prefer_css_page_size=True)
        browser.close()
    assert said == [file.as_uri()] * 2
    with pypdfium2.PdfDocument(tmp_path / "report.pdf") as printed:
        texts = [page.get_textpage().get_text_bounded() for page in printed]
    pages = [" ".join(text.split()) for text in texts]
    assert all(one.label in pages[0] for one in document.verdict.headlines)
    assert not any("Contents" in one for one in pages)  # links lead nowhere on paper
    begins = [re.sub(r"^\d+ ?/ ?\d+ ", "", page) for page in pages]  # the number of the page
    for number, section in enumerate(document.sections, start=1):
        assert any(one.startswith(f"{number}. {section.title}") for one in begins), begins
