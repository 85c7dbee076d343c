"""`instructgen generate`: seeds in, a run out; run it again to go on."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from instructgen.cli.progress import duration, shown_progress
from instructgen.cli.shown import INTERRUPTED, logged, say, shown_errors, typed_command

if TYPE_CHECKING:
    from instructgen.forecast import Forecast
    from instructgen.recipe import Recipe
    from instructgen.report import Report
    from instructgen.sitting import Outcome

MOST_REASONS = 12
"""Rejection reasons that are listed when a sitting ends; the report has all."""
DEFAULT_FILTERS = [{"kind": "instruction_rules"}, {"kind": "instance_rules"}, {"kind": "rouge"}]


def generate(
    recipe: Annotated[
        str, typer.Argument(help="Recipe file or bundled name; none: go on with the run, or use the flags alone.")
    ] = "",
    into: Annotated[
        Path | None, typer.Option("--into", help="Run directory; an existing run of this recipe goes on.")
    ] = None,
    seeds: Annotated[str, typer.Option(help="Seeds file instead of the recipe's.")] = "",
    teacher: Annotated[
        str, typer.Option(help="KIND or KIND:MODEL, e.g. openai:gpt-4.1-mini, local, local:model.gguf.")
    ] = "",
    base_url: Annotated[str, typer.Option(help="Endpoint of an OpenAI-compatible server.")] = "",
    generator: Annotated[str, typer.Option(help="Generator kind (`instructgen list generators`).")] = "",
    target: Annotated[int | None, typer.Option(min=1, help="Accepted samples wanted.")] = None,
    budget: Annotated[float | None, typer.Option(help="Most US dollars to spend.")] = None,
    concurrency: Annotated[int, typer.Option(min=0, help="Requests in flight at once; 0: the recipe's.")] = 0,
    seed: Annotated[int | None, typer.Option(help="Decides every random draw.")] = None,
    reuse: Annotated[list[Path] | None, typer.Option(help="Run whose stored answers may be used; repeatable.")] = None,
    estimate: Annotated[bool, typer.Option("--estimate", help="Run a pilot first and forecast the cost.")] = False,
    pilot: Annotated[int, typer.Option(min=1, help="Slots of the pilot; they are part of the run.")] = 20,
    offline: Annotated[bool, typer.Option("--offline", help="Answer from the store alone; buy nothing.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a directory with other content (never a run).")
    ] = False,
    unsafe_code: Annotated[
        bool, typer.Option("--unsafe-code", help="Let filters run code from samples without a sandbox.")
    ] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Write a log, run.log, into the run.")] = False,
    machine: Annotated[
        bool, typer.Option("--json", help="Progress and result as JSON lines on standard output.")
    ] = False,
) -> None:
    """Generate samples into a run directory; run it again to go on."""
    if into is None:
        raise typer.BadParameter("name a directory for the run, e.g. --into runs/first", param_hint="--into")
    kept = [*(word for other in reuse or () for word in ("--reuse", str(other))), *["--unsafe-code"] * unsafe_code]
    go_on = partial(go_on_command, into, kept)
    with shown_errors(go_on), logged(into if verbose else None):
        from instructgen.sitting import generate as run_it

        flags = {
            "seeds": seeds, "teacher": teacher_option(teacher, base_url, concurrency),
            "generator": {"kind": generator} if generator else None, "target": target,
            "budget": None if budget is None else {"usd": budget}, "seed": seed,
        }  # fmt: skip
        chosen = recipe_for(recipe, into, {key: value for key, value in flags.items() if value not in ("", {}, None)})
        announce(chosen)
        slots = pilot if estimate else None
        while True:
            with shown_progress(machine=machine, priced=chosen.teacher.known_price() is not None) as watch:
                outcome = run_it(
                    chosen, into, reuse=reuse or (), offline=offline, overwrite=overwrite, pilot=slots,
                    unsafe_code=unsafe_code, watch=watch,
                )  # fmt: skip
            if outcome.ending != "pilot" or not _goes_on(outcome, chosen, machine=machine):
                break
            slots = None
        if slots is not None and outcome.ending == "target":
            say(f"There is nothing to forecast: the pilot of {pilot} slots reached the target.")
        tell(outcome, machine=machine)
    if outcome.ending == "interrupted":
        say(f"Interrupted. Everything bought is stored; go on with: {go_on()}")
    if code := exit_code(outcome):
        raise typer.Exit(code)


def exit_code(outcome: Outcome) -> int:
    """Return 0 for an ending, 130 for Ctrl-C, 1 where the budget covers no slot at all: an export would be empty."""
    if outcome.ending == "interrupted":
        return INTERRUPTED
    return int(outcome.ending == "budget" and not outcome.progress.slots)


def go_on_command(into: Path, kept: Sequence[str]) -> str:
    """Return the command that goes on with the run: what was typed where no run was begun, else the run says the rest.

    `kept` are the flags that a run does not remember.
    """
    from instructgen.run import is_run

    return shlex.join(["instructgen", "generate", "--into", str(into), *kept]) if is_run(into) else typed_command()


def _goes_on(outcome: Outcome, recipe: Recipe, *, machine: bool) -> bool:
    """Show the forecast; ask whether to go on where somebody is there to answer."""
    import sys

    from instructgen.report import pilot_forecast

    found = pilot_forecast(outcome.run, recipe.teacher, outcome.slots_seconds, outcome.progress.paid.usd)
    if machine:
        typer.echo(json.dumps({"forecast": found._asdict() if found else None}))
        return False
    if found is None:
        say("Nothing was accepted in the pilot: there is no forecast, and something is wrong. See the reasons below.")
        return False
    for line in [*forecast_lines(found, recipe), *budget_lines(found, recipe, outcome)]:
        say(line)
    if recipe.teacher.in_batches:
        say(batch_line(found, recipe, outcome))
    try:
        return sys.stdin.isatty() and typer.confirm("Go on to the target?", err=True)
    except typer.Abort:  # Ctrl-C, or the end of the input
        raise KeyboardInterrupt from None


def forecast_lines(found: Forecast, recipe: Recipe) -> list[str]:
    """Return the forecast in words: middle, and the ends of the interval."""

    def shown(name: str, interval: tuple[float, float, float], form: str = ",.0f", unit: str = "") -> str:
        middle, low, high = (format(value, form) for value in interval)
        return f"  {name}: {middle}{unit} ({low} to {high})"

    like = "the later half of the pilot's" if found.fall else "the pilot's"
    head = f"Forecast for {recipe.target} samples, with 80 % intervals, if all slots go as {like}."
    lines = [
        f"{head} Novelty runs out, and later slots accept less: take it for the least",
        *(
            [
                "  acceptance falls already: {:.0%} in the first half of the pilot, {:.0%} in the second".format(
                    *found.fall
                )
            ]
            if found.fall
            else []
        ),
        shown("acceptance", found.acceptance, ".1%"),
        shown("requests", found.requests),
        shown("tokens", found.tokens),
    ]
    if found.usd is not None:
        lines.append(shown("cost", found.usd, ",.2f", " USD"))
    if found.seconds is None:
        return [*lines, "  time: not known; the pilot's slots were closed by an earlier sitting"]
    middle, low, high = found.seconds
    lines.append(f"  time: {duration(middle)} ({duration(low)} to {duration(high)}) at the pilot's pace")
    return lines


def budget_lines(found: Forecast, recipe: Recipe, outcome: Outcome) -> list[str]:
    """Say at how many samples the budget ends the run, where that is before the target."""
    progress = outcome.progress
    for closed in range(progress.slots, math.ceil(found.slots[0])):
        share = closed / progress.slots
        if not outcome.room(progress.paid.times(share), 1):
            caps = ", ".join(f"{name} {cap:,}" for name, cap in recipe.budget.model_dump(exclude_none=True).items())
            samples = f"{progress.accepted * share:,.0f}"
            return [f"  The budget ({caps}) ends the run at about {samples} samples; raise it now or later"]
    return []


def batch_line(found: Forecast, recipe: Recipe, outcome: Outcome) -> str:
    """Say how many batches follow each other, and how a larger window or the budget changes that."""
    from instructgen.forecast import waves

    progress = outcome.progress
    steps, wider = progress.steps, recipe.window * 4

    def room(closed: int) -> int:
        share = closed / progress.slots if progress.slots else 0.0
        return outcome.room(progress.paid.times(share), wider)

    middle, low, high = (waves(slots, recipe.window, steps, room) for slots in found.slots)
    line = f"  batches in a row: {middle} ({low} to {high}) with window {recipe.window}; each may take up to a day"
    fewer = waves(found.slots[0], wider, steps, room)
    if fewer < middle:
        line += f". A new run with window: {wider} takes {fewer}; its prompts draw on older samples"
    if middle != (calm := waves(found.slots[0], recipe.window, steps)):
        now = min(room(progress.slots), recipe.window)
        line += (
            f". The budget makes waves smaller: {now} slots fit at once now, fewer as it is spent; without one "
            f"it would be {calm}"
        )
    return line


def teacher_option(named: str, base_url: str, concurrency: int) -> dict[str, Any]:
    """Return the recipe's `teacher` keys that the flags give.

    Example: teacher_option("openai:gpt-4.1-mini", "", 8) -> {"kind": "openai", "model": "gpt-4.1-mini", ...}
    """
    kind, _, model = named.partition(":")
    keys: dict[str, Any] = {"kind": kind} if kind else {}
    if model:
        places = {"local": "path", "recorded": "run", "scripted": "function" if ":" in model else "replies"}
        keys[places.get(kind, "model")] = model
    if base_url:
        keys["base_url"] = base_url
    if concurrency:
        keys["concurrency"] = concurrency
    return keys


def recipe_for(name: str, into: Path, flags: dict[str, Any]) -> Recipe:
    """Return the recipe: the named one, else that of the run in `into`, else one from the flags alone.

    What a run was told by flags before holds until another flag or an edit of the recipe file says otherwise.
    """
    from instructgen.errors import RecipeError
    from instructgen.recipe import held, load_recipe, merged, parse_recipe, read_recipe
    from instructgen.run import Run, is_run

    if name and is_run(into):
        run = Run(into)
        kept = held(run.recipe, run.frozen.get("in_file", {}), read_recipe(name)[0])
        recipe = load_recipe(name, **merged(kept, flags))
        if "target" in kept and "target" not in flags and recipe.in_file.get("target", recipe.target) != recipe.target:
            said = recipe.in_file["target"]
            say(f"target {recipe.target}, as this run was last told; {name} says {said}: --target {said} goes on to it")
        return recipe
    if name:
        return load_recipe(name, **flags)
    if is_run(into):
        run = Run(into)
        kept = {"seeds": str(into / "seeds.jsonl"), "prompts": str(into / "prompts")}
        return parse_recipe(merged(run.recipe | kept, flags), str(into / "recipe.yaml"))
    if "teacher" not in flags or "kind" not in flags["teacher"]:
        raise RecipeError(
            f"{into} is no run yet and no recipe is named. Name one (`instructgen list recipes`), "
            "or say at least --teacher, e.g. --teacher openai:gpt-4.1-mini"
        )
    base = {"name": into.name, "generator": {"kind": "self_instruct"}, "filters": DEFAULT_FILTERS}
    return parse_recipe(merged(base, flags), "flags")


def announce(recipe: Recipe) -> None:
    """Say what is about to run, what its tokens cost, and the licence and terms that the dataset will carry."""
    from instructgen.teachers.prices import FREE

    teacher = recipe.teacher
    by = f"{recipe.generator.kind}, teacher {teacher.identity} ({teacher.kind})"
    say(f"{recipe.name}: {recipe.target} samples by {by}")
    if (price := teacher.known_price()) is not None and price != FREE:
        by_batch = " by batch" if teacher.in_batches else ""
        shown = f"{price.fresh:f} in, {price.output:f} out, USD ({teacher.price_source()})"
        say(f"price of a million tokens{by_batch}: {shown}")
    say(f"licence of the dataset: {recipe.export.license}; terms of the teacher: {teacher.licence}")


def advice(known: Report, outcome: Outcome) -> str:
    """Return what to do about the reason for which most candidates were rejected.

    Example: ("teacher", "over_declared", 195) on top -> "requests exceed what a slot declares ..."
    """
    if not known.funnel:
        return "the flows return nothing at all; look at the generator"
    stage, reason, _ = known.funnel[0]
    if reason == "over_declared":
        generator = outcome.run.recipe["generator"]["kind"]
        return f"requests exceed what a slot declares and were not sent; raise slot_bound of generator {generator!r}"
    if "duplicate" in reason:
        return "most is known already; more seeds, another teacher or a higher temperature bring new ideas"
    run = shlex.quote(str(outcome.run.path))
    look = f"look at one with `instructgen why {run} {known.examples.get(f'{stage}/{reason}', '')}`"
    if stage == "teacher":
        return f"most answers do not come ({reason}); {look}"
    if stage == "parse":
        return f"most answers cannot be read ({reason}); {look}, then mend the prompt or raise the output limit"
    return f"most is rejected as {reason}; {look}, then change the prompt, or that filter's options"


def tell(outcome: Outcome, *, machine: bool) -> None:
    """Say how the run ended, with the top rejection reasons and what it cost."""
    from instructgen.report import report

    known = report(outcome.run)
    if machine:
        typer.echo(known.model_copy(update={"ending": outcome.ending}).model_dump_json())
        return
    sentences = {
        "target": f"Target reached: {known.in_dataset} samples",
        "exhausted": f"Almost nothing is accepted any more: {advice(known, outcome)}",
        "budget": "The budget does not cover another slot. Raise it and run again to go on",
        "interrupted": "Stopped",
        "pilot": "The pilot is done; its answers are part of the run. Go on without --estimate",
    }
    say(f"{sentences[outcome.ending]}. {known.accepted} accepted of {known.parsed} candidates in {known.slots} slots"
        f"{f', {known.held_back} held back beyond the target' if known.held_back else ''}.")  # fmt: skip
    for stage, reason, count in known.funnel[:MOST_REASONS]:
        say(f"  rejected {count:>6}  {stage}/{reason}")
    if more := known.funnel[MOST_REASONS:]:
        say(f"  rejected {sum(count for *_, count in more):>6}  for {len(more)} other reasons")
    total = known.total
    say(f"{total.requests} requests, {total.prompt_tokens:,} prompt and {total.completion_tokens:,} completion tokens"
        f"{' (partly estimated)' if total.estimated else ''}; bought now: {outcome.bought}"
        f"{' (nothing: all of it was in the store)' if not outcome.bought else ''}"
        f"{f', taken from other runs: {outcome.reused}' if outcome.reused else ''}"
        f"{f'; begun and not needed so far: {known.unused.requests}' if known.unused.requests else ''}.")  # fmt: skip
    for note in outcome.notes:
        say(f"Note: {note}.")
    say(f"Next: instructgen report {shlex.quote(str(outcome.run.path))}")
