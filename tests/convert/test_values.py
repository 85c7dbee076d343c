"""Columns into values, values into words, and words back into values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructgen.convert import linearise as say
from instructgen.convert.jinja import Unrenderable
from instructgen.convert.paths import bio_spans, place
from instructgen.convert.values import as_kind

PLAIN = st.text(alphabet="abc XYZ123", min_size=1, max_size=8).map(lambda text: " ".join(text.split())).filter(bool)


@pytest.mark.parametrize(
    ("path", "row", "value"),
    [
        ("a", {"a": 1}, 1),
        ("a.b", {"a": {"b": 2}}, 2),
        ("a.b", {"a.b": 3}, 3),
        ("a.b", {"a": [{"b": 1}, {"b": 2}]}, [1, 2]),
        ("a+b", {"a": 1, "b": 2}, [1, 2]),
        ("=German", {}, "German"),
        ("a[-1]", {"a": [1, 2]}, 2),
        ("a[:-1]", {"a": [1, 2]}, [1]),
        ("a[5]", {"a": [1]}, None),
        ("a####after", {"a": "so <<1+1=2>>2\n#### 2"}, " 2"),
        ("a####before", {"a": "so <<1+1=2>>2\n#### 2"}, "so 2\n"),
        (
            "t/g",
            {"t": ["in", "New", "York"], "g": ["O", "B-place", "I-place"]},
            [{"text": "New York", "type": "place"}],
        ),
        ("a", {}, None),
    ],
)
def test_paths(path, row, value):
    """Every form of path, and nothing where the row has nothing."""
    assert place(path).read(row) == value


@pytest.mark.parametrize(
    ("path", "columns", "row", "value", "read"),
    [
        ("in/out", ["in/out", "in"], {"in/out": 1, "in": 2}, 1, {"in/out"}),
        ("a+b", ["a+b"], {"a+b": 1}, 1, {"a+b"}),
        ("=x", ["=x"], {"=x": 1}, 1, {"=x"}),
        ("text.en", ["text.en"], {"text.en": 1}, 1, {"text.en"}),
        ("tags[0]", ["tags[0]"], {"tags[0]": 1}, 1, {"tags[0]"}),
        ("`in/out`+b", ["in/out", "b"], {"in/out": 1, "b": 2}, [1, 2], {"in/out", "b"}),
        ("`a.b`.c", ["a.b"], {"a.b": {"c": 5}}, 5, {"a.b"}),
        ("`a/b`[-1]", ["a/b"], {"a/b": [1, 2]}, 2, {"a/b"}),
        ("`t/1`/`t/2`", [], {"t/1": ["a"], "t/2": ["B-X"]}, [{"text": "a", "type": "X"}], {"t/1", "t/2"}),
    ],
)
def test_columns_whose_names_hold_signs(path, columns, row, value, read):
    """A whole column name is that column; within a longer path it stands in backticks."""
    found = place(path, columns)

    assert found.read(row) == value
    assert found.columns == read


@pytest.mark.parametrize(
    ("kind", "value", "made"),
    [
        ("text", " a ", "a"),
        ("text", ["New", "York"], "New York"),
        ("text", "", None),
        ("number", "1,200", 1200.0),
        ("answers", {"text": ["a", "b"], "answer_start": [0, 1]}, ["a", "b"]),
        ("answers", {"text": [], "answer_start": []}, []),
        ("answers", "a, b", ["a, b"]),
        ("list", "a; b", ["a", "b"]),
        ("choices", {"label": ["A"], "text": ["x "]}, ["x"]),
        ("spans", {"text": ["a"], "type": ["T"]}, [{"text": "a", "type": "T"}]),
        ("triples", [{"head": "a", "relation": "r", "tail": "b"}], [["a", "r", "b"]]),
        ("pairs", {"area": "north", "food": None}, [["area", "north"]]),
        ("pairs", [{"text": "Oslo", "type": "city"}], [["city", "Oslo"]]),
        ("turns", "Ann: Hi\nBob: Hello", [{"speaker": "Ann", "text": "Hi"}, {"speaker": "Bob", "text": "Hello"}]),
        ("turns", ["Hi"], [{"speaker": "", "text": "Hi"}]),
        ("table", [{"a": 1}, {"a": 2}], {"columns": ["a"], "rows": [[1], [2]]}),
        ("table", {"header": ["a"], "rows": [[1]]}, {"columns": ["a"], "rows": [[1]]}),
        ("record", {"a": 1, "b": None}, {"a": 1}),
        ("schema", {"id": "zoo", "tables": {"a": ["x"]}}, {"id": "zoo", "tables": {"a": ["x"]}}),
        (
            "schema",
            {
                "db_id": "zoo",
                "table_names_original": ["a", "b"],
                "column_names_original": [[-1, "*"], [0, "x"], [1, "y"], [0, "z"]],
            },
            {"id": "zoo", "tables": {"a": ["x", "z"], "b": ["y"]}},
        ),
        (
            "schema",
            "CREATE TABLE `a` (x INT, y DECIMAL(3,1), PRIMARY KEY (x)); create table b (z TEXT)",
            {"id": "db", "tables": {"a": ["x", "y"], "b": ["z"]}},
        ),
        ("text", None, None),
    ],
)
def test_kinds(kind, value, made):
    """The shapes in which datasets keep a kind all become the one that templates expect."""
    assert as_kind(kind, value) == made


@pytest.mark.parametrize(
    ("kind", "value"), [("number", "many"), ("spans", 3), ("triples", [["a", "b"]]), ("text", {}), ("number", True)]
)
def test_a_value_of_another_kind_is_told(kind, value):
    """What was expected and what was found, never a guess."""
    with pytest.raises(Unrenderable, match=f"expected {kind}, found") as problem:
        as_kind(kind, value)
    assert problem.value.reason == "wrong_type"


def test_tags_of_numbers_need_names():
    """A numbered tag without a name is a reason; more tags than tokens too."""
    with pytest.raises(Unrenderable, match="tag 1 has no name"):
        place("t/g").read({"t": ["a"], "g": [1]})
    with pytest.raises(Unrenderable, match="1 tokens and 2 tags"):
        place("t/g").read({"t": ["a"], "g": ["O", "O"]})
    assert place("t/g", (), ["O", "B-PER"]).read({"t": ["Ibsen"], "g": [1]}) == [{"text": "Ibsen", "type": "PER"}]


def test_neighbouring_spans_stay_apart():
    """B starts a span anew, another type too, I goes on."""
    spans = bio_spans(["a", "b", "c", "d"], ["B-X", "B-X", "I-X", "I-Y"])

    assert spans == [{"text": "a", "type": "X"}, {"text": "b c", "type": "X"}, {"text": "d", "type": "Y"}]


def test_linearisers_write_exact_strings():
    """The forms of UnifiedSKG and friends, to the letter."""
    table = {"columns": ["city", "people"], "rows": [["Oslo", 700000], ["Ber|gen", None]]}

    assert say.table(table) == "col : city | people row 1 : Oslo | 700000 row 2 : Ber|gen | "
    assert say.markdown_table(table) == "| city | people |\n| --- | --- |\n| Oslo | 700000 |\n| Ber\\|gen |  |"
    assert say.triples([["Oslo", "capital of", "Norway"], ["a", "b", "c"]]) == "Oslo | capital of | Norway ; a | b | c"
    assert say.spans([{"text": "Oslo", "type": "place"}]) == "Oslo (place)"
    assert (
        say.spans_by_type([{"text": "a", "type": "X"}, {"text": "b", "type": "Y"}, {"text": "c", "type": "X"}])
        == "X: a, c\nY: b"
    )
    assert say.pairs([["area", "north"], ["food", "thai"]]) == "area: north; food: thai"
    assert say.turns([{"speaker": "Ann", "text": "Hi"}, {"speaker": "", "text": "Yes"}]) == "Ann: Hi\nB: Yes"
    assert (
        say.sql_schema({"id": "zoo", "tables": {"animal": ["id", "name"], "cage": ["id"]}})
        == "| zoo | animal : id , name | cage : id"
    )
    assert say.record_text({"name": "Oslo", "people": 7}) == "name: Oslo; people: 7"
    assert say.one_of(["a", "b", "c"]) == "a, b or c"
    assert say.say(["Negative", "neutral"], negative="bad") == ["bad", "neutral"]


@pytest.mark.parametrize("write", [say.spans, say.spans_by_type, say.triples, say.pairs, say.listed])
def test_an_empty_list_is_said(write):
    """An answer that says nothing could not be told from a missing one."""
    assert write([]) == "none"


@given(st.lists(st.fixed_dictionaries({"text": PLAIN, "type": PLAIN}), max_size=5))
def test_spans_are_read_back(spans):
    """The label comes back from the target."""
    assert say.read_spans(say.spans(spans)) == spans


@given(
    st.lists(st.lists(PLAIN, min_size=3, max_size=3), max_size=5),
    st.lists(st.tuples(PLAIN, PLAIN).map(list), max_size=5),
)
def test_triples_and_pairs_are_read_back(triples, pairs):
    """So do relations and slots."""
    assert say.read_triples(say.triples(triples)) == triples
    assert say.read_pairs(say.pairs(pairs)) == pairs
