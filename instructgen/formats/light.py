"""Rows -> samples for streams that only copy them: by column where nothing more is in them, as chats, or in full.

    {"instruction": "Hi", "output": "Ho"}                       -> Singles, many at a time
    {"instruction": "Hi", "output": "Ho", "category": "chat"}   -> Chats, many at a time
    {"messages": [..., {"role": "tool", ...}]}                  -> Sample

The samples behind are those of `detect.read`, in the same order; so are the rejections.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from instructgen.formats import Format, Unreadable
from instructgen.formats.chats import Chat, Chats, chat_of
from instructgen.formats.detect import read, read_row
from instructgen.formats.holds import carried_in, is_repeat_of, parted
from instructgen.formats.reading import without_ours
from instructgen.formats.sample import SampleRows
from instructgen.formats.single import CHARACTERS, Singles, gathered, plain_of, reads_singles
from instructgen.records import ID_LENGTH, Rejection, Sample

ROWS = 10_000
"""Rows that are gathered before they become columns; as many characters as one row may have end them too."""
FEW = 30
"""Rows below which columns do not pay."""


def read_light(
    rows: Iterable[tuple[int, Mapping[str, Any]]], shape: Format, source: str = ""
) -> Iterator[Singles | Chats | Sample | Rejection]:
    """Yield what `detect.read` yields, with runs of samples that are no more than that as `Singles` or `Chats`."""
    singles, chats = reads_singles(shape), reads_chats(shape)
    if not singles and not chats:
        yield from read(rows, shape, source)
        return
    gathering = _Gathering(source)
    for number, row in rows:
        if singles and not gathering.chats and (plain := plain_of(row, shape.plain or ("", "", ""))) is not None:
            full = gathering.add_plain((number, *plain))
        elif chats and (found := _chats(row, shape, source, number)) is not None:
            if gathering.plain:
                yield from gathering.take()
            full = gathering.add_chats(found)
        else:
            yield from gathering.take()
            yield from read_row(number, row, shape, source)
            continue
        if full:
            yield from gathering.take()
    yield from gathering.take()


class _Gathering:
    """Rows until they are columns; of one kind at a time."""

    def __init__(self, source: str) -> None:
        self._source, self._size = source, 0
        self.plain: list[tuple[int, str, str, str]] = []
        self.chats: list[Chat] = []

    def add_plain(self, row: tuple[int, str, str, str]) -> bool:
        """Take a plain row; tell whether there are enough."""
        self.plain.append(row)
        self._size += len(row[1]) + len(row[2]) + len(row[3])
        return len(self.plain) == ROWS or self._size > CHARACTERS

    def add_chats(self, chats: list[Chat]) -> bool:
        """Take the chats of a row; tell whether there are enough."""
        self.chats += chats
        for chat in chats:
            self._size += sum(map(len, chat.contents)) + sum(map(len, chat.inputs))
        return len(self.chats) >= ROWS or self._size > CHARACTERS

    def take(self) -> Iterator[Singles | Chats | Sample]:
        """Yield what was taken, and begin anew; few chats are samples."""
        plain, chats = self.plain, self.chats
        self.plain, self.chats, self._size = [], [], 0
        if plain:
            yield gathered(plain, self._source)
        if len(chats) < FEW:
            yield from Chats(chats).samples
        else:
            yield Chats(chats)


def reads_chats(shape: Format) -> bool:
    """Tell whether rows stand alone and `read` does no more than to validate what `read_json` returns."""
    kind = type(shape)
    whole = kind.read in (Format.read, SampleRows.read)  # whose ids `chat_of` takes for what they are, too
    return whole and kind.gather is Format.gather and kind.scatter is Format.scatter


def _chats(row: Mapping[str, Any], shape: Format, source: str, number: int) -> list[Chat] | None:
    """Return the samples of a row as chats; `None` when one is more, or the row cannot be read."""
    known = carried_in(row)
    if known and (len(known) > 1 or "provenance" in shape.holds):
        return None
    try:
        forms = shape.read_json(without_ours(row) if known else row)
    except Unreadable:
        return None
    if known:
        forms = [_restored(form, known[0]) for form in forms]
    found = [chat for form in forms if (chat := chat_of(form, source, number)) is not None]
    if len(found) < len(forms):
        return None
    row_id = row.get("id")
    if known and isinstance(row_id, str) and len(row_id) > ID_LENGTH:
        found = [chat._replace(id=row_id) if is_repeat_of(row_id, chat.id) else chat for chat in found]
    return found


def _restored(form: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Return a form with what our export had put beside its row, as `holds.restored` does; {} when that is more."""
    labels, extra, beside = (known.get(name, {}) for name in ("labels", "extra", "turns"))
    turns = form["turns"]
    if not all(isinstance(part, dict) for part in (labels, extra, beside)) or not set(beside) <= {
        *map(str, range(len(turns)))
    }:
        return {}
    turns = list(turns)
    for place, more in beside.items():
        if not isinstance(more, dict) or more.keys() != {"input"} or type(more["input"]) is not int:
            return {}
        turn = turns[int(place)]
        content, given = parted(turn.get("content", ""), more["input"])
        turns[int(place)] = {**turn, "content": content, "input": given} if given else turn
    rest = {name: value for name, value in known.items() if name not in ("labels", "extra", "turns")}
    return {
        **form, "turns": turns, "labels": {**labels, **form.get("labels", {})},
        "extra": {**form.get("extra", {}), **extra}, "provenance": rest,
    }  # fmt: skip


def chats_of(singles: Singles) -> Chats:
    """Return the same as chats, for shapes that cannot take them by column."""
    columns = (singles.instruction, singles.input, singles.output, singles.numbers)
    found = []
    for instruction, given, output, number in zip(*(values.to_pylist() for values in columns), strict=True):
        asked = {"role": "user", "content": instruction} | ({"input": given} if given else {})
        chat = chat_of({"turns": [asked, {"role": "assistant", "content": output}]}, singles.source, number)
        assert chat is not None  # texts are UTF-8
        found.append(chat)
    return Chats(found)


def samples_of(one: Singles | Chats | Sample) -> list[Sample]:
    """Return the samples."""
    if isinstance(one, Chats):
        return one.samples
    return one.samples() if isinstance(one, Singles) else [one]
