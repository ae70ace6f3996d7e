"""Assets: the style, the script and the charts' library, named by what is in them."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from aiohttp import web

from proxy.errors import NotFound

PREFIX = "/ui/static"
_FOREVER = "public, max-age=31536000, immutable"
_PLOTLY = "plotly.min.js"
_KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_PAYS_FROM = 1024
"""What is smaller is not compressed."""


@dataclass(slots=True)
class Asset:
    """A file as it is served. Its bytes are read when they are first asked for."""

    path: Path
    name: str
    plain: bytes = b""
    zipped: bytes = b""

    def load(self) -> None:
        if not self.plain:
            plain = self.path.read_bytes()
            if len(plain) >= _PAYS_FROM:
                self.zipped = gzip.compress(plain, 6, mtime=0)
            self.plain = plain


@dataclass(frozen=True, slots=True)
class Assets:
    """Those of our own by name; reads them from disk: not on the event loop."""

    by_name: Mapping[str, Asset]
    names: Mapping[str, str]
    """What a file is served as."""
    loading: asyncio.Lock = field(default_factory=asyncio.Lock)

    def url(self, file: str) -> str:
        """Where a page finds it."""
        return f"{PREFIX}/{self.names[file]}"

    def routes(self) -> list[web.RouteDef]:
        return [web.get(f"{PREFIX}/{{name}}", self._serve)]

    async def _serve(self, request: web.Request) -> web.Response:
        asset = self.by_name.get(request.match_info["name"])
        if asset is None:
            raise NotFound(f"there is no {request.path} here", code="unknown_url")
        if not asset.plain:
            async with self.loading:  # compressing the charts' library takes a while: once
                await asyncio.to_thread(asset.load)
        headers = {"Cache-Control": _FOREVER, "Vary": "Accept-Encoding"}
        takes_gzip = "gzip" in request.headers.get("Accept-Encoding", "")
        if asset.zipped and takes_gzip:
            headers["Content-Encoding"] = "gzip"
        return web.Response(
            body=asset.zipped if asset.zipped and takes_gzip else asset.plain,
            content_type=_KINDS[asset.path.suffix],
            charset="utf-8",
            headers=headers,
        )


def read_assets() -> Assets:
    """Everything under static/, named by its hash, and plotly's bundle, named by its version."""
    names: dict[str, str] = {}
    found: dict[str, Asset] = {}
    for path in sorted((Path(__file__).parent / "static").iterdir()):
        digest = sha256(path.read_bytes()).hexdigest()[:12]
        names[path.name] = f"{path.stem}.{digest}{path.suffix}"
        found[names[path.name]] = Asset(path, names[path.name])
    bundle = Path(str(files("plotly") / "package_data" / _PLOTLY))
    names[_PLOTLY] = f"plotly-{version('plotly')}.min.js"
    found[names[_PLOTLY]] = Asset(bundle, names[_PLOTLY])
    return Assets(found, names)
