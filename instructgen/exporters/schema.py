"""One schema per config: stated once as a format's `columns`, spelled for Arrow and for the card's YAML.

    columns                                  card                                  Arrow
    "string"                                 dtype: string                         string
    ["string"]                               list: string                          list<string>
    [{"role": "string"}]                     list: [{name: role, dtype: string}]   list<struct<role: string>>
    {"a": "int64"}                           struct: [{name: a, dtype: int64}]     struct<a: int64>

`list` is the one word that `datasets` 3.6 and 5.2 both read for lists of texts and of structs (3.6 also knows
`sequence`, which turns a list of structs into a struct of lists there). Tried with both versions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from instructgen.formats.columns import bytes_of
from instructgen.formats.holds import COLUMNS, MORE

if TYPE_CHECKING:
    import pyarrow as pa

_PYTHON: dict[str, tuple[type, ...]] = {
    "string": (str,), "int64": (int,), "int32": (int,), "float64": (float, int), "bool": (bool,),
}  # fmt: skip


def with_ours(columns: Mapping[str, Any], provenance: str) -> dict[str, Any]:
    """Return a format's columns plus `id` and the provenance: "json" (one text column), "columns", or "none"."""
    ours: dict[str, Any] = {"id": "string"}
    if provenance == "json":
        ours["provenance"] = "string"
    elif provenance == "columns":
        ours |= {f"provenance_{name}": feature for name, feature in COLUMNS.items()} | {MORE: "string"}
    return {**{name: feature for name, feature in columns.items() if name not in ours}, **ours}


def misfit(columns: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    """Return what in a row is of another type than its column, "" when all fits; nulls fit everywhere.

    Example: misfit({"a": [{"b": "string"}]}, {"a": [{"b": 1}]}) -> "a[0].b: expected string, found 1"
    """
    for name, feature in columns.items():
        value = row.get(name)
        if not _plainly_fits(feature, value) and (problem := _misfit(name, feature, value)):
            return problem
    return ""


def _plainly_fits(feature: Any, value: Any) -> bool:
    """Tell of texts, and of lists and objects of them, that they fit: sooner than `_misfit`, which says where not."""
    kind = value.__class__
    if kind is str:
        return bool(feature == "string")
    if kind is list and feature.__class__ is list:
        return all(_plainly_fits(feature[0], part) for part in value)
    if kind is dict and feature.__class__ is dict:
        return all(_plainly_fits(part, value.get(name)) for name, part in feature.items())
    return False


def _misfit(where: str, feature: Any, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(feature, str):
        kind = type(value)
        fits = isinstance(value, _PYTHON[feature]) and (kind is bool) == (feature == "bool")
        if fits and kind is int and feature != "float64" and not -(2**63) <= value < 2**63:
            fits = False
        return "" if fits else f"{where}: expected {feature}, found {value!r:.60}"
    if isinstance(feature, list):
        if not isinstance(value, list | tuple):
            return f"{where}: expected a list, found {value!r:.60}"
        parts = ((f"{where}[{number}]", feature[0], part) for number, part in enumerate(value))
        return next((problem for part in parts if (problem := _misfit(*part))), "")
    if not isinstance(value, Mapping):
        return f"{where}: expected an object, found {value!r:.60}"
    inner = ((f"{where}.{name}", part, value.get(name)) for name, part in feature.items())
    return next((problem for part in inner if (problem := _misfit(*part))), "")


def card_features(columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return columns as the card's `features` list."""
    return [{"name": name, **_card(feature)} for name, feature in columns.items()]


def _card(feature: Any) -> dict[str, Any]:
    if isinstance(feature, str):
        return {"dtype": feature}
    if isinstance(feature, list):
        inner = feature[0]
        if isinstance(inner, str):
            return {"list": inner}
        return {"list": card_features(inner) if isinstance(inner, Mapping) else _card(inner)}
    return {"struct": card_features(feature)}


def arrow_schema(columns: Mapping[str, Any]) -> pa.Schema:
    """Return columns as an Arrow schema without metadata."""
    import pyarrow as pa

    return pa.schema([pa.field(name, _arrow(feature)) for name, feature in columns.items()])


def size_in_memory(values: pa.Array) -> int:
    """Return the bytes of an Arrow column; which of its values are null counts only where one is."""
    import pyarrow as pa

    nulls = -(-len(values) // 8) if values.null_count else 0
    if pa.types.is_struct(values.type):
        return nulls + sum(map(size_in_memory, values.flatten()))
    if pa.types.is_list(values.type):
        return nulls + 4 * len(values) + size_in_memory(values.flatten())
    if pa.types.is_string(values.type):
        ends = bytes_of(values)[1]
        return nulls + 4 * len(values) + int(ends[-1] - ends[0])
    return int(nulls + -(-len(values) * values.type.bit_width // 8))  # `nbytes` depends on where a slice begins


def _arrow(feature: Any) -> pa.DataType:
    import pyarrow as pa

    if isinstance(feature, str):
        named = {"string": pa.string, "int64": pa.int64, "int32": pa.int32, "float64": pa.float64, "bool": pa.bool_}
        return named[feature]()
    if isinstance(feature, list):
        return pa.list_(_arrow(feature[0]))
    return pa.struct([pa.field(name, _arrow(inner)) for name, inner in feature.items()])
