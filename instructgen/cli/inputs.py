"""What `IN` is: a run, a dataset in any known shape, one of our exports, or `-`; as a stream of samples.

given = open_input("data.jsonl", said=print)     # says: data.jsonl: 100 of the first 100 rows have the shape of ...
for made in given: ...                            # Sample, or Rejection for a row that cannot be read
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import instructgen.files as files
import instructgen.registry as registry
from instructgen.blocks import Block, Blocks, batches_of, blocks_of, broken, line_blocks, with_broken
from instructgen.errors import DataError, RecipeError
from instructgen.exporters.hub_access import ARRIVING
from instructgen.formats import Format
from instructgen.formats.chats import Chats
from instructgen.formats.detect import LOOKED_AT, detect, read, read_row
from instructgen.formats.light import read_light
from instructgen.formats.single import Singles
from instructgen.records import Rejection, Sample

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Input:
    """An opened input; iterate it once."""

    path: Path
    made: Iterable[Sample | Rejection]
    light: Iterable[Singles | Chats | Sample | Rejection]
    """The same for what only copies samples (see `formats.single`); iterate one of the two."""
    format: Format | None
    """The shape of its rows; `None` for a run."""
    is_run: bool = False

    def __iter__(self) -> Iterator[Sample | Rejection]:
        """Yield samples, and a rejection for each row that cannot be read."""
        return iter(self.made)


def known_formats() -> list[Format]:
    """Return one of each known format."""
    formats = []
    for name in registry.names("formats"):
        try:
            formats.append(registry.lookup("formats", name)())
        except RecipeError as error:  # no reason not to read files of the others
            log.warning("%s; it is not looked for", error)
    return formats


def open_input(given: str, shape: str = "", said: Callable[[str], None] = lambda _: None) -> Input:
    """Open `IN`; `shape` (--from) overrides detection. Raises: DataError, RecipeError for an unknown format."""
    from instructgen.run import Run, is_run

    path = Path(given)
    if path.is_dir() and is_run(path) and not shape:
        said(f"{path}: a run")
        run, shape_of_ours = Run(path), registry.lookup("formats", "sample")()
        return Input(path, run.samples(), Blocks(blocks_of(run.accepted(), shape_of_ours)), format=None, is_run=True)
    if not shape and len(configs := _configs(path)) > 1 and not _complete(configs):
        said(f"{path}: an exported dataset with configs {', '.join(configs)}; none holds all samples, so all are read")
        joint = _joined(path, list(configs))
        return Input(path, joint, joint, registry.lookup("formats", next(iter(configs)))())
    rows = open_rows(given, shape, said)
    made = with_broken(read(rows.rows, rows.format, rows.source), rows.bad)
    return Input(rows.path, made, _light(rows), rows.format)


@dataclass(frozen=True)
class Rows:
    """An opened input as rows of its own shape; iterate `rows` once."""

    path: Path
    rows: Iterable[tuple[int, Mapping[str, Any]]]
    """Numbered from 1, as they stand in the file."""
    format: Format
    source: str
    """What provenance calls it."""
    bad: list[Rejection]
    """Filled while `rows` are read: those that could not be."""
    lines: Path | None = None
    """The file of JSON lines that they are in, if it is one."""
    tables: Sequence[Path] = ()
    """The Parquet files that they are in, if it is those."""


def open_rows(given: str, shape: str = "", said: Callable[[str], None] = lambda _: None) -> Rows:
    """Open `IN` for commands that write rows in its own shape. Raises: DataError, RecipeError."""
    from instructgen.run import Run, is_run

    path = files.read_stdin() if given == "-" else Path(given)
    if path.is_dir() and is_run(path) and not shape:
        said(f"{path}: a run")
        samples = enumerate((sample.as_json() for sample in Run(path).samples()), 1)
        return Rows(path, samples, registry.lookup("formats", "sample")(), path.name, [])
    name = "standard input" if given == "-" else str(path)
    if path.is_dir() and [one.name for one in path.iterdir()] == [ARRIVING]:
        raise DataError(f"{name}: a pull that did not finish; run the same `instructgen pull` again")
    bad: list[Rejection] = []
    data = _folder(path, said)
    rows = files.iter_rows(data, bad=lambda n, problem: bad.append(broken(n, problem)))
    head = list(islice(rows, LOOKED_AT))
    if not head and not shape:
        if not bad:
            raise DataError(f"{name} holds no rows")
        first = bad[0].evidence
        raise DataError(f"{name}: no row of {len(bad)} can be read; row {first['row']}: {first['detail']}")
    if shape:
        found: Format = registry.lookup("formats", shape)()
    else:
        try:
            found, reason = detect([row for _, row in head], known_formats())
        except DataError as error:
            raise DataError(f"{name}: {error}") from error
        said(f"{name}: {reason}")
    lines = data if files.layout_of(data) == "jsonl" else None
    source = path.name if given != "-" else "stdin"
    return Rows(path, chain(head, rows), found, source, bad, lines, files.parquet_files(data))


def _light(rows: Rows) -> Iterable[Singles | Chats | Sample | Rejection]:
    """Return what is in the rows, plain ones by column; JSON lines and Parquet as blocks where rows stand alone."""
    stand_alone = type(rows.format).gather is Format.gather
    if stand_alone and rows.tables:
        return Blocks(batches_of(rows.tables, rows.format, rows.source))
    if rows.lines is None or not stand_alone:
        return with_broken(read_light(rows.rows, rows.format, rows.source), rows.bad)
    return Blocks(Block(data, first, rows.format, rows.source) for first, data in line_blocks(rows.lines))


def _folder(path: Path, said: Callable[[str], None]) -> Path:
    """Return what to read of a folder of ours: the samples beside their decisions, or one config of an export.

    Of a folder that is none of ours all data files are read.
    """
    files.require_finished(path)
    for name in ("samples.jsonl", "kept.jsonl"):
        if (path / name).is_file() and (path / "decisions.jsonl").is_file():
            return path / name
    if not (configs := _configs(path)):
        return path
    chosen, missing = next(iter(configs.items()))
    said(f"{path}: an exported dataset with configs {', '.join(sorted(configs))}; reading {chosen}")
    splits = sorted({file.name.rpartition("-00000-of-")[0] for file in (path / chosen).glob("*-00000-of-*.parquet")})
    if len(splits) > 1:
        said(f"{path}: its splits {', '.join(splits)} are read as one; `export --splits` makes new ones")
    if missing:
        said(f"{path}: {chosen} lacks {missing:,} of its samples, which that shape cannot hold; they are not read")
    return path / chosen


def _configs(path: Path) -> dict[str, int]:
    """Return the configs of an export of ours -> how many samples each leaves out; first the one to read."""
    try:
        manifest = files.loads((path / "manifest.json").read_bytes())
    except (OSError, ValueError):
        return {}
    configs = manifest.get("configs") if isinstance(manifest, dict) else None
    if not isinstance(configs, dict) or manifest.get("written_by") != "instructgen":
        return {}
    known = [name for name in configs if name.isidentifier() and (path / name).is_dir()]
    left_out = {name: sum(manifest.get("left_out", {}).get(name, {}).values()) for name in known}
    return {
        name: left_out[name]
        for name in sorted(known, key=lambda one: (one != "sample", left_out[one], -sum(configs[one].values())))
    }


def _complete(configs: Mapping[str, int]) -> bool:
    """Tell whether the config to read is known to hold all."""
    return not next(iter(configs.values()))


def _joined(path: Path, configs: Iterable[str]) -> Iterator[Sample | Rejection]:
    """Yield the samples of all configs, each once: the row's id says which is which."""
    seen = set[str]()
    for name in configs:
        shape: Format = registry.lookup("formats", name)()
        fresh = set[str]()
        for number, row in shape.gather(files.iter_rows(path / name)):
            told = shape.scatter(row)[0].get("id")
            for place, made in enumerate(read_row(number, row, shape, path.name)):
                if isinstance(made, Sample):
                    known = told if isinstance(told, str) and not place else made.id
                    if known in seen:
                        continue
                    fresh.add(known)
                yield made
        seen |= fresh
