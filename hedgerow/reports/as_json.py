"""JSON: a Document for programs, with every figure exact."""

from __future__ import annotations

from dataclasses import asdict

from hedgerow.charts import Chart
from hedgerow.printing import json_bytes
from hedgerow.reports.document import (
    Block,
    Cell,
    Document,
    Figure,
    Section,
    SignOff,
    Source,
    Table,
    Text,
)
from hedgerow.reports.figures import known, why_not


def as_json(document: Document) -> bytes:
    """One object, as docs/reports.md describes it; amounts are numbers with all their digits."""
    made = document.reproduction
    verdict = document.verdict
    return json_bytes(
        {
            "title": document.title,
            "subtitle": document.subtitle,
            "labels": list(document.labels),
            "verdict": {
                "tone": verdict.tone.value,
                "sentences": list(verdict.sentences),
                "headlines": [
                    {
                        "label": one.label,
                        "figure": _cell(one.figure),
                        "note": one.note,
                        "tone": one.tone.value,
                    }
                    for one in verdict.headlines
                ],
            },
            "sections": [_section(one) for one in document.sections],
            "sources": [_source(one) for one in document.sources],
            "reproduction": {
                "command": made.command,
                "inputs": dict(made.inputs),
                "versions": dict(made.versions),
                "seeds": dict(made.seeds),
            },
        }
    )


def _section(section: Section) -> dict[str, object]:
    return {
        "id": section.id,
        "title": section.title,
        "blocks": [_block(block) for block in section.blocks],
    }


def _block(block: Block) -> dict[str, object]:
    match block:
        case Text():
            return {"kind": "text", "paragraphs": list(block.paragraphs)}
        case Table():
            return {"kind": "table", **_table(block)}
        case Chart():
            return {"kind": "chart", **asdict(block)}
        case SignOff():
            return {"kind": "sign_off", "roles": list(block.roles), "statement": block.statement}


def _table(table: Table) -> dict[str, object]:
    keys = [column.key for column in table.columns]
    return {
        "id": table.id,
        "title": table.title,
        "columns": [{"key": one.key, "title": one.title} for one in table.columns],
        "rows": [
            {
                "key": row.key,
                "is_total": row.is_total,
                "cells": {key: _cell(cell) for key, cell in zip(keys, row.cells, strict=True)},
            }
            for row in table.rows
        ],
        "empty": table.empty,
        "notes": list(table.notes),
    }


def _cell(cell: Cell) -> object:
    if not isinstance(cell, Figure):
        return cell
    told: dict[str, object] = {
        "value": known(cell),
        "unit": cell.unit.value,
        "source": cell.source,
    }
    if cell.formula is not None:
        told["formula"] = cell.formula
    if known(cell) is None:
        told["why_not"] = why_not(cell)
    return told


def _source(source: Source) -> dict[str, object]:
    return {
        "id": source.id,
        "says": source.says,
        "sql": source.sql,
        "command": source.command,
        "of": list(source.of),
    }
