"""What the admin API says of a body that it does not understand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.admin.budget_body import BudgetBody
from proxy.admin.hints import decoded
from proxy.admin.keys import NewKey
from proxy.errors import Invalid


def refused(kind: type[Any], **body: Any) -> Invalid:
    with pytest.raises(Invalid) as found:
        decoded(kind, json.dumps(body).encode(), "a thing")
    return found.value


BUDGET: dict[str, Any] = {"name": "b", "scope": {}, "window": "month"}


@pytest.mark.parametrize(
    ("kind", "body", "param", "why"),
    [
        (NewKey, {"nam": "x"}, "nam", "nam is no field of a thing; did you mean name?"),
        (NewKey, {"limits": {"budget": 5}}, "limits.budget", "did you mean budget_usd?"),
        (NewKey, {"limits": {"zzz": 5}}, "limits.zzz", "known here: budget_usd, window"),
        (NewKey, {"expires_at": "soon"}, "expires_at", "write one as in 2027-01-31T18:00:00Z"),
        (NewKey, {"limits": {"budget_usd": "5$"}}, "limits.budget_usd", "write digits"),
        (NewKey, {"name": 5}, "name", "name is a number: write a string"),
        (BudgetBody, BUDGET | {"mode": "try"}, "mode", "'try': write one of enforce, shadow"),
        (
            BudgetBody,
            BUDGET | {"at": [{"spent": "50%"}, {"spent": "60%", "rout": "cheapest"}]},
            "at[1].rout",
            "did you mean route?",
        ),
        (BudgetBody, BUDGET | {"scope": {"teem": "x"}}, "scope.teem", "did you mean team?"),
    ],
)
def test_a_hint(kind: type[Any], body: dict[str, Any], param: str, why: str) -> None:
    """It names the place, and what could stand there instead."""
    error = refused(kind, **body)
    assert error.param == param
    assert why in str(error)
