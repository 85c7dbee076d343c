"""`instructgen convert`: an existing dataset into samples, through the template bank."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from instructgen.cli.progress import Pace
from instructgen.cli.shown import logged, say, shown_errors

if TYPE_CHECKING:
    from instructgen.convert.mapping import Mapping
    from instructgen.convert.sources import Source
    from instructgen.convert.write import Counts


EVERY = frozenset({"into", "overwrite", "as_json"})
OF_RECIPE = EVERY | {"recipe", "source_root", "total"}
OF_FROM = EVERY | {
    "dataset", "shape", "clean", "max_tokens", "keep_languages", "ends", "best", "min_labels", "tokenizer", "limit",
}  # fmt: skip
OF_PROMPTS = EVERY | {"dataset", "task", "split", "config", "columns", "limit", "each", "seed"}
OF_TASK = OF_PROMPTS | {
    "mapping", "labels", "templates", "options", "shuffle", "inverted", "shots", "most_shots", "fixed_shots",
    "shot_budget", "shots_as", "cot", "tokenizer", "language",
}  # fmt: skip
"""Which options have a meaning beside which: one that has none is told, not passed over."""


def convert(
    context: typer.Context,
    into: Annotated[Path, typer.Option("--into", help="Folder to write: new, empty, or an earlier conversion.")],
    dataset: Annotated[
        str | None, typer.Argument(help="File (Parquet, CSV, TSV, JSON, JSONL), HF folder, or Hub id.")
    ] = None,
    task: Annotated[
        str, typer.Option("--task", help="Task type of the bank (sentiment, nli, ...), or a pack's path.")
    ] = "",
    mapping: Annotated[
        str, typer.Option("--map", help="Role=column pairs: text=sentence,label=stars; a comma in a name: \\,")
    ] = "",
    labels: Annotated[str, typer.Option("--labels", help="Names of the classes: 0=negative,1=positive.")] = "",
    split: Annotated[str | None, typer.Option("--split", help="Split to read (default: train).")] = None,
    config: Annotated[str | None, typer.Option("--config", help="Config of a Hub dataset.")] = None,
    columns: Annotated[
        str, typer.Option("--columns", help="Names of the fields of a CSV or TSV file without header.")
    ] = "",
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Rows to read at most.")] = None,
    templates: Annotated[str, typer.Option("--templates", help="Templates to use, by name; default: all.")] = "",
    each: Annotated[str, typer.Option("--each", help="`one` template a row, drawn, or `all` that fit.")] = "one",
    options: Annotated[
        str, typer.Option("--options", help="Weights of option lists: letters=1,plain=1,none=1.")
    ] = "letters=1,plain=1,none=1",
    shuffle: Annotated[
        str,
        typer.Option("--shuffle-choices", help="`auto` (where the right one always stands at one place), all or none."),
    ] = "auto",
    inverted: Annotated[float, typer.Option("--inverted", min=0, help="Weight of inverted templates; others 1.")] = 0.3,
    shots: Annotated[float, typer.Option("--shots", min=0, max=1, help="Share of samples with worked examples.")] = 0.0,
    most_shots: Annotated[int, typer.Option("--most-shots", min=1, help="Most worked examples.")] = 5,
    fixed_shots: Annotated[
        bool, typer.Option("--fixed-shots", help="Always the same number of worked examples.")
    ] = False,
    shot_budget: Annotated[int, typer.Option("--shot-budget", min=1, help="Tokens of examples and question.")] = 1920,
    shots_as: Annotated[str, typer.Option("--shots-as", help="`text` or earlier `turns`.")] = "text",
    cot: Annotated[
        float, typer.Option("--cot", min=0, max=1, help="Share of rows with a rationale that reason first.")
    ] = 0.0,
    tokenizer: Annotated[
        Path | None, typer.Option("--tokenizer", help="A tokenizer.json; default: an estimate.")
    ] = None,
    language: Annotated[str, typer.Option("--language", help="Language of the dataset's text (BCP 47).")] = "",
    seed: Annotated[int, typer.Option("--seed", help="Decides every draw.")] = 0,
    recipe: Annotated[
        Path | None, typer.Option("--recipe", help="A recipe with a `mixture`, in place of DATASET.")
    ] = None,
    source_root: Annotated[
        Path | None,
        typer.Option("--source-root", help="With --recipe: a folder of copies, at DIR/id or DIR/id/config."),
    ] = None,
    total: Annotated[
        int | None, typer.Option("--total", min=1, help="With --recipe: samples in all, in place of the recipe's.")
    ] = None,
    shape: Annotated[
        str, typer.Option("--from", help="DATASET is instruction data already: its format, or `auto`.")
    ] = "",
    clean: Annotated[bool, typer.Option("--clean", help="With --from: clean scraped chats.")] = False,
    max_tokens: Annotated[
        int | None, typer.Option("--max-tokens", min=16, help="With --from: split long chats.")
    ] = None,
    keep_languages: Annotated[str, typer.Option("--keep-languages", help="With --from: en,de,...; default all.")] = "",
    ends: Annotated[str, typer.Option("--ends", help="With --from, trees: `leaves`, or `all` answers.")] = "leaves",
    best: Annotated[int | None, typer.Option("--best", min=1, help="With --from, trees: the best N answers.")] = None,
    min_labels: Annotated[str, typer.Option("--min-labels", help="With --from, trees: quality=0.5,...")] = "",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a folder with other content.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")] = False,
) -> None:
    """Put an existing dataset into words: what each column is, is worked out, shown, and asked if unclear."""
    given = {
        "seed": seed, "each": each, "templates": _names(templates), "inverted": inverted, "cot": cot,
        "options": _floats("--options", options), "shuffle": shuffle,
        "shots": {"share": shots, "fixed": fixed_shots, "most": most_shots, "budget": shot_budget,
                  "layout": shots_as},
    }  # fmt: skip
    with logged(), shown_errors():
        if recipe is not None:
            _only(context, OF_RECIPE, "--recipe")
            _mixture(recipe, source_root, total, into, overwrite=overwrite, as_json=as_json)
            return
        if dataset and shape:
            _only(context, OF_FROM, "--from")
            said = {"paths": {"ends": ends, "best": best, "labels": _floats("--min-labels", min_labels),
                              "languages": _names(keep_languages)},
                    "clean": {"languages": _names(keep_languages)} if clean else None, "limit": max_tokens}  # fmt: skip
            _existing(dataset, shape, said, tokenizer, into, limit, overwrite=overwrite, as_json=as_json)
            return
        if not dataset or not task:
            raise typer.BadParameter(
                "give DATASET with --task (what its rows are: `instructgen list templates`) or --from (instruction "
                "data: a format, or auto), or --recipe with a mixture"
            )
        _only(context, OF_TASK, "--task")
        from instructgen.convert.bank import find_pack
        from instructgen.convert.conversion import Conversion, Options
        from instructgen.convert.promptsource import is_prompts
        from instructgen.convert.sources import open_source
        from instructgen.convert.tokens import counter

        source = open_source(dataset, split, config, _names(columns) or None)
        if is_prompts(Path(task)):
            _only(context, OF_PROMPTS, "a promptsource file")
            _prompts(Path(task), source, seed, each, limit, into, overwrite=overwrite, as_json=as_json)
            return
        found = _mapping(find_pack(task), source, _pairs("--map", mapping), _labels(labels))
        work = Conversion(source, found, _checked(Options, given), counter(tokenizer), limit, language)
        say(f"{source.name}: task {found.pack.task}, {len(work.renderers)} templates")
        for shown in found.shown():
            say(shown)
        _show(work.examples())
        about = {"dataset": dataset, "split": split, "task": task, "map": found.roles, "classes": found.values,
                 "labels": found.labels, "options": work.options.model_dump(mode="json"), "limit": limit}  # fmt: skip
        _write(work.run(), into, about, overwrite=overwrite, as_json=as_json)


def _only(context: typer.Context, known: frozenset[str], beside: str) -> None:
    """Raise: BadParameter for an option that was given and means nothing beside another."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source is not None and source.name == "COMMANDLINE" and parameter.name not in known:
            raise typer.BadParameter(f"{parameter.opts[0]} has no meaning beside {beside}")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _pairs(option: str, text: str) -> dict[str, str]:
    pairs = {}
    for part in (part.replace("\0", ",") for part in text.replace("\\,", "\0").split(",")):
        name, equals, value = part.partition("=")
        if part.strip() and not equals:
            raise typer.BadParameter(f"{option}: {part.strip()!r} is not NAME=VALUE")
        if part.strip():
            pairs[name.strip()] = value.strip()
    return pairs


def _labels(text: str) -> dict[str, str] | None:
    if "=" in text or not text:
        return _pairs("--labels", text) or None
    return {str(number): name for number, name in enumerate(_names(text))}


def _named(text: str) -> dict[str, str]:
    """Return the names that a person typed; none where a value has no name, so that the question comes again."""
    return dict(part.split("=", 1) for part in _names(text)) if all("=" in part for part in _names(text)) else {}


def _floats(option: str, text: str) -> dict[str, float]:
    try:
        return {name: float(value) for name, value in _pairs(option, text).items()}
    except ValueError as error:
        raise typer.BadParameter(f"{option} {text}: {error}; expected NAME=NUMBER") from error


def _checked(model: Any, given: dict[str, Any]) -> Any:
    from pydantic import ValidationError

    try:
        return model.model_validate(given)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"])
        raise typer.BadParameter(f"{place}: {problem['msg']} (found {problem['input']!r})") from error


def at_terminal() -> bool:
    """Tell whether a person can be asked."""
    return sys.stdin.isatty()


def _mapping(pack: Any, source: Source, given: dict[str, str], labels: dict[str, str] | None) -> Mapping:
    """Return the mapping; ask for what stays open when a person is there."""
    from instructgen.convert.choosing import choose_for
    from instructgen.convert.questions import Unsure

    while True:
        try:
            return choose_for(pack, source, given, labels)
        except Unsure as unsure:
            if not at_terminal():
                raise
            say(str(unsure))
            for question in unsure.questions:
                given[question.role] = typer.prompt(f"Which column is {question.role} ({question.about})?", err=True)
            if not unsure.questions:
                labels = {**(labels or {}), **_named(typer.prompt("Names of the classes, as VALUE=NAME,...", err=True))}


def _prompts(
    path: Path, source: Source, seed: int, each: str, limit: int | None, into: Path, *, overwrite: bool, as_json: bool
) -> None:
    """Convert through a promptsource file: its templates know the columns by their names."""
    from instructgen.convert.promptsource import PromptConversion, load_prompts

    work = PromptConversion(source, load_prompts(path), seed, each == "all", limit)
    say(f"{source.name}: {path}, {len(work.templates)} templates of promptsource; columns by their own names")
    _show(work.examples())
    about = {"dataset": source.name, "templates": str(path), "seed": seed, "each": each, "limit": limit}
    _write(work.run(), into, about, overwrite=overwrite, as_json=as_json)


def _show(examples: list[dict[str, Any]]) -> None:
    """Print rendered examples, before anything is written."""
    for number, row in enumerate(examples, 1):
        say(f"--- example {number} ({row['provenance']['template']})")
        for turn in row["turns"]:
            say(f"[{turn['role']}] {_short(turn['content'])}")


def _short(text: str) -> str:
    return text if len(text) <= 600 else f"{text[:400]} [... {len(text) - 500} characters ...] {text[-100:]}"


def _write(outcomes: Any, into: Path, about: dict[str, Any], *, overwrite: bool, as_json: bool) -> None:
    import orjson

    from instructgen.convert.write import write

    counts = write(outcomes, into, about, overwrite=overwrite, progress=_progress())
    if as_json:
        typer.echo(orjson.dumps(counts.as_json()).decode())
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in counts.rejected.most_common())
    say(f"{into}: {counts.accepted:,} samples in samples.jsonl; {counts.rejected.total():,} rejected"
        f"{f' ({reasons})' if reasons else ''}; {counts.seconds:.1f} s")  # fmt: skip
    if counts.unanswered:
        say(f"of {counts.unanswered:,} samples the last question, which nobody answered, was cut")
    if not counts.accepted:
        from instructgen.errors import DataError

        raise DataError(f"{into}: no sample was made. decisions.jsonl there has each row's reason and evidence; "
                        "see whether task, --map and --labels fit the data")  # fmt: skip


def _progress() -> Any:
    """Return what says from time to time how far it is."""
    pace = Pace()

    def tell(counts: Counts) -> None:
        if seconds := pace.due():
            kept, lost = counts.accepted, counts.rejected.total()
            say(f"{counts.parsed:,} rows: {kept:,} accepted, {lost:,} rejected, {counts.parsed / seconds:,.0f} rows/s")

    return tell


def _mixture(recipe: Path, root: Path | None, total: int | None, into: Path, *, overwrite: bool, as_json: bool) -> None:
    from instructgen.convert.mixing import load_mixture

    mixture = load_mixture(recipe, root, total)
    plan = mixture.plan()
    for shown in plan.shown():
        say(shown)
    _write(plan.run(), into, plan.about(), overwrite=overwrite, as_json=as_json)
    for short in plan.fell_short():
        say(short)


def _existing(
    dataset: str,
    shape: str,
    said: dict[str, Any],
    tokenizer: Path | None,
    into: Path,
    limit: int | None,
    *,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Convert instruction data that exists: read by its format, then paths, cleaning, splitting."""
    from itertools import islice

    from instructgen.cli.inputs import open_input
    from instructgen.convert.chats import Chats, outcomes
    from instructgen.convert.tokens import counter

    options = _checked(Chats, said)
    given = open_input(dataset, "" if shape == "auto" else shape, said=say)
    about = {"dataset": dataset, "format": given.format.name if given.format else "run",
             "options": options.model_dump(mode="json"), "limit": limit}  # fmt: skip
    _write(
        outcomes(islice(given, limit), options, counter(tokenizer)), into, about, overwrite=overwrite, as_json=as_json
    )
