"""The two shapes that every export has by default."""

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructgen.formats import Unreadable, Unwritable
from instructgen.formats.alpaca import Alpaca
from instructgen.formats.detect import read
from instructgen.formats.messages import Messages
from instructgen.records import Answer, Sample, Turn

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@given(TEXT, TEXT, TEXT)
def test_alpaca_round_trip(instruction, given_input, output):
    """What an Alpaca row says is what its sample writes again."""
    row = {"instruction": instruction, "input": given_input, "output": output}

    assert [row] == [Alpaca().write(sample) for sample in Alpaca().read(row)]


@given(st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), TEXT), min_size=1, max_size=6))
def test_messages_round_trip(said):
    """A conversation of any turns comes back as it was."""
    row = {"messages": [{"role": role, "content": content} for role, content in said]}

    assert [row] == [Messages().write(sample) for sample in Messages().read(row)]


def test_real_alpaca_rows_are_identical_after_a_round_trip(data_dir):
    """Each of the 52,002 original rows is written back unchanged."""
    rows = json.loads(gzip.decompress((data_dir / "alpaca_nc/alpaca_data.json.gz").read_bytes()))

    assert rows == [Alpaca().write(sample) for row in rows for sample in Alpaca().read(row)]


def test_input_joins_its_instruction_in_messages():
    """A model reads the instruction, a blank line, the input."""
    sample = Sample.single("Sort.", input="2, 1", output="1, 2")

    assert Messages().write(sample) == {
        "messages": [{"role": "user", "content": "Sort.\n\n2, 1"}, {"role": "assistant", "content": "1, 2"}]
    }


@pytest.mark.parametrize(
    ("sample", "reason"),
    [
        (Sample.single("Hi", output="Ho", system="Be kind."), "system"),
        (Sample(turns=(Turn(role="user", content="Hi"),)), "dialogue"),
        (Sample.single("Hi", output="Ho").model_copy(update={"answers": (Answer(turns=()),)}), "answers"),
        (Sample.single("Hi", output="Ho").model_copy(update={"tools": ({"type": "function"},)}), "tools"),
    ],
)
def test_alpaca_names_what_it_cannot_hold(sample, reason):
    """A sample with more than one question and its answer is refused with a countable reason."""
    with pytest.raises(Unwritable) as caught:
        Alpaca().write(sample)

    assert reason == caught.value.reason


@pytest.mark.parametrize(
    ("row", "detail"),
    [
        ({"instruction": "Hi"}, "output: expected a text, found nothing"),
        ({"instruction": 3, "output": "x"}, "instruction: expected a text, found 3"),
        ({"instruction": "Hi", "output": "x", "history": ["y"]}, "history: expected pairs of texts, found 'y'"),
    ],
)
def test_alpaca_says_what_is_wrong_with_a_row(row, detail):
    """The message names the column, the value and what was expected."""
    with pytest.raises(Unreadable) as caught:
        Alpaca().read(row)

    assert detail == caught.value.detail


def test_llamafactory_columns_are_read():
    """`system` and `history` become turns before the question."""
    row = {"instruction": "c", "output": "d", "system": "s", "history": [["a", "b"]]}

    (sample,) = Alpaca().read(row)

    assert [turn.content for turn in sample.turns] == ["s", "a", "b", "c", "d"]


def test_other_columns_are_kept():
    """A category becomes a label, a strange column stays in `extra`, the id names the source row."""
    (sample,) = Alpaca().read({"instruction": "a", "output": "b", "category": "qa", "votes": 3, "id": 17})

    assert (sample.labels, sample.extra, sample.provenance.source_id) == ({"category": "qa"}, {"votes": 3}, "17")


def test_a_role_without_a_name_is_an_error():
    """The message names the place of the turn."""
    with pytest.raises(Unreadable, match=r"messages\[1\].role: expected one of"):
        Messages().read({"messages": [{"role": "user", "content": "a"}, {"role": "narrator", "content": "b"}]})


def test_content_in_parts():
    """Parts of text are joined; a part with an image has no place in the conversation and is named."""
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    (sample,) = Messages().read({"messages": [{"role": "user", "content": parts}]})

    assert sample.instruction == "a\nb"
    with pytest.raises(Unreadable, match=r"messages\[0\].content: only parts of text are known"):
        Messages().read({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}]})


def test_a_foreign_provenance_column_is_kept_as_a_note():
    """A `provenance` that is not ours is not lost, and does not stop the reader."""
    (sample,) = read([(1, {"instruction": "a", "output": "b", "provenance": '{"url": "x"}'})], Alpaca())

    assert sample.provenance.notes == {"provenance": {"url": "x"}}
