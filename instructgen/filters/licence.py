"""Licences of samples: which is the strictest, and what may not go into an export.

    strictest(["mit", "cc-by-sa-4.0", "cc-by-nc-4.0"])   ->   "cc-by-nc-4.0"

Ids are SPDX's, in any case. A teacher's terms count like a licence. Not legal advice: it knows ids, not contracts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Literal

from pydantic import Field

from instructgen.errors import ExportError
from instructgen.filters import Filter, Verdict
from instructgen.records import Sample

Class = Literal["free", "attribution", "share_alike", "unknown", "non_commercial", "no_derivatives"]
ORDER: tuple[Class, ...] = ("free", "attribution", "share_alike", "unknown", "non_commercial", "no_derivatives")
"""From the most to the least that may be done."""
_FREE = {"cc0-1.0", "pddl", "unlicense", "public-domain", "0bsd", "wtfpl", "pddl-1.0"}
_ATTRIBUTION = {
    "mit", "apache-2.0", "bsd", "bsd-2-clause", "bsd-3-clause", "isc", "zlib", "odc-by", "odc-by-1.0",
    "cdla-permissive-1.0", "cdla-permissive-2.0", "afl-3.0", "ecl-2.0", "artistic-2.0",
    "ncsa", "postgresql", "bsl-1.0", "ms-pl",
}  # fmt: skip
_SHARE_ALIKE = re.compile(r"\b(?:sa|a?gpl|lgpl|gfdl|odbl|mpl|epl|eupl|osl|cdla-sharing)\b")
_NON_COMMERCIAL = re.compile(r"\bnc\b|non-?commercial|research(?: use)?(?:-| )only|academic")
_NON_COMMERCIAL_TERMS = re.compile(
    r"non-?commercial|not? (?:for )?commercial|research(?: use)? only|compet(?:e|ing|itor|itive)", re.IGNORECASE
)


def licence_class(licence: str) -> Class:
    """Return how strict a licence is.

    Example: licence_class("CC-BY-NC-SA-4.0") -> "non_commercial"
    """
    name = licence.strip().lower().replace("_", "-").replace(" ", "-")
    if re.search(r"\bnd\b", name):
        return "no_derivatives"
    if _NON_COMMERCIAL.search(name):
        return "non_commercial"
    if _SHARE_ALIKE.search(name):
        return "share_alike"
    if name in _FREE:
        return "free"
    if name in _ATTRIBUTION or re.fullmatch(r"cc-by(?:-\d(?:\.\d)?)?", name):
        return "attribution"
    return "unknown"


def strictest(licences: Iterable[str]) -> str:
    """Return the licence that allows least; "unknown" for none, and the first of equally strict ones.

    Example: strictest(["mit", "cc-by-4.0"]) -> "mit" (both ask for attribution)
    """
    named = [licence.strip() or "unknown" for licence in licences]
    return max(named, key=lambda each: ORDER.index(licence_class(each)), default="unknown")


def licence_of(sample: Sample) -> str:
    """Return the sample's own licence: its provenance's, else that of a column `license` or `licence`; "" for none."""
    given = sample.extra.get("provenance")
    places = (sample.extra, given if isinstance(given, dict) else {})
    named = [place[key] for place in places for key in ("license", "licence") if isinstance(place.get(key), str)]
    return sample.provenance.licence or next((str(name) for name in named if name), "")


def conflict(sample: Sample, declared: str, *, commercial: bool) -> str:
    """Return why a sample may not go into an export under a licence, or "".

    A commercial export takes neither non-commercial nor unknown rows, nor those whose teacher's terms forbid it; a row
    without a licence of its own has the declared one; a share-alike row needs the same licence; a stricter row does not
    fit under a freer licence.
    Example: conflict(row of cc-by-nc-4.0, "mit", commercial=True) -> "its licence cc-by-nc-4.0 forbids commercial use"
    """
    own, terms = licence_of(sample) or declared or "unknown", sample.provenance.terms
    kind, wanted = licence_class(own), licence_class(declared)
    if kind == "no_derivatives":
        return f"its licence {own} allows no derived works"
    if commercial and kind == "non_commercial":
        return f"its licence {own} forbids commercial use"
    if commercial and kind == "unknown":
        return "its licence is unknown"
    if commercial and _NON_COMMERCIAL_TERMS.search(terms):
        return f"its teacher's terms restrict commercial use: {terms}"
    if kind == "non_commercial" and wanted not in ("non_commercial", "unknown"):
        return f"its licence {own} does not allow the freer {declared}"
    if kind == "share_alike" and declared.strip().lower() != own.strip().lower():
        return f"its licence {own} asks for the same licence, not {declared}"
    return ""


def refuse_conflicts(samples: Iterable[Sample], declared: str, *, commercial: bool) -> Iterator[Sample]:
    """Yield samples that may go into an export; stop at the first that may not.

    Raises: ExportError that names the sample, its source and the next move.
    """
    for number, sample in enumerate(samples, 1):
        why = conflict(sample, declared, commercial=commercial)
        if why:
            source = f" from {sample.provenance.source}" if sample.provenance.source else ""
            raise ExportError(
                f"sample {sample.id} (row {number}{source}) does not fit this export: {why}. "
                "Leave such rows out with the filter `licence`, or export under a licence that allows them."
            )
        yield sample


class Licence(Filter):
    """Reject samples whose licence does not fit the export that they are meant for.

    Example: commercial=true, a sample of cc-by-nc-4.0 -> licence_conflict
    """

    reasons: ClassVar[dict[str, str]] = {
        "licence_conflict": "the sample's licence or terms do not fit the declared export"
    }
    reads: ClassVar[frozenset[str]] = frozenset({"conversation"})

    kind: Literal["licence"] = "licence"
    declared: str = Field(default="unknown", description="SPDX id under which the dataset will be published")
    commercial: bool = Field(default=False, description="the dataset is meant for commercial use")

    def check(self, sample: Sample, since: int = 0, until: int | None = None) -> Verdict:
        """Return the conflict, if any, with the licence of the sample."""
        why = conflict(sample, self.declared, commercial=self.commercial)
        if not why:
            return None
        evidence: dict[str, Any] = {"licence": sample.provenance.licence or "unknown", "why": why}
        return sample.rejected("licence_conflict", self.stage, **evidence)
