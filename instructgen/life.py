"""The whole life of one candidate: seeds, prompts, requests, raw replies, each filter's verdict and evidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from instructgen.errors import DataError
from instructgen.filters.duplicates import Duplicates
from instructgen.recipe import parse_recipe
from instructgen.records import Sample
from instructgen.run import Run
from instructgen.screening import Screening
from instructgen.tools import tools


class Life(NamedTuple):
    """Everything known of one candidate, for `why`."""

    slot: int
    candidate: int
    line: dict[str, Any]
    parents: list[tuple[str, str]]
    """(id, instruction) of what its prompt showed."""
    requests: list[dict[str, Any]]
    """Hash, request, completion and origin, in the order of asking."""
    checks: list[tuple[str, str, dict[str, Any]]]
    """(filter, verdict, evidence), in the order of checking."""
    alike: list[tuple[str, str]]
    """(id, instruction) of the neighbours that the evidence names."""


def why(run: Run, wanted: str) -> Life:
    """Return the life of the candidate with this id (or its beginning), or at this place, "slot.candidate".

    Raises: DataError when there is none, or several ids begin so.
    """
    found = list(_matches(run, wanted))
    ids = {_id_of(line) for _, _, line in found}
    if not found:
        raise DataError(
            f"{run.path}: no candidate {wanted!r}; give an id, its beginning, or slot.candidate, both from 0"
            f"{_places(run)}"
        )
    if len(ids) > 1:
        raise DataError(
            f"{run.path}: {len(ids)} ids begin with {wanted!r}: {', '.join(sorted(ids)[:5])} ...; give more"
        )
    slot, number, line = next((match for match in found if "accepted" in match[2]), found[0])
    provenance = _sample_of(line).get("provenance", {})
    hashes = list(dict.fromkeys([*provenance.get("requests", []), *line.get("rejected", {}).get("requests", [])]))
    checks = _checks(run, slot, number, line)
    alike = dict.fromkeys(near["id"] for _, _, evidence in checks for near in evidence.get("neighbours", []))
    return Life(slot, number, line, _named(run, provenance.get("parents", [])), _requests(run, hashes), checks,
                _named(run, list(alike)))  # fmt: skip


def _matches(run: Run, wanted: str) -> Iterator[tuple[int, int, dict[str, Any]]]:
    for slot in run.slots():
        for number, line in enumerate(slot.lines):
            if wanted == f"{slot.number}.{number}" or (_id_of(line) or "-").startswith(wanted):
                yield slot.number, number, line


def _places(run: Run) -> str:
    """Say which places there are, and which one was rejected: what may stand for `wanted`."""
    slots = list(run.slots())
    lines = ((slot.number, place, line) for slot in slots for place, line in enumerate(slot.lines))
    rejected = next((f"{number}.{place}" for number, place, line in lines if "rejected" in line), "")
    seen = f"; slots 0 to {len(slots) - 1} are closed, slot 0 has {len(slots[0].lines)} candidates" if slots else ""
    return seen + (f"; the first rejected one is {rejected}" if rejected else "")


def _id_of(line: dict[str, Any]) -> str:
    return str(_sample_of(line).get("id", ""))


def _sample_of(line: dict[str, Any]) -> dict[str, Any]:
    return dict(line.get("accepted") or line["rejected"].get("sample", {}))


def _named(run: Run, ids: Sequence[str]) -> list[tuple[str, str]]:
    known = {seed.id: seed.instruction for seed in run.seeds()}
    if any(parent not in known for parent in ids):
        known |= {sample.id: sample.instruction for sample in run.samples(-1)}
    return [(parent, known.get(parent, "")) for parent in ids]


def _requests(run: Run, hashes: Sequence[str]) -> list[dict[str, Any]]:
    store, found = run.store(), list[dict[str, Any]]()
    try:
        for key in hashes:
            row = store.row(key)
            if row is None:
                found.append({"hash": key})  # over its slot's declaration: never sent
            else:
                said = row.completion.as_json()
                found.append({"hash": key, "request": row.request, "completion": said, "origin": row.origin})
    finally:
        store.close()
    return found


def _checks(run: Run, slot: int, number: int, line: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Return each filter's verdict on a candidate: those before the one that rejected it were passed."""
    recipe = parse_recipe(run.recipe, str(run.path))
    screening = Screening(recipe.filters)  # names and reasons are wanted, nothing is checked again
    rejected = line.get("rejected")
    if rejected is not None and rejected["stage"] in ("teacher", "parse"):
        return [(rejected["stage"], rejected["reason"], rejected.get("evidence", {}))]
    checks: list[tuple[str, str, dict[str, Any]]] = []
    order = [*screening.free, *[f for f in screening.filters if f.memory], *screening.judges]
    for check in order:
        if rejected is not None and rejected["reason"] in check.reasons and check.stage == rejected["stage"]:
            checks.append((check.kind, rejected["reason"], rejected.get("evidence", {})))
            return checks
        notes = _sample_of(line).get("provenance", {}).get("notes", {})
        evidence = notes.get(check.kind, {}) or (_nearest(run, check, slot, number, line) if check.memory else {})
        checks.append((check.kind, "passed", evidence))
    if rejected is not None:
        checks.append((rejected["stage"], rejected["reason"], rejected.get("evidence", {})))
    return checks


def _nearest(run: Run, check: Any, slot: int, number: int, line: dict[str, Any]) -> dict[str, Any]:
    """Return the nearest kept samples to a candidate that passed, where the filter can say, whatever its threshold."""
    if not isinstance(check, Duplicates):
        return {}
    sample = Sample.model_validate(line.get("accepted") or line["rejected"]["sample"])
    memory = check.prepare(tools())
    for seed in run.seeds():
        memory.remember(seed.sample())
    draft = sample.provenance.draft
    for earlier in run.slots():
        if earlier.number > slot:
            break
        for place, other in enumerate(earlier.lines):
            if "accepted" not in other or (earlier.number == slot and place >= number):
                continue
            kept = Sample.model_validate(other["accepted"])
            if earlier.number < slot or draft is None or kept.provenance.draft != draft:
                memory.remember(kept)
    return memory.nearest(sample)
