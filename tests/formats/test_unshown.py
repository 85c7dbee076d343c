"""What a row does not show is named; what it shows is not."""

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instructgen.exporters import schema
from instructgen.formats import Unwritable
from instructgen.formats.detect import read
from instructgen.formats.unshown import unshown
from instructgen.records import Answer, Media, Sample, Step, Turn
from tests.formats.holding import ANYTHING, FORMATS, NATURAL
from tests.formats.test_round_trips import SLOW

ASKED = Turn(role="user", content="q", input="given")


def within(part, whole):
    """Tell whether all that one JSON value says is in another."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(within(value, whole.get(key)) for key, value in part.items())
    if isinstance(part, list):
        return isinstance(whole, list) and len(part) == len(whole) and all(map(within, part, whole))
    return part in (None, whole)


def content(sample):
    return sample.model_dump(mode="json", exclude_defaults=True, exclude={"id", "provenance"})


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"text"}))
@given(data=st.data())
@settings(SLOW, max_examples=40)
def test_nothing_is_missing_that_is_not_named(name, data):
    """Read from its own columns alone a sample is whole, or what is missing of it is named."""
    shape, sample = FORMATS[name], data.draw(ANYTHING | NATURAL[name])
    try:
        rows = shape.write_all([sample])
    except Unwritable:
        return
    flat = [shape.flat(row) for row in rows]
    if any(schema.misfit(shape.columns, row) for row in flat):
        return
    own = [{key: value for key, value in row.items() if key in shape.columns} for row in flat]
    (back,) = read(enumerate(orjson.loads(orjson.dumps(own)), 1), shape)

    named = unshown(sample, shape, flat[0])

    assert within(content(sample), content(back)) == (not named), named


@pytest.mark.parametrize(
    ("name", "sample", "named"),
    [
        ("messages", Sample.single("q", input="i", output="a", labels={"category": "c"}),
         ["label category", "border of instruction and input"]),
        ("alpaca", Sample.single("q", input="i", output="a"), []),
        ("dolly", Sample.single("q", output="a", labels={"category": "c", "x": 1}), ["label x"]),
        ("dolly", Sample.single("q", output="a", labels={"category": 5}), ["label category"]),
        ("unpaired", Sample.single("q", output="a", labels={"desirable": True}), []),
        ("sharegpt", Sample(turns=(Turn(role="user", content="q", name="Ann", extra={"from": "ann", "weight": 1}),)),
         ["name of a turn", "turn key from", "turn key weight"]),
        ("openai", Sample(turns=(Turn(role="system", content="s", extra={"role": "developer"}),
                                 Turn(role="user", content="q", name="Ann"))), []),
        ("preference",
         Sample(turns=(ASKED, Turn(role="assistant", content="a", extra={"reasoning_content": "r"})),
                answers=(Answer(turns=(Turn(role="assistant", content="b"),), score=0.5, source="m"),)),
         ["border of instruction and input", "turn key reasoning_content", "score of an answer",
          "source of an answer"]),
        ("llava",
         Sample(turns=(ASKED, Turn(role="assistant", content="a")), media=(Media(path="a.png", sha256="f"),),
                extra={"k" * 99: 1, "a\nb": 2}),
         ["column " + "k" * 60, "column a b", "border of instruction and input", "hashes of media"]),
        ("stepwise", Sample(turns=(Turn(role="user", content="q"), Turn(role="assistant", content="s")),
                            steps=(Step(text="s", rating=1, extra={"flagged": True}),)), ["step key flagged"]),
        ("sample", Sample.single("q", output="a", labels={"x": 1}), []),
    ],
)  # fmt: skip
def test_the_names(name, sample, named):
    """Each thing by the word that its source uses, once, in the order of the sample."""
    shape = FORMATS[name]
    assert unshown(sample, shape, shape.flat(shape.write(sample))) == named
