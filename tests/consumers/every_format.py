"""One folder per format, each with samples that the format holds: python -m tests.consumers.every_format DIR."""

from __future__ import annotations

import random
import sys
from pathlib import Path

from instructgen.exporters.folder import Options, export
from instructgen.records import Answer, Media, Sample, Step, Turn
from instructgen.registry import lookup, names

CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}


def samples(name: str, count: int = 12) -> list[Sample]:
    """Return samples that the format holds, some with parts that others lack."""
    rng = random.Random(7)
    return [_sample(name, n, rng) for n in range(count)]


def _sample(name: str, n: int, rng: random.Random) -> Sample:
    single = Sample.single(f"Question {n} 你好?", input="given" if n % 2 else "", output=f"Answer {rng.randrange(99)}")
    other = Answer(turns=(Turn(role="assistant", content="No."),), rank=2, score=0.5 if n % 2 else None, source="m")
    if name in ("preference", "preference_implicit", "preference_text", "openai_preference"):
        return Sample(turns=single.turns, answers=(Answer(turns=other.turns),))
    if name == "ranked":
        return Sample(turns=single.turns, answers=(other,))
    if name == "unpaired":
        return Sample(turns=single.turns, labels={"desirable": n % 3 == 0})
    if name in ("process", "stepwise"):
        steps = (Step(text="First.", rating=1), Step(text="Then.", rating=-1))
        return Sample(turns=(single.turns[0], Turn(role="assistant", content="First.\nThen.")), steps=steps)
    if name == "llava":
        return Sample(turns=single.turns, media=(Media(path=f"images/{n}.png"),))
    if name == "openai" and n % 2:
        asked = Turn(role="assistant", tool_calls=(CALL,), weight=0.0)
        said = Turn(role="tool", content="2", tool_call_id="c1")
        return Sample(turns=(single.turns[0], asked, said, single.turns[1]), tools=(TOOL,))
    return single


def write(into: Path) -> None:
    """Write the folders."""
    for name in names("formats"):
        export(samples(name), [lookup("formats", name)()], into / name, Options(licence="mit"))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
