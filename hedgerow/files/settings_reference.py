"""The reference of settings: a row for each key that a file may have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from enum import Enum
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from hedgerow.files.config_errors import container, fields_of, kinds_inside, model_inside
from hedgerow.files.settings import Kind, SameAs


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the reference. `default` is "required" where there is none, "" where not set."""

    path: str
    type: str
    default: str
    meaning: str

    def __str__(self) -> str:
        """The row in Markdown."""
        default = self.default if self.default in ("", "required") else f"`{self.default}`"
        return f"| `{self.path}` | {self.type} | {default} | {self.meaning} |"


def settings_of(model: type[BaseModel], prefix: str = "") -> Iterator[Setting]:
    """The settings of a file's model, outer ones first: `models.<name>.offers[].price.input`."""
    for name, field in fields_of(model).items():
        path = prefix + name
        yield Setting(
            path,
            _type(field.annotation, field.metadata),
            default_text(field),
            field.description or "",
        )
        if any(isinstance(mark, SameAs) for mark in field.metadata):
            continue
        step = {"names": ".<name>", "items": "[]", None: ""}[container(field.annotation)]
        if kinds := kinds_inside(field.annotation):
            yield from _settings_of_kinds(kinds, f"{path}{step}.")
        elif inner := model_inside(field.annotation):
            yield from settings_of(inner, f"{path}{step}.")


def _settings_of_kinds(kinds: Mapping[str, type[BaseModel]], prefix: str) -> Iterator[Setting]:
    """First the `kind`, then what each of them has beside it."""
    names = " or ".join(f"`{kind}`" for kind in kinds)
    what = (f"`{kind}`: {model.model_fields['kind'].description}" for kind, model in kinds.items())
    yield Setting(f"{prefix}kind", names, "required", "; ".join(what))
    found: dict[str, list[tuple[str, Setting]]] = {}
    for kind, model in kinds.items():
        for one in settings_of(model, prefix):
            if one.path != f"{prefix}kind":
                found.setdefault(one.path, []).append((kind, one))
    for of_kinds in found.values():
        yield _of_all(of_kinds, len(kinds))


def _of_all(of_kinds: Sequence[tuple[str, Setting]], kinds: int) -> Setting:
    """One row for a key that several kinds have; those with the same meaning and default are told
    together, and not by name where they are all that there are."""
    first = of_kinds[0][1]
    types = " or ".join(dict.fromkeys(one.type for _, one in of_kinds))
    is_one_default = len({one.default for _, one in of_kinds}) == 1
    alike: dict[tuple[str, str], list[str]] = {}
    for kind, one in of_kinds:
        default = "" if is_one_default or not one.default else f" ({one.default})"
        alike.setdefault((default, one.meaning), []).append(kind)
    told = (
        meaning
        if len(named) == kinds and not default
        else f"With `kind: {'`, `'.join(named)}`{default}. {meaning}"
        for (default, meaning), named in alike.items()
    )
    return Setting(first.path, types, first.default if is_one_default else "", "; ".join(told))


def _type(annotation: Any, marks: Iterable[object] = ()) -> str:
    for mark in marks:
        if isinstance(mark, Kind):
            return mark.name
        if isinstance(mark, SameAs):
            return f"keys, as under `{mark.path}`"
    if annotation is bool:
        return "`true` or `false`"
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    args = [arg for arg in get_args(annotation) if arg not in (NoneType, ...)]
    origin = get_origin(annotation)
    if origin is Annotated:
        return _type(args[0], args[1:])
    if origin is Literal:
        return " or ".join(f"`{arg}`" for arg in args)
    if origin is Mapping:
        return f"{_type(args[1])} by name"
    if origin in (tuple, frozenset):
        return f"list of {_type(args[0])}"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " or ".join(f"`{one.value}`" for one in annotation)
    return _type(args[0]) if args else "keys"


_PLAIN: Mapping[object, str] = {
    int: "whole number",
    float: "number",
    Decimal: "number",
    str: "text",
    date: "date",
    time: "time of day",
}


def default_text(field: FieldInfo) -> str:
    """A field's default as it would be written in YAML; "required" where there is none."""
    default = field.default
    if field.is_required():
        return "required"
    if default is None:
        return next((mark.none for mark in field.metadata if isinstance(mark, Kind)), "")
    if isinstance(default, BaseModel):
        return ""
    if isinstance(default, tuple):
        return _flow([one.model_dump(exclude_unset=True) for one in default])
    if isinstance(default, bool):
        return str(default).lower()
    kinds = {mark.name for mark in field.metadata if isinstance(mark, Kind)}
    if "percentage" in kinds:
        return f"{(100 * default).normalize():f}%"
    if isinstance(default, float):
        return f"{default:g}s" if "duration" in kinds else f"{default:g}"
    return str(default)


def _flow(items: list[dict[str, str]]) -> str:
    inner = (", ".join(f"{key}: {value}" for key, value in item.items()) for item in items)
    return f"[{', '.join(f'{{{one}}}' for one in inner)}]"
