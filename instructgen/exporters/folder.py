"""Samples -> a Hugging Face folder, in one pass and bounded memory.

    README.md                                the card
    alpaca/train-00000-of-00001.parquet      one config per format: its columns plus id and provenance
    jsonl/alpaca-train.jsonl                 the format's own keys alone, for trainers
    manifest.json                            written last: counts, hashes; a folder without it is not finished

Everything is first written into `.partial/`; only when all of it is there do files move to their names.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue

import instructgen.files as files
from instructgen.errors import DataError, ExportError
from instructgen.exporters import card, schema
from instructgen.exporters.numbering import Numbering
from instructgen.exporters.shards import SHARD_BYTES, JsonLines, ParquetShards
from instructgen.formats import Format, Row, Unwritable
from instructgen.formats.holds import carried
from instructgen.formats.reading import encoded
from instructgen.records import ID_LENGTH, Sample, canonical

MANIFEST = "manifest.json"
WORKING = ".partial"
BATCH = 1_000
GROUP_SAMPLES = 10_000
"""The most samples that share a row: larger groups become several rows."""
_OWN_FILE = re.compile(r"\w[\w-]*/\w[\w.-]*")
_REPEAT = re.compile(rf"([0-9a-f]{{{ID_LENGTH}}})-\d+")


class Options(BaseModel):
    """How to export."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    splits: dict[str, float] = {}
    """Split -> share of the rows, e.g. `{"test": 0.05}`; the rest is `train`."""
    seed: int = 0
    """Decides, with the id, which split a sample belongs to."""
    licence: str = "unknown"
    languages: tuple[str, ...] = ()
    """BCP 47 tags; what the samples' provenance says is added."""
    provenance: str = "json"
    """"json": one text column; "columns": one column a field; "none"."""
    shard_bytes: int = SHARD_BYTES
    overwrite: bool = False
    """Replace a folder with other content."""
    strict: bool = False
    """Stop at the first sample that a format cannot hold, instead of leaving it out of that config and saying so."""


class Exported(BaseModel):
    """What was written."""

    model_config = ConfigDict(frozen=True)

    into: Path
    samples: int
    rows: dict[str, dict[str, int]]
    """Config -> split -> rows."""
    left_out: dict[str, dict[str, int]]
    """Config -> reason -> samples that its shape cannot hold."""
    empty_splits: tuple[str, ...]
    """`config/split` that got no row and was left out of files and card."""
    repeated_ids: int
    """Samples whose id had been seen before; they are numbered -2, -3, ..."""


def split_of(sample_id: str, splits: Mapping[str, float], seed: int) -> str:
    """Return the split of a sample: a hash of seed and id, so that more data moves no sample elsewhere.

    Numbered repeats go where the first one goes. Example: split_of("3f1c...", {"test": 0.05}, seed=0) -> "train"
    """
    if not splits:
        return "train"
    repeat = _REPEAT.fullmatch(sample_id)
    name = repeat[1] if repeat else sample_id
    place = int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:8]) / 2**64
    upto = 0.0
    for split in sorted(splits):
        upto += splits[split]
        if place < upto:
            return split
    return "train"


def export(
    samples: Iterable[Sample],
    formats: Sequence[Format],
    into: Path,
    options: Options = Options(),
    facts: card.Facts = card.Facts(),
) -> Exported:
    """Write the folder. Raises: ExportError for wrong options, a foreign folder, a full disk, or no rows at all."""
    _check(formats, options)
    _claim(into, overwrite=options.overwrite)
    working = into / WORKING
    try:
        stale = _take_back(into, working)
        made = _Writing(working, formats, options)
        for batch in _batches(samples):
            made.write(batch)
        return made.finish(into, stale, facts)
    except OSError as error:
        raise ExportError(f"{into}: cannot be written: {files.describe(error)}") from error
    finally:
        if (into / MANIFEST).exists():  # else the next export finds here what this one has begun
            shutil.rmtree(working, ignore_errors=True)


def _check(formats: Sequence[Format], options: Options) -> None:
    if not formats:
        raise ExportError("no format to export; say --format alpaca (`instructgen list formats` shows all)")
    names = [shape.name for shape in formats]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ExportError(f"format {twice[0]!r} is asked for twice")
    for split, share in options.splits.items():
        if not re.fullmatch(r"\w+", split) or split == "train":
            raise ExportError(f"splits: {split!r} is no name for a split beside train; letters, digits, _ (e.g. test)")
        if not 0 < share < 1:
            raise ExportError(f"splits: {split}={share} is no share; expected a number between 0 and 1, e.g. test=0.05")
    if sum(options.splits.values()) >= 1:
        raise ExportError(f"splits: the shares add up to {sum(options.splits.values()):g}; nothing is left for train")
    if options.provenance not in ("json", "columns", "none"):
        raise ExportError(f"provenance: {options.provenance!r}; expected json, columns or none")
    card.check_words(licence=options.licence, languages=options.languages)


def _claim(into: Path, *, overwrite: bool) -> None:
    """Make the folder ours; a `manifest.json` that we did not write does not make it so."""
    working = (into / WORKING).is_dir()
    if not working and (into / MANIFEST).is_file() and not overwrite and not _manifest(into / MANIFEST):
        raise ExportError(
            f"{into}: its {MANIFEST} was not written by instructgen: it is not ours to write. "
            "Choose another --into, or say --overwrite to replace what is there"
        )
    files.claim(into, WORKING if working else MANIFEST, overwrite=overwrite)


def _manifest(path: Path) -> dict[str, Any]:
    """Return a manifest of ours, else {}."""
    try:
        found = files.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and found.get("written_by") == "instructgen" else {}


def _take_back(into: Path, working: Path) -> set[str]:
    """Return the data files of a finished export in this folder; clear away one that was cut short."""
    finished = _manifest(into / MANIFEST)
    if not finished:  # a swap that did not end: what it left is of no use
        for path in (working / f"old-{MANIFEST}", working / f"new-{MANIFEST}"):
            _remove(into, _files_of(_manifest(path)))
    shutil.rmtree(working, ignore_errors=True)
    working.mkdir(parents=True)
    return _files_of(finished)


def _files_of(manifest: Mapping[str, Any]) -> set[str]:
    """Return the files that a manifest names; one that points outside of its folder is none of ours."""
    return {name for name in manifest.get("files", {}) if _OWN_FILE.fullmatch(name)}


def _remove(into: Path, names: Iterable[str]) -> None:
    for name in sorted(names):
        path = into / name
        path.unlink(missing_ok=True)
        if path.parent.is_dir() and not any(path.parent.iterdir()):
            path.parent.rmdir()


def _batches(samples: Iterable[Sample]) -> Iterator[list[Sample]]:
    stream = iter(samples)
    while batch := list(islice(stream, BATCH)):
        yield batch


class _Writing:
    """An export under way."""

    def __init__(self, working: Path, formats: Sequence[Format], options: Options) -> None:
        self._working, self._formats, self._options = working, formats, options
        self._numbering = Numbering()
        self._columns = {shape.name: schema.with_ours(shape.columns, options.provenance) for shape in formats}
        self._schemas = {name: schema.arrow_schema(columns) for name, columns in self._columns.items()}
        self._shards: dict[tuple[str, str], ParquetShards] = {}
        self._lines: dict[tuple[str, str], JsonLines] = {}
        self._left_out: dict[str, Counter[str]] = {shape.name: Counter() for shape in formats}
        self._first_left_out: dict[str, str] = {}
        self._examples: dict[str, str] = {}
        self._languages: set[str] = set(options.languages)
        self._samples = 0
        self._waiting: dict[str, list[tuple[Sample, str, str]]] = {}
        """Config -> samples of one group that is not complete yet."""

    def write(self, batch: list[Sample]) -> None:
        """Write a batch of samples to every config."""
        ids = self._numbering.number([sample.id for sample in batch])
        self._samples += len(batch)
        self._languages |= {sample.provenance.language for sample in batch} - {""}
        splits = [split_of(name, self._options.splits, self._options.seed) for name in ids]
        for shape in self._formats:
            self._write_config(shape, batch, ids, splits)

    def _write_config(self, shape: Format, batch: list[Sample], ids: list[str], splits: list[str]) -> None:
        named = list(zip(batch, ids, splits, strict=True))
        if type(shape).group is not Format.group:
            self._write_groups(shape, named)
            return
        lines: dict[str, list[bytes]] = {}
        for sample, name, split in named:
            try:
                row = shape.write(sample)
            except Unwritable as error:
                self._leave_out(shape, [sample], error)
                continue
            lines.setdefault(split, []).append(self._write_row(shape, row, split, self._ours(sample, name, shape)))
        for split, part in lines.items():
            self._jsonl(shape.name, split).write(part)

    def _write_groups(self, shape: Format, named: Sequence[tuple[Sample, str, str]]) -> None:
        """Collect samples until another group begins; a group is in the split of its first sample."""
        for one in named:
            waiting = self._waiting.setdefault(shape.name, [])
            if waiting and (shape.group(waiting[0][0]) != shape.group(one[0]) or len(waiting) >= GROUP_SAMPLES):
                self._write_group(shape)
            self._waiting.setdefault(shape.name, []).append(one)

    def _write_group(self, shape: Format) -> None:
        group = self._waiting.pop(shape.name, [])
        if not group:
            return
        samples, (first, name, split) = [sample for sample, _, _ in group], group[0]
        try:
            rows = shape.write_all(samples)
        except Unwritable as error:
            self._leave_out(shape, samples, error)
            return
        alone = len(samples) == 1
        for number, row in enumerate(rows):
            ours = self._ours(first, name if number == 0 else f"{name}.{number}", shape, alone=alone)
            self._jsonl(shape.name, split).write([self._write_row(shape, row, split, ours)])

    def _write_row(self, shape: Format, row: Row, split: str, ours: Row) -> bytes:
        """Hand a row to its Parquet writer; return it as a line of JSON."""
        line = encoded(row) + b"\n"
        size = len(line) + sum(len(value) for value in ours.values() if isinstance(value, str))
        self._parquet(shape.name, split).write({**shape.flat(row), **ours}, size)
        if shape.name not in self._examples:
            self._examples[shape.name] = _shown(row)
        return line

    def _ours(self, sample: Sample, name: str, shape: Format, *, alone: bool = True) -> Row:
        """Return `id` and provenance of a row; of samples that share one, the first one's provenance alone."""
        if self._options.provenance == "json":
            known = carried(sample, input_apart="input" in shape.holds) if alone else sample.provenance.as_json()
            return {"id": name, "provenance": canonical(known).decode()}
        if self._options.provenance == "columns":
            known = sample.provenance.model_dump(mode="json", include=set(schema.PROVENANCE_COLUMNS))
            return {"id": name, **{f"provenance_{key}": value for key, value in known.items()}}
        return {"id": name}

    def _leave_out(self, shape: Format, samples: Sequence[Sample], error: Unwritable) -> None:
        first = samples[0].id
        if self._options.strict:
            raise ExportError(f"sample {first}: {error.detail}; leave out --strict to skip such samples, counted")
        self._left_out[shape.name][error.reason] += len(samples)
        self._first_left_out.setdefault(shape.name, f"sample {first}: {error.detail}")

    def _parquet(self, config: str, split: str) -> ParquetShards:
        if (config, split) not in self._shards:
            self._shards[config, split] = ParquetShards(
                self._working / config, split, self._schemas[config], self._options.shard_bytes
            )
        return self._shards[config, split]

    def _jsonl(self, config: str, split: str) -> JsonLines:
        if (config, split) not in self._lines:
            self._lines[config, split] = JsonLines(self._working / "jsonl" / f"{config}-{split}.jsonl")
        return self._lines[config, split]

    def finish(self, into: Path, stale: set[str], facts: card.Facts) -> Exported:
        """Close the files, move them to their names, write card and manifest."""
        for shape in self._formats:
            self._write_group(shape)
        self._refuse_nothing()
        paths = [path for shards in self._shards.values() for path in shards.close()]
        paths += [lines.close() for lines in self._lines.values()]
        configs = [self._config(shape) for shape in self._formats]
        front = card.front_matter(
            configs, licence=self._options.licence, languages=sorted(self._languages), facts=facts
        )
        left_out = {name: dict(sorted(reasons.items())) for name, reasons in self._left_out.items() if reasons}
        manifest = self._manifest_of(configs, paths, left_out, facts)
        readme = into / "README.md"
        old = files.read_text(readme) if readme.is_file() else ""
        text = card.render(front, card.sections(configs, facts, self._examples, left_out), old)
        _swap(into, self._working, paths, stale, text, manifest)
        return Exported(
            into=into,
            samples=self._samples,
            rows={config.name: config.rows for config in configs},
            left_out=left_out,
            empty_splits=tuple(self._empty(configs)),
            repeated_ids=self._numbering.repeats,
        )

    def _refuse_nothing(self) -> None:
        if not self._samples:
            raise ExportError("there are no samples to export")
        written = {config for config, _ in self._shards}
        for shape in self._formats:
            if shape.name not in written:
                raise ExportError(
                    f"format {shape.name!r} can hold none of the {self._samples:,} samples; "
                    f"the first: {self._first_left_out[shape.name]}"
                )

    def _config(self, shape: Format) -> card.Config:
        splits = sorted((s for c, s in self._shards if c == shape.name), key=lambda s: (s != "train", s))
        shards = {split: self._shards[shape.name, split] for split in splits}
        return card.Config(
            name=shape.name,
            title=shape.title,
            columns=self._columns[shape.name],
            features=tuple(schema.card_features(self._columns[shape.name])),
            rows={split: sum(shard.rows) for split, shard in shards.items()},
            arrow_bytes={split: shard.arrow_bytes for split, shard in shards.items()},
            file_bytes={split: sum(path.stat().st_size for path in shard.paths) for split, shard in shards.items()},
        )

    def _empty(self, configs: Sequence[card.Config]) -> Iterator[str]:
        for config in configs:
            yield from (f"{config.name}/{s}" for s in ["train", *sorted(self._options.splits)] if s not in config.rows)

    def _manifest_of(
        self,
        configs: Sequence[card.Config],
        paths: Sequence[Path],
        left_out: dict[str, dict[str, int]],
        facts: card.Facts,
    ) -> dict[str, JsonValue]:
        known = facts.model_dump(mode="json", exclude_defaults=True)
        return {
            "written_by": "instructgen",
            "samples": self._samples,
            "configs": {config.name: dict(config.rows) for config in configs},
            "left_out": {name: dict(reasons) for name, reasons in left_out.items()},
            "splits": {"seed": self._options.seed, **self._options.splits},
            "licence": self._options.licence,
            "facts": known,
            "files": {str(path.relative_to(self._working)): _fingerprint(path) for path in sorted(paths)},
        }


def _shown(row: Row) -> str:
    """Return a row as the card shows it: at most 1,200 characters, no comment mark that could end our block."""
    text = json.dumps(row, ensure_ascii=False, indent=2).replace("<!--", "<\\u0021--")
    return text if len(text) <= 1200 else f"{text[:1200]} ..."


def _fingerprint(path: Path) -> dict[str, JsonValue]:
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _swap(
    into: Path, working: Path, paths: Sequence[Path], stale: set[str], readme: str, manifest: dict[str, JsonValue]
) -> None:
    """Put the new files in place of the old: the manifest goes first and comes back last.

    While both are in the working folder a kill leaves a folder that is visibly unfinished, and that the next
    export knows as its own and clears.
    """
    text = json.dumps(manifest, ensure_ascii=False, indent=2, sort_keys=True)
    (working / f"new-{MANIFEST}").write_text(text, encoding="utf-8")
    if (into / MANIFEST).is_file():
        (into / MANIFEST).replace(working / f"old-{MANIFEST}")
    _remove(into, stale)
    for path in paths:
        final = into / path.relative_to(working)
        final.parent.mkdir(parents=True, exist_ok=True)
        path.replace(final)
    with files.whole_file(into / "README.md") as file:
        file.write(readme.encode())
    with files.whole_file(into / MANIFEST) as file:
        file.write(text.encode() + b"\n")


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of an exported folder. Raises: DataError when it has none of ours."""
    found = _manifest(folder / MANIFEST)
    if not found:
        raise DataError(f"{folder}: no {MANIFEST} of ours in it; expected a folder that `instructgen export` finished")
    return found
