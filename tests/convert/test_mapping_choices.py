"""Rows in roles: chunks without a readable row, and which of a row's own choices is right."""

from instructgen.convert.bank import find_pack
from instructgen.convert.conversion import Conversion, Options
from instructgen.convert.mapping import choose
from instructgen.convert.sources import open_source
from instructgen.records import Rejection


def test_a_chunk_of_which_no_row_can_be_read_is_all_rejections(tmp_path):
    """A thousand rows without a label, after one with."""
    path = tmp_path / "reviews.csv"
    path.write_text("text,label\n" + "good,1\nbad,0\n" * 500 + "so so,\n" * 1000)
    source = open_source(str(path))
    mapping = choose(find_pack("sentiment"), source.columns, [row for _, row in source.head])
    made = [one for _, one in Conversion(source, mapping, Options()).run()]
    assert sum(isinstance(one, Rejection) for one in made) == 1000
    assert len(made) == 2000
