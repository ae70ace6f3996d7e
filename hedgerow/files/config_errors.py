"""What pydantic finds wrong, in plain sentences that say what to write instead."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError

from hedgerow.files.yaml_source import Source, Steps, shown

_OURS: Final = "hedgerow"
_SUGGEST_FROM = 500  # names to compare with; difflib is slow
_FEW = 8  # names that are all shown, whatever was meant


def wrong(message: str, hint: str = "", cut: str = "") -> PydanticCustomError:
    """What our own validators raise: message and hint reach the reader.

    `{written}` in them becomes the value as it stands in the file, without `cut` at its end. Use
    it, never the value itself, which may come from the environment.
    """
    return PydanticCustomError(_OURS, "{message}", {"message": message, "hint": hint, "cut": cut})


def nearest(word: str, known: Collection[str]) -> str | None:
    """The known name that `word` was probably meant to be."""
    if len(known) > _SUGGEST_FROM or len(word) > 100:
        return None
    return next(iter(difflib.get_close_matches(word, known, n=1)), None)


def did_you_mean(word: str, known: Collection[str]) -> str:
    """A hint: the nearest name, or else all of them if they are few."""
    if near := nearest(word, known):
        return f'did you mean "{near}"?'
    return f"known here: {', '.join(known)}" if 0 < len(known) <= 20 else ""


def nearest_of(word: str, known: Collection[str]) -> list[str]:
    """Those that a word was probably meant to be: that it is a part of (`chat`), or the nearest."""
    parts = [one for one in known if word in one.split("/")]
    return parts or [near for near in [nearest(word, known)] if near]


def model_inside(annotation: Any) -> type[BaseModel] | None:
    """The model in an annotation: of one value, of each name or of each item."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for arg in get_args(annotation) if (found := model_inside(arg))), None)


def kinds_inside(annotation: Any) -> dict[str, type[BaseModel]]:
    """The models that a value in an annotation may be of, by what its `kind` says; empty where
    there is one at most."""
    if get_origin(annotation) in (UnionType, Union):
        fields = [
            (one, getattr(one, "model_fields", {}).get("kind")) for one in get_args(annotation)
        ]
        kinds = {get_args(kind.annotation)[0]: one for one, kind in fields if kind}
        if len(kinds) > 1:
            return kinds
    return next((found for arg in get_args(annotation) if (found := kinds_inside(arg))), {})


def fields_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Its fields by their keys as written."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def container(annotation: Any) -> Literal["names", "items"] | None:
    """Whether an annotation holds values by name, items in a list, or one value (None)."""
    inside = [annotation, *get_args(annotation)]
    inside += [of for one in inside if get_origin(one) is Annotated for of in get_args(one)]
    origins = {get_origin(one) for one in inside}
    if Mapping in origins:
        return "names"
    return "items" if origins & {tuple, frozenset} else None


def explain(invalid: ValidationError, root: type[BaseModel], source: Source) -> None:
    """Put what pydantic found into the source: a sentence at each path, follow-ups left out."""
    errors = invalid.errors(include_url=False, include_input=False)
    places = [_at(root, found["loc"]) for found in errors]
    meant = {
        (*place.steps[:-1], nearest(str(place.steps[-1]), place.beside))
        for place, found in zip(places, errors, strict=True)
        if found["type"] == "extra_forbidden"
    }
    for place, found in zip(places, errors, strict=True):
        is_misspelt = found["type"] == "missing" and place.steps in meant
        # pydantic counts only the good items of a list
        is_miscounted = found["type"] == "too_short" and source.has_children(place.steps)
        if not is_misspelt and not is_miscounted:
            _explain(found, place, source)


@dataclass(frozen=True, slots=True)
class _Place:
    """What stands at a path: the model whose keys it may have, the field that it fills, and the
    keys that are known beside it. kinds: what its `kind` may say, where that is open."""

    steps: Steps
    model: type[BaseModel] | None
    field: FieldInfo | None
    beside: Collection[str]
    kinds: Mapping[str, type[BaseModel]]


def _explain(found: ErrorDetails, place: _Place, source: Source) -> None:
    steps = place.steps
    if found["type"] == "extra_forbidden":
        source.refuse(steps, "unknown key", did_you_mean(str(steps[-1]), place.beside))
        return
    if found["type"] in ("union_tag_invalid", "union_tag_not_found"):
        steps = (*steps, "kind")
    written = source.written.get(steps)
    message, hint = _sentence(found, place, written or "")
    is_open = place.field is not None and "SecretStr" not in str(place.field.annotation)
    if (is_open or place.kinds) and written is not None:
        value = shown(written.rstrip("/").removesuffix(found.get("ctx", {}).get("cut", "")))
    else:
        value = "this value"
    source.refuse(steps, message.replace("{written}", value), hint.replace("{written}", value))


def _at(root: type[BaseModel], loc: Steps) -> _Place:
    """What stands at a path of pydantic's, which has more steps than the file: `[key]`, and the
    kind of a value that may be of several."""
    model: type[BaseModel] | None = root
    field: FieldInfo | None = None
    kinds: Mapping[str, type[BaseModel]] = {}
    beside: Collection[str] = ()
    steps: list[str | int] = []
    is_name = False  # a name or an index, chosen by the writer of the file
    for step in loc:
        if step in kinds:
            model, kinds = kinds[str(step)], {}
            continue
        if step == "[key]":
            continue
        steps.append(step)
        beside = fields_of(model) if model and not is_name else ()
        if not is_name:
            field = fields_of(model).get(str(step)) if model else None
        is_name = not is_name and field is not None and container(field.annotation) is not None
        inside = field.annotation if field and not is_name else None
        kinds = kinds_inside(inside)
        model = None if kinds else model_inside(inside)
    return _Place(tuple(steps), model, field, beside, kinds)


def example(field: FieldInfo | None) -> str:
    """What could be written for a field, as text."""
    return str(field.examples[0]) if field and field.examples else ""


def _sentence(found: ErrorDetails, place: _Place, written: str) -> tuple[str, str]:
    ctx, model = found.get("ctx", {}), place.model
    text = example(place.field)
    such = f"write, for example, {text}" if text else ""
    key = str(place.steps[-1]) if place.steps else ""
    match found["type"]:
        case "hedgerow":
            return ctx["message"], ctx["hint"] or such
        case "missing":
            return "is missing", f"write, for example, {key}: {text}"
        case "union_tag_not_found":
            return "is missing", f"write, for example, kind: {next(iter(place.kinds))}"
        case "union_tag_invalid":
            *others, last = place.kinds
            return "{written} is not supported", f"write {', '.join(others)} or {last}"
        case "model_attributes_type":
            return (
                "must hold keys of its own",
                f"write, for example, kind: {next(iter(place.kinds))}",
            )
        case "model_type" | "dict_type" | "mapping_type":
            known = f"known here: {', '.join(fields_of(model))}" if model else such
            return "must hold keys of its own", known
        case "tuple_type" | "list_type" | "frozen_set_type" | "set_type":
            return "is not a list", such
        case "string_type" | "int_type" | "decimal_type":
            return "a list or a mapping stands where one value belongs", such
        case "int_parsing" | "int_from_float" | "int_parsing_size":
            return "{written} is no whole number", such
        case "decimal_parsing" | "float_parsing" | "finite_number":
            return "{written} is no number", such
        case "bool_parsing":
            return "{written} is neither true nor false", "write one of them"
        case "date_from_datetime_parsing" | "date_parsing" | "time_parsing":
            return f"{{written}} is no {found['type'].partition('_')[0]}", such
        case "value_error":
            # of a part of the file that another room reads: what is wrong; what to write instead
            message, _, hint = str(ctx["error"]).partition("; ")
            return message, hint
        case "literal_error" | "enum":
            names = re.findall("'([^']*)'", ctx["expected"])
            near = nearest_of(written, names) if len(names) > _FEW else []
            meant = " or ".join(f'"{one}"' for one in near)
            all_of_them = f"write {ctx['expected'].replace(chr(39), '')}"
            return "{written} is not supported", f"did you mean {meant}?" if near else all_of_them
        case "greater_than":
            return "{written} is too small", f"write more than {ctx['gt']}"
        case "greater_than_equal":
            return "{written} is too small", f"write {ctx['ge']} or more"
        case "less_than":
            return "{written} is too large", f"write less than {ctx['lt']}"
        case "less_than_equal":
            return "{written} is too large", f"write {ctx['le']} or less"
        case "decimal_max_places":
            return "{written} has too many decimals", f"write at most {ctx['decimal_places']}"
        case "too_short":
            return "is empty", f"write at least {ctx['min_length']}" + (f": {text}" if text else "")
        case "too_long":
            return "has too many items", f"write at most {ctx['max_length']}"
        case "string_too_short":
            return "is empty", such
        case "string_too_long":
            return "is too long", f"write at most {ctx['max_length']} characters"
        case _:
            return found["msg"].lower(), such
