"""`croissant.json`: the dataset described in MLCommons Croissant 1.0, JSON-LD that search engines and loaders read.

One FileObject per JSON-lines file, one RecordSet per config and split, a Field per column that every row has. Keys
that only some rows have (tools, weights) and lists within lists are left out: readers want each field in each row.
Checked with the `mlcroissant` package.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from instructgen.exporters.card import Config, Facts, citation

CONTEXT: dict[str, Any] = {
    "@language": "en", "@vocab": "https://schema.org/", "citeAs": "cr:citeAs", "column": "cr:column",
    "conformsTo": "dct:conformsTo", "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"}, "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/", "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"}, "extract": "cr:extract", "field": "cr:field",
    "fileObject": "cr:fileObject", "fileProperty": "cr:fileProperty", "fileSet": "cr:fileSet", "format": "cr:format",
    "includes": "cr:includes", "isLiveDataset": "cr:isLiveDataset", "jsonPath": "cr:jsonPath", "key": "cr:key",
    "md5": "cr:md5", "parentField": "cr:parentField", "path": "cr:path", "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet", "references": "cr:references", "regex": "cr:regex", "repeated": "cr:repeated",
    "replace": "cr:replace", "samplingRate": "cr:samplingRate", "sc": "https://schema.org/",
    "separator": "cr:separator", "source": "cr:source", "subField": "cr:subField", "transform": "cr:transform",
}  # fmt: skip
"""The context that Croissant 1.0 prescribes."""
_TYPES = {
    "string": "sc:Text",
    "int64": "sc:Integer",
    "int32": "sc:Integer",
    "float64": "sc:Float",
    "bool": "sc:Boolean",
}


def croissant(
    configs: Sequence[Config], facts: Facts, files: Mapping[str, Mapping[str, Any]], licence: str
) -> dict[str, Any]:
    """Return the description; `files` is path -> {"bytes", "sha256"}, as in the manifest."""
    lines = {path: known for path, known in files.items() if path.endswith(".jsonl")}
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": facts.name or "instruction-dataset",
        "description": facts.description or "Instruction-tuning samples.",
        "license": licence,
        "version": "1.0.0",
        "citeAs": citation(facts),
        "distribution": [_file(path, known) for path, known in sorted(lines.items())],
        "recordSet": [_records(config, split) for config in configs for split in config.rows],
    }


def _file(path: str, known: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": path,
        "name": path,
        "contentUrl": path,
        "contentSize": f"{known['bytes']} B",
        "encodingFormat": "application/jsonlines",
        "sha256": known["sha256"],
    }


def _records(config: Config, split: str) -> dict[str, Any]:
    name = f"{config.name}-{split}"
    own = {column: config.columns[column] for column in config.own_columns if column not in config.optional}
    described = (_field(name, column, feature, config.optional) for column, feature in own.items())
    fields = [field for field in described if field]
    return {"@type": "cr:RecordSet", "@id": name, "name": name, "description": config.title, "field": fields}


def _field(records: str, column: str, feature: Any, optional: Collection[str]) -> dict[str, Any]:
    """Return a field, {} for a column that has nothing every row has."""
    inner = feature[0] if isinstance(feature, list) else feature
    made: dict[str, Any] = {"@type": "cr:Field", "@id": f"{records}/{_iri(column)}", "name": column}
    source: dict[str, Any] = {"fileObject": {"@id": f"jsonl/{records}.jsonl"}, "extract": {"column": column}}
    if isinstance(feature, list):
        made["repeated"] = True
    if isinstance(inner, str):
        return made | {"dataType": _TYPES[inner], "source": source}
    made["subField"] = [
        {
            "@type": "cr:Field",
            "@id": f"{records}/{_iri(column)}/{_iri(key)}",
            "name": f"{column}/{key}",
            "dataType": _TYPES[part],
            "source": source | {"transform": {"jsonPath": key}},
        }
        for key, part in inner.items()
        if isinstance(part, str) and key not in optional
    ]
    return made if made["subField"] else {}


def _iri(column: str) -> str:
    """Return a column's name as it may stand in an id: no spaces."""
    return column.replace(" ", "_")
