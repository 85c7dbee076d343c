"""What the readers share: fields with the right type or a named reason, and what becomes of other columns."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from instructgen.formats import Format, Unreadable
from instructgen.formats.holds import COLUMNS, MORE, noted, numbered, restored
from instructgen.records import Media, Sample, scrub

CARRIERS = frozenset({"provenance", MORE, *(f"provenance_{name}" for name in COLUMNS)})
"""Columns that our own exports add to a format's, beside `id`."""
LABELS = frozenset({"category", "label", "options", "is_classification", "desirable"})
"""Columns that say something about the sample itself; they become labels."""
MARK = "<image>"
"""Where a text refers to an image, in LLaVA's rows and in LLaMA-Factory's."""
HEAD = f"{MARK}\n"


_MEDIA = frozenset({"image", "images", "video", "videos", "audio", "audios"})


def text_of(row: Mapping[str, Any], key: str, *, missing_is_empty: bool = False) -> str:
    """Return a text column. Raises: Unreadable when it is missing or no text."""
    value = row.get(key)
    if isinstance(value, str):
        return value
    if value is None and missing_is_empty:
        return ""
    if value is None:
        raise Unreadable("missing_field", f"{key}: expected a text, found nothing")
    raise Unreadable("wrong_type", f"{key}: expected a text, found {value!r:.80}")


def list_of(row: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """Return a column that is a list of objects. Raises: Unreadable."""
    value = row.get(key)
    if isinstance(value, str):  # CSV and some Parquet files hold nested columns as JSON text
        try:
            value = orjson.loads(value)
        except ValueError:
            raise Unreadable("wrong_type", f"{key}: expected a list of objects, found a text") from None
    if value is None:
        raise Unreadable("missing_field", f"{key}: expected a list of objects, found nothing")
    if not isinstance(value, list | tuple) or not all(
        type(part) is dict or isinstance(part, Mapping) for part in value
    ):
        raise Unreadable("wrong_type", f"{key}: expected a list of objects, found {value!r:.80}")
    return list(value)


def rest_of(row: Mapping[str, Any], known: frozenset[str], source_key: str = "id") -> dict[str, Any]:
    """Return the Sample fields `labels`, `extra` and `provenance` made of the columns that a shape does not name.

    The row's own id goes to `provenance.source_id`; labels to `labels`; all else to `extra`. Nulls are dropped.
    """
    labels: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    source_id = ""
    for key, value in row.items():
        if key == source_key:
            source_id = "" if value is None else str(value)
        elif key not in known and value is not None:
            (labels if key in LABELS else extra)[key] = value
    fields: dict[str, Any] = {}
    if labels:
        fields["labels"] = labels
    if extra:
        fields["extra"] = extra
    if source_id:
        fields["provenance"] = {"source_id": source_id}
    return fields


def media_of(row: Mapping[str, Any]) -> tuple[tuple[Media, ...], frozenset[str]]:
    """Return the media that a chat row refers to in columns as TRL and LLaMA-Factory name them, and those columns.

    Example: media_of({"images": ["a.png"]}) -> ((Media(path="a.png"),), {"images"}); what is no path is no medium
    """
    if _MEDIA.isdisjoint(row):
        return (), frozenset()
    found: list[Media] = []
    columns = set[str]()
    for kind in ("image", "video", "audio"):
        for column in (kind, f"{kind}s"):
            given = row.get(column)
            paths = [given] if isinstance(given, str) and given else given
            if isinstance(paths, list) and paths and all(isinstance(path, str) for path in paths):
                found += [Media(kind=kind, path=path) for path in paths]
                columns.add(column)
    return tuple(found), frozenset(columns)


def without_head(turns: list[dict[str, Any]], media: Sequence[Media]) -> list[dict[str, Any]]:
    r"""Return turns without the mark of the only medium, an image, that opens the first question: that is its place.

    Turns are in their JSON form.
    Example: without_head([{"role": "user", "content": "<image>\nWhat?"}], [Media(path="a.png")]) -> [{..., "What?"}]
    """
    if not media:
        return turns
    first = next((n for n, turn in enumerate(turns) if turn["role"] == "user"), None)
    if first is None or [medium.kind for medium in media] != ["image"]:
        return turns
    content = turns[first].get("content", "")
    if not content.startswith(HEAD) or sum(turn.get("content", "").count(MARK) for turn in turns) != 1:
        return turns
    return [*turns[:first], {**turns[first], "content": content.removeprefix(HEAD)}, *turns[first + 1 :]]


def without_ours(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row without the columns that our exports add; the id stays."""
    return {key: value for key, value in row.items() if key not in CARRIERS}


def wholes(samples: Sequence[Sample], known: Sequence[Mapping[str, Any]], row_id: str, shape: Format) -> list[Sample]:
    """Return the samples of a row as they were before our export wrote it: provenance, labels and input put back.

    `known` is what the row carries (`holds.carried_in`), for all of its samples or for each.
    """
    if "provenance" in shape.holds:
        return [numbered(sample, row_id) for sample in samples]
    if len(known) == 1:
        return [restored(sample, known[0], row_id) for sample in samples]
    if len(known) != len(samples):  # somebody took instances out, or put some in: whose is whose is not known
        return [noted(sample, [dict(one) for one in known]) for sample in samples]
    return [
        restored(*pair, row_id if not number else "") for number, pair in enumerate(zip(samples, known, strict=True))
    ]


def encoded(value: Any) -> bytes:
    """Return a value as JSON: integers beyond 64 bits too, anything that JSON lacks as its Python spelling."""
    try:
        return orjson.dumps(value, default=repr)
    except TypeError:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=repr).encode()


def plain(value: Any) -> Any:
    """Return a JSON value without lone surrogates (see `records.scrub`) and with string keys."""
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, Mapping):
        return {scrub(str(key)): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return value
