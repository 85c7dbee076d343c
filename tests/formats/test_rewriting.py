"""A changed row keeps what was not changed."""

import pytest

from instructgen.exporters.folder import Options, export
from instructgen.files import iter_rows
from instructgen.formats.detect import read_row
from instructgen.formats.rewriting import changed_rows
from tests.exporters.test_kept import TREE, instance
from tests.formats.holding import FORMATS


def changed(sample):
    """The sample with other words in its first turn."""
    first = sample.turns[0].model_copy(update={"content": "Changed."})
    made = sample.model_copy(update={"turns": (first, *sample.turns[1:])})
    return made.model_copy(update={"id": made.content_id()})


def test_other_columns_of_a_foreign_row_stay():
    """Labels, strange columns and the id; a text under another name does not stay beside its new wording."""
    row = {
        "id": 7,
        "instruction": "Mail a@b.org",
        "response": "Done, a@b.org",
        "category": "x",
        "votes": 3,
        "none": None,
    }
    (sample,) = read_row(1, row, FORMATS["alpaca"], "f")

    assert changed_rows([changed(sample)], row, FORMATS["alpaca"]) == [
        {"instruction": "Changed.", "input": "", "output": "Done, a@b.org", "id": 7, "category": "x", "votes": 3}
    ]


@pytest.mark.parametrize("provenance", ["json", "columns"])
@pytest.mark.parametrize("name", ["alpaca", "messages", "self_instruct", "super_ni", "oasst_tree", "oasst"])
def test_a_row_of_ours_keeps_what_it_carries(tmp_path, provenance, name):
    """Read, changed, written back and read again: provenance, labels, extra keys and inputs are there."""
    shape, samples = FORMATS[name], TREE if name.startswith("oasst") else [instance(1), instance(2)]
    export(samples, [shape], tmp_path, Options(provenance=provenance))
    rows = list(shape.gather(iter_rows(tmp_path / name)))

    expected, again = [], []
    for number, row in rows:
        edited = [changed(sample) for sample in read_row(number, row, shape, "f")]
        expected += edited
        for _, fresh in shape.gather(enumerate(changed_rows(edited, row, shape), 1)):
            again += read_row(number, fresh, shape, "f")

    assert len(again) == len(samples)
    assert again == expected
