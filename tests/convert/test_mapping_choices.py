"""Rows in roles: chunks without a readable row, and which of a row's own choices is right."""

import pytest

from instructgen.convert.bank import find_pack
from instructgen.convert.choosing import choose
from instructgen.convert.conversion import Conversion, Options
from instructgen.convert.jinja import Unrenderable
from instructgen.convert.questions import Unsure
from instructgen.convert.sources import open_source
from instructgen.errors import DataError
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


@pytest.mark.parametrize("task", ["topic", "sentiment", "nli"])
def test_a_column_named_as_the_task_is_its_label(task):
    """`topic` holds the topics."""
    row = {"premise": "x", "hypothesis": "y", "text": "The bank lowered its rates.", task: "economy"}
    assert choose(find_pack(task), list(row), [row] * 30, None, {}, {"economy": "economy"}).roles["label"] == task


LETTERS = {"question": "question", "choices": "A+B+C+D", "label": "answer"}


def of_letters(answer, *choices):
    """Return a row of the columns A to D."""
    return {"question": "Q", **dict(zip("ABCD", choices, strict=True)), "answer": answer}


def gold(row, given=None):
    """Return the right choice of a row."""
    made, position = choose(find_pack("mcq"), list(row), [row], given).take(row)
    assert made["choices"][position] == made["label"]
    return made["label"]


@pytest.mark.parametrize(
    ("row", "given", "right"),
    [
        ({"question": "Q", "choices": ["4", "0", "1", "3"], "answer": 1}, None, "0"),
        ({"question": "Q", "choices": ["4", "0", "1", "3"], "answer": 1.0}, None, "0"),
        ({"question": "Q", "choices": ["4", "0", "1", "3"], "answer": "1"}, None, "1"),
        ({"question": "Q", "choices": {"label": ["1", "2"], "text": ["x", "y"]}, "answerKey": "2"}, None, "y"),
        (of_letters("C", "red", None, "blue", "green"), LETTERS, "blue"),
        (of_letters("D", "red", None, "blue", "green"), LETTERS, "green"),
        (of_letters(3, "red", None, "blue", "green"), LETTERS, "green"),
        ({"context": "c", "question": "Q", "answerA": "3", "answerB": "y", "answerC": "z", "label": "3"}, None, "z"),
        ({"sentence": "The _", "option1": "x", "option2": "y", "answer": "1"}, None, "x"),
        ({"q": "Q", "a": 3, "b": 0, "c": 1}, {"question": "q", "choices": "a+b+c", "label": "c"}, "1"),
    ],
)
def test_the_right_choice_is_the_one_that_is_meant(row, given, right):
    """Numbers are positions, from 1 where the layout says so; words and letters keep their places beside nulls."""
    assert gold(row, given) == right


def test_a_right_choice_that_is_null_is_a_reason():
    """Never another choice in its place."""
    with pytest.raises(Unrenderable, match="number 2") as found:
        gold(of_letters("B", "red", None, "blue", "green"), LETTERS)
    assert found.value.reason == "null_field"


def test_whether_unknown_columns_count_from_one_is_not_guessed():
    """1 and 2 of two choices."""
    rows = [{"q": "Q", "one": "x", "two": "y", "answer": answer} for answer in ("1", "2")]
    with pytest.raises(DataError, match="1=A,2=B"):
        choose(find_pack("mcq"), list(rows[0]), rows, {"question": "q", "choices": "one+two"})


def rows_of(answers, *choices):
    """Return rows of the columns that MMLU has, and many other sets too."""
    return [{"question": f"Q{i}", "choices": list(choices), "answer": answer} for i, answer in enumerate(answers)]


@pytest.mark.parametrize("answers", [(1, 2, 3), ("1", "2", "3")])
def test_answers_from_one_are_not_read_from_zero(answers):
    """The columns of a layout that counts from 0, yet 3 of three choices and never 0: asked, and told by letters."""
    rows = rows_of(answers, "x", "y", "z")
    with pytest.raises(Unsure, match="--labels 1=A,2=B,3=C"):
        choose(find_pack("mcq"), list(rows[0]), rows)
    mapping = choose(find_pack("mcq"), list(rows[0]), rows, labels={"1": "A", "2": "b", "3": "C"})
    assert [mapping.take(row)[0]["label"] for row in rows] == ["x", "y", "z"]
    with pytest.raises(Unrenderable, match="told are 1=A"):
        mapping.take({**rows[0], "answer": 4})
    with pytest.raises(DataError, match="the letter of one"):
        choose(find_pack("mcq"), list(rows[0]), rows, labels={"1": "first"})


def test_zero_in_a_layout_that_counts_from_one_is_asked():
    """A copy of SocialIQA with numbers from 0."""
    rows = [
        {"context": "c", "question": "Q", "answerA": "x", "answerB": "y", "answerC": "z", "label": n} for n in "012"
    ]
    with pytest.raises(Unsure, match="--labels 0=A,1=B,2=C"):
        choose(find_pack("mcq"), list(rows[0]), rows)


@pytest.mark.parametrize(("word", "others", "right"), [("A", "BCD", "B"), ("1", "023", "A")])
def test_a_letter_is_a_place_where_all_labels_are(word, others, right):
    """One row's choices are letters themselves: what its label means is told by the other rows."""
    rows = rows_of(others, "x", "y", "z", "w")
    odd = {"question": "Q", "choices": ["B", "A", "1", "D"], "answer": word}
    mapping = choose(find_pack("mcq"), list(odd), [*rows, odd])
    assert mapping.take(odd)[0]["label"] == right


def test_numbered_tags_without_names_are_asked():
    """Names go by the number, not by their order; a number that none names stops before anything is written."""
    rows = [{"tokens": ["Ann", "sees", "Oslo"], "ner_tags": [1, 0, 5]}]
    with pytest.raises(Unsure, match=r"without names: 0, 1, 5.*--labels 0=O,1=B-PER"):
        choose(find_pack("ner"), list(rows[0]), rows)
    with pytest.raises(Unsure, match="without names: 5"):
        choose(find_pack("ner"), list(rows[0]), rows, labels={"0": "O", "1": "B-PER"})
    mapping = choose(find_pack("ner"), list(rows[0]), rows, labels={"0": "O", "1": "B-PER", "5": "B-LOC"})
    spans = mapping.take(rows[0])[0]["spans"]
    assert spans == [{"text": "Ann", "type": "PER"}, {"text": "Oslo", "type": "LOC"}]
