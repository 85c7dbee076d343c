"""What changed between two datasets."""

import hashlib

import pytest

from instructgen.exporters.diff import difference
from instructgen.exporters.numbering import Numbering
from instructgen.records import Provenance, Sample


def row(n, text="q", **labels):
    return Sample.single(f"{text} {n}", output="a", labels=labels, provenance=Provenance(source="f", source_id=str(n)))


def test_added_removed_changed():
    """By id; an edited row is found by its place in the source, with the fields that differ."""
    old = [row(n) for n in range(10)]
    new = [*old[2:8], row(8, "edited"), row(9, level=3), row(10)]

    found = difference(old, reversed(new))

    assert (found.added, found.removed, found.changed, found.unchanged) == (1, 2, 2, 6)
    assert found.fields == {"labels": 1, "turns": 1}
    assert found.first["removed"] == (old[0].id, old[1].id)
    assert found.rows == (10, 9)


def test_provenance_alone_may_change():
    """The same id with another licence is a changed row."""
    found = difference([row(1)], [row(1).with_provenance(licence="mit")])

    assert (found.changed, found.fields) == (1, {"provenance": 1})


def test_a_row_that_was_read_elsewhere_is_unchanged(tmp_path):
    """A cleaned file has another name and fewer rows: what is left of it has not changed."""
    from typer.testing import CliRunner

    from instructgen.cli import app

    old, new = tmp_path / "all.jsonl", tmp_path / "kept.jsonl"
    lines = [f'{{"instruction": "Say {n}.", "output": "It is {n}"}}\n' for n in range(20)]
    old.write_text("".join(lines))
    new.write_text("".join(lines[6:]))

    said = CliRunner().invoke(app, ["diff", str(old), str(new)]).output

    assert "added 0, removed 6, changed 0, unchanged 14" in said
    assert "14 of the unchanged were read from another file or row" in said


def test_another_source_is_a_change():
    """A source that names something, and not a row of a file, is content."""
    one, other = (row(1).with_provenance(source_id=name) for name in ("question-a", "question-b"))

    assert difference([one], [other]).fields == {"provenance": 1}


def test_equal_sets_in_any_order():
    """No difference."""
    rows = [row(n) for n in range(50)]

    assert difference(rows, reversed(rows)).is_empty


def test_repeated_rows_are_as_many_rows():
    """A file with a row twice equals itself, and differs from the file with the row once by one."""
    rows = [row(1), row(2), row(1), row(1)]

    same, fewer = difference(rows, rows), difference(rows, rows[:2])

    assert (same.is_empty, same.rows, same.unchanged) == (True, (4, 4), 4)
    assert (fewer.rows, fewer.removed, fewer.unchanged) == ((4, 2), 2, 2)


@pytest.mark.parametrize("length", [4, 20])
def test_numbering_does_not_depend_on_batches(length):
    """Repeats are numbered in order, however the stream is cut, whether ids are hashes of ours or anything else."""
    ids = [hashlib.sha256(f"{(n * n) % 37}".encode()).hexdigest()[:length] for n in range(400)]
    seen: dict[str, int] = {}
    expected = []
    for name in ids:
        seen[name] = seen.get(name, 0) + 1
        expected.append(name if seen[name] == 1 else f"{name}-{seen[name]}")

    for size in (1, 5, 64, 400):
        numbering = Numbering()
        made = [name for at in range(0, len(ids), size) for name in numbering.number(ids[at : at + size])]
        assert made == expected
        assert numbering.repeats == len(ids) - len(set(ids))
