"""Invoices as files: each form is read as it means it, and what cannot be read is named."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from ledger.errors import NotAnInvoice
from ledger.invoices.invoice import Invoice, InvoiceLine, LineKind, Period
from ledger.invoices.invoice_csv import InvoiceMapping, read_invoice
from ledger.invoices.units import unit_of
from ledger.meters import Meter

NO_MAPPING = InvoiceMapping()


def day(year: int, month: int, number: int) -> Period:
    start = date(year, month, number)
    return Period(start, start + timedelta(days=1))


def read(folder: Path, text: str, mapping: InvoiceMapping = NO_MAPPING) -> Invoice:
    path = folder / "invoice.csv"
    path.write_text(text, encoding="utf-8")
    return read_invoice(path, mapping)


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("tokens", (None, 1)),
        ("1K input tokens", (Meter.INPUT, 1000)),
        ("1M output tokens", (Meter.OUTPUT, 1_000_000)),
        ("per million prompt tokens", (Meter.INPUT, 1_000_000)),
        ("1,000 completion_tokens", (Meter.OUTPUT, 1000)),
        ("1000000 Tokens", (None, 1_000_000)),
        ("cached input", (Meter.CACHED_INPUT, 1)),
        ("input_cache_read", (Meter.CACHED_INPUT, 1)),
        ("input_cache_write_5m", (Meter.CACHE_WRITE, 1)),
        ("input_no_cache", (Meter.INPUT, 1)),
        ("cache creation", (Meter.CACHE_WRITE, 1)),
        ("Images", (Meter.IMAGE, 1)),
        ("seconds", (Meter.SECOND, 1)),
        ("requests", (Meter.REQUEST, 1)),
        ("web searches", (Meter.SEARCH, 1)),
        ("1K characters", (Meter.CHARACTER, 1000)),
    ],
)
def test_units(text: str, unit: tuple[Meter | None, int]) -> None:
    """In the words that providers use."""
    assert unit_of(text) == (unit[0], Decimal(unit[1]))


@pytest.mark.parametrize("text", ["", "GPU-hours", "12", "K", "(tokens)"])
def test_what_is_no_unit(text: str) -> None:
    """It is not guessed."""
    assert unit_of(text) is None


def test_our_own_form(tmp_path: Path) -> None:
    """All columns; days and months and spans; amounts as exact as they are written."""
    found = read(
        tmp_path,
        "date,period,model,quantity,unit,amount,currency,kind,request_id,exchange_rate\n"
        '2027-01-31,,llama,"1.5",1K input tokens,0.000225,,,req_1,\n'
        ",2027-02,,,,-20.00,eur,Discount,,1.0825\n"
        "\n"
        ",2027-01-05/2027-01-11,,,,$3.5,USD,tax,,\n",
    )
    assert found == Invoice(
        "our own form",
        (
            InvoiceLine(
                *(2, day(2027, 1, 31), "llama", Meter.INPUT, Decimal(1500)),
                *(Decimal("0.000225"), "USD", LineKind.USAGE, "req_1"),
            ),
            InvoiceLine(
                *(3, Period(date(2027, 2, 1), date(2027, 3, 1)), None, None, None),
                *(Decimal(-20), "EUR", LineKind.DISCOUNT, None, Decimal("1.0825")),
            ),
            InvoiceLine(
                *(5, Period(date(2027, 1, 5), date(2027, 1, 12)), None, None, None),
                *(Decimal("3.5"), "USD", LineKind.TAX),
            ),
        ),
        places=6,
    )


def test_a_mapping(tmp_path: Path) -> None:
    """Names the columns, kinds and units of a file; `meter` and `unit` may stand apart."""
    mapping = InvoiceMapping(
        columns={
            "date": "Usage Date",
            "model": "SKU",
            "amount": "Net",
            "quantity": "Volume",
            "meter": "What",
            "unit": "Per",
            "kind": "Type",
        },
        kinds={"MwSt": LineKind.TAX},
        units={"Ktok": "1K tokens"},
        currency="EUR",
    )
    found = read(
        tmp_path,
        "Usage Date,SKU,What,Volume,Per,Net,Type\n"
        "2027-01-31T23:10:00Z,llama,output,2,Ktok,0.5,\n"
        "2027-01-31,,,,,0.1,MwSt\n",
        mapping,
    )
    first, second = found.lines
    assert (first.period, first.meter, first.quantity) == (
        day(2027, 1, 31),
        Meter.OUTPUT,
        Decimal(2000),
    )
    assert (first.currency, second.kind, found.places) == ("EUR", LineKind.TAX, 2)
    with pytest.raises(NotAnInvoice, match=r"invoice.csv:1: there is no column 'SKU'"):
        read(tmp_path, "Usage Date,Net\n2027-01-31,1\n", mapping)


def test_openai_costs(tmp_path: Path) -> None:
    """As its console exports them, by line item: a day without costs has nothing but the day."""
    found = read(
        tmp_path,
        "start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,line_item,"
        "project_id,organization_id,organization_name\n"
        "1759622400,1759708800,2025-10-05T00:00:00+00:00,2025-10-06T00:00:00+00:00,"
        '0.8958740000000000,usd,"gpt-5-mini-2025-08-07, cached input",,org-1,Personal\n'
        "1759622400,1759708800,a,b,0.5,usd,web search tool calls,,org-1,Personal\n"
        "1759968000,1760054400,a,b,,,,,,\n",
    )
    assert found.form == "OpenAI costs"
    assert [replace(one, number=0) for one in found.lines] == [
        InvoiceLine(
            *(0, day(2025, 10, 5), "gpt-5-mini-2025-08-07", Meter.CACHED_INPUT),
            *(None, Decimal("0.895874")),
        ),
        InvoiceLine(0, day(2025, 10, 5), "web search tool calls", None, None, Decimal("0.5")),
    ]


def test_anthropic_usage_and_costs(tmp_path: Path) -> None:
    """One file has counts, the other amounts; writes to a cache for five minutes and for an hour
    are counts of their own."""
    usage = read(
        tmp_path,
        "usage_date_utc,model_version,api_key,workspace,usage_type,context_window,"
        "usage_input_tokens_no_cache,usage_input_tokens_cache_write_5m,"
        "usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,usage_output_tokens,"
        "web_search_count,inference_geo,speed\n"
        "2026-08-05,claude-opus-5,App,Default,standard,≤ 200k,46981,15969,31,0,16932,0,global,\n",
    )
    assert usage.form == "Anthropic usage"
    assert [(one.meter, one.quantity, one.amount) for one in usage.lines] == [
        (Meter.INPUT, Decimal(46981), None),
        (Meter.CACHE_WRITE, Decimal(15969), None),
        (Meter.CACHE_WRITE_1H, Decimal(31), None),
        (Meter.OUTPUT, Decimal(16932), None),
    ]
    costs = read(
        tmp_path,
        "usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,cost_usd,"
        "list_price_usd,cost_type,inference_geo,speed\n"
        "2026-03-15,Claude Opus 4.6,Default,k,message,≤ 200k,input_no_cache,1.50,1.50,token,g,\n"
        "2026-03-15,Claude Opus 4.6,Other,k,message,≤ 200k,input_no_cache,0.50,0.50,token,g,\n",
    )
    assert costs.form == "Anthropic costs"
    (line,) = costs.lines
    assert (line.model, line.meter, line.quantity) == ("Claude Opus 4.6", Meter.INPUT, None)
    assert (line.amount, line.amounts) == (Decimal(2), 2)


def test_openrouter_activity(tmp_path: Path) -> None:
    """By generation, and by day: tokens of both kinds are one count, since they have one amount."""
    generations = read(
        tmp_path,
        "generation_id,created_at,cost_total,tokens_prompt,tokens_completion,model_permaslug\n"
        "gen-1,2026-06-28 03:46:57.713,0.0123,10389,137,openai/gpt-oss-120b\n"
        "gen-2,2026-06-28 23:46:57.713,0.0003,100,1,openai/gpt-oss-120b\n",
    )
    assert generations.form == "OpenRouter activity, by generation"
    (line,) = generations.lines
    assert line == InvoiceLine(
        *(2, day(2026, 6, 28), "openai/gpt-oss-120b", None, Decimal(10627), Decimal("0.0126")),
        amounts=2,
    )
    days = read(
        tmp_path,
        "Date,Slug,Usage,BYOK Usage,Requests,Prompt Tokens,Completion Tokens,Reasoning Tokens\n"
        '"2026-05-12 00:00:00","anthropic/claude-opus-4.7","430.07","0","9","10","5","1"\n',
    )
    assert days.form == "OpenRouter activity, by day"
    assert [(one.period, one.quantity, one.amount) for one in days.lines] == [
        (day(2026, 5, 12), Decimal(15), Decimal("430.07"))
    ]


def test_what_is_added_up(tmp_path: Path) -> None:
    """Lines that differ in anything but their number, quantity and amount stay apart."""
    found = read(
        tmp_path,
        "date,model,quantity,unit,amount,request_id\n"
        "2027-01-31,a,1,input tokens,1,\n"
        "2027-01-31,a,2,input tokens,2,\n"
        "2027-01-31,a,,input tokens,4,\n"
        "2027-01-31,a,8,output tokens,8,\n"
        "2027-01-31,a,16,input tokens,16,req_1\n",
    )
    lines = found.lines
    assert [one.quantity for one in lines] == [Decimal(3), None, Decimal(8), Decimal(16)]
    assert [one.amount for one in lines] == [Decimal(one) for one in (3, 4, 8, 16)]
    assert [one.amounts for one in lines] == [2, 1, 1, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "1: this header is of no invoice"),
        ("day,cost\n", "1: this header is of no invoice"),
        ("date,amount\n", "has a header and no lines"),
        ("date,amount\n2027-01-31,1,2\n", r"2: 3 cells under 2 columns"),
        ("date,amount\n31.1.2027,1\n", r"2: date: '31.1.2027' is no date"),
        ("date,amount\n2027-01-31,\n", r"2: amount: it is empty"),
        ("date,amount\n2027-01-31,1.234,50\n", "2: 3 cells"),
        ('date,amount\n2027-01-31,"1,234.50"\n', r"2: amount: '1,234.50' is no number"),
        ("date,amount\n2027-01-31,NaN\n", "2: amount: 'NaN' is no number"),
        ("date,amount\n2027-01-31,1e30\n", "2: amount: '1e30' is no number"),
        ("period,amount\n2027-13,1\n", "2: period: '2027-13' is no period"),
        ("period,amount\n2027-01-09/2027-01-05,1\n", "2: period: .* is no period"),
        ("date,amount,unit\n2027-01-31,1,GPU-hours\n", "2: unit: 'GPU-hours' is no unit"),
        ("date,amount,kind\n2027-01-31,1,bribe\n", "2: kind: 'bribe' is none of usage"),
        ("date,amount,kind\n2027-01-31,5,credit\n", "2: amount: a credit of 5 would raise"),
        ("date,amount,quantity\n2027-01-31,5,-1\n", "2: quantity: -1 is below zero"),
        ("date,amount,exchange_rate\n2027-01-31,5,0\n", "2: exchange_rate: 0 is not above"),
    ],
)
def test_what_cannot_be_read(text: str, message: str, tmp_path: Path) -> None:
    """It is named with its line and column, and what to write: nothing is left out silently."""
    with pytest.raises(NotAnInvoice, match=message):
        read(tmp_path, text)


def test_files_that_are_none(tmp_path: Path) -> None:
    """One that is not there, and one that is no text."""
    with pytest.raises(NotAnInvoice, match="No such file"):
        read_invoice(tmp_path / "none.csv")
    (tmp_path / "f.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(NotAnInvoice, match="is no CSV in UTF-8"):
        read_invoice(tmp_path / "f.csv")
