"""The default set on real data: the known defects of the original Alpaca file are found, good data survives."""

import gzip
import json
import re

import pytest

from instructgen.filters.defaults import DEFAULT_SET
from instructgen.records import Sample
from instructgen.registry import lookup

URL = re.compile(r"(?:https?://|www\.)\S+")
GLUED = re.compile(r"\n.*Instruction:")
CUT_YEAR = re.compile(r"\b(?:in|of|July|April|December) 20$")


def validators():
    return {line["kind"]: lookup("filters", line["kind"])(**line) for line in DEFAULT_SET}


def dropped(samples):
    filters = list(validators().values())
    return [(n, verdict) for n, sample in enumerate(samples) for verdict in [first(filters, sample)] if verdict]


def first(filters, sample):
    return next((verdict for each in filters if (verdict := each.check(sample))), None)


@pytest.fixture(scope="module")
def alpaca_rows():
    from tests.conftest import TEST_DATA

    path = TEST_DATA / "alpaca_nc/alpaca_data.json.gz"
    if not path.exists():
        pytest.skip(f"REAL DATA ABSENT: {path} (set INSTRUCTGEN_TEST_DATA)")
    return json.loads(gzip.decompress(path.read_bytes()))


def reasons(kind, rows):
    check = validators()[kind].find_in
    return [next((reason for reason, _ in check(Sample.single(**row))), None) for row in rows]


def test_all_empty_outputs_are_found(alpaca_rows):
    """28 answers are empty; none is missed, nothing else is called empty."""
    rows = [row for row in alpaca_rows if not row["output"].strip()]

    assert len(rows) == 28
    assert set(reasons("emptiness", rows)) == {"empty_output"}


def test_the_spellings_of_no_input_are_found(alpaca_rows):
    """Every spelling of "no input" is found: the plainest pattern alone sees 570 in over two dozen."""
    plain = re.compile(r"\W*no ?input\W*", re.IGNORECASE)
    rows = [{**row, "output": "x"} for row in alpaca_rows if plain.fullmatch(row["input"])]
    spellings = {row["input"] for row in rows}

    assert len(rows) >= 570
    assert len(spellings) >= 24
    assert set(reasons("emptiness", rows)) == {"no_input_text"}


def test_na_inputs_are_found(alpaca_rows):
    """None and N/A as inputs are found in all their spellings."""
    plain = re.compile(r"\W*(?:none|n/?a)\W*", re.IGNORECASE)
    rows = [{**row, "output": "x"} for row in alpaca_rows if plain.fullmatch(row["input"])]

    assert len(rows) >= 27
    assert set(reasons("emptiness", rows)) == {"na_input"}


def test_url_only_inputs_are_found(alpaca_rows):
    """An input that is a link alone is found; the few tasks about the link itself are only flagged."""
    rows = [row for row in alpaca_rows if URL.fullmatch(row["input"].strip())]
    found = reasons("references", rows)

    assert len(rows) >= 196
    assert set(found) == {"url_only_input", "url_as_material"}
    assert found.count("url_as_material") <= 15


def test_glued_examples_are_found(alpaca_rows):
    """A second "Instruction:" below an answer is found, unless the task itself is about instructions."""
    rows = [row for row in alpaca_rows if GLUED.search(row["output"])]
    found = reasons("leakage", rows)

    assert len(rows) >= 37
    assert all(
        reason == "merged_example" or "nstruction" in row["instruction"] or "ask" in row["instruction"]
        for reason, row in zip(found, rows, strict=True)
    )


def test_years_cut_by_the_stop_string_are_found(alpaca_rows):
    """No answer of the file holds "20."; those that end in "in 20" are what is left of it."""
    rows = [row for row in alpaca_rows if CUT_YEAR.search(row["output"].rstrip())]

    assert not any("20." in row["output"] for row in alpaca_rows)
    assert len(rows) >= 25
    assert set(reasons("ending", rows)) == {"cut_at_stop"}


def test_good_data_survives(data_dir):
    """At most 2 % of three hand-written sets are dropped by the default set."""
    lines = (data_dir / "self_instruct/seed_tasks.jsonl").read_text(encoding="utf-8").splitlines()
    seeds = [json.loads(line) for line in lines]
    dolly = json.loads(gzip.decompress((data_dir / "dolly_cc_by_sa/dolly_3k.json.gz").read_bytes()))[:500]
    sets = {
        "seeds": [Sample.single(row["instruction"], **row["instances"][0]) for row in seeds],
        "dolly": [Sample.single(row["instruction"], input=row["input"] or "", output=row["output"]) for row in dolly],
    }

    for name, samples in sets.items():
        lost = dropped(samples)
        assert len(lost) <= 0.02 * len(samples), (name, lost)


def test_our_own_seeds_survive():
    """The bundled seeds pass the default set."""
    from tests.conftest import ROOT

    rows = [json.loads(line) for line in (ROOT / "seeds/general.jsonl").read_text(encoding="utf-8").splitlines()]
    samples = [Sample.single(row["instruction"], input=row.get("input", ""), output=row["output"]) for row in rows]

    assert len(dropped(samples)) <= 0.02 * len(samples)
