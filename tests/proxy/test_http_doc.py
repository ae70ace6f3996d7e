"""docs/api.md and the code say the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from proxy.admin.desk import AdminDesk
from proxy.admin.routes import admin_routes, own_routes
from proxy.batches.routes import BatchDesk
from proxy.errors import ProxyError, Refused
from proxy.house import House
from proxy.server import PREFIXES, ServerLimits, application

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
PAGES = [PAGE] + [
    (ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("admin.md", "litellm.md")
]

LIMITS = ServerLimits(
    body_bytes=1, header_bytes=1, body_timeout_s=1.0, idle_timeout_s=1.0, drain_s=0.0
)


_NOBODY = cast("Any", None)
DESK = BatchDesk(_NOBODY, _NOBODY, _NOBODY, _NOBODY)
ADMIN = AdminDesk(_NOBODY, _NOBODY, bytes, None, _NOBODY)


def all_errors(root: type[ProxyError] = ProxyError) -> Iterator[type[ProxyError]]:
    for one in root.__subclasses__():
        yield one
        yield from all_errors(one)


def test_every_route_is_documented_and_the_other_way_round() -> None:
    """The pages name each route once, under /v1; each of those is there under every prefix.

    What is said of teams holds for every kind of owner.
    """
    own = [route for prefix in PREFIXES for route in own_routes(ADMIN, prefix)]
    app = application(cast("House", None), LIMITS, DESK, [*own, *admin_routes(ADMIN)])
    routes = {
        (route.method, re.sub(r":[^}]*", "", route.resource.canonical))
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    rows = re.findall(
        r"^\| `(GET|POST|PUT|PATCH|DELETE) (/[^`]+)`", "\n".join(PAGES), flags=re.MULTILINE
    )
    documented = set(rows)
    assert len(documented) == len(rows)
    named = {
        (method, re.sub("^/admin/api/(orgs|users|tags)", "/admin/api/teams", path))
        for method, path in routes
        if not path.startswith("/api")
    }
    assert documented == named
    for method, path in documented:
        if path.startswith("/v1"):
            assert {(method, path.replace("/v1", one, 1)) for one in PREFIXES} <= routes


def test_every_error_is_documented_and_the_other_way_round() -> None:
    """Status, type and code of each error stand in one row; every code that is given is there."""
    rows = re.findall(r"^\| (\d{3}) \| `(\w+)` \| (.*) \|$", PAGE, flags=re.MULTILINE)
    documented = {(int(status), kind) for status, kind, _ in rows}
    errors = [one for one in all_errors() if one is not Refused]
    assert documented == {(one.status, one.type) for one in errors}

    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "proxy").rglob("*.py")]
    given = {code for text in sources for code in re.findall(r'code=(?:code or )?"(\w+)"', text)}
    given |= {code for text in sources for code in re.findall(r'Reason\.\w+: "(\w+)"', text)}
    given |= {one.default_code for one in errors if one.default_code is not None}
    assert {code for _, _, codes in rows for code in re.findall(r"`(\w+)`", codes)} == given


def test_every_answer_header_is_documented_and_the_other_way_round() -> None:
    """The headers of ours that the story writes are those of the page."""
    stories = ("chat.py", "count_tokens.py", "replays.py")
    texts = [(ROOT / "proxy" / one).read_text(encoding="utf-8") for one in stories]
    written = {name for text in texts for name in re.findall(r'"(x-(?!api-key)[a-z-]+)"', text)}
    assert set(re.findall(r"`(x-(?!api-key)[a-z-]+)(?:: 1)?`", PAGE)) == written
