"""Agreement of a judge with people: textbook numbers, curves on toy rows, and the command that prints them."""

import json

import pytest
from typer.testing import CliRunner

from instructgen.cli import app
from instructgen.filters.agreement import Judged, agreement, calibration, cohen_kappa, threshold, wilson

ROWS = [Judged(5, True), Judged(5, True), Judged(4, True), Judged(4, False), Judged(2, True), Judged(1, False)]


def test_kappa_of_the_textbook_table():
    """Cohen's two raters with 20, 5, 10, 15: observed 0.7, by chance 0.5, kappa 0.4."""
    assert cohen_kappa(20, 5, 10, 15) == 0.4
    assert cohen_kappa(10, 0, 0, 10) == 1.0
    assert cohen_kappa(5, 5, 5, 5) == 0.0
    assert cohen_kappa(0, 10, 10, 0) == -1.0
    assert cohen_kappa(10, 0, 0, 0) is None


def test_counts_and_shares_on_toy_rows():
    """Six rows by hand: kept 4 of which 3 good; one good dropped."""
    found = agreement(ROWS, keep_at_least=4)

    assert found.confusion == {"kept_good": 3, "kept_bad": 1, "dropped_good": 1, "dropped_bad": 1}
    assert (found.accuracy, found.precision, found.recall, found.kappa) == (0.6667, 0.75, 0.75, 0.25)


def test_the_threshold_is_the_lowest_score_with_the_precision():
    """Equal scores stand together: 4 keeps three good of four."""
    assert threshold(ROWS, 0.9).model_dump() == {
        "score": 5, "precision": 1.0, "at_least": 0.3424, "recall": 0.5, "kept": 2,
    }  # fmt: skip
    assert threshold(ROWS, 0.75).score == 2
    assert threshold([Judged(5, False)], 0.5) is None


def test_the_calibration_curve_covers_every_row_once():
    """Bins are of equal width; the highest score belongs to the last."""
    curve = calibration(ROWS, 4)

    assert [(each.low, each.rows, each.share_good) for each in curve] == [(1, 1, 0.0), (2, 1, 1.0), (4, 4, 0.75)]
    assert calibration([Judged(3, True)] * 2, 5)[0].rows == 2


def test_wilson_is_the_published_interval():
    """10 of 10 allows 0.722, 0 of 10 allows 0."""
    assert round(wilson(10, 10), 3) == 0.722
    assert wilson(0, 10) == 0


def run(tmp_path, rows, *options):
    path = tmp_path / "labels.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return CliRunner().invoke(app, ["judge-report", "--labels", str(path), *options])


def test_the_command_prints_all_four(tmp_path):
    """Accuracy, kappa, the curve and the threshold."""
    rows = [{"score": each.score, "label": "good" if each.good else "bad"} for each in ROWS]
    result = run(tmp_path, rows)

    assert result.exit_code == 0, result.output
    for part in (
        "accuracy             0.667",
        "Cohen's kappa        0.250",
        "4.20 ..  5.00",
        "keep_at_least: 5 keeps 2 of 6 rows",
    ):
        assert part in result.output


@pytest.mark.parametrize("labels", [[1, 0], [True, False], ["keep", "drop"], [5, 2], ["4", "3.5"]])
def test_labels_are_read_in_the_usual_spellings(tmp_path, labels):
    """Words, flags, 0 and 1, or a scale of which 4 and more is good."""
    rows = [{"s": 5, "human": labels[0]}, {"s": "1.5", "human": labels[1]}]
    result = run(tmp_path, rows, "--score", "s", "--label", "human", "--json")

    assert json.loads(result.stdout)["confusion"] == {
        "kept_good": 1,
        "kept_bad": 0,
        "dropped_good": 0,
        "dropped_bad": 1,
    }


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"score": 4}, "row 2 has no 'label'; it has score"),
        ({"score": "high", "label": "good"}, "row 2: score is 'high', expected a finite number"),
        ({"score": float("nan"), "label": "good"}, "row 2: score is nan, expected a finite number"),
        ({"score": "inf", "label": "good"}, "row 2: score is 'inf', expected a finite number"),
        ({"score": 10**400, "label": "good"}, "row 2: score is an integer of over forty digits, expected a finite"),
        ({"score": {"a": 1}, "label": "good"}, "row 2: score is {'a': 1}, expected a finite number"),
        ({"score": None, "label": "good"}, "row 2: score is empty"),
        ({"score": 4, "label": float("nan")}, "row 2: label is nan, expected good or bad"),
        ({"score": 4, "label": 3}, "row 1: label is 'good', expected a number like in other rows"),
        ({"score": 4, "label": "maybe"}, "row 2: label is 'maybe', expected good or bad"),
    ],
)
def test_a_bad_row_is_named(tmp_path, row, message):
    """File, row, value and expectation, exit 1."""
    result = run(tmp_path, [{"score": 5, "label": "good"}, row])

    assert result.exit_code == 1
    assert message in result.output


def test_scores_of_any_finite_size_are_binned():
    """The curve holds every row, however far apart the scores are; what is not finite is refused."""
    far = agreement([Judged(-1.7e308, False), Judged(0, True), Judged(1.7e308, True)], keep_at_least=4)

    assert sum(each.rows for each in far.calibration) == 3
    with pytest.raises(ValueError, match="finite"):
        agreement([Judged(float("nan"), True)], keep_at_least=4)


def test_limits_that_are_no_numbers_are_refused(tmp_path):
    """nan compares with nothing."""
    result = run(tmp_path, [{"score": 5, "label": "good"}], "--keep-at-least", "nan")

    assert result.exit_code == 1
    assert "not nan" in result.output


def test_an_empty_file_is_an_error(tmp_path):
    """No rows, no report."""
    assert run(tmp_path, []).exit_code == 1
