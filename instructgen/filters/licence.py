"""Licences of samples: what they allow, and what may not go into an export.

    licence_class("CC-BY-NC-4.0")   ->   "non_commercial"

Ids are SPDX's, in any case; usual words are read too ("research only", "commercial use prohibited"). A teacher's terms
count like a licence. Not legal advice: it knows ids and phrases, not contracts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from instructgen.errors import ExportError
from instructgen.filters import Filter, Verdict
from instructgen.records import Sample

Class = Literal["free", "attribution", "share_alike", "unknown", "non_commercial", "no_derivatives"]
"""From the most to the least that may be done."""
_FREE = {"cc0-1.0", "cc0", "cc-zero", "pddl", "unlicense", "public-domain", "0bsd", "wtfpl", "pddl-1.0"}
_ATTRIBUTION = {
    "mit", "apache-2.0", "bsd", "bsd-2-clause", "bsd-3-clause", "isc", "zlib", "odc-by", "odc-by-1.0",
    "cdla-permissive-1.0", "cdla-permissive-2.0", "afl-3.0", "ecl-2.0", "artistic-2.0",
    "ncsa", "postgresql", "bsl-1.0", "ms-pl",
}  # fmt: skip
_SHARE_ALIKE = re.compile(r"\b(?:sa|share ?alike|a?gpl\w*|lgpl\w*|gfdl|odbl|mpl|epl|eupl|osl|cdla sharing)\b")
_BY = re.compile(
    r"(?:cc|creative commons)(?: licen[cs]e)? (?:by|attribution)(?: \d(?:\.\d)?)?"
    r"(?: (?:international|unported|generic))?|"
    r"(?:https?://)?(?:www\.)?creativecommons\.org/licenses/by/\S*"
)
_SEPARATORS = re.compile(r"[\s_‐‑–-]+")
_OTHER_USE = r"(?:non ?commercial(?:ly)?|research|academic|personal|educational|private)"
_OPEN = re.compile(
    r"\b(?:no|without(?: any)?) (?:restrictions?|limits?|limitations?|limited) (?:on|for|to|of) (?:non ?)?commercial|"
    r"\bnot (?:limited|restricted) to (?:non ?commercial|research|academic)|"
    rf"(?<!not for )(?<!no )(?<!for neither )(?:\bcommercial(?:ly)?(?: use)? (?:and|or|as well as) {_OTHER_USE}|"
    rf"{_OTHER_USE}(?: use)? (?:and|or|as well as) commercial(?:ly)?)\b"
)
"""Words that name commerce or research and forbid nothing: "for research and commercial use"."""
_NO = (
    r"(?:no|not|non|never|without|except|excluding|neither|nor|cannot|can't|prohibit\w*|forbid\w*|bars?|barring|"
    r"exclud\w+|disallow\w*|restrict\w*|den(?:y|ies))"
)
_NON_COMMERCIAL = re.compile(
    rf"\bnc\b|noncommercial|\b{_NO} (?:[\w']+ ){{0,6}}?commerc\w+|"
    r"\bcommerc\w+(?: [\w']+){0,8}? (?:prohibited|forbidden|not|banned|barred|disallowed|excluded|denied|restricted|"
    r"requires?|needs?|only)\b|"
    r"\b(?:only|solely|exclusively|strictly|purely|limited|restricted|intended) (?:be used )?(?:for|to) (?:\w+ ){0,3}?"
    r"(?:research|academi\w+|education\w*|personal|evaluation|study|private|internal|non ?profit)\b|"
    r"\b(?:research|academic|educational?|teaching|personal|evaluation|private|internal|study)"
    r"(?: (?:use|uses|purposes?|and|or|academic|educational|research|evaluation|study))*,? (?:only|exclusively)\b|"
    r"\bfor (?:research|academic|educational|teaching|non ?profit|personal) (?:use|purposes?)\b|"
    r"\bacademic (?:use|licen[cs]e)\b|\bresearch licen[cs]e\b|\bnon ?profit\b"
)
_RIVALS = re.compile(r"\bcompet(?:e|es|ing|itors?|itive)\b")
_UNKNOWN_TERMS = re.compile(r"\W*unknown\b")


def forbids_commerce(text: str) -> bool:
    """Tell whether a licence or terms, in an id or in plain words, keep commerce out or let it in on request only.

    Example: forbids_commerce("Commercial use is prohibited.") -> True; "free for commercial and research use" -> False
    """
    return bool(_NON_COMMERCIAL.search(_OPEN.sub(" ", _plain(text))))


def _plain(text: str) -> str:
    return _SEPARATORS.sub(" ", text.strip().casefold().replace("’", "'"))


def licence_class(licence: str) -> Class:
    """Return how strict a licence is.

    Example: licence_class("CC-BY-NC-SA-4.0") -> "non_commercial"
    """
    plain = _plain(licence)
    if re.search(r"\bnd\b|\bno ?deriv", plain):
        return "no_derivatives"
    if forbids_commerce(licence):
        return "non_commercial"
    if _SHARE_ALIKE.search(plain):
        return "share_alike"
    name = plain.replace(" ", "-")
    if name in _FREE:
        return "free"
    if name in _ATTRIBUTION or _BY.fullmatch(plain):
        return "attribution"
    return "unknown"


def licence_of(sample: Sample) -> str:
    """Return the sample's own licence: its provenance's, else that of a column `license` or `licence`; "" for none."""
    return licence_stated(sample.provenance.licence, sample.extra)


def licence_stated(known: str, extra: Mapping[str, Any]) -> str:
    """Return the licence that a provenance knows, else that of other columns; "" for none.

    Example: licence_stated("", {"license": "mit"}) -> "mit"
    """
    if known or not extra:
        return known
    given = extra.get("provenance")
    places = (extra, given if isinstance(given, Mapping) else {})
    named = [place[key] for place in places for key in ("license", "licence") if isinstance(place.get(key), str)]
    return next((str(name) for name in named if name), "")


def conflict(sample: Sample, declared: str, *, commercial: bool) -> str:
    """Return why a sample may not go into an export under a licence, or "".

    A commercial export takes neither non-commercial nor unknown rows, nor those whose teacher's terms forbid it or are
    said to be unknown; a row without a licence of its own has the declared one; a share-alike row needs the same
    licence; a stricter row does not fit under a freer licence.
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
    if commercial and (forbids_commerce(terms) or _RIVALS.search(_plain(terms))):
        return f"its teacher's terms restrict commercial use: {terms}"
    if commercial and _UNKNOWN_TERMS.match(terms):
        return f"its teacher's terms are not known ({terms}): name them in the recipe, teacher: {{output_licence: ...}}"
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
        evidence: dict[str, Any] = {"licence": licence_of(sample) or "unknown", "why": why}
        return sample.rejected("licence_conflict", self.stage, **evidence)
