"""How to export, and what came of it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from instructgen.errors import ExportError
from instructgen.exporters import card
from instructgen.exporters.checks import SPECIAL, Finding
from instructgen.exporters.numbering import bits_of
from instructgen.exporters.shards import SHARD_BYTES
from instructgen.formats import Format
from instructgen.records import ID_LENGTH

if TYPE_CHECKING:
    import numpy as np

_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?) *(?:([kmgt])(i?))?b?", re.IGNORECASE)
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
    """Bytes of a Parquet file after which the next one begins; a row group of up to 10,000 rows is never cut."""
    overwrite: bool = False
    """Replace a folder with other content."""
    drop_empty: bool = False
    """Leave out a format that can hold none of the samples where another one holds some; else that is an error."""
    strict: bool = False
    """Stop at the first sample that a format cannot hold, instead of leaving it out of that config and saying so."""
    commercial: bool = False
    """Refuse samples whose licence (their own, else the dataset's) or terms forbid commercial use, or are unknown."""
    context: int | None = None
    """Tokens that the trainer's context holds: rows above it are counted."""
    count_tokens: Callable[[str], int] | None = None
    """Tokens of a text; `None`: an estimate when `context` is given, else nothing is counted."""
    tokenizer: str = ""
    """Name of what counts, for the card; "" = the estimate of `checks.estimated_tokens`."""
    special_tokens: tuple[str, ...] = SPECIAL
    """Marks that must not stand in a text."""


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
    given_ids: int = 0
    """Samples whose rows gave them another id than that of their content (note `id` in the provenance)."""
    findings: tuple[Finding, ...] = ()
    """What the checks found; the rows are in the dataset all the same."""
    unshown: dict[str, dict[str, int]] = {}
    """Config -> what its own columns do not show -> samples; the provenance has it, if there is one."""
    unreadable: dict[str, int] = {}
    """Reason -> rows of the input that could not be read."""
    dropped: dict[str, str] = {}
    """Format left out by `drop_empty` -> why it cannot hold the first sample."""
    gone: tuple[str, ...] = ()
    """Configs, and `config/split`, of the earlier export in this folder that are not there any more."""


def bytes_in(size: str) -> int:
    """Return a size as the Hub's tools spell it, in bytes. Raises: ExportError.

    Example: bytes_in("500MB") -> 500_000_000; bytes_in("1.5 GiB") -> 1_610_612_736; bytes_in("4096") -> 4_096
    """
    found = _SIZE.fullmatch(size.strip())
    power = " kmgt".index((found[2] or " ").lower()) if found else 0
    made = int(float(found[1]) * (1024 if found[3] else 1000) ** power) if found else 0
    if made < 1:
        raise ExportError(
            f"{size!r} is no size of a file; expected a number with KB, MB, GB, KiB, MiB or GiB, e.g. 500MB"
        )
    return made


def first_of(sample_id: str) -> str:
    """Return the id that a numbered repeat repeats; any other as it is.

    Example: first_of("3f1c...-2") -> "3f1c..."
    """
    repeat = _REPEAT.fullmatch(sample_id) if len(sample_id) > ID_LENGTH else None
    return repeat[1] if repeat else sample_id


def split_of(sample_id: str, splits: Mapping[str, float], seed: int) -> str:
    """Return the split of a sample, which id and seed alone decide: more data moves no sample elsewhere.

    Numbered repeats go where the first one goes. Example: split_of("3f1c...", {"test": 0.05}, seed=0) -> "train"
    """
    import numpy as np

    return next(iter(splits_of(np.array([bits_of(first_of(sample_id))], dtype=np.uint64), splits, seed)))


def splits_of(bits: np.ndarray, splits: Mapping[str, float], seed: int) -> dict[str, np.ndarray]:
    """Return split -> which ids belong to it; `bits` are 64 of each (`numbering.bits_of`). No empty ones.

    The place of an id in 0..1 is its bits and a hash of the seed, mixed as SplitMix64 does (Steele, Lea and Flood,
    "Fast splittable pseudorandom number generators", 2014): ids of ours are hashes, another one a row is not needed.
    """
    import numpy as np

    mixed = bits ^ np.uint64(int.from_bytes(hashlib.sha256(str(seed).encode()).digest()[:8]))
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    places = (mixed ^ (mixed >> np.uint64(31))).astype(np.float64) / 2**64
    left, found, upto = np.ones(len(places), dtype=bool), dict[str, np.ndarray](), 0.0
    for split in sorted(splits):
        upto += splits[split]
        found[split] = left & (places < upto)
        left &= ~found[split]
    return {split: chosen for split, chosen in {**found, "train": left}.items() if chosen.any()}


def check_options(formats: Sequence[Format], options: Options) -> None:
    """Raise ExportError for options that make no sense, before any work is done."""
    if not formats:
        raise ExportError("no format to export; say --format alpaca (`instructgen list formats` shows all)")
    names = [shape.name for shape in formats]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ExportError(f"format {twice[0]!r} is asked for twice")
    for split, share in options.splits.items():
        if not re.fullmatch(r"\w+", split) or split.lower() in ("train", "all"):  # "all" means every split
            raise ExportError(f"splits: {split!r} is no name for a split beside train; letters, digits, _ (e.g. test)")
        if not 0 < share < 1:
            raise ExportError(f"splits: {split}={share} is no share; expected a number between 0 and 1, e.g. test=0.05")
    if sum(options.splits.values()) >= 1:
        raise ExportError(f"splits: the shares add up to {sum(options.splits.values()):g}; nothing is left for train")
    if options.provenance not in ("json", "columns", "none"):
        raise ExportError(f"provenance: {options.provenance!r}; expected json, columns or none")
    if options.shard_bytes < 1:
        raise ExportError(
            f"shard_bytes: {options.shard_bytes} is no size of a file; expected 1 or more, e.g. 500_000_000"
        )
    if options.context is not None and options.context < 1:
        raise ExportError(f"context: {options.context} is no number of tokens; expected 1 or more")
    card.check_words(licence=options.licence, languages=options.languages)
