"""Where datasets come from: files, folders, the cache of `datasets`, the Hub; nothing else here uses the network.

source = open_source("data/reviews.csv")
source.columns                  ["text", "stars"]
for numbered in source: ...     (1, {"text": "Fine.", "stars": "4"})
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from instructgen.convert import superni
from instructgen.convert.paths import Place
from instructgen.delimited import BadRow
from instructgen.errors import DataError
from instructgen.files import data_files, iter_rows, layout_of, loads, open_bytes, read_text

log = logging.getLogger(__name__)

LOOKED_AT = 1000
"""Rows that are looked at before anything is written: for columns, classes and examples."""
HEAVY = 32_000_000
"""Characters (or bytes of Arrow) that are held together: rows of megabytes are read few at a time."""
HUB_SECONDS = 1.0
"""After which it is said that the Hub does not answer."""
Numbered = tuple[int, dict[str, Any]]
_HUB_ID = re.compile(r"^[\w.-]+(/[\w.-]+)?$")


class Chunk:
    """Rows read together: by row, or by column where the file keeps columns (which is several times faster)."""

    def __init__(self, numbers: Sequence[int], rows: list[dict[str, Any]] | None = None, batch: Any = None) -> None:
        self.numbers, self._rows, self._batch = numbers, rows, batch

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows."""
        if self._rows is None:
            self._rows = self._batch.to_pylist()
        return self._rows

    def column(self, name: str) -> list[Any]:
        """Return one column. Raises: KeyError when a row lacks it."""
        if self._rows is None:
            return self._batch.column(name).to_pylist()  # type: ignore[no-any-return]
        return [row[name] for row in self._rows]

    def __len__(self) -> int:
        return len(self.numbers)


@dataclass
class Source:
    """A dataset, ready to be read once from the start as often as asked."""

    name: str
    """What provenance calls it: the file's or folder's name, the Hub id."""
    open: Callable[[BadRow], Iterator[Numbered]]
    class_names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Column -> names of its numbers, where the dataset says so (`ClassLabel`)."""
    licence: str = ""
    columns: list[str] = field(default_factory=list)
    head: list[Numbered] = field(default_factory=list)
    batches: Callable[[], Iterator[Any]] | None = None
    """Arrow batches of about 1,000 rows, where the dataset is kept as columns."""
    identity: str = ""
    """All that says which dataset it is: folder and file, Hub id and config."""
    again: bool = True
    """False for a stream that comes over the network each time it is read."""
    rows: int | None = None
    """How many there are, where that is known without reading them."""

    def __post_init__(self) -> None:
        self.identity = self.identity or self.name

    def values(self, where: Place) -> Iterator[Any]:
        """Yield what stands at a place, of all rows; those that cannot be read are passed over."""
        if self.batches is not None and where.column:
            for batch in self.batches():
                yield from batch.column(where.column).to_pylist()
            return
        for _, row in self.open(lambda _n, _said: None):
            yield where.read(row)

    def chunks(self, bad: BadRow, size: int = 1000, limit: int | None = None) -> Iterator[Chunk]:
        """Yield the rows, at most `limit`, about `size` at a time; a row that cannot be read is reported to `bad`."""
        if self.batches is None:
            rows = islice(self.open(bad), limit)
            while part := taken(rows, size):
                yield Chunk([number for number, _ in part], [row for _, row in part])
            return
        done = 0
        for batch in _light(self.batches()):
            if limit is not None and done + len(batch) > limit:
                batch = batch.slice(0, limit - done)  # noqa: PLW2901 - the last one, cut
            if len(batch):
                yield Chunk(range(done + 1, done + 1 + len(batch)), batch=batch)
            done += len(batch)
            if limit is not None and done >= limit:
                return

    def look(self) -> Source:
        """Read the first rows. Raises: DataError for a dataset without rows."""
        problems: list[str] = []
        self.head = taken(self.open(lambda n, said: problems.append(f"row {n}: {said}")), LOOKED_AT)
        if not self.head:
            raise DataError(f"{self.name}: no rows{'; ' + problems[0] if problems else ''}")
        self.columns = list(dict.fromkeys(column for _, row in self.head for column in row))
        return self


def taken(rows: Iterator[Numbered], count: int) -> list[Numbered]:
    """Return up to `count` of the next rows; fewer when they are so large that they would fill the memory."""
    part, size = list[Numbered](), 0
    for numbered in islice(rows, count):
        part.append(numbered)
        size += sum(len(value) for value in numbered[1].values() if isinstance(value, str))
        if size > HEAVY:
            break
    return part


def _light(batches: Iterator[Any]) -> Iterator[Any]:
    """Yield Arrow batches, cut where one is heavy."""
    for batch in batches:
        rows = max(1, len(batch) * HEAVY // max(batch.nbytes, HEAVY))
        for start in range(0, len(batch), rows):
            yield batch.slice(start, rows)


def open_source(
    given: str, split: str | None = None, config: str | None = None, columns: Sequence[str] | None = None
) -> Source:
    """Find a dataset: a path first, then the cache of `datasets`, then the Hub.

    Raises: DataError that says what was looked for where.
    """
    path = Path(given)
    if path.is_dir():
        return _folder(path, split).look()
    if path.exists():
        for option, value in (("split", split), ("config", config)):
            if value and value not in re.split(r"[.-]", path.stem):
                log.warning(
                    "%s is one file: all of its rows are read, %s %s chooses nothing in it. Splits are told apart in "
                    "folders (train.jsonl beside test.jsonl) and on the Hub", path, option, value,
                )  # fmt: skip
        return _file(path, columns).look()
    if path.suffix or not _HUB_ID.match(given):
        raise DataError(f"{given}: no such file or folder, and not a dataset id of the Hub either (user/name)")
    return _hub(given, split or "train", config).look()


def _identity(path: Path) -> str:
    path = path.resolve()
    return f"{path.parent.name}/{path.name}"


def _file(path: Path, columns: Sequence[str] | None = None) -> Source:
    identity = _identity(path)
    if path.suffix == ".json" and _holds_task(path):
        data = superni.load_task(path)
        return Source(path.stem, lambda _: enumerate(superni.task_rows(data, path.stem), 1), identity=identity)
    if layout_of(path) == "parquet":
        return _parquet([path], path.name, identity)
    return Source(path.name, lambda bad: iter_rows(path, bad, columns), identity=identity)


def _folder(path: Path, split: str | None) -> Source:
    if (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
        return _saved(path, split)
    try:  # without --split a folder with a train split is read as the Hub would: not its test rows beside it
        found = data_files(path, split or "train")
    except DataError:
        if split:
            raise
        found = data_files(path)
    licence, identity = _licence(path), _identity(path)
    if layout_of(found[0]) == "parquet":
        return _parquet(found, path.name, identity, licence)
    return Source(path.name, lambda bad: _chained(found, bad), licence=licence, identity=identity)


def _parquet(paths: Sequence[Path], name: str, identity: str, licence: str = "") -> Source:
    def batches() -> Iterator[Any]:
        for path in paths:
            yield from _parquet_batches(path)

    names, rows = parquet_names(paths[0]), sum(map(_parquet_rows, paths))
    return Source(name, _rows_of(batches), names, licence, batches=batches, identity=identity, rows=rows)


def _parquet_rows(path: Path) -> int:
    import pyarrow.parquet as pq

    with _readable(path):
        return int(pq.read_metadata(path).num_rows)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{path}: not a readable Parquet file: {error}") from error


def _holds_task(path: Path) -> bool:
    """Tell from its beginning whether a file is a Super-NaturalInstructions task."""
    with open_bytes(path) as file:
        head = file.read(100_000)
    return head.lstrip().startswith(b"{") and b'"Definition"' in head


def _chained(paths: Sequence[Path], bad: BadRow) -> Iterator[Numbered]:
    """Yield the rows of several files; their numbers run on."""
    before = 0
    for path in paths:
        last, start = 0, before

        def told(number: int, said: str, start: int = start, path: Path = path) -> None:
            bad(start + number, f"{path.name}:{number}: {said}")

        for number, row in iter_rows(path, told):
            last = number
            yield start + number, row
        before += last


def _licence(folder: Path) -> str:
    """Return the licence that a dataset card states, or ""."""
    import yaml

    card = folder / "README.md"
    if not card.is_file():
        return ""
    head = re.match(r"---\n(.*?)\n---", read_text(card), re.DOTALL)
    try:
        data = yaml.safe_load(head[1]) if head else None
    except yaml.YAMLError:
        return ""
    said = data.get("license") if isinstance(data, dict) else None
    return said if isinstance(said, str) else ""


def parquet_names(path: Path) -> dict[str, tuple[str, ...]]:
    """Return the class names that `datasets` left in a Parquet file's metadata."""
    import pyarrow.parquet as pq

    with _readable(path):
        metadata = pq.read_schema(path).metadata or {}
    try:
        info = loads(metadata[b"huggingface"])
        return _feature_names(info["info"]["features"])
    except (KeyError, ValueError, TypeError):
        return {}


def _feature_names(features: Any) -> dict[str, tuple[str, ...]]:
    """Return column -> names for ClassLabel features, also within lists."""
    found = {}
    for column, feature in features.items():
        inner = feature.get("feature", feature) if isinstance(feature, dict) else feature[0]
        if isinstance(inner, dict) and inner.get("_type") == "ClassLabel":
            found[column] = tuple(inner["names"])
    return found


def _saved(path: Path, split: str | None) -> Source:
    """Open a folder written by `save_to_disk`; its Arrow files are mapped, not read into memory."""
    from datasets import Dataset, load_from_disk

    try:
        data = load_from_disk(str(path))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a readable saved dataset: {error}") from error
    if not isinstance(data, Dataset):
        splits = ", ".join(data)
        if split is None and "train" not in data:
            raise DataError(f"{path}: has splits {splits}; choose one with --split")
        if (split or "train") not in data:
            raise DataError(f"{path}: has no split {split!r}, but {splits}")
        data = data[split or "train"]
    return _of_dataset(data, path.name, _identity(path))


def _of_dataset(data: Any, name: str, identity: str = "") -> Source:
    """Wrap a `datasets.Dataset`: its Arrow batches are read directly, which is many times faster than row by row."""

    def batches() -> Iterator[Any]:
        yield from data.with_format("arrow").iter(batch_size=1000)

    names = _feature_names(data.features.to_dict())
    return Source(name, _rows_of(batches), names, str(data.info.license or ""), batches=batches, identity=identity,
                  rows=len(data))  # fmt: skip


def _rows_of(batches: Callable[[], Iterator[Any]]) -> Callable[[BadRow], Iterator[Numbered]]:
    def rows(_: BadRow) -> Iterator[Numbered]:
        number = 1
        for batch in batches():
            yield from enumerate(batch.to_pylist(), number)
            number += len(batch)

    return rows


def _parquet_batches(path: Path) -> Iterator[Any]:
    from instructgen import parquet

    with _readable(path), parquet.opened(path) as file:
        yield from file.iter_batches(batch_size=1000)


@contextmanager
def _patience(given: str) -> Iterator[None]:
    """Say in one line that the Hub lets us wait; what its client says of each of its tries is left out."""
    words = (
        "%s: no file or folder here, so the Hub is asked, and has not answered for %.0f s; it is asked again, for a "
        "minute at most, then the local cache is read. HF_HUB_OFFLINE=1 reads the cache at once"
    )
    timer = threading.Timer(HUB_SECONDS, log.warning, (words, given, HUB_SECONDS))
    timer.daemon = True
    timer.start()
    client = logging.getLogger("huggingface_hub")
    level = client.level
    client.setLevel(logging.ERROR)
    try:
        yield
    finally:
        client.setLevel(level)
        timer.cancel()


def _hub(given: str, split: str, config: str | None) -> Source:
    """Open a dataset of the Hub: streamed when it can be reached, else from the local cache."""
    from datasets import load_dataset

    problems, identity = [], f"{given} {config or ''}".strip()
    with _patience(given):
        for streaming in (True, False):
            try:
                data = load_dataset(given, config, split=split, streaming=streaming)
            except Exception as error:  # noqa: BLE001 - the library raises its own, the Hub client's and the HTTP library's
                problems.append(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")
                continue
            if not streaming:
                return _of_dataset(data, given, identity)
            names = _feature_names(data.features.to_dict()) if data.features else {}
            known = (data.info.splits or {}).get(split)
            return Source(given, lambda _, data=data: enumerate(data, 1), names, str(data.info.license or ""),  # type: ignore[misc]
                          identity=identity, again=False, rows=known.num_examples if known else None)  # fmt: skip
    raise DataError(
        f"{given}: no such file or folder here, not to be had from the Hub ({problems[0]}), and not in the local cache "
        f"({problems[1]}). Give the path of a file or folder, or check the id, --config and --split"
    )
