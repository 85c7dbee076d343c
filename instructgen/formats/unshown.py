"""What a sample carries that a row of a shape does not show in its own columns, by names that can be counted.

    sample = Sample.single("Sort.", input="2, 1", output="1, 2", labels={"category": "lists"})
    unshown(sample, Messages(), Messages().write(sample))   -> ["label category", "border of instruction and input"]

Exports keep all of it in the provenance (`holds.carried`); who reads the columns alone, or exports without provenance,
does not see it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

from instructgen.formats import Format, Row
from instructgen.formats.chats import Chat, Chats
from instructgen.records import Answer, Sample, Turn

BORDER = "border of instruction and input"
CALL_IDS = "ids of tool calls"
HASHES = "hashes of media"
NAME = "name of a turn"
_KEY = 60
"""Characters of a key that a name shows."""


def unshown(sample: Sample, shape: Format, row: Row) -> list[str]:
    """Return the names of what `row`, the sample in this shape, does not show; each once, in order."""
    if "provenance" in shape.holds:
        return []
    found = [*_keys(sample, shape, row), *_of_turns(sample.turns, shape), *_of_answers(sample.answers, shape)]
    if "step_keys" not in shape.holds:
        found += [f"step key {_named(key)}" for step in sample.steps for key in step.extra]
    if any(medium.sha256 for medium in sample.media):
        found.append(HASHES)
    if not found:
        return []
    shown = shape.shown(sample)
    return list(dict.fromkeys(name for name in found if name not in shown))


def unshown_of_chats(batch: Chats, shape: Format) -> Counter[str]:
    """Return how many of the chats, which the shape holds, have what `unshown` names, by name."""
    found = Counter[str]()
    if "provenance" in shape.holds:
        return found
    alike: dict[tuple[Collection[str], Collection[str], bool], list[int]] = {}
    for place, chat in enumerate(batch.chats):
        apart = "input" not in shape.holds and any(chat.inputs)
        alike.setdefault((tuple(chat.labels), tuple(chat.extra), apart), []).append(place)
    for (labels, extra, apart), places in alike.items():
        if shape.columns.keys().isdisjoint((*labels, *extra)):  # all say the same
            found.update(dict.fromkeys([*_keys(batch.chats[places[0]], shape, {}), *([BORDER] * apart)], len(places)))
            continue
        columns = shape.write_chats(batch)
        for place in places:
            row = {name: columns[name][place].as_py() for name in shape.columns}
            found.update(dict.fromkeys([*_keys(batch.chats[place], shape, row), *([BORDER] * apart)], 1))
    return found


def _keys(sample: Sample | Chat, shape: Format, row: Row) -> Iterator[str]:
    kinds: tuple[tuple[str, Mapping[str, object]], ...] = (("label", sample.labels), ("column", sample.extra))
    for kind, keys in kinds:
        for key, value in keys.items():
            if key not in shape.columns or row.get(key) != value:
                yield f"{kind} {_named(key)}"


def _of_turns(turns: Sequence[Turn], shape: Format) -> Iterator[str]:
    for turn in turns:
        if turn.input and not ("input" in shape.holds and turn.role == "user"):
            yield BORDER
        if turn.name:
            yield NAME
        if turn.extra:
            yield from (f"turn key {_named(key)}" for key in shape.more_keys(turn))
    if any(turn.tool_calls or turn.tool_call_id for turn in turns) and shape.calls_beside(turns):
        yield CALL_IDS


def _of_answers(answers: Collection[Answer], shape: Format) -> Iterator[str]:
    for answer in answers:
        said = (("rank", answer.rank), ("score", answer.score), ("source", answer.source))
        yield from (f"{name} of an answer" for name, value in said if value not in (None, ""))
        yield from _of_turns(answer.turns, shape)


def _named(key: str) -> str:
    return " ".join(key[:_KEY].split())
