"""Files: open, detect, stream, lock, write-then-rename; find what is bundled.

Every text file is read and written as UTF-8, whatever the locale. `.gz` and `.xz` are opened as they are.

    for number, row in iter_rows(Path("data.jsonl")): ...      # number: line or row, from 1
"""

from __future__ import annotations

import atexit
import errno
import fcntl
import gzip
import logging
import lzma
import os
import shutil
import sys
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal

import orjson

from instructgen.delimited import BadRow, delimited_rows
from instructgen.errors import DataError, ExportError, InstructgenError, RunError, suggestion
from instructgen.records import scrub

log = logging.getLogger(__name__)
Layout = Literal["jsonl", "json", "parquet", "csv", "tsv", "folder"]
_SUFFIXES: dict[str, Layout] = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".parquet": "parquet", ".csv": "csv", ".tsv": "tsv",
}  # fmt: skip
_PACKED = {".gz": gzip.open, ".xz": lzma.open}
_DATA_SUFFIXES = (".parquet", ".jsonl", ".json", ".csv", ".tsv", ".ndjson")
CONVERTING, CLEANING = ".instructgen-convert", ".instructgen-clean"
"""Mark a folder as one that `convert` or `clean` writes."""
BUNDLED = ("prompts", "seeds", "recipes", "templates")


def bundled_dir(kind: str) -> Path:
    """Return the folder of bundled `prompts`, `seeds`, `recipes` or `templates`, in a checkout or a wheel."""
    inside = Path(__file__).parent / kind  # in a wheel
    return inside if inside.is_dir() else Path(__file__).parent.parent / kind


def find(kind: str, name: str, beside: Path | None = None) -> Path:
    """Return a file by path relative to `beside` (a recipe's folder, default: here), else the bundled one.

    Example: find("seeds", "seeds/general.jsonl") and find("recipes", "demo.yaml") both work anywhere.
    Raises: InstructgenError that lists the bundled names.
    """
    given = (beside or Path()) / name
    if given.exists():
        return given
    folder = bundled_dir(kind)
    inner = name.removeprefix(f"{kind}/")
    for candidate in (folder / inner, folder / f"{inner}.yaml"):
        if candidate.is_file():
            return candidate
    # Compared by stem: `.yaml` in common is no likeness.
    stem, known = inner.removesuffix(".yaml"), [path.stem for path in bundled(kind)]
    raise InstructgenError(
        f"{given}: no such file, and none of the bundled {kind} has that name{suggestion(stem, known)}"
    )


def bundled(kind: str) -> list[Path]:
    """Return what is bundled of a kind, sorted by name; READMEs are for people."""
    return sorted(path for path in bundled_dir(kind).iterdir() if path.is_file() and path.suffix != ".md")


def cache_dir() -> Path:
    """Return `$INSTRUCTGEN_CACHE`, default `~/.cache/instructgen`."""
    return Path(os.environ.get("INSTRUCTGEN_CACHE") or Path.home() / ".cache" / "instructgen")


def layout_of(path: Path) -> Layout:
    """Tell how a dataset path is laid out, from its name (and content for an unknown suffix).

    Raises: DataError for a missing path or an unknown layout.
    """
    if path.is_dir():
        return "folder"
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    suffixes = [suffix for suffix in path.suffixes if suffix not in _PACKED]
    if suffixes and suffixes[-1] in _SUFFIXES:
        return _SUFFIXES[suffixes[-1]]
    with open_bytes(path) as file, _unpacked(path):
        head = file.read(4096).lstrip()
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith((b"{", b"[")):
        return "json" if head.startswith(b"[") else "jsonl"
    raise DataError(f"{path}: neither its name nor its content says what it is; known: {', '.join(_SUFFIXES)}")


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file for reading bytes, unpacked. Raises: DataError when it cannot be opened."""
    try:
        return _PACKED.get(path.suffix, open)(path, "rb")  # type: ignore[operator, no-any-return]
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error


def read_text(path: Path) -> str:
    """Read a UTF-8 text file. Raises: DataError that names the file and the byte that is not UTF-8."""
    with open_bytes(path) as file, _unpacked(path):
        data = file.read()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}:{line}: not UTF-8 (byte {data[error.start]:#04x}); save the file as UTF-8") from error


def iter_rows(
    path: Path, bad: BadRow | None = None, columns: Sequence[str] | None = None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (number, row) of a JSONL, JSON, Parquet, CSV or TSV file, or of all data files of a folder.

    `columns` names the fields of a CSV or TSV file that has no header line. A TSV file has no quoting: a quote is text.

    With `bad`, a row that cannot be read is reported there and the good ones beside it go on; without, it is a
    DataError naming file and line. Numbers are lines for JSONL, CSV and TSV, rows for the rest; from 1.
    In a folder, numbers run on through its files in the order of their names.
    """
    layout = layout_of(path)
    if layout == "folder":
        yield from _folder_rows(path, bad)
        return
    bad = bad or _raiser(path)
    if layout in ("csv", "tsv"):
        rows = _delimited(path, bad, columns)
    else:
        rows = {"jsonl": _jsonl, "json": _json, "parquet": _parquet}[layout](path, bad)
    with _unpacked(path):
        yield from objects(rows, bad)


@contextmanager
def _unpacked(path: Path) -> Iterator[None]:
    """Raise: DataError for a packed file that is cut off or damaged."""
    try:
        yield
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        said = str(error).rstrip(".")
        raise DataError(f"{path}: the packed file is cut off or damaged ({said}); fetch or pack it again") from error


def objects(rows: Iterable[tuple[int, Any]], bad: BadRow) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the numbered rows that are objects; the others are reported."""
    for number, row in rows:
        if isinstance(row, dict):
            yield number, row
        else:
            bad(number, f"expected an object with named fields, found {_kind(row)}")


def require_finished(folder: Path) -> None:
    """Raise: DataError for a folder that `convert` or `clean` began and did not finish: summary.json comes last."""
    for marker, command in ((CONVERTING, "convert"), (CLEANING, "clean")):
        if (folder / marker).exists() and not (folder / "summary.json").exists():
            raise DataError(
                f"{folder}: `instructgen {command}` began to write here and has not finished (there is no "
                "summary.json): it is still at work, or was stopped. Run the same command again, then read the folder"
            )


def data_files(folder: Path, split: str | None = None) -> list[Path]:
    """Return the data files of a folder, sorted by path; of one split where the name tells splits apart.

    Of several row formats (our own exports hold the same rows as Parquet and JSONL) the first kind found wins; a
    warning names the files of other kinds. Raises: DataError when there are none, or for an unfinished folder of ours.
    """
    require_finished(folder)
    by_kind = {suffix: _files_of_kind(folder, suffix, split) for suffix in _DATA_SUFFIXES}
    chosen, *others = [suffix for suffix, found in by_kind.items() if found] or [""]
    if not chosen:
        wanted = f" of split {split!r}" if split else ""
        raise DataError(f"{folder}: no data files{wanted} in it; expected {', '.join(_DATA_SUFFIXES)}")
    if others:
        left = [path.name for kind in others for path in by_kind[kind]]
        more = " and others" if len(left) > 3 else ""
        log.warning(
            "%s: only its %s files (%d) are read; %d of other kinds, which may hold the same rows, are not: %s. "
            "Name a file to read it", folder, chosen, len(by_kind[chosen]), len(left), ", ".join(left[:3]) + more,
        )  # fmt: skip
    return by_kind[chosen]


def _files_of_kind(folder: Path, suffix: str, split: str | None) -> list[Path]:
    found = sorted(p for p in folder.rglob(f"*{suffix}*") if p.is_file() and _plain(p, folder, suffix))
    if suffix == ".json":
        found = [p for p in found if p.name not in ("manifest.json", "dataset_info.json", "croissant.json",
                                                     "dataset_infos.json", "state.json")]  # fmt: skip
    if split is not None:
        found = [p for p in found if split in p.stem.replace("-", ".").split(".") or p.parent.name == split]
    return found


def _plain(path: Path, folder: Path, suffix: str) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    name = path.name.removesuffix(path.suffix) if path.suffix in _PACKED else path.name
    return name.endswith(suffix) and not hidden


def _folder_rows(folder: Path, bad: BadRow | None) -> Iterator[tuple[int, dict[str, Any]]]:
    before = 0
    for path in data_files(folder):
        last = 0

        def counted(number: int, problem: str, name: str = str(path.relative_to(folder)), before: int = before) -> None:
            nonlocal last
            last = max(last, number)
            if bad is not None:
                bad(before + number, f"{name}:{number}: {problem}")

        for number, row in iter_rows(path, counted if bad else None):
            last = max(last, number)
            yield before + number, row
        before += last


def _kind(value: object) -> str:
    return {list: "a list", str: "a string", type(None): "null"}.get(type(value), f"a {type(value).__name__}")


def _raiser(path: Path) -> BadRow:
    def fail(number: int, problem: str) -> None:
        raise DataError(f"{path}:{number}: {problem}")

    return fail


def _clean(value: Any) -> Any:
    """Return parsed JSON without lone surrogates, which `json` lets through and nothing can write."""
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, list):
        return [_clean(part) for part in value]
    if isinstance(value, dict):
        return {scrub(key): _clean(part) for key, part in value.items()}
    return value


def loads(data: bytes) -> Any:
    """Parse JSON: orjson, or the standard library where that allows more (half surrogate pairs, huge integers, NaN).

    Raises: ValueError (UnicodeDecodeError for bytes that are not UTF-8).
    """
    import json

    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as first:
        try:
            return _clean(json.loads(data.decode("utf-8")))
        except RecursionError:
            raise ValueError("nested too deeply") from first
        except UnicodeDecodeError:
            raise
        except ValueError:
            raise ValueError(str(first)) from first


def dumps(value: Any) -> bytes:
    """Return one line of JSON without its line end: orjson, or the standard library for integers beyond 64 bits."""
    try:
        return orjson.dumps(value)
    except TypeError:
        import json

        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _jsonl(path: Path, bad: BadRow) -> Iterator[tuple[int, Any]]:
    with open_bytes(path) as file:
        yield from values_of_lines(file, 1, bad)


def values_of_lines(lines: Iterable[bytes], first: int, bad: BadRow) -> Iterator[tuple[int, Any]]:
    """Yield (line number, value) of JSON lines, of which the first has the number `first`; blank ones are passed."""
    for number, line in enumerate(lines, first):
        text = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if not text.strip():
            continue
        try:
            yield number, loads(text)
        except UnicodeDecodeError as error:
            bad(number, f"not UTF-8 (byte {text[error.start]:#04x} at {error.start}); save the file as UTF-8")
        except ValueError as error:
            bad(number, f"not JSON: {error}; expected one object a line")


def _json(path: Path, _bad: BadRow) -> Iterator[tuple[int, Any]]:
    text = read_text(path).encode()
    try:
        value = loads(text)
    except ValueError as error:
        raise DataError(f"{path}: not JSON: {error}") from error
    if isinstance(value, dict):
        lists = [part for part in value.values() if isinstance(part, list) and part and isinstance(part[0], dict)]
        value = lists[0] if len(lists) == 1 else [value]
    if not isinstance(value, list):
        raise DataError(f"{path}: expected a list of objects, found {_kind(value)}")
    yield from enumerate(value, 1)


def _parquet(path: Path, bad: BadRow) -> Iterator[tuple[int, Any]]:
    from instructgen import parquet

    first = 1
    for batch in parquet.batches(path):
        yield from parquet.rows(batch, first, bad)
        first += len(batch)


def parquet_files(path: Path) -> list[Path]:
    """Return the Parquet files that `iter_rows` reads at this path, in their order; none where it reads other files."""
    layout = layout_of(path)
    if layout == "folder":
        chosen = next((found for kind in _DATA_SUFFIXES if (found := _files_of_kind(path, kind, None))), [])
        return chosen if all(layout_of(file) == "parquet" for file in chosen) else []
    return [path] if layout == "parquet" else []


def _delimited(path: Path, bad: BadRow, columns: Sequence[str] | None = None) -> Iterator[tuple[int, Any]]:
    with open_bytes(path) as raw:
        yield from delimited_rows(path, raw, bad, columns)


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """Write a file beside its place and rename it when complete: a half-written one never looks finished.

    Raises: ExportError when the disk is full or the path cannot be written.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise ExportError(f"{path}: cannot be written: {describe(error)}") from error
    finally:
        temporary.unlink(missing_ok=True) if temporary.parent.is_dir() else None


def append_line(path: Path, value: Any) -> None:
    """Append one line of JSON, on disk when this returns; a torn line before it stays apart. Raises: OSError."""
    with path.open("ab+") as file:
        torn = b""
        if file.tell():
            file.seek(-1, os.SEEK_END)
            torn = b"" if file.read(1) == b"\n" else b"\n"
        file.write(torn + dumps(value) + b"\n")
        file.flush()
        os.fsync(file.fileno())


def not_yaml(path: Path, error: Exception) -> str:
    """Say where a YAML file stops being one: `mine.yaml:3: not YAML: ...`."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    if mark is None:
        return f"{path}: not YAML: {' '.join(str(error).split())}"
    context = f"{found}, " if (found := getattr(error, "context", None)) else ""
    return f"{path}:{mark.line + 1}: not YAML: {context}{problem} (column {mark.column + 1})"


def describe(error: OSError) -> str:
    """Say what an operating-system error means for the user."""
    hints = {errno.ENOSPC: "; free some space, then run the same command again",
             errno.EFBIG: "; the file size limit is reached",
             errno.ENOTDIR: "; a part of the path is a file",
             errno.EACCES: "; choose a folder that you may write"}  # fmt: skip
    return f"{error.strerror or error}{hints.get(error.errno or 0, '')}"


@contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Hold an exclusive lock on `path` while inside; it goes with the process, however that ends.

    Raises: RunError when another process holds it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b")
    except OSError as error:
        raise RunError(f"{path.parent}: cannot be written: {describe(error)}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RunError(f"{what} is in use by another process; wait for it, or choose another directory") from error
        yield


def claim(folder: Path, marker: str, *, overwrite: bool = False) -> None:
    """Make `folder` ours to write: it is new, empty, ours (holds `marker`), or `overwrite` says to clear it.

    Raises: ExportError for a folder with other content, when it cannot be made, and, whatever `overwrite` says, for
    one that holds a run's paid answers.
    """
    try:
        if folder.exists() and not folder.is_dir():
            raise ExportError(f"{folder} is a file; expected a folder to write into. Choose another one")
        if folder.is_dir() and any(folder.iterdir()) and not (folder / marker).exists():
            if not overwrite:
                raise ExportError(
                    f"{folder} is not empty and holds no {marker}: it is not ours to write. "
                    "Choose another --into, or say --overwrite to replace what is there"
                )
            paid = next(folder.rglob("completions.db"), None)
            if paid is not None:
                raise ExportError(
                    f"{folder} holds answers that were paid for ({paid}); --overwrite never deletes those. "
                    "Choose another --into, or delete the run yourself"
                )
            for path in folder.iterdir():
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(f"{folder}: cannot be written: {describe(error)}") from error


def read_stdin() -> Path:
    """Spool standard input into a file that this process removes when it ends; return its path."""
    with tempfile.NamedTemporaryFile(suffix=".jsonl", delete=False) as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
    path = Path(file.name)
    atexit.register(path.unlink, missing_ok=True)
    return path
