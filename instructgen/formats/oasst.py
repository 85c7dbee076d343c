"""OpenAssistant's conversation trees, whole or as flat messages.

    oasst_tree   {"message_tree_id": "...", "tree_state": "ready_for_export",
                  "prompt": {"message_id": "...", "role": "prompter", "text": "...", "replies": [...]}}
    oasst        {"message_id": "...", "parent_id": null, "message_tree_id": "...", "role": "prompter", "text": "..."}

A sample is one path from the root to a leaf; a turn's extra keys hold what is known of its message, so that the paths
of a tree that stand side by side make the tree again. A path that would vanish in the tree (a part of another one, or a
second wording of a message) begins a tree of its own. Flat messages of a tree must stand side by side too, parents
first, as in the published files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import orjson

from instructgen.formats import Format, Row, Shared, Unreadable, Unwritable
from instructgen.formats.holds import carried_in, demand
from instructgen.formats.reading import CARRIERS, text_of
from instructgen.records import Provenance, Role, Sample, Turn, digest

ROLES: dict[str, Role] = {"prompter": "user", "user": "user", "assistant": "assistant", "system": "system"}
NAMES: dict[Role, str] = {"user": "prompter", "assistant": "assistant", "system": "system", "tool": "tool"}
_OWN = frozenset({"text", "role", "replies", "parent_id", "message_tree_id", "tree_state"})
_APART = _OWN | CARRIERS | {"id", "extra"}
"""Keys of a turn that a message has no place for: there they mean something else."""
DEPTH = 500
"""The longest path that is read; deeper nesting is no conversation."""


class OasstTree(Format):
    """A tree of messages, one row a tree."""

    name: ClassVar[str] = "oasst_tree"
    title: ClassVar[str] = "OpenAssistant tree: prompt with nested replies"
    columns: ClassVar[Mapping[str, Any]] = {"message_tree_id": "string", "tree_state": "string", "prompt": "string"}
    optional: ClassVar[frozenset[str]] = frozenset({"prompt"})
    holds: ClassVar[frozenset[str]] = frozenset({"system", "dialogue", "open"})

    def fits(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a row has a prompt with a role and replies."""
        prompt = _nested(row.get("prompt"))
        return isinstance(prompt, Mapping) and "role" in prompt and "text" in prompt

    def read(self, row: Mapping[str, Any]) -> list[Sample]:
        """Return a sample per path from the root to a leaf. Raises: Unreadable."""
        root = _nested(row.get("prompt"))
        if not isinstance(root, Mapping):
            raise Unreadable("missing_field", "prompt: expected the tree's first message")
        tree = str(row.get("message_tree_id") or root.get("message_id") or "")
        extra = (
            {"tree_state": row["tree_state"]} if isinstance(row.get("tree_state"), str) and row["tree_state"] else {}
        )
        return [_path(path, tree, extra) for path in _paths(root)]

    def write(self, sample: Sample) -> Row:
        """Return a tree that is one path. Raises: Unwritable."""
        return self.write_all([sample])[0]

    def group(self, sample: Sample) -> str:
        """Return the tree's id and state."""
        return digest([_tree_id(sample), sample.extra.get("tree_state")])

    def share(self, samples: Sequence[Sample]) -> list[Shared]:
        """Return the trees that the paths make, mostly one. Raises: Unwritable."""
        for sample in samples:
            demand(sample, self.holds, self.name)
            _demand_path(sample, self.name)
        name, state = _tree_id(samples[0]), samples[0].extra.get("tree_state")
        trees: list[_Tree] = []
        for sample in samples:
            if not any(tree.take(sample) for tree in trees):
                trees.append(_Tree(f"{name}.{len(trees) + 1}" if trees else name))
                trees[-1].take(sample)
        said = state if isinstance(state, str) else ""
        return [
            Shared([{"message_tree_id": tree.name, "tree_state": said, "prompt": tree.roots[0]}], tree.samples())
            for tree in trees
        ]

    def more_keys(self, turn: Turn) -> Mapping[str, Any]:
        """Return the keys that a message has no place for."""
        return {key: value for key, value in turn.extra.items() if not _in_message(key, value)}

    def flat(self, row: Row) -> Row:
        """Return the row with its tree as a JSON text: nesting of any depth has no fixed schema."""
        return {**row, "prompt": orjson.dumps(row["prompt"]).decode()}


class Oasst(Format):
    """The same trees, one row a message."""

    name: ClassVar[str] = "oasst"
    title: ClassVar[str] = "OpenAssistant messages: message_id, parent_id, role, text"
    columns: ClassVar[Mapping[str, Any]] = {
        "message_id": "string", "parent_id": "string", "message_tree_id": "string", "tree_state": "string",
        "role": "string", "text": "string", "lang": "string", "rank": "int64", "extra": "string",
    }  # fmt: skip
    optional: ClassVar[frozenset[str]] = frozenset({"lang", "rank", "extra"})
    holds: ClassVar[frozenset[str]] = OasstTree.holds

    def fits(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a row is one message that may have a parent."""
        return {"message_id", "parent_id", "role", "text"} <= set(row)

    def gather(self, rows: Iterable[tuple[int, Mapping[str, Any]]]) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Yield a tree's messages as one row `{"messages": [...]}`, numbered as its first."""
        first, together = 0, list[Mapping[str, Any]]()
        for number, row in rows:
            if together and row.get("message_tree_id") != together[0].get("message_tree_id"):
                yield first, {"messages": together}
                together = []
            first = first if together else number
            together.append(row)
        if together:
            yield first, {"messages": together}

    def scatter(self, row: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        """Return the messages of a gathered tree."""
        return list(row.get("messages", [row]))

    def read(self, row: Mapping[str, Any]) -> list[Sample]:
        """Return a sample per path of a gathered tree, or of a single message. Raises: Unreadable."""
        messages = row.get("messages", [row])
        ours = bool(carried_in(messages[0])) or "extra" in messages[0]
        nodes: dict[str, dict[str, Any]] = {}
        root = None
        for message in messages:
            node = {**_unfolded(message, ours=ours), "replies": []}
            parent = message.get("parent_id")
            if parent is None and root is None:
                root = node
            elif isinstance(parent, str) and parent in nodes:
                nodes[parent]["replies"].append(node)
            else:
                raise Unreadable("no_parent", f"message {message.get('message_id')!r}: no parent {parent!r} before it")
            nodes[str(message.get("message_id"))] = node
        place = {key: messages[0].get(key) for key in ("message_tree_id", "tree_state", "provenance")}
        return OasstTree().read({**place, "prompt": root})

    def write(self, sample: Sample) -> Row:
        """Return the message of a sample of one turn. Raises: Unwritable; longer ones go through `write_all`."""
        rows = self.write_all([sample])
        if len(rows) > 1:
            raise Unwritable("messages", f"format {self.name!r} has a row a message, and here are {len(rows)}")
        return rows[0]

    def group(self, sample: Sample) -> str:
        """Return the tree's id."""
        return _tree_id(sample)

    def share(self, samples: Sequence[Sample]) -> list[Shared]:
        """Return the messages of each tree, parents first. Raises: Unwritable."""
        return [Shared(_messages(shared.rows[0]), shared.samples) for shared in OasstTree().share(samples)]

    def more_keys(self, turn: Turn) -> Mapping[str, Any]:
        """Return the keys that a message has no place for."""
        return OasstTree().more_keys(turn)

    def flat(self, row: Row) -> Row:
        """Return the row with the columns of this shape; a message's other keys become the JSON text `extra`."""
        fits = {"lang": isinstance(row.get("lang"), str), "rank": type(row.get("rank")) is int}
        more = {key: value for key, value in row.items() if not fits.get(key, key in self.columns)}
        known = {name: row.get(name) for name in self.columns if name != "extra" and fits.get(name, True)}
        return {**known, "extra": orjson.dumps(more).decode() if more else None}


def _unfolded(message: Mapping[str, Any], *, ours: bool) -> dict[str, Any]:
    """Return a message with the keys that `flat` had put into a JSON text, and without our own columns."""
    more = _nested(message.get("extra"))
    added = {"extra", "id", *CARRIERS} if ours else {"extra"}
    known = {key: value for key, value in message.items() if key not in added}
    return {**known, **more} if isinstance(more, dict) else known


def _nested(value: Any) -> Any:
    if isinstance(value, str) and value.startswith("{"):
        try:
            return orjson.loads(value)
        except ValueError:
            return value
    return value


def _paths(root: Mapping[str, Any]) -> Iterator[list[Mapping[str, Any]]]:
    """Yield every path from the root to a leaf, in the order of the tree."""
    open_paths = [[root]]
    while open_paths:
        path = open_paths.pop()
        if len(path) > DEPTH:
            raise Unreadable("too_deep", f"a path of more than {DEPTH} messages")
        replies = path[-1].get("replies") or []
        if not isinstance(replies, list) or not all(isinstance(reply, Mapping) for reply in replies):
            raise Unreadable("wrong_type", f"replies: expected a list of messages, found {replies!r:.80}")
        if not replies:
            yield path
        open_paths += [[*path, reply] for reply in reversed(replies)]


def _path(path: Sequence[Mapping[str, Any]], tree: str, extra: dict[str, Any]) -> Sample:
    turns, above = [], tree
    for message in path:
        turn, known = _turn(message), str(message.get("message_id"))
        if known == _made_id(above, turn):
            turn = turn.model_copy(update={"extra": {key: v for key, v in turn.extra.items() if key != "message_id"}})
        turns.append(turn)
        above = known
    return Sample(turns=tuple(turns), extra=extra, provenance=Provenance(source_id=tree))


def _made_id(above: str, turn: Turn) -> str:
    """Return the id that a message without one gets: it depends on where it stands and what it says."""
    return digest([above, turn.role, turn.text])[:32]


def _turn(message: Mapping[str, Any]) -> Turn:
    said = message.get("role")
    role = ROLES.get(said) if isinstance(said, str) else None
    if role is None:
        raise Unreadable("unknown_role", f"role: expected one of {', '.join(ROLES)}, found {said!r:.40}")
    extra = {key: value for key, value in message.items() if key not in _OWN and value is not None}
    return Turn(role=role, content=text_of(message, "text"), extra=extra)


def _tree_id(sample: Sample) -> str:
    return sample.provenance.source_id or sample.id


def _demand_path(sample: Sample, name: str) -> None:
    if not 0 < len(sample.turns) <= DEPTH:
        raise Unwritable("depth", f"format {name!r} holds 1 to {DEPTH} messages, not {len(sample.turns)}")
    ids = [said for turn in sample.turns if isinstance(said := turn.extra.get("message_id"), str)]
    if len(set(ids)) < len(ids):
        raise Unwritable("message_id", f"format {name!r} needs a message_id of its own for each turn")


def _in_message(key: str, value: Any) -> bool:
    """Tell whether a message has a place for a turn's extra key."""
    return key not in _APART and value is not None and (key != "message_id" or isinstance(value, str))


@dataclass
class _Tree:
    """Paths of one tree: turns with one message id, parent and wording are one message."""

    name: str
    roots: list[dict[str, Any]] = field(default_factory=list)
    """One, once a path is in it."""
    ends: dict[str, Sample] = field(default_factory=dict)
    """Message id of a leaf -> the sample that ends there."""
    names: set[str] = field(default_factory=set)
    """Message ids, each once in a tree."""

    def take(self, sample: Sample) -> bool:
        """Put a path in; `False` when it, or one that is there, would not come back as it was."""
        nodes, above = list[tuple[str, dict[str, Any]]](), self.name
        for turn in sample.turns:
            extra = {key: value for key, value in turn.extra.items() if _in_message(key, value)}
            known = str(extra.pop("message_id", None) or _made_id(above, turn))
            nodes.append((known, {"message_id": known, "role": NAMES[turn.role], "text": turn.text, **extra}))
            above = known
        level, at, above_is_end = self.roots, 0, False
        while at < len(nodes) and (there := _named(level, nodes[at][0])) is not None:
            if {key: value for key, value in there.items() if key != "replies"} != nodes[at][1]:
                return False
            level, at, above_is_end = there["replies"], at + 1, there["message_id"] in self.ends
        fresh = {known for known, _ in nodes[at:]}
        if not fresh or fresh & self.names or above_is_end or (at == 0 and self.roots):
            return False
        for _, node in nodes[at:]:
            level.append(node | {"replies": []})
            level = level[-1]["replies"]
        self.names |= fresh
        self.ends[nodes[-1][0]] = sample
        return True

    def samples(self) -> list[Sample]:
        """Return the samples in the order in which the tree gives their paths."""
        return [self.ends[path[-1]["message_id"]] for path in _paths(self.roots[0])]


def _named(messages: Sequence[dict[str, Any]], name: str) -> dict[str, Any] | None:
    return next((one for one in messages if one["message_id"] == name), None)


def _messages(tree: Row) -> list[Row]:
    """Return the messages of a tree, parents first."""
    place = {"message_tree_id": tree["message_tree_id"], "tree_state": tree["tree_state"]}
    return [
        {"parent_id": parent, **place, **{key: value for key, value in node.items() if key != "replies"}}
        for node, parent in _walk(tree["prompt"])
    ]


def _walk(root: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], str | None]]:
    """Yield (message, parent's id), parents first."""
    waiting: list[tuple[Mapping[str, Any], str | None]] = [(root, None)]
    while waiting:
        node, parent = waiting.pop()
        yield node, parent
        waiting += [(reply, node["message_id"]) for reply in reversed(node["replies"])]
