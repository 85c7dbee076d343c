"""The dataset that the trainers load: exported by us, from samples made here."""

from __future__ import annotations

import sys
from pathlib import Path

from instructgen.exporters.folder import Options, export
from instructgen.records import Answer, Sample, Turn
from instructgen.registry import lookup

PLAIN = ("alpaca", "messages", "sharegpt", "openai", "prompt_completion", "prompt_completion_chat", "text", "flan")
PAIRS = ("preference", "preference_implicit", "preference_text", "openai_preference")


def plain(count: int) -> list[Sample]:
    """Single questions, half of them with an input."""
    return [
        Sample.single(f"Count to {n}.", input="slowly" if n % 2 else "", output=" ".join(map(str, range(1, n + 1))))
        for n in range(1, count + 1)
    ]


def chats(count: int) -> list[Sample]:
    """Two exchanges after a system message."""
    return [
        Sample(
            turns=(
                Turn(role="system", content="Be brief."),
                Turn(role="user", content=f"Is {n} even?"),
                Turn(role="assistant", content="yo" if n % 2 == 0 else "no"),
                Turn(role="user", content="Sure?"),
                Turn(role="assistant", content="yo"),
            )
        )
        for n in range(1, count + 1)
    ]


def pairs(count: int) -> list[Sample]:
    """A right and a wrong answer."""
    return [
        Sample(turns=sample.turns, answers=(Answer(turns=(Turn(role="assistant", content=f"No idea {n}."),)),))
        for n, sample in enumerate(plain(count))
    ]


def thumbs(count: int) -> list[Sample]:
    """Answers with a label."""
    return [Sample(turns=sample.turns, labels={"desirable": n % 2 == 0}) for n, sample in enumerate(plain(count))]


def write(into: Path) -> None:
    """Write four folders: plain, chats, pairs, thumbs."""
    for name, samples, formats in (
        ("plain", plain(40), PLAIN),
        ("chats", chats(40), ("messages", "sharegpt", "openai")),
        ("pairs", pairs(40), PAIRS),
        ("thumbs", thumbs(40), ("unpaired",)),
    ):
        export(samples, [lookup("formats", one)() for one in formats], into / name, Options(licence="mit"))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
