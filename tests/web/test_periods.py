"""The time that a page looks at, whatever its URL says."""

from __future__ import annotations

import time
from datetime import date
from urllib.parse import urlencode

from aiohttp.test_utils import make_mocked_request
from hypothesis import example, given
from hypothesis import strategies as st

from hedgerow.web.periods import Period, period_of
from ledger.money import MAX_NANOS
from proxy.admin.asked import Asked
from proxy.errors import Invalid

ZONES = st.sampled_from(["UTC", "Pacific/Kiritimati", "America/Adak", "Asia/Kathmandu"])
DAYS = st.dates().map(str)
MONTHS = st.dates().map(lambda one: str(one)[:7]) | st.sampled_from(["0000-01", "9999-12"])


@given(
    st.fixed_dictionaries({"from": DAYS, "zone": ZONES}, optional={"to": DAYS})
    | st.fixed_dictionaries({"period": MONTHS, "zone": ZONES})
)
@example({"from": str(date.min)})
@example({"from": str(date.max)})
@example({"to": str(date.max)})
@example({"from": "2262-04-12"})
def test_any_day_and_any_month(query: dict[str, str]) -> None:
    """Is one that the books can hold, or refused; and a link says it again as it is."""
    try:
        period = _read(query)
    except Invalid:
        return
    assert -MAX_NANOS <= period.since_ns < period.until_ns <= MAX_NANOS
    assert _read(period.query) == period


def _read(query: dict[str, str]) -> Period:
    request = make_mocked_request("GET", f"/ui/spend?{urlencode(query)}")
    return period_of(Asked(request, b""), time.time_ns())
