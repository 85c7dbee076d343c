"""Which shape do these rows have?"""

import pytest

from instructgen import registry
from instructgen.errors import DataError
from instructgen.formats.alpaca import Alpaca
from instructgen.formats.detect import detect, read
from instructgen.formats.messages import Messages
from instructgen.records import Rejection, Sample

FORMATS = [registry.lookup("formats", name)() for name in registry.names("formats")]


def test_the_reason_counts_rows():
    """What is said names how many rows fit and what the shape is."""
    found = detect([{"instruction": "a", "output": "b"}, {"x": 1}], FORMATS)

    assert found.reason == "1 of the first 2 rows have the shape of alpaca: instruction, input, output"


def test_messages_win_over_alpaca_only_where_there_are_more():
    """The majority of the rows decides."""
    alpaca, chat = {"instruction": "a", "output": "b"}, {"messages": [{"role": "user", "content": "a"}]}

    assert (
        detect([chat, chat, alpaca], FORMATS).format.name,
        detect([chat, alpaca, alpaca], FORMATS).format.name,
    ) == ("messages", "alpaca")


@pytest.mark.parametrize("rows", [[], [{"spam": 1, "eggs": 2}]])
def test_unknown_rows_are_an_error_that_names_the_columns(rows):
    """The message lists the columns seen and the formats to choose from."""
    with pytest.raises(DataError, match=r"columns seen: (eggs, spam|none: there are no rows)\. Say --from"):
        detect(rows, FORMATS)


def test_reading_counts_every_row():
    """A row without the shape becomes a rejection with its number and text; the others go on."""
    rows = [
        (1, {"instruction": "a", "output": "b"}),
        (4, {"instruction": "a"}),
        (9, {"instruction": "c", "output": ""}),
    ]

    first, bad, last = read(rows, Alpaca(), source="x.jsonl")

    assert (first.provenance.source, first.provenance.source_id) == ("x.jsonl", "1")
    assert (
        bad.stage,
        bad.reason,
        bad.evidence["row"],
        bad.text,
    ) == ("parse", "missing_field", 4, '{"instruction":"a"}')
    assert isinstance(last, Sample)


def test_values_that_are_no_json_are_a_rejection():
    """A column of bytes or dates cannot enter a sample; the row is counted, not fatal."""
    (bad,) = read([(1, {"messages": [{"role": "user", "content": "a"}], "blob": b"x"})], Messages())

    assert isinstance(bad, Rejection)
    assert bad.reason == "wrong_type"
