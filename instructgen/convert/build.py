"""A rendered row as a sample: the value, and the line of `samples.jsonl` without the detour through it.

    line(Made("Say yes.", "yes"), source="pets", number=3, template="polite/say@0a1b2c3d")
    -> b'{"id": "...", "turns": [{"role": "user", ...}], "labels": {}, "provenance": {...}}'

Validating samples that we have just built costs more than rendering them; a test holds the two to the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from instructgen.convert.bank import Compiled
from instructgen.convert.render import Made
from instructgen.records import ID_LENGTH, digest, scrub

Turns = Sequence[tuple[str, str]]
"""Earlier exchanges of a few-shot conversation: (what the user said, what the assistant answered)."""


def labels_of(made: Made, compiled: Compiled, answers: Any = None, answer: Any = None) -> dict[str, Any]:
    """Return what is known of a rendered row: its label, the answers to choose from, their letters, references.

    An inverted template asks for something else than the label, so its samples carry no options.
    """
    known: dict[str, Any] = {}
    if compiled.template.inverted:
        return {"label": made.label, "inverted": True} if made.label is not None else {"inverted": True}
    if made.label is not None:
        known = {"label": made.label, "options": list(made.choices), "is_classification": True}
        if made.letters:
            known["letters"] = list(made.letters)
    if answers:
        known["answers"] = answers
    if answer is not None:
        known["answer"] = answer
    return known


def sample_dict(
    made: Made,
    labels: dict[str, Any],
    provenance: dict[str, Any],
    shots: Turns = (),
) -> dict[str, Any]:
    """Return the JSON form of the sample, as `Sample.as_json` would give it.

    `provenance` holds no empty values. Lone surrogates, which no file can hold, become U+FFFD.
    """
    turns = []
    for asked, said in (*shots, (made.input, made.target)):
        turns += [{"role": "user", "content": scrub(asked)}, {"role": "assistant", "content": scrub(said)}]
    content: dict[str, Any] = {"turns": turns, "labels": labels} if labels else {"turns": turns}
    return {"id": digest(content)[:ID_LENGTH], **content, "provenance": provenance}


def line(row: dict[str, Any]) -> bytes:
    """Return one line of `samples.jsonl`, with its line break."""
    return orjson.dumps(row) + b"\n"
