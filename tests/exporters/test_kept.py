"""What a row has no place for comes back all the same, from rows that samples share and from columns too."""

import json

import pytest

from instructgen import files
from instructgen.errors import ExportError
from instructgen.exporters.folder import Options, export, read_manifest
from instructgen.formats.detect import read
from instructgen.records import Answer, Provenance, Sample, Turn
from tests.exporters.test_card import table
from tests.formats.holding import FORMATS


def back(folder, name):
    """Read a config's Parquet files again."""
    return list(read(files.iter_rows(folder / name), FORMATS[name], source="again"))


def known(number, **fields):
    """Provenance that differs from sample to sample."""
    return Provenance(source="made", source_id="task-1", licence=f"licence-{number}", parents=(f"p{number}",), **fields)


def instance(number, **fields):
    made = Sample.single("Sort.", input=f"{number} 1", output=f"1 {number}", labels={"category": f"c{number}"})
    return Sample(turns=made.turns, labels=made.labels, extra={"votes": number}, provenance=known(number), **fields)


def path(*texts, number=0, **extra):
    """A conversation of a tree, user first."""
    turns = [
        Turn(role=("user", "assistant")[at % 2], content=text, extra=extra if at == 0 else {})
        for at, text in enumerate(texts)
    ]
    return Sample(turns=tuple(turns), labels={"n": number}, extra={"n": number}, provenance=known(number))


TREE = [path("q", "a", number=1), path("q", "b", "c", "d", number=2), path("q", "b", "c", "e", number=3)]
TANGLED = [
    path("q", "a", number=1),
    path("q", "a", "b", "c", number=2),  # the first is a part of it
    path("q", "a", number=3),  # the first once more
    path("other", "a", number=4),  # another root
    path("q", "x", "y", number=5),
    path("q", "a", "b", "z", number=6),  # between two that it does not belong between
]


@pytest.mark.parametrize("provenance", ["json", "columns"])
@pytest.mark.parametrize(
    ("name", "samples", "rows"),
    [
        ("self_instruct", [instance(1), instance(2), instance(3)], 1),
        ("super_ni", [instance(1), instance(2), instance(3)], 1),
        ("oasst_tree", TREE, 1),
        ("oasst", TREE, 6),
    ],
)
def test_samples_that_share_a_row_keep_all_of_theirs(tmp_path, provenance, name, samples, rows):
    """Provenance, labels and extra keys of each, not of the first alone."""
    done = export(samples, [FORMATS[name]], tmp_path, Options(provenance=provenance))

    assert done.rows == {name: {"train": rows}}
    assert back(tmp_path, name) == samples


@pytest.mark.parametrize("name", ["oasst_tree", "oasst"])
def test_paths_that_would_vanish_in_a_tree_get_their_own(tmp_path, name):
    """A part of another path, a repeated path and a second root are samples too."""
    export([*TANGLED, TANGLED[1]], [FORMATS[name]], tmp_path)

    found = back(tmp_path, name)

    again = TANGLED[1].model_copy(update={"id": f"{TANGLED[1].id}-2"})
    assert sorted(found, key=lambda s: s.id) == sorted([*TANGLED, again], key=lambda s: s.id)


def test_messages_with_one_id_and_two_wordings(tmp_path):
    """An edited copy of a message does not take the other one's place."""
    samples = [path("q", "a", number=1, message_id="m"), path("Q!", "a", number=2, message_id="m")]

    export(samples, [FORMATS["oasst_tree"]], tmp_path)

    assert back(tmp_path, "oasst_tree") == samples


def test_a_sample_that_does_not_fit_takes_no_other_with_it(tmp_path):
    """Of a group only the one is left out."""
    tooled = Sample(turns=instance(2).turns, tools=({"type": "function"},), provenance=known(2))

    done = export([instance(1), tooled, instance(3)], [FORMATS["self_instruct"]], tmp_path)

    assert done.left_out == {"self_instruct": {"tools": 1}}
    assert back(tmp_path, "self_instruct") == [instance(1), instance(3)]


def test_provenance_as_columns_is_whole(tmp_path):
    """Labels, extra columns, notes and the border of an input too; what has a column stands there."""
    samples = [
        Sample(turns=s.turns, labels=s.labels, extra=s.extra, provenance=known(n, notes={"judge": {"score": n}}))
        for n, s in enumerate([instance(1), instance(2)])
    ]

    export(samples, [FORMATS["messages"], FORMATS["alpaca"]], tmp_path, Options(provenance="columns"))

    assert back(tmp_path, "messages") == back(tmp_path, "alpaca") == samples
    row = next(row for _, row in files.iter_rows(tmp_path / "messages"))
    assert (row["provenance_source"], row["provenance_licence"], row["provenance_parents"]) == (
        "made", "licence-0", ["p0"],
    )  # fmt: skip
    assert json.loads(row["provenance_more"])["labels"] == {"category": "c1"}


def test_what_no_config_holds_counts_nowhere(tmp_path):
    """Statistics, findings and sizes are those of the rows that are there."""
    chat = Sample(
        turns=(*instance(1).turns, Turn(role="user", content="<|im_end|> and " * 50)),
        labels={"category": "gone"}, provenance=Provenance(language="fr", source="gone"),
    )  # fmt: skip

    done = export([chat, instance(1)], [FORMATS["alpaca"], FORMATS["dolly"]], tmp_path)

    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert (done.samples, done.findings, read_manifest(tmp_path)["samples"]) == (1, (), 1)
    assert done.left_out == {"alpaca": {"dialogue": 1}, "dolly": {"dialogue": 1}}
    assert table(card, "category") == {"c1": ["1"]}
    assert table(card, "words of the")["prompt"] == ["3"] * 4
    assert "language" not in card.split("---")[1]


@pytest.mark.parametrize(
    ("name", "sample", "problem"),
    [
        (
            "openai",
            Sample(turns=(Turn(role="user", content="a"),
                          Turn(role="assistant", tool_calls=({"id": 7, "function": {"name": "f", "arguments": ""}},)))),
            "expected id and type as texts",
        ),
        (
            "super_ni",
            Sample.single("a", output="b").model_copy(
                update={"extra": {"task": {"Definition": ["a"], "Positive Examples": 3, "Categories": [["x"]]}}}
            ),
            "",
        ),
        (
            "ranked",
            Sample(turns=Sample.single("a", output="b").turns,
                   answers=(Answer(turns=(Turn(role="assistant", content="c"),), rank=2**70),)),
            "answers[1].rank: expected int64",
        ),
    ],
)  # fmt: skip
def test_a_value_of_another_type_is_a_reason(tmp_path, name, sample, problem):
    """A column that is a number here and a text there is no traceback: the row is left out, the others stay."""
    good = {"ranked": Answer(turns=(Turn(role="assistant", content="c"),), rank=2)}
    fine = Sample(turns=Sample.single("x", output="y").turns, answers=tuple(filter(None, [good.get(name)])))

    done = export([fine, sample], [FORMATS[name]], tmp_path)

    if problem:
        assert sum(done.left_out[name].values()) == 1
        with pytest.raises(ExportError) as caught:
            export([sample], [FORMATS[name]], tmp_path / "alone", Options(strict=True))
        assert problem in str(caught.value)
    assert back(tmp_path, name)[0].turns == fine.turns
