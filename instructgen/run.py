"""A run is a directory, complete in itself.

    recipe.yaml       the frozen recipe, and under `frozen` its hash, those of its prompts and seeds, and our version
    seeds.jsonl       the seeds as they were read
    prompts/NAME.txt  the prompt templates as they were read
    completions.db    what the teacher said (`store`)
    decisions.jsonl   what became of every candidate (`decisions`)

State is the fold over the closed slots of `decisions.jsonl`. A sitting is one process that works on the run; a lock
keeps a second one out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import yaml

from instructgen.decisions import ClosedSlot, DecisionLog, read_slots
from instructgen.errors import RunError, RunMismatch
from instructgen.files import claim, describe, dumps, iter_rows, locked, read_text, whole_file
from instructgen.prompts import Prompts
from instructgen.records import Sample, Seed, Usage, digest
from instructgen.store import Store

LOCK = ".instructgen-run"


class Frozen(NamedTuple):
    """What a run is frozen with."""

    recipe: dict[str, Any]
    """The whole recipe, every option spelled out."""
    deciding: dict[str, Any]
    """The part of it that decides what slots contain; it may not change."""
    recipe_hash: str
    seeds: Sequence[Seed]
    prompts: Mapping[str, str]
    """Name -> text."""
    version: str
    in_file: Mapping[str, Any]
    """What the recipe file says of the keys that flags may have changed; {} when there is no file."""


def seeds_hash(seeds: Sequence[Seed]) -> str:
    """Return the sha256 over seeds, wherever they were read from."""
    return digest([seed.as_json() for seed in seeds])


class Run:
    """A run directory, for reading; `opened` opens it for work.

    Example: Run(Path("runs/first")).samples()
    Raises: RunError when the directory is not a run.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not is_run(path):
            if (made := path / "decisions.jsonl").is_file():
                raise RunError(f"{path} is not a run: clean, convert or decontaminate wrote it. What became of a row "
                               "stands under its number in decisions.jsonl; of row 17: "
                               f"grep '\"row\":17[,}}]' {made}")  # fmt: skip
            raise RunError(f"{path} is not a run: it holds no recipe.yaml with a `frozen` part. Make one: "
                           "instructgen generate RECIPE --into DIR")  # fmt: skip

    @cached_property
    def recipe(self) -> dict[str, Any]:
        """The frozen recipe as plain data."""
        return {key: value for key, value in self._file.items() if key != "frozen"}

    @cached_property
    def frozen(self) -> dict[str, Any]:
        """Hashes and version: keys `version`, `recipe_hash`, `deciding`; `in_file` as in `Recipe.in_file`."""
        return dict(self._file["frozen"])

    @cached_property
    def _file(self) -> dict[str, Any]:
        return _read_recipe(self.path)

    @property
    def target(self) -> int:
        """How many samples the dataset has when the run is finished."""
        return int(self.recipe["target"])

    def seeds(self) -> list[Seed]:
        """Return the seeds that the run started from."""
        return [Seed.model_validate(row) for _, row in iter_rows(self.path / "seeds.jsonl")]

    def prompts(self) -> dict[str, str]:
        """Return the prompt templates of the run, name -> text."""
        return {path.stem: read_text(path) for path in sorted((self.path / "prompts").glob("*.txt"))}

    def slots(self) -> Iterator[ClosedSlot]:
        """Yield the closed slots. Raises: RunError that names the line where the hash chain is broken."""
        return read_slots(self.path / "decisions.jsonl")

    def samples(self, limit: int | None = None) -> Iterator[Sample]:
        """Yield the dataset: the first `limit` accepted samples (default: the run's target)."""
        for said in self.accepted(limit):
            yield Sample.model_validate(said)

    def accepted(self, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """Yield the same as JSON."""
        left = self.target if limit is None else limit
        for slot in self.slots():
            if left == 0:
                return
            for said in slot.accepted(left):
                left -= 1
                yield said

    def store(self) -> Store:
        """Open the completions for reading."""
        return Store(self.path / "completions.db", read_only=True)

    def verify(self) -> list[str]:
        """Check the whole run; return what is wrong, nothing for a sound one.

        Looked at: the hash chain, each sample's id against its content, counts of the closing lines, that every
        charged request is in the store with its tokens, and that prompts and seeds are the frozen ones.
        """
        problems = []
        store, charged = self.store(), set[str]()
        try:
            for slot in self.slots():
                found = _verify_slot(slot, store, charged, self.frozen["recipe_hash"])
                problems += [f"slot {slot.number}: {problem}" for problem in found]
        except RunError as error:
            problems.append(str(error))
        finally:
            store.close()
        return problems + self._frozen_problems()

    def _frozen_problems(self) -> list[str]:
        deciding, problems = self.frozen["deciding"], []
        if digest(deciding) != self.frozen["recipe_hash"]:
            problems.append(f"{self.path / 'recipe.yaml'}: its frozen part does not fit its hash")
        if seeds_hash(self.seeds()) != deciding["seeds"]:
            problems.append(f"{self.path / 'seeds.jsonl'}: not the seeds that the run was frozen with")
        texts = self.prompts()
        for name, expected in deciding["prompts"].items():
            if name not in texts or Prompts(texts).hash(name) != expected:
                problems.append(f"{self.path / 'prompts' / name}.txt: not the prompt that the run was frozen with")
        return problems


def _verify_slot(slot: ClosedSlot, store: Store, charged: set[str], recipe_hash: str) -> Iterator[str]:
    accepted = slot.samples()
    for sample in accepted:
        if sample.content_id() != sample.id:
            yield f"sample {sample.id}: its content hashes to {sample.content_id()}"
        if sample.provenance.recipe != recipe_hash:
            yield f"sample {sample.id}: made with recipe {sample.provenance.recipe}, the run's is {recipe_hash}"
    if (slot.closed["parsed"], slot.closed["accepted"]) != (len(slot.lines), len(accepted)):
        yield "the closing line counts other numbers than the lines show"
    usage: dict[str, Usage] = {}
    for request_hash in slot.closed["charged"]:
        if request_hash in charged:
            yield f"request {request_hash} is charged twice"
        charged.add(request_hash)
        row = store.row(request_hash)
        if row is None:
            yield f"request {request_hash} was charged but its answer is not in the store"
            continue
        model = row.request.get("model", "")
        usage[model] = usage.get(model, Usage()) + row.completion.usage.model_copy(update={"requests": 1})
    if {model: cost.as_json() for model, cost in usage.items()} != slot.closed["usage"]:
        yield "the closing line charges other tokens than the stored answers show"


def is_run(path: Path) -> bool:
    """Tell whether a directory is a run."""
    recipe = path / "recipe.yaml"
    return recipe.is_file() and "\nfrozen:" in recipe.read_text(encoding="utf-8", errors="replace")


def _read_recipe(path: Path) -> dict[str, Any]:
    file = path / "recipe.yaml"
    try:
        data = yaml.safe_load(read_text(file))
        data["frozen"]["deciding"]["seed"]
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise RunError(f"{file}: not a frozen recipe ({type(error).__name__}); restore it from a copy") from error
    return dict(data)


class OpenRun:
    """A run opened for work by this process alone.

    `log` can be appended to once `closed` has been read to its end.
    """

    log: DecisionLog

    def __init__(self, run: Run, store: Store) -> None:
        self.run, self.store = run, store

    def closed(self) -> Iterator[ClosedSlot]:
        """Yield the closed slots, the chain checked; then cut a torn tail and open the log behind the last of them.

        Raises: RunError when the run is damaged.
        """
        last = None
        for last in self.run.slots():
            yield last
        self.log = DecisionLog(self.run.path / "decisions.jsonl", last)

    def close(self) -> None:
        """Make what was decided durable."""
        if hasattr(self, "log"):
            self.log.close()


@contextmanager
def opened(path: Path, frozen: Frozen, *, overwrite: bool = False) -> Iterator[OpenRun]:
    """Open a run for work: make it, or check that it was built with this recipe; hold its lock.

    Raises: RunMismatch that names the differing keys; RunError when another process holds it; ExportError when the
    directory holds something else.
    """
    if not is_run(path):
        left = [name for name in ("decisions.jsonl", "completions.db") if (path / name).exists()]
        if left and (path / LOCK).exists():
            raise RunError(f"{path} holds {left[0]} of a run, but its recipe.yaml is missing or not frozen. Restore it")
        claim(path, LOCK, overwrite=overwrite)
    with locked(path / LOCK, f"run {path}"):
        try:
            _freeze(path, frozen)
        except OSError as error:
            raise RunError(f"{path}: cannot be written: {describe(error)}") from error
        store = Store(path / "completions.db")
        try:
            work = OpenRun(Run(path), store)
            try:
                yield work
            finally:
                work.close()
        finally:
            store.close()


def _freeze(path: Path, frozen: Frozen) -> None:
    """Write the frozen recipe; on a run that has bought or decided anything, only what may change is written back."""
    if is_run(path) and not _is_empty(path):
        old = _read_recipe(path)["frozen"]
        differing = sorted(_differences(old["deciding"], frozen.deciding))
        if differing:
            raise RunMismatch(
                f"{path} was built with another recipe ({'; '.join(differing[:5])}). "
                "Restore these values, or go on with the run as it is by leaving the recipe out; for another run, name "
                f"a new directory, and --reuse {path} keeps the answers that fit"
            )
        section = old
        # Where seeds and prompts were first read stays said; the run has its own copies.
        kept = {key: _read_recipe(path)[key] for key in ("seeds", "prompts")}
    else:
        _write_frozen_files(path, frozen)
        kept = {}
        section = {"version": frozen.version, "recipe_hash": frozen.recipe_hash, "deciding": frozen.deciding}
    if frozen.in_file:
        section["in_file"] = dict(frozen.in_file)
    text = yaml.safe_dump(frozen.recipe | kept | {"frozen": section}, sort_keys=False, allow_unicode=True)
    with whole_file(path / "recipe.yaml") as file:
        file.write(text.encode())


def _is_empty(path: Path) -> bool:
    """Tell whether a run holds nothing that its recipe decided: a first start that failed binds to nothing."""
    decisions, answers = path / "decisions.jsonl", path / "completions.db"
    if decisions.exists() and decisions.stat().st_size:
        return False
    if not answers.exists():
        return True
    store = Store(answers, read_only=True)
    try:
        return not store.count()
    finally:
        store.close()


def _write_frozen_files(path: Path, frozen: Frozen) -> None:
    (path / "prompts").mkdir(exist_ok=True)
    for left in (path / "prompts").glob("*.txt"):  # of a first start that bought nothing
        left.unlink()
    for name, text in frozen.prompts.items():
        with whole_file(path / "prompts" / f"{name}.txt") as file:
            file.write(text.encode())
    with whole_file(path / "seeds.jsonl") as file:
        file.writelines(dumps(seed.as_json()) + b"\n" for seed in frozen.seeds)


def _differences(old: Any, new: Any, place: str = "") -> Iterator[str]:
    """Yield `key: old -> new` for every differing key of two recipes."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        if old.get("kind") != new.get("kind"):  # then the other options are not comparable
            yield f"{place}.kind: {_short(old.get('kind'))} -> {_short(new.get('kind'))}"
            return
        for key in sorted({*old, *new}):
            yield from _differences(old.get(key), new.get(key), f"{place}.{key}" if place else key)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _differences(one, other, f"{place}[{number}]")
    elif old != new:
        yield f"{place}: {_short(old)} -> {_short(new)}"


def _short(value: Any) -> str:
    text = orjson.dumps(value).decode() if not isinstance(value, str) else value
    return text if len(text) <= 40 else f"{text[:37]}..."


def version_note(run: Run, version: str) -> str:
    """Return a warning when the run was made by another version of ours, else ""."""
    made = run.frozen.get("version", "")
    return f"{run.path} was made by instructgen {made}, this is {version}" if made != version else ""
