"""SVG as matplotlib writes it, made fit to stand inside a page."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_HREF = "{http://www.w3.org/1999/xlink}href"
_SHORTENED = re.compile(r"(\d+\.\d{3})\d+")


def inlined(text: str, prefix: str, says: str) -> str:
    """One SVG element: ids that begin with prefix, so that many can stand in one page; styles as
    attributes, since a page's policy forbids inline ones; `says` for who cannot see it."""
    root = ET.fromstring(text)  # noqa: S314 - matplotlib's own
    for parent in list(root.iter()):
        for child in list(parent):
            if _bare(child.tag) in ("metadata", "style"):
                parent.remove(child)
    for one in root.iter():
        one.tag = _bare(one.tag)
        attributes = dict(one.attrib)
        one.attrib.clear()
        for name, value in attributes.items():
            if name == "style":
                for rule in value.split(";"):
                    key, _, of = rule.partition(":")
                    if key.strip():
                        one.set(key.strip(), _referring(of.strip(), prefix))
            elif name == "id":
                one.set("id", f"{prefix}-{value}")
            elif name == _HREF:
                one.set("href", f"#{prefix}-{value.removeprefix('#')}")
            elif name == "d":
                one.set("d", _SHORTENED.sub(r"\1", value.replace("\n", " ").strip()))
            else:
                one.set(name, _referring(value, prefix))
    width, height = root.get("width", ""), root.get("height", "")
    root.attrib.pop("width", None)
    root.attrib.pop("height", None)
    title = ET.Element("title", {"id": f"{prefix}-title"})
    title.text = says
    root.insert(0, title)
    root.attrib |= {
        "xmlns": "http://www.w3.org/2000/svg",
        "width": width,
        "height": height,
        "role": "img",
        "aria-labelledby": f"{prefix}-title",
        "stroke-linejoin": "round",
        "stroke-linecap": "butt",
    }
    return ET.tostring(root, encoding="unicode", short_empty_elements=True)


def _bare(tag: str) -> str:
    return tag.rpartition("}")[2]


def _referring(value: str, prefix: str) -> str:
    return _REFERENCE.sub(lambda found: f"url(#{prefix}-{found[1]})", value)
