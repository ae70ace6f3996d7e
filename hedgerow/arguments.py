"""USD on the command line."""

from __future__ import annotations

import click

from ledger.errors import NotMoney
from ledger.money import Money, usd


class _Usd(click.ParamType[Money]):
    """An amount above zero, exactly as written."""

    name = "usd"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Money:
        try:
            amount = usd(str(value))
        except NotMoney as error:
            self.fail(str(error), param, ctx)
        if amount <= 0:
            self.fail(f"{value} USD is nothing: write an amount above 0", param, ctx)
        return amount


USD = _Usd()
