"""Files of the dashboard, as browsers fetch and keep them."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import re
from collections.abc import AsyncIterator
from importlib.resources import files
from pathlib import Path

import pytest_asyncio

from hedgerow.reports.formats import Format
from hedgerow.web.assets import read_assets
from hedgerow.web.report_shelf import MadeReport, ReportKind, ReportShelf
from tests.serving import Proxy, serving
from tests.web.browser import ADMIN
from tests.web.visitor import Visitor, visiting


@pytest_asyncio.fixture(loop_scope="session")
async def proxy(tmp_path: Path) -> AsyncIterator[Proxy]:
    async with serving(tmp_path, server=f"{{port: 0, admin_key: {ADMIN}}}") as proxy:
        yield proxy


async def test_files_are_named_by_what_is_in_them(proxy: Proxy) -> None:
    """So each may be kept for ever; what is worth it comes compressed, and unpacked it is the
    same. The charts' library is the package's own file, and no page without charts asks for it."""
    async with visiting(proxy) as somebody:
        page = (await somebody.get("/ui/login")).text
        paths = set(re.findall(r'"(/ui/static/[^"]+)"', page))
        assert len(paths) == 4
        assert not [one for one in paths if "plotly" in one]
        bundle = files("plotly") / "package_data" / "plotly.min.js"
        library = await asyncio.to_thread(bundle.read_bytes)
        names = (await asyncio.to_thread(read_assets)).names
        for path in [*paths, f"/ui/static/{names['plotly.min.js']}"]:
            packed, _ = await fetched(somebody, path, "gzip")
            plain, content_encoding = await fetched(somebody, path, "identity")
            assert content_encoding is None
            assert (gzip.decompress(packed) if packed[:2] == b"\x1f\x8b" else packed) == plain
            assert len(packed) < len(plain) / 2 or len(plain) < 2048
            if "plotly" in path:
                assert plain == library
            else:
                assert hashlib.sha256(plain).hexdigest()[:12] in path


async def fetched(somebody: Visitor, path: str, accepted: str) -> tuple[bytes, str | None]:
    """Its bytes as they came, and their encoding."""
    headers = {"Accept-Encoding": accepted}
    url = somebody.origin + path
    async with somebody.http.get(url, headers=headers, auto_decompress=False) as response:
        assert response.status == 200
        assert "immutable" in response.headers["Cache-Control"]
        assert response.headers["Vary"] == "Accept-Encoding"
        return await response.read(), response.headers.get("Content-Encoding")


async def test_a_download(proxy: Proxy) -> None:
    """A made report comes as a file to be kept, as it was made, and nobody on the way keeps it; one
    that is not there is said not to be, whatever its id looks like."""
    content = b"<script>alert(1)</script>"
    report = MadeReport(
        id="rep_1",
        kind=ReportKind.HEDGE,
        month="2027-01",
        format=Format.HTML,
        by="anna",
        asked_ns=1,
        heard_ns=1,
    )

    def put() -> None:
        shelf = ReportShelf(proxy.config.files.path / "reports")
        shelf.put(report)
        draft = shelf.folder / "draft"
        draft.write_bytes(content)
        shelf.finished(report, draft, 2)

    await asyncio.to_thread(put)
    async with visiting(proxy) as somebody:
        assert (await somebody.get("/ui/reports/rep_1")).status == 303
        await somebody.log_in(ADMIN)
        got = await somebody.get("/ui/reports/rep_1")
        assert (got.status, got.text) == (200, content.decode())
        assert got.headers["Content-Disposition"].startswith("attachment; ")
        assert "hedgerow-hedge-2027-01.html" in got.headers["Content-Disposition"]
        assert "no-store" in got.headers["Cache-Control"]
        assert got.headers["Content-Security-Policy"].startswith("default-src 'none'")
        listed = await somebody.get("/ui/reports")
        assert hashlib.sha256(content).hexdigest() in listed.text
        for name in ("rep_2", "..%2frep_1", "rep_1.html", "%2e%2e%2f%2e%2e%2fhedgerow.db"):
            assert (await somebody.get(f"/ui/reports/{name}")).status == 404
