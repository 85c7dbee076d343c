"""What goes through a shape, or through two, comes back as it was."""

import io

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instructgen.exporters import schema
from instructgen.formats import Unwritable
from instructgen.formats.detect import detect, read
from instructgen.formats.holds import carried
from tests.formats.holding import ANYTHING, FORMATS, NATURAL

SLOW = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


def through(shape, sample):
    """Write a sample as the exporter does, with id and provenance, and read it again."""
    ours = {"id": sample.id, "provenance": orjson.dumps(carried(sample, shape)).decode()}
    rows = [{**row, **ours} for row in shape.write_all([sample])]
    (back,) = read(enumerate(orjson.loads(orjson.dumps(rows)), 1), shape)
    return back


def through_parquet(shape, sample):
    """The same over Parquet, with the schema that the card states."""
    columns = schema.with_ours(shape.columns, "json")
    ours = {"id": sample.id, "provenance": orjson.dumps(carried(sample, shape)).decode()}
    rows = [{**shape.flat(row), **ours} for row in shape.write_all([sample])]
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema.arrow_schema(columns)), file)
    (back,) = read(enumerate(pq.read_table(file).to_pylist(), 1), shape)
    return back


def test_every_format_has_its_samples():
    """No format goes untested."""
    assert sorted(NATURAL) == sorted(FORMATS)


@pytest.mark.parametrize("name", sorted(FORMATS))
@given(data=st.data())
@SLOW
def test_a_shape_gives_back_what_it_holds(name, data):
    """Turns, inputs, labels, provenance and id survive JSON and Parquet."""
    shape, sample = FORMATS[name], data.draw(NATURAL[name])

    assert through(shape, sample) == sample
    assert through_parquet(shape, sample) == sample


@pytest.mark.parametrize("name", sorted(FORMATS))
@given(sample=ANYTHING)
@settings(SLOW, max_examples=30)
def test_anything_comes_back_or_is_refused(name, sample):
    """Whatever a sample holds, in answers, turns, steps or extra keys: a shape gives all of it back or says why not."""
    shape = FORMATS[name]
    try:
        rows = shape.write_all([sample])
    except Unwritable as error:
        assert error.reason.isidentifier()
        assert error.detail
        return
    assert through(shape, sample) == sample
    if not any(schema.misfit(shape.columns, shape.flat(row)) for row in rows):
        assert through_parquet(shape, sample) == sample


@pytest.mark.parametrize("first", sorted(FORMATS))
@given(data=st.data())
@settings(SLOW, max_examples=8)
def test_pairs_of_shapes(first, data):
    """From one shape to any other and back: the same sample, or a named refusal, never a silent loss."""
    sample = through(FORMATS[first], data.draw(NATURAL[first]))
    rows = FORMATS[first].write_all([sample])
    for second in sorted(FORMATS):
        try:
            over = through(FORMATS[second], sample)
        except Unwritable as error:
            assert error.reason.isidentifier()
            assert error.detail
            continue
        assert over == sample, second
        assert FORMATS[first].write_all([over]) == rows


@pytest.mark.parametrize("name", sorted(FORMATS))
@given(data=st.data())
@SLOW
def test_without_our_columns_the_text_survives(name, data):
    """The JSON lines that trainers get hold every word, even without provenance."""
    shape, sample = FORMATS[name], data.draw(NATURAL[name])
    rows = orjson.loads(orjson.dumps(shape.write_all([sample])))

    (back,) = read(enumerate(rows, 1), shape)

    assert [turn.text for turn in back.turns] == [turn.text for turn in sample.turns]
    assert [answer.text for answer in back.answers] == [answer.text for answer in sample.answers]
    assert shape.write_all([back.model_copy(update={"id": sample.id})]) == rows


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"openai", "text"}))
@given(data=st.data())
@SLOW
def test_a_shape_is_recognised(name, data):
    """Detection names the shape that wrote the rows, or another that reads the same sample."""
    shape = FORMATS[name]
    rows = shape.write_all([data.draw(NATURAL[name])])

    found = detect(rows, FORMATS.values()).format

    assert list(read(enumerate(rows, 1), found)) == list(read(enumerate(rows, 1), shape))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = sorted({key for shape in FORMATS.values() for key in shape.columns} | {"id", "provenance", "image", "history"})


@pytest.mark.parametrize("name", sorted(FORMATS))
@given(rows=st.lists(st.dictionaries(st.sampled_from(KEYS), JSON, max_size=5), max_size=3))
@settings(SLOW, max_examples=60)
def test_any_row_is_read_or_rejected(name, rows):
    """No row, however strange, is an exception: it is a sample or a counted rejection."""
    for made in read(enumerate(rows, 1), FORMATS[name]):
        assert made


@pytest.mark.parametrize("name", sorted(FORMATS))
@given(row=st.dictionaries(st.sampled_from(KEYS), JSON, max_size=5))
@settings(SLOW, max_examples=30)
def test_looking_at_a_row_never_fails(name, row):
    """`fits` answers for anything."""
    assert FORMATS[name].fits(row) in (True, False)
