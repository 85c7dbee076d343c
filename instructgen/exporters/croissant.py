"""`croissant.json`: the dataset described in MLCommons Croissant 1.0, JSON-LD that search engines and loaders read.

One FileObject per JSON-lines file, one RecordSet per config and split with a Field per column of one text; columns of
lists are described as texts (JSON). Checked with the `mlcroissant` package.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from instructgen.exporters.card import Config, Facts

CONTEXT: dict[str, Any] = {
    "@language": "en", "@vocab": "https://schema.org/", "citeAs": "cr:citeAs", "column": "cr:column",
    "conformsTo": "dct:conformsTo", "cr": "http://mlcommons.org/croissant/", "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"}, "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/", "examples": {"@id": "cr:examples", "@type": "@json"}, "extract": "cr:extract",
    "field": "cr:field", "fileProperty": "cr:fileProperty", "fileObject": "cr:fileObject", "fileSet": "cr:fileSet",
    "format": "cr:format", "includes": "cr:includes", "isLiveDataset": "cr:isLiveDataset", "jsonPath": "cr:jsonPath",
    "key": "cr:key", "md5": "cr:md5", "parentField": "cr:parentField", "path": "cr:path", "recordSet": "cr:recordSet",
    "references": "cr:references", "regex": "cr:regex", "repeated": "cr:repeated", "replace": "cr:replace",
    "sc": "https://schema.org/", "separator": "cr:separator", "source": "cr:source", "subField": "cr:subField",
    "transform": "cr:transform",
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
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"{name}/{column}",
            "name": column,
            "dataType": _TYPES[feature] if isinstance(feature, str) else "sc:Text",
            "source": {"fileObject": {"@id": f"jsonl/{name}.jsonl"}, "extract": {"column": column}},
        }
        for column, feature in config.columns.items()
        if column in config.own_columns
    ]
    return {"@type": "cr:RecordSet", "@id": name, "name": name, "description": config.title, "field": fields}
