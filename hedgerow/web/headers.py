"""The headers that every answer of the dashboard and of the admin API has, errors included."""

from __future__ import annotations

from aiohttp import web

# Plotly puts two style elements of its own into the page.
_PLOTLY = (
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
    " 'sha256-ji27qzEtxXZW+7dun6UwjHXJ18e6WAin1VvNtkzIE/o='"
)
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        f"style-src 'self' {_PLOTLY}",
        "img-src 'self' data:",
        "connect-src 'self'",
        "font-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
}


async def guarded(request: web.Request, response: web.StreamResponse) -> None:
    """Put them on what goes out, if it is of these pages."""
    if request.path == "/" or request.path.startswith(("/ui", "/admin")):
        await always_guarded(request, response)


async def always_guarded(_request: web.Request, response: web.StreamResponse) -> None:
    """The same for all that an address has."""
    response.headers.update(HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")
