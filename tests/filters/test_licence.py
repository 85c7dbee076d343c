"""Licences: a row that does not fit an export is named."""

import pytest

from instructgen.errors import ExportError
from instructgen.filters.licence import Licence, conflict, forbids_commerce, licence_class, refuse_conflicts
from instructgen.records import Provenance, Sample

CLASSES = [
    ("CC0-1.0", "free"),
    ("MIT", "attribution"),
    ("Apache-2.0", "attribution"),
    ("cc-by-4.0", "attribution"),
    ("CC BY 4.0", "attribution"),
    ("CC-BY-SA-3.0", "share_alike"),
    ("gpl-3.0", "share_alike"),
    ("odbl", "share_alike"),
    ("cc-by-nc-4.0", "non_commercial"),
    ("CC-BY-NC-SA-4.0", "non_commercial"),
    ("research only", "non_commercial"),
    ("cc-by-nd-4.0", "no_derivatives"),
    ("cc-by-nc-nd-4.0", "no_derivatives"),
    ("", "unknown"),
    ("unknown", "unknown"),
    ("my own licence", "unknown"),
    ("Creative Commons Attribution 4.0 International", "attribution"),
    ("https://creativecommons.org/licenses/by/4.0/", "attribution"),
    ("https://creativecommons.org/licenses/by-nc/4.0/", "non_commercial"),
    ("CC_BY_NC", "non_commercial"),
    ("Creative Commons Attribution-NonCommercial", "non_commercial"),
    ("Attribution-NoDerivatives 4.0", "no_derivatives"),
    ("Attribution-ShareAlike 4.0", "share_alike"),
    ("GPLv3", "share_alike"),
    ("non‑commercial", "non_commercial"),  # U+2011
]


@pytest.mark.parametrize(("licence", "kind"), CLASSES)
def test_licences_are_sorted_by_what_they_allow(licence, kind):
    """SPDX ids in any case, and the words people use."""
    assert licence_class(licence) == kind


FORBIDS = [
    "commercial use prohibited",
    "Commercial use is not allowed.",
    "commercial use of the outputs is strictly forbidden",
    "no commercial use",
    "No commercial usage whatsoever",
    "not for commercial use",
    "not to be used for commercial purposes",
    "You may not use it for any commercial purpose",
    "may not be used commercially",
    "cannot be used in commercial products",
    "prohibits commercial use",
    "the licence forbids commercial exploitation",
    "all uses except commercial ones",
    "non commercial",
    "Non-Commercial",
    "noncommercial",
    "polyform-noncommercial-1.0.0",
    "research only",
    "research-only",
    "research use only",
    "for research purposes only",
    "For research and educational use only",
    "only for academic research",
    "solely for research",
    "academic use",
    "for research purposes",
    "personal use only",
    "internal evaluation only",
    "commercial use requires a separate licence",
    "Commercial use only with written permission",
    "not for commercial or research use",
    "CC BY NC",
]
ALLOWS = [
    "commercial use allowed",
    "commercial use is permitted",
    "free for research and commercial use",
    "for commercial and non-commercial use",
    "non-commercial and commercial use",
    "no restrictions on commercial use",
    "not limited to non-commercial use",
    "Apache-2.0 (SmolLM2, Hugging Face)",
    "as its author says",
    "mit",
    "may be used for any purpose, also commercially",
    "",
]


@pytest.mark.parametrize("words", FORBIDS)
def test_words_that_keep_commerce_out_are_understood(words):
    """As a row's licence or as the teacher's terms, and whatever hyphens stand in it."""
    assert forbids_commerce(words)
    assert conflict(row("mit", words), "mit", commercial=True).startswith("its teacher's terms restrict")
    assert conflict(row(words), "mit", commercial=True)
    assert conflict(row("mit", words), "mit", commercial=False) == ""


@pytest.mark.parametrize("words", ALLOWS)
def test_words_that_let_commerce_in_are_not_taken_for_a_ban(words):
    """Naming commerce or research forbids nothing."""
    assert conflict(row("mit", words), "mit", commercial=True) == ""


def test_a_licence_of_no_conditions_is_free():
    """In any case."""
    assert licence_class("CC0") == "free"


def row(licence="", terms="", source=""):
    return Sample.single("Q", output="A", provenance=Provenance(licence=licence, terms=terms, source=source))


CONFLICTS = [
    ("mit", "", "apache-2.0", True, ""),
    ("cc-by-nc-4.0", "", "mit", True, "forbids commercial use"),
    ("cc-by-nc-4.0", "", "cc-by-nc-4.0", True, "forbids commercial use"),
    ("cc-by-nc-4.0", "", "cc-by-nc-4.0", False, ""),
    ("cc-by-nc-4.0", "", "mit", False, "does not allow the freer mit"),
    ("", "", "mit", True, ""),
    ("unknown", "", "mit", True, "licence is unknown"),
    ("", "", "mit", False, ""),
    ("mit", "no use to build competing models", "mit", True, "teacher's terms"),
    ("mit", "no use to build competing models", "mit", False, ""),
    ("mit", "unknown: see the licence of some-model", "mit", True, "output_licence"),
    ("mit", "unknown: see the licence of some-model", "mit", False, ""),
    ("cc-by-sa-4.0", "", "mit", False, "asks for the same licence"),
    ("CC-BY-SA-4.0", "", "cc-by-sa-4.0", True, ""),
    ("cc-by-nd-4.0", "", "cc-by-nd-4.0", False, "no derived works"),
]


@pytest.mark.parametrize(("own", "terms", "declared", "commercial", "why"), CONFLICTS)
def test_a_row_fits_an_export_or_says_why_not(own, terms, declared, commercial, why):
    """Own licence and teacher's terms against the declared licence and use."""
    found = conflict(row(own, terms), declared, commercial=commercial)

    assert (why in found) if why else found == ""


def test_one_non_commercial_row_blocks_a_commercial_export_and_is_named():
    """The message names id, row and source, and the way out."""
    rows = [row("mit"), row("cc-by-nc-4.0", source="alpaca")]

    with pytest.raises(
        ExportError, match=rf"{rows[1].id} \(row 2 from alpaca\).*forbids commercial use.*filter `licence`"
    ):
        list(refuse_conflicts(rows, "mit", commercial=True))
    assert list(refuse_conflicts(rows[:1], "mit", commercial=True)) == rows[:1]


def test_the_filter_drops_what_does_not_fit():
    """As a filter the same rule is a countable rejection."""
    verdict = Licence(declared="mit", commercial=True).check(row("cc-by-nc-4.0"))

    assert (verdict.reason, verdict.evidence["licence"]) == ("licence_conflict", "cc-by-nc-4.0")
    assert Licence(declared="mit").check(row("mit")) is None


@pytest.mark.parametrize(
    "row", [{"license": "cc-by-nc-4.0"}, {"licence": "cc-by-nc-4.0"}, {"provenance": {"licence": "cc-by-nc-4.0"}}]
)
def test_a_licence_in_a_column_of_an_ordinary_file_counts(row):
    """Files of others name the licence in a column of their own."""
    sample = Sample.single("Name a colour.", output="Red.").model_copy(update={"extra": row})

    assert "forbids commercial use" in conflict(sample, "mit", commercial=True)
