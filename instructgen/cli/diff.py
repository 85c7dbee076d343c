"""`instructgen diff A B`: what changed from one dataset to another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from instructgen.cli.shown import say, shown_errors

if TYPE_CHECKING:
    from instructgen.exporters.diff import Difference
    from instructgen.records import Sample


def diff(
    old: Annotated[str, typer.Argument(metavar="A", help="A run, a dataset, or an exported folder.")],
    new: Annotated[str, typer.Argument(metavar="B", help="The other one.")],
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Compare two datasets: rows added, removed and changed, statistics side by side."""
    with shown_errors():
        found = compared(old, new, loud=True)
        if as_json:
            typer.echo(found.model_dump_json(indent=2))
            return
        for line in told(found):
            typer.echo(line)


def compared(old: str, new: str, *, loud: bool = False) -> Difference:
    """Return the difference between two inputs; rows that cannot be read are said on standard error."""
    from instructgen.exporters.diff import difference

    return difference(_samples(old, loud), _samples(new, loud))


def _samples(given: str, loud: bool) -> Iterator[Sample]:
    from instructgen.cli.inputs import open_input
    from instructgen.records import Sample

    unread = 0
    for made in open_input(given, said=say if loud else lambda _: None):
        if isinstance(made, Sample):
            yield made
        else:
            unread += 1
    if unread:
        say(f"{given}: {unread:,} rows could not be read and are not compared")


def told(found: Difference) -> Iterator[str]:
    """Yield the difference as lines for people."""
    yield f"rows: {found.rows[0]:,} -> {found.rows[1]:,}"
    yield f"added {found.added:,}, removed {found.removed:,}, changed {found.changed:,}, unchanged {found.unchanged:,}"
    if found.moved:
        yield f"  {found.moved:,} of the unchanged were read from another file or row"
    for name, rows in found.fields.items():
        yield f"  {name} changed in {rows:,} rows"
    for kind, ids in found.first.items():
        if ids:
            total = getattr(found, kind)
            yield f"  {kind}: {', '.join(ids)}{', ...' if total > len(ids) else ''}"
    before, after = (statistics.model_dump() for statistics in found.statistics)
    for part in sorted({*before["lengths"], *after["lengths"]}):
        yield f"words of the {part} (least, median, 95 %, most): {_lengths(before, part)} -> {_lengths(after, part)}"
    for name in ("languages", "categories", "licences", "sources"):
        for value in list({**before[name], **after[name]})[:10]:
            then, now = before[name].get(value, 0), after[name].get(value, 0)
            if then != now:
                yield f"{name}: {value} {then:,} -> {now:,}"


def _lengths(statistics: dict[str, Any], part: str) -> str:
    return ", ".join(f"{value:,}" for value in statistics["lengths"].get(part, ())) or "none"
