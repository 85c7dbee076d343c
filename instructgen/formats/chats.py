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
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard

import orjson

from instructgen.formats.columns import join, where, word_counts
from instructgen.formats.holds import GIVEN_ID, is_repeat
from instructgen.formats.single import Singles
from instructgen.records import ID_LENGTH, Provenance, Sample, canonical

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

FIELDS = frozenset({"id", "turns", "labels", "extra", "provenance"})
ROLES = ("user", "assistant", "system")
_NOTHING: dict[str, Any] = {}
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
    if known is None or not (_is_object(labels) and _is_object(extra)) or not name.isascii():
        return None
    roles, contents, inputs = list[str](), list[str](), list[str]()
    lean = True
    for turn in turns:
        if turn.__class__ is not dict:
            return None
        role, content, given = turn.get("role", ""), turn.get("content"), turn.get("input", "")
        if role not in ROLES or not _is_text(content) or not _is_text(given) or (given and role != "user"):
            return None
        if len(turn) != 2 and (len(turn) != 3 or "input" not in turn):
            return None
        if not content or (not given and len(turn) == 3):
            lean = False
        roles.append(role)
        contents.append(content)
        inputs.append(given)
    if (labels or extra or known) and not _is_spelled(labels, extra, known):
        return None
    if not lean:
        turns = [{key: text for key, text in turn.items() if text} for turn in turns]
    own = hashlib.sha256(canonical({"labels": labels, "turns": turns} if labels else {"turns": turns})).hexdigest()
    own = own[:ID_LENGTH]
    if name and name != own and not (name.startswith(own) and is_repeat(name)):
        notes = {GIVEN_ID: name, **known.get("notes", _NOTHING)}
        known = {**known, "source_id": known.get("source_id") or name, "notes": notes}
        name = own
    if source and "source" not in known:
        known = {**known, "source": source, "source_id": known.get("source_id") or str(number)}
    return Chat(name or own, tuple(roles), contents, inputs, labels, extra, known)


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


def _is_text(value: Any) -> TypeGuard[str]:
    """Tell whether a value is a text that UTF-8 can hold."""
    if value.__class__ is not str:
        return False
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeError:  # half a surrogate pair
        return False
    return True


def _is_object(value: Any) -> bool:
    return value is _NOTHING or (value.__class__ is dict and _is_json(value))


def _is_spelled(*values: Any) -> bool:
    """Tell whether values can be written: no half of a surrogate pair, no huge number, not nested too deeply."""
    try:
        orjson.dumps(values)
    except TypeError:
        return False
    return True


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
        import pyarrow as pa

        if len(places) == len(self):
            return self
        part = Chats([self.chats[place] for place in places.tolist()])
        begins, counts = self.begins[places], np.diff(part.begins)
        turns = pa.array(np.repeat(begins - part.begins[:-1], counts) + np.arange(part.begins[-1]))
        part.__dict__.update(contents=self.contents.take(turns), inputs=self.inputs.take(turns))  # sooner than anew
        return part

    @cached_property
    def begins(self) -> np.ndarray:
        """Where the turns of each begin among all turns, and where the last end (int32, one more)."""
        import numpy as np

        ends = np.cumsum([len(chat.roles) for chat in self.chats], dtype=np.int32)
        return np.concatenate([np.zeros(1, np.int32), ends])

    @cached_property
    def roles(self) -> list[str]:
        """Of all turns."""
        return list(chain.from_iterable(chat.roles for chat in self.chats))

    @cached_property
    def contents(self) -> pa.Array:
        """Of all turns."""
        import pyarrow as pa

        return pa.array(chain.from_iterable(chat.contents for chat in self.chats), pa.string())

    @cached_property
    def inputs(self) -> pa.Array:
        """Of all turns; "" where there is none."""
        import pyarrow as pa

        return pa.array(chain.from_iterable(chat.inputs for chat in self.chats), pa.string())

    @cached_property
    def texts(self) -> pa.Array:
        """What a model reads of each turn: the content, then a blank line and the input if there is one."""
        import pyarrow.compute as pc

        if not pc.any(pc.not_equal(self.inputs, "")).as_py():
            return self.contents
        return where(pc.equal(self.inputs, ""), self.contents, join(self.contents, "\n\n", self.inputs))

    @cached_property
    def words(self) -> np.ndarray:
        """How many each turn has, its input included (int64)."""
        words: np.ndarray = word_counts(self.contents)
        return words if self.texts is self.contents else words + word_counts(self.inputs)

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
        import pyarrow as pa

        asked = np.arange(0, 2 * len(self), 2)
        questions, answers = pa.array(asked), pa.array(asked + 1)
        columns = (self.contents.take(questions), self.inputs.take(questions), self.contents.take(answers))
        return Singles(*columns, pa.array(asked // 2 + 1))

    def conversations(self, role: str, text: str, names: Mapping[Any, str] | None = None) -> pa.Array:
        """Return the turns as lists of who speaks and what is said, under these keys; `names` are those of roles."""
        import pyarrow as pa

        said = pa.array([names[one] for one in self.roles] if names else self.roles, pa.string())
        return pa.ListArray.from_arrays(
            pa.array(self.begins), pa.StructArray.from_arrays([said, self.texts], [role, text])
        )


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
