"""`instructgen report`, `why`, `verify`: what a run has come to, one candidate's life, and whether it is sound."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from instructgen.cli.shown import say, shown_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from instructgen.exporters.tally import Statistics
    from instructgen.life import Life
    from instructgen.report import Outline, Report

IN_RUN = typer.Argument(metavar="IN", help="Run directory.")


def report(
    source: Annotated[str, typer.Argument(metavar="IN", help="A run, a dataset (file or folder), or - for stdin.")],
    machine: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    shape: Annotated[str, typer.Option("--from", help="Row shape of IN, instead of detecting it.")] = "",
) -> None:
    """Show a run's funnel by stage and reason, tokens, cost and lengths; or what any dataset holds."""
    with shown_errors():
        from instructgen.cli.inputs import open_input
        from instructgen.report import outline
        from instructgen.report import report as report_of
        from instructgen.run import Run, is_run

        if source != "-" and is_run(Path(source)):
            known: Report | Outline = (run := report_of(Run(Path(source))))
            lines = _run_lines(run)
        else:
            path = Path(source)
            decisions = path / "decisions.jsonl" if (path / "decisions.jsonl").is_file() else None
            kept = next((path / name for name in ("kept.jsonl", "samples.jsonl") if (path / name).is_file()), None)
            known = seen = outline(open_input(str(kept or source), shape, said=say), decisions)
            lines = _outline_lines(source, seen)
        typer.echo(known.model_dump_json(indent=2) if machine else "\n".join(lines))


def _run_lines(known: Report) -> list[str]:
    total = known.total
    head = f"{known.parsed} candidates in {known.slots} slots: {known.accepted} accepted ({known.acceptance:.1%})"
    lines = [
        f"{known.name}: {known.in_dataset} of {known.target} samples; ending: {known.ending}",
        f"{head}, {known.parsed - known.accepted} rejected, {known.held_back} held back beyond the target",
        *_funnel(known.funnel, known.examples),
    ]
    for model, cost in known.usage.items():
        estimated = " (partly estimated)" if cost.estimated else ""
        lines.append(f"{model}: {cost.requests} requests, {cost.prompt_tokens:,} prompt tokens, "
                     f"{cost.completion_tokens:,} completion tokens{estimated}")  # fmt: skip
    for name, cost in known.by_prompt.items():
        dollars = f", {known.usd_by_prompt[name]:.4f} USD" if known.usd else ""
        lines.append(f"  {name}: {cost.requests} requests, {cost.tokens:,} tokens{dollars}")
    if known.unused.requests:
        lines.append(f"bought and not used by a closed slot: {known.unused.requests} requests, "
                     f"{known.unused.tokens:,} tokens; a higher target uses them")  # fmt: skip
    if known.usd is not None:
        per = f" ({known.usd / known.accepted:.5f} per accepted sample)" if known.accepted else ""
        lines.append(f"cost of all that was bought: {known.usd:.4f} USD{per}")
    if known.accepted:
        lines.append(f"per accepted sample: {total.requests / known.accepted:.2f} requests, "
                     f"{total.tokens / known.accepted:,.0f} tokens")  # fmt: skip
    if known.possibly_billed:
        lines.append(f"possibly billed without an answer: at most {known.possibly_billed} requests")
    lines.append(f"with input: {known.with_input}; classification: {known.classification}")
    return lines + _statistics(known.statistics)


def _outline_lines(source: str, known: Outline) -> list[str]:
    lines = [f"{source}: {known.samples} samples"]
    lines += [f"  {count:>7}  rows not read: {reason}" for reason, count in known.unreadable.items()]
    if known.parsed:
        lines.append(f"{known.parsed} rows decided: {known.accepted} kept, {known.parsed - known.accepted} rejected")
    return lines + _funnel(known.funnel, {}) + _statistics(known.statistics)


def _funnel(funnel: Iterable[tuple[str, str, int]], examples: Mapping[str, str]) -> list[str]:
    lines = []
    for stage, reason, count in funnel:
        place = examples.get(f"{stage}/{reason}")
        lines.append(f"  {count:>7}  {stage}/{reason}" + (f"  (see: why DIR {place})" if place else ""))
    return lines


def _statistics(found: Statistics) -> list[str]:
    lines = [f"words of the {part}: " + " / ".join(map(str, values)) + "  (least, median, 95 %, most)"
             for part, values in found.lengths.items()]  # fmt: skip
    for name in ("turns", "languages", "categories", "openings"):
        counts = list(getattr(found, name).items())
        if counts and (name != "turns" or len(counts) > 1):
            lines.append(f"{name}: " + ", ".join(f"{value} {count}" for value, count in counts[:12]))
    return lines


def why(
    source: Annotated[Path, IN_RUN],
    wanted: Annotated[str, typer.Argument(metavar="ID", help="Id of a candidate, its beginning, or slot.candidate.")],
    machine: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Tell the whole life of one candidate: seeds, prompts, requests, raw replies, each filter's verdict."""
    with shown_errors():
        from instructgen.life import why as why_of
        from instructgen.run import Run

        life = why_of(Run(source), wanted)
        typer.echo(json.dumps(life._asdict(), ensure_ascii=False, indent=2) if machine else "\n".join(_told(life)))


def _told(life: Life) -> list[str]:
    rejected = life.line.get("rejected")
    sample = life.line.get("accepted") or (rejected or {}).get("sample", {})
    verdict = f"rejected: {rejected['stage']}/{rejected['reason']}" if rejected else "accepted"
    lines = [f"{sample.get('id', '(never a sample)')}  slot {life.slot}, candidate {life.candidate}: {verdict}"]
    for turn in sample.get("turns", []):
        lines += _indented(turn["role"], turn.get("content", ""))
        if turn.get("input"):
            lines += _indented("input", turn["input"])
    if rejected and rejected.get("text"):
        lines += _indented("text", rejected["text"])
    provenance = sample.get("provenance", {})
    keys = ("recipe", "generator", "teacher", "teacher_revision", "terms")
    lines += ["", "made by", *(f"  {key}: {provenance[key]}" for key in keys if provenance.get(key))]
    lines += [f"  prompt {name}: sha256 {value}" for name, value in provenance.get("prompts", {}).items()]
    if life.parents:
        lines += ["", "its prompt showed", *(f"  {parent}: {text}" for parent, text in life.parents)]
    for number, asked in enumerate(life.requests, 1):
        lines += ["", *_request(number, asked)]
    lines += ["", "checks", *(f"  {name}: {said}{_evidence(found)}" for name, said, found in life.checks)]
    if life.alike:
        lines += ["", "the nearest kept ones", *(f"  {near}: {text}" for near, text in life.alike)]
    return lines


def _request(number: int, asked: dict[str, Any]) -> list[str]:
    if "request" not in asked:
        return [f"request {number}  {asked['hash']}: never sent (over what its slot had declared)"]
    request, completion = asked["request"], asked["completion"]
    params = ", ".join(f"{key} {value}" for key, value in request.get("params", {}).items())
    origin = f", copied from {asked['origin']}" if asked["origin"] else ""
    lines = [f"request {number}  {asked['hash']}", f"  model {request.get('model', '')}; {params}{origin}"]
    for turn in request.get("messages", []):
        lines += _indented(turn["role"], turn.get("content", ""))
    if request.get("text"):
        lines += _indented("prompt", request["text"])
    lines += _indented("raw reply", completion.get("content", "") or f"({completion.get('refusal', 'empty')})")
    usage = completion.get("usage", {})
    lines.append(f"  finish {completion.get('finish', 'stop')}; {usage.get('prompt_tokens', 0)} prompt tokens, "
                 f"{usage.get('completion_tokens', 0)} completion tokens")  # fmt: skip
    return lines


def _indented(name: str, text: str) -> list[str]:
    return [f"  {name}:", *(f"    {line}" for line in text.splitlines())]


def _evidence(found: dict[str, Any]) -> str:
    return f"  {json.dumps(found, ensure_ascii=False)}" if found else ""


def verify(source: Annotated[Path, IN_RUN]) -> None:
    """Check a run: hash chain, sample ids, counts, and that every charged answer is in the store."""
    with shown_errors():
        from instructgen.run import Run

        run = Run(source)
        problems = run.verify()
        for problem in problems:
            say(f"Error: {problem}")
        if problems:
            raise typer.Exit(1)
        slots = sum(1 for _ in run.slots())
        typer.echo(f"{source}: sound; {slots} slots, {sum(1 for _ in run.samples())} samples in the dataset")
