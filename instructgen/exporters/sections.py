"""The generated sections of the card: each a function of what is told, none of them a guess."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from instructgen.exporters.card import PLACE, Config, Facts, Told, citation
from instructgen.exporters.checks import PER_TURN
from instructgen.formats.holds import GIVEN_ID

SHOWN = 15
"""Rows of a table that a card shows; the rest are summed up."""


def sections_of(told: Told) -> dict[str, str]:
    """Return the sections by name, in the order of a new card; a section without anything to say is absent."""
    facts = told.facts
    made = {
        "title": f"# {facts.name or 'Instruction dataset'}\n\n{_summary(told)}",
        "load": _load(told.configs),
        "contents": _contents(told),
        "origin": _origin(facts, told.samples),
        "funnel": _funnel(told),
        "statistics": _statistics(told),
        "examples": _examples(told.examples),
        "training": told.trainers,
        "limits": _limits(told),
        "licence": _licence(told),
        "citation": f"## Citation\n\n```bibtex\n{citation(facts)}\n```",
    }
    return {name: text for name, text in made.items() if text}


def _summary(told: Told) -> str:
    first, facts = told.configs[0], told.facts
    splits = ", ".join(f"{rows:,} {split}" for split, rows in first.rows.items())
    where = splits
    if sum(first.rows.values()) != told.samples:  # a shape may hold fewer, or several in a row
        where = f"in the first config, `{first.name}`, {splits}"
    said = facts.description or f"{_samples(told.samples, 'instruction-tuning ')} ({where})."
    return f"{said}\n\nMade with instructgen{f' {facts.version}' if facts.version else ''}."


def _load(configs: Iterable[Config]) -> str:
    lines = "\n".join(f'{config.name} = load_dataset("{PLACE}", "{config.name}")' for config in configs)
    return f"## How to load it\n\n```python\nfrom datasets import load_dataset\n\n{lines}\n```"


def _contents(told: Told) -> str:
    rows = [
        (f"`{config.name}`", config.title, split, f"{rows:,}")
        for config in told.configs
        for split, rows in config.rows.items()
    ]
    missing = [
        f"`{name}` leaves out {_samples(count)} that it cannot hold ({reason})."
        for name, reasons in told.left_out.items()
        for reason, count in reasons.items()
    ]
    missing += _unshown(told)
    return "\n\n".join(["## Contents", _table(("config", "shape", "split", "rows"), rows), *missing])


def _unshown(told: Told) -> list[str]:
    """Return a table of what the columns of each config do not show, and where that is."""
    if not told.unshown:
        return []
    configs = list(told.unshown.values())
    most = Counter[str]()
    for known in configs:
        most |= Counter(known)
    names = sorted(most, key=lambda name: (-most[name], name))
    rows = [(name, *(_number(known.get(name)) for known in configs)) for name in names[:SHOWN]]
    if rest := names[SHOWN:]:
        sums = (sum(known.get(name, 0) for name in rest) for known in configs)
        rows.append((f"{len(rest):,} others", *map(_number, sums)))
    where = {"json": "the column `provenance` has it", "columns": "the columns `provenance_...` have it"}
    said = where.get(told.provenance, "it is not in this dataset, which was exported without provenance")
    head = ("samples with", *(f"not in `{config}`" for config in told.unshown))
    return [f"What samples carry that the columns of a config do not show; {said}:\n\n{_table(head, rows)}"]


def _origin(facts: Facts, samples: int) -> str:
    """Return the table of facts; accepted samples that are not in this dataset came after the target was reached."""
    pairs = [
        ("generator", facts.generator), ("teacher", facts.teacher), ("revision of the teacher", facts.teacher_revision),
        ("terms of the teacher", facts.terms), ("recipe hash", facts.recipe), ("ended by", facts.ending),
        *((f"filter {number}", said) for number, said in enumerate(facts.filters, 1)),
        ("candidates", _number(facts.parsed)), ("accepted", _number(facts.accepted)),
        ("accepted ones in this dataset", _number(samples) if facts.accepted is not None else ""),
        ("requests", _number(facts.requests)), ("prompt tokens", _number(facts.prompt_tokens)),
        ("completion tokens", _number(facts.completion_tokens)),
        ("cost", "" if facts.cost_usd is None else f"{facts.cost_usd:.2f} USD"),
    ]  # fmt: skip
    rows = [(name, value) for name, value in pairs if value]
    rows += [(f"prompt `{name}`", f"sha256 `{value[:16]}`") for name, value in sorted(facts.prompts.items())]
    rows += [(f"seeds `{name}`", f"sha256 `{value[:16]}`") for name, value in sorted(facts.seeds.items())]
    rows += [(f"source `{name}`", f"licence {value or 'unknown'}") for name, value in sorted(facts.sources.items())]
    return f"## How it was made\n\n{_table(('fact', 'value'), rows)}" if rows else ""


def _funnel(told: Told) -> str:
    unread = [("input row", reason, count) for reason, count in told.unreadable.items()]
    rows = [(stage, reason, f"{count:,}") for stage, reason, count in [*told.facts.funnel, *unread]]
    return f"## What was rejected, and why\n\n{_table(('stage', 'reason', 'candidates'), rows)}" if rows else ""


def _statistics(told: Told) -> str:
    known = told.statistics
    lengths = [(part, *(f"{value:,}" for value in values)) for part, values in known.lengths.items()]
    parts = ["## Statistics", _table(("words of the", "least", "median", "95 %", "most"), lengths)]
    if set(known.turns) - {2}:
        parts.append(_counts("turns", known.turns))
    parts += [
        _counts(title, counts)
        for title, counts in (
            ("language", known.languages), ("category", known.categories), ("source", known.sources),
            ("opening verb", _with_rest(known.verbs, told.samples)), ("flagged by", known.flags),
        )
        if counts
    ]  # fmt: skip
    if told.tokens:
        by = told.tokenizer or "an estimate of a quarter of the UTF-8 bytes"
        said = f"Tokens, counted by {by}, with {PER_TURN} a turn for the template: {told.tokens:,} in all"
        if told.context is not None:
            over = next((finding.rows for finding in told.findings if finding.check == "over_context"), 0)
            said += f"; rows longer than a context of {told.context:,}: {over:,}"
        parts.append(f"{said}.")
    return "\n\n".join(parts)


def _with_rest(verbs: Mapping[str, int], samples: int) -> dict[str, int]:
    """Return verbs by frequency, those that a table shows, and how many samples open with none of them."""
    shown = dict(list(verbs.items())[: SHOWN - 2])
    more, rest = sum(verbs.values()) - sum(shown.values()), samples - sum(verbs.values())
    others = {f"{len(verbs) - len(shown):,} other verbs": more, "(no verb first)": rest}
    return shown | {name: count for name, count in others.items() if count} if verbs else {}


def _counts(title: str, counts: Mapping[str, int] | Mapping[int, int]) -> str:
    ranked = [(str(name), f"{count:,}") for name, count in counts.items()]
    rest = sum(list(counts.values())[SHOWN:])
    if rest:
        ranked = [*ranked[:SHOWN], (f"{len(counts) - SHOWN:,} others", f"{rest:,}")]
    return _table((title, "samples"), ranked)


def _examples(examples: Mapping[str, str]) -> str:
    shown = [f"One row of `{name}`:\n\n{_fenced(text)}" for name, text in examples.items()]
    return "\n\n".join(["## Examples", *shown])


def _limits(told: Told) -> str:
    facts = told.facts
    known = [*facts.notes, *(f"{finding}." for finding in told.findings)]
    if facts.teacher:
        known.append(f"Answers were written by the teacher `{facts.teacher}`: they may be wrong, and biased as it is.")
    flags = dict(told.statistics.flags)
    if given := flags.pop(GIVEN_ID, 0):
        known.append(
            f"Ids are hashes of the content; {_samples(given)} had another one in the source: see the provenance."
        )
    if flags:
        said = ", ".join(f"{name} ({count:,})" for name, count in flags.items())
        known.append(f"Filters left notes in the provenance of some rows: {said}.")
    if not known:
        known = ["The checks at export found nothing; nobody has stated limits of this dataset yet."]
    return "## Known limits, bias and privacy\n\n" + "\n".join(f"- {note}" for note in known)


def _licence(told: Told) -> str:
    said = f"## Licence\n\nThe dataset is published under `{told.licence}`."
    if told.facts.terms:
        said += f" The answers also fall under the terms of the teacher: {told.facts.terms}."
    licences = told.statistics.licences
    if set(licences) <= {"not stated"}:
        return said
    return f"{said} Its samples carry:\n\n{_counts('licence', licences)}"


def _fenced(text: str) -> str:
    """Return a JSON block whose fence is longer than any run of backticks inside."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}json\n{text}\n{fence}"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a Markdown table; a bar, a line break or a tag in a value cannot break out of its cell."""
    cells = [[re.sub(r"\s+", " ", value).replace("|", "\\|").replace("<", "&lt;") for value in row] for row in rows]
    lines = [
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
        *("| " + " | ".join(row) + " |" for row in cells),
    ]
    return "\n".join(lines)


def _samples(count: int, kind: str = "") -> str:
    return f"{count:,} {kind}sample{'' if count == 1 else 's'}"


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"
