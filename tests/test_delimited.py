"""CSV as people have it: a quote that does not close, names that stand twice, a packed file that is cut off."""

import gzip

import pytest

from instructgen.errors import DataError
from instructgen.files import iter_rows


def read(path, text):
    """Return the rows of a CSV text with their lines, and what was told of the others."""
    path.write_text(text)
    told = []
    return list(iter_rows(path, lambda line, said: told.append((line, said)))), told


def test_a_quote_that_does_not_close_takes_no_rows_with_it(tmp_path):
    """The line where it opens is told; all behind it are read."""
    good = "".join(f"t{i},x\n" for i in range(500))
    rows, told = read(tmp_path / "a.csv", f'text,label\na,x\n"b,x\n{good}')
    assert told == [(3, "the quote that opens here does not close")]
    assert [number for number, _ in rows] == [2, *range(4, 504)]
    assert rows[-1][1] == {"text": "t499", "label": "x"}


def test_an_open_quote_in_the_last_field_is_no_label(tmp_path):
    """It has the right number of fields, and the rest of the file in one of them."""
    rows, told = read(tmp_path / "a.csv", 'text,label\na,"x\nb,y\n')
    assert [line for line, _ in told] == [2]
    assert rows == [(3, {"text": "b", "label": "y"})]


def test_many_open_quotes_end(tmp_path):
    """Each is told once; lines are read again a bounded number of times, and what is lost then is said."""
    text = "text,label\n" + "".join(f'"q{i},x,\n' for i in range(1001))
    _, told = read(tmp_path / "a.csv", text)
    assert told
    assert all(2 <= line <= 1002 for line, _ in told)


def test_lines_within_quotes_count(tmp_path):
    """A row is named by the line it begins with where it cannot be read."""
    rows, told = read(tmp_path / "a.csv", 'text,label\n"a\nb",x\n\n"c\nd",x,more\ne,y\n')
    assert [row["text"] for _, row in rows] == ["a\nb", "e"]
    assert told == [(5, "expected 2 fields, found 3")]


def test_two_columns_of_one_name_are_an_error(tmp_path):
    """The second would silently replace the first."""
    with pytest.raises(DataError, match=r"a\.csv: two columns are called 'text'"):
        read(tmp_path / "a.csv", "text,text,label\na,b,x\n")


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.csv.gz", "a.json.gz"])
def test_a_packed_file_that_is_cut_off_is_named(tmp_path, name):
    """Not a traceback, and not the end of the rows."""
    packed = gzip.compress(b'{"a": "b"}\n' * 5000)
    (tmp_path / name).write_bytes(packed[:-12])
    with pytest.raises(DataError, match=r"a\.\w+\.gz: the packed file is cut off or damaged"):
        list(iter_rows(tmp_path / name, lambda *_: None))
