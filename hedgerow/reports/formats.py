"""Format: what a Document can be rendered as. Every one shows that same value."""

from __future__ import annotations

from enum import StrEnum

from hedgerow.reports.document import Document


class Format(StrEnum):
    """Its value is also how a file's name ends."""

    HTML = "html"
    PDF = "pdf"
    XLSX = "xlsx"
    JSON = "json"

    @property
    def is_text(self) -> bool:
        return self in (Format.HTML, Format.JSON)

    @property
    def media_type(self) -> str:
        return _MEDIA_TYPES[self]


_MEDIA_TYPES = {
    Format.HTML: "text/html; charset=utf-8",
    Format.PDF: "application/pdf",
    Format.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    Format.JSON: "application/json",
}


def rendered(document: Document, form: Format) -> bytes:
    """What draws is imported when it is needed: it takes a second."""
    match form:
        case Format.HTML:
            from hedgerow.reports.html import html

            return html(document)
        case Format.PDF:
            from hedgerow.reports.pdf import pdf

            return pdf(document)
        case Format.XLSX:
            from hedgerow.reports.xlsx import workbook

            return workbook(document)
        case Format.JSON:
            from hedgerow.reports.as_json import as_json

            return as_json(document) + b"\n"
