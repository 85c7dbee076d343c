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

if TYPE_CHECKING:
    import pyarrow as pa

PROVENANCE_COLUMNS: dict[str, Any] = {
    "source": "string", "source_id": "string", "generator": "string", "teacher": "string", "recipe": "string",
    "licence": "string", "language": "string", "parents": ["string"],
}  # fmt: skip
"""Fields of `Provenance` that become columns (`provenance_source`, ...) when that is chosen over one JSON text."""


def with_ours(columns: Mapping[str, Any], provenance: str) -> dict[str, Any]:
    """Return a format's columns plus `id` and the provenance: "json" (one text column), "columns", or "none"."""
    ours: dict[str, Any] = {"id": "string"}
    if provenance == "json":
        ours["provenance"] = "string"
    elif provenance == "columns":
        ours |= {f"provenance_{name}": feature for name, feature in PROVENANCE_COLUMNS.items()}
    return {**{name: feature for name, feature in columns.items() if name not in ours}, **ours}


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


def _arrow(feature: Any) -> pa.DataType:
    import pyarrow as pa

    if isinstance(feature, str):
        named = {"string": pa.string, "int64": pa.int64, "int32": pa.int32, "float64": pa.float64, "bool": pa.bool_}
        return named[feature]()
    if isinstance(feature, list):
        return pa.list_(_arrow(feature[0]))
    return pa.struct([pa.field(name, _arrow(inner)) for name, inner in feature.items()])
