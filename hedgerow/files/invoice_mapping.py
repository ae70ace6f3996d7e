"""A mapping file: how a provider's CSV says what our own form of an invoice says otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from hedgerow.errors import ConfigInvalid
from hedgerow.files.config_errors import explain
from hedgerow.files.settings import Part, Text, TimeZone
from hedgerow.files.yaml_source import read_yaml
from ledger.invoices.invoice import LineKind
from ledger.invoices.invoice_csv import InvoiceMapping

InvoiceColumn = Literal[
    "date",
    "period",
    "model",
    "meter",
    "quantity",
    "unit",
    "amount",
    "currency",
    "kind",
    "request_id",
    "exchange_rate",
]


class MappingFile(Part):
    """A mapping file as written."""

    provider: Text | None = Field(None, description="The provider, as hedgerow.yaml names it")
    columns: dict[InvoiceColumn, Text] = Field(
        default_factory=dict, description="The file's name for one of our columns"
    )
    kinds: dict[Text, LineKind] = Field(
        default_factory=dict, description="One of our kinds for a word of the file"
    )
    units: dict[Text, Text] = Field(
        default_factory=dict, description="A unit that we know for a word of the file"
    )
    models: dict[Text, Text] = Field(
        default_factory=dict, description="The model as our offers name it, for the file's name"
    )
    currency: Text = Field("USD", description="Of lines that name none")
    timezone: TimeZone | None = Field(None, description="In which its days begin at midnight")

    @property
    def mapping(self) -> InvoiceMapping:
        """As the ledger reads by it."""
        columns = {str(ours): theirs for ours, theirs in self.columns.items()}
        return InvoiceMapping(columns, self.kinds, self.units, self.currency)


def load_mapping(path: Path, environ: Mapping[str, str]) -> MappingFile:
    """Raises ConfigInvalid with every error of the file."""
    source = read_yaml(path, environ)
    try:
        return MappingFile.model_validate(source.data)
    except ValidationError as invalid:
        explain(invalid, MappingFile, source)
    raise ConfigInvalid(tuple(source.errors.values()))
