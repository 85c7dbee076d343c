"""Conversations of texts, many at a time: what most samples are, with their id, labels and provenance beside.

    {"turns": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}],
     "labels": {"category": "chat"}, "provenance": {"source": "generated", "parents": ["general-17"]}}

A `Sample` takes 10 to 20 microseconds to validate, and as long to take apart again. Streams that are only copied from
shape to shape (exports) keep the JSON form of such a sample, checked, as a `Chat`; `chats.samples()` are the samples.
Whatever has more (tools, other answers, names, weights), or another type somewhere, is for the full readers to judge.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from instructgen.formats.columns import are_empty, bytes_of, column, join, texts, where, word_counts
from instructgen.formats.holds import GIVEN_ID, is_repeat_of
from instructgen.formats.single import Singles
from instructgen.records import ID_LENGTH, Provenance, Sample

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

FIELDS = frozenset({"id", "turns", "labels", "extra", "provenance"})
ROLES = ("user", "assistant", "system")
_NOTHING: dict[str, Any] = {}
_SORTED = orjson.OPT_SORT_KEYS  # as in `records.canonical`
_TEXT = {str}
_SCALARS = {str, int, bool, type(None)}
_IN_JSON: dict[Any, type] = {str: str, dict: dict, tuple: list}
_KINDS: dict[str, type] = {
    name: _IN_JSON.get(type(field.get_default(call_default_factory=True)), int)
    for name, field in Provenance.model_fields.items()
}
"""Field of `Provenance` -> its type in JSON; the one without a default of its own type is a whole number."""


class Chat(NamedTuple):
    """A conversation of texts, with what its JSON form says beside."""

    id: str
    roles: tuple[str, ...]
    contents: list[str]
    inputs: list[str]
    """Of each turn; "" where there is none, as for all but the user's."""
    labels: dict[str, Any]
    extra: dict[str, Any]
    provenance: dict[str, Any]
    """Only what is not the default."""


def chat_of(form: Mapping[str, Any], source: str = "", number: int = 0) -> Chat | None:
    """Return the JSON form of a sample as a `Chat`; `None` when it is more than that, or not certain to be valid.

    `source` and `number` go into a provenance that names no source, as in `detect.read`.
    """
    labels, extra, said = form.get("labels", _NOTHING), form.get("extra", _NOTHING), form.get("provenance", _NOTHING)
    turns, name = form.get("turns"), form.get("id", "")
    if turns.__class__ is not list or not turns or name.__class__ is not str or not form.keys() <= FIELDS:
        return None
    known = said if said is _NOTHING else _provenance(said)
    if known is None or not (_is_object(labels) and _is_object(extra)):
        return None
    spoken = _spoken(turns)
    if spoken is None:
        return None
    roles, contents, inputs, lean = spoken
    if not lean:
        turns = [{key: text for key, text in turn.items() if text} for turn in turns]
    try:  # refused are halves of surrogate pairs, huge numbers, and what is nested too deeply
        own = _hash(orjson.dumps({"labels": labels, "turns": turns} if labels else {"turns": turns}, option=_SORTED))
        if name or extra or known:
            orjson.dumps((name, extra, known))
    except TypeError:
        return None
    if name and name != own and not is_repeat_of(name, own):
        notes = known.get("notes", _NOTHING)
        noted = {**notes, GIVEN_ID: notes.get(GIVEN_ID, name)}
        known = {**known, "source_id": known.get("source_id") or name, "notes": noted}
        name = own
    if source and "source" not in known:
        known = {**known, "source": source, "source_id": known.get("source_id") or str(number)}
    return Chat(name or own, roles, contents, inputs, labels, extra, known)


def _spoken(turns: list[Any]) -> tuple[tuple[str, ...], list[str], list[str], bool] | None:
    """Return roles, contents and inputs of turns, and whether all that is spelled says something.

    `None` when one of them has anything else.
    """
    roles, contents, inputs, lean = list[str](), list[str](), list[str](), True
    for turn in turns:
        if turn.__class__ is not dict:
            return None
        role, content, given = turn.get("role", ""), turn.get("content"), turn.get("input", "")
        if role not in ROLES or content.__class__ is not str or given.__class__ is not str:
            return None
        if len(turn) != 2:
            if len(turn) != 3 or "input" not in turn or (given and role != "user"):
                return None
            lean = lean and given != ""
        lean = lean and content != ""
        roles.append(role)
        contents.append(content)
        inputs.append(given)
    return tuple(roles), contents, inputs, lean


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:ID_LENGTH]


def _provenance(said: Any) -> dict[str, Any] | None:
    """Return what a provenance says beyond the defaults; `None` when anything in it is of another type."""
    if said.__class__ is not dict or [*map(type, said.values())] != [*map(_KINDS.get, said)]:
        return None
    for name in ("parents", "requests"):
        if name in said and {*map(type, said[name])} - _TEXT:
            return None
    if "prompts" in said and {*map(type, said["prompts"].values())} - _TEXT:
        return None
    if "notes" in said and not _is_json(said["notes"]):
        return None
    if all(said.values()):
        return said
    return {name: value for name, value in said.items() if value or _KINDS[name] is int}


def _is_object(value: Any) -> bool:
    return value is _NOTHING or (value.__class__ is dict and _is_json(value))


def _is_json(value: Any) -> bool:
    """Tell whether a value is plain JSON."""
    kind = value.__class__
    if kind is dict:
        if {*map(type, value)} - _TEXT:
            return False
        value = value.values()
    elif kind is not list:
        return kind in _SCALARS or (kind is float and value - value == 0)  # neither infinite nor NaN
    return {*map(type, value)} <= _SCALARS or all(map(_is_json, value))


@dataclass(frozen=True)
class Chats:
    """Chats side by side."""

    chats: Sequence[Chat]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.chats)

    def taken(self, places: np.ndarray) -> Chats:
        """Return those at these places."""
        import numpy as np

        if len(places) == len(self):
            return self
        part = Chats([self.chats[place] for place in places.tolist()])
        turns = column(
            np.repeat(self.begins[places] - part.begins[:-1], np.diff(part.begins)) + np.arange(part.begins[-1])
        )
        part.__dict__.update(contents=self.contents.take(turns), inputs=self.inputs.take(turns))  # sooner than anew
        return part

    @cached_property
    def begins(self) -> np.ndarray:
        """Where the turns of each begin among all turns, and where the last end (int32, one more)."""
        import numpy as np

        return np.cumsum([0, *[len(chat.roles) for chat in self.chats]], dtype=np.int32)

    @cached_property
    def roles(self) -> np.ndarray:
        """Places in `ROLES` of who speaks each turn (uint8)."""
        import numpy as np

        codes = {roles: bytes(map(ROLES.index, roles)) for roles in {chat.roles for chat in self.chats}}
        return np.frombuffer(b"".join([codes[chat.roles] for chat in self.chats]), np.uint8)

    @cached_property
    def contents(self) -> pa.Array:
        """Of all turns."""
        return texts(chain.from_iterable([chat.contents for chat in self.chats]))

    @cached_property
    def inputs(self) -> pa.Array:
        """Of all turns; "" where there is none."""
        return texts(chain.from_iterable([chat.inputs for chat in self.chats]))

    @cached_property
    def texts(self) -> pa.Array:
        """What a model reads of each turn: the content, then a blank line and the input if there is one."""
        if not len(bytes_of(self.inputs)[0]):
            return self.contents
        return where(are_empty(self.inputs), self.contents, join(self.contents, "\n\n", self.inputs))

    @cached_property
    def words(self) -> np.ndarray:
        """How many each turn has, its input included (int64)."""
        words: np.ndarray = word_counts(self.contents)
        return words if self.texts is self.contents else words + word_counts(self.inputs)

    def asked_and_answered(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the words of what user and assistant say in each up to its closing answer, and those of that."""
        import numpy as np

        assistant, system = ROLES.index("assistant"), ROLES.index("system")
        last = self.begins[1:] - 1
        answered = np.where(self.roles[last] == assistant, self.words[last], 0)
        return summed(np.where(self.roles == system, 0, self.words), self.begins) - answered, answered

    def first_questions(self) -> pa.Array:
        """Return the contents of the first user's turn of each that has one."""
        import numpy as np

        users = np.append(np.flatnonzero(self.roles == ROLES.index("user")), len(self.roles))
        first = users[np.searchsorted(users, self.begins[:-1])]
        return self.contents.take(column(first[first < self.begins[1:]]))

    @cached_property
    def samples(self) -> list[Sample]:
        """The samples that these are."""
        return [Sample.model_validate(form_of(chat)) for chat in self.chats]

    def carried(self, *, input_apart: bool) -> list[dict[str, Any]]:
        """Return what `holds.carried` returns for each."""
        return [_carried(chat, input_apart=input_apart) for chat in self.chats]

    def singles(self) -> Singles:
        """Return the texts of chats that are one question with its answer each."""
        import numpy as np

        asked = np.arange(0, 2 * len(self), 2)
        questions, answers = column(asked), column(asked + 1)
        columns = (self.contents.take(questions), self.inputs.take(questions), self.contents.take(answers))
        return Singles(*columns, column(asked // 2 + 1))

    def conversations(self, role: str, text: str, names: Mapping[Any, str] | None = None) -> pa.Array:
        """Return the turns as lists of who speaks and what is said, under these keys; `names` are those of roles."""
        import pyarrow as pa

        said = texts([names[one] for one in ROLES] if names else ROLES).take(column(self.roles))
        turns = pa.StructArray.from_arrays([said, self.texts], [role, text])
        return pa.ListArray.from_arrays(column(self.begins), turns)


def summed(values: np.ndarray, begins: np.ndarray) -> np.ndarray:
    """Return the sum of the values between each two neighbours of `begins` (int64)."""
    import numpy as np

    sums: np.ndarray = np.diff(np.concatenate([[0], np.cumsum(values, dtype=np.int64)])[begins])
    return sums


def form_of(chat: Chat) -> dict[str, Any]:
    """Return the JSON form of the sample."""
    turns = [
        {"role": role, "content": content, "input": given}
        for role, content, given in zip(chat.roles, chat.contents, chat.inputs, strict=True)
    ]
    return {
        "id": chat.id, "turns": turns, "labels": chat.labels, "extra": chat.extra, "provenance": chat.provenance,
    }  # fmt: skip


def _carried(chat: Chat, *, input_apart: bool) -> dict[str, Any]:
    known = chat.provenance
    if chat.labels:
        known = {**known, "labels": chat.labels}
    if chat.extra:
        known = {**known, "extra": chat.extra}
    if input_apart or not any(chat.inputs):
        return known
    return {**known, "turns": {str(place): {"input": len(given)} for place, given in enumerate(chat.inputs) if given}}
