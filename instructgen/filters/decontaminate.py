"""Keep benchmarks out of training data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, PositiveInt, PrivateAttr

from instructgen.dedup.contamination import ContaminationIndex, Match
from instructgen.dedup.tokens import words
from instructgen.errors import DataError
from instructgen.filters import Filter, Tools, Verdict
from instructgen.records import Sample

SAVED = ".npz"

_REASONS = {"whole": "benchmark_text", "grams": "benchmark_overlap", "rouge": "benchmark_near"}


class Decontaminate(Filter):
    """Reject a sample in which a benchmark's text stands, wholly or in good part.

    Every turn is looked at, and every text of the benchmark's rows with at least `least` words: questions, contexts,
    options, solutions. Texts are compared word by word; case and punctuation do not count. A saved index brings the
    `long`, `short` and `least` that it was made with, and is not compared by ROUGE-L.

    Example: against mt_bench, "Compose an engaging travel blog post about a recent trip to Hawaii, ..."
             -> benchmark_text (benchmark="mt_bench_question", item="1.turns.0", score=1.0, span="compose an ...")
    """

    reasons: ClassVar[dict[str, str]] = {
        "benchmark_text": "holds a benchmark text as a whole",
        "benchmark_overlap": "shares a long run of words, or most of the short ones, with a benchmark text",
        "benchmark_near": "ROUGE-L F1 with a benchmark text reaches the threshold",
    }

    kind: Literal["decontaminate"] = "decontaminate"
    against: tuple[str, ...] = Field(
        min_length=1, description="benchmark files or folders, or saved indexes (.npz); any shape of rows"
    )
    long: PositiveInt = Field(default=13, description="neighbouring words that may not be shared")
    short: PositiveInt = Field(default=8, description="neighbouring words, of which `share` may not be shared")
    share: float = Field(default=0.7, gt=0, le=1, description="share of a benchmark text's short runs")
    least: PositiveInt = Field(default=6, description="words that a benchmark text must have to be looked for")
    rouge: float | None = Field(
        default=0.7, gt=0, le=1, description="ROUGE-L F1 from which a text is too close; null = not compared"
    )

    _indexes: tuple[ContaminationIndex, ...] = PrivateAttr(default=())
    _notices: tuple[str, ...] = PrivateAttr(default=())

    def prepare(self, tools: Tools) -> Self:
        """Return this filter with its benchmarks loaded. Raises: DataError for a file without usable texts."""
        ready = self.model_copy()
        built = self.new_index()
        saved, notices = [], []
        for path in self.against:
            if path.endswith(SAVED):
                saved.append(self._as_asked(path, _load(path, tools)))
            elif unseen := _add_file(built, path, tools):
                notices.append(
                    f"{path}: {unseen:,} rows hold no text of {self.least} words or more and are not looked for; "
                    "a lower `least` does, and finds more by chance"
                )
        ready._indexes = (*([built] if len(built) else []), *saved)
        ready._notices = tuple(notices)
        return ready

    def notices(self) -> list[str]:
        """Return a line per benchmark file with rows too short to be looked for."""
        return list(self._notices)

    def new_index(self) -> ContaminationIndex:
        """Return an empty index with these options."""
        try:
            return ContaminationIndex(self.long, self.short, self.share, self.least, self.rouge)
        except ValueError as error:
            raise DataError(f"decontaminate: {error}") from error

    def _as_asked(self, path: str, index: ContaminationIndex) -> ContaminationIndex:
        """Return a saved index that searches as the options say. Raises: DataError where it cannot."""
        given = self.model_fields_set
        if "rouge" in given and self.rouge is not None:
            raise DataError(
                f"{path}: rouge is {self.rouge}, but a saved index holds no text to compare by ROUGE-L; "
                "leave rouge out, or give the benchmark file"
            )
        made_with = index.options
        for name in ("long", "short", "least"):
            if name in given and getattr(self, name) != made_with[name]:
                raise DataError(
                    f"{path}: {name} is {getattr(self, name)}, but this index was made with {made_with[name]}; "
                    f"leave {name} out, or save the index anew with it"
                )
        if "share" in given:
            index.share = self.share
        return index

    def looks_at(self) -> frozenset[str]:
        """Return what it reads: all turns."""
        return frozenset({"conversation"})

    @property
    def indexes(self) -> tuple[ContaminationIndex, ...]:
        """The loaded benchmarks."""
        return self._indexes

    def check(self, sample: Sample, since: int = 0, until: int | None = None) -> Verdict:
        """Reject a sample with the first turn in which a benchmark text is found."""
        for number, turn in enumerate(sample.turns):
            for index in self._indexes:
                match = index.find(turn.text)
                if match is not None:
                    return _rejected(sample, number, match)
        return None


def _rejected(sample: Sample, turn: int, match: Match) -> Verdict:
    span = words(sample.turns[turn].text)[match.start : match.end]
    return sample.rejected(
        _REASONS[match.way], benchmark=match.benchmark, item=match.item, score=round(match.score, 6), turn=turn,
        words=[match.start, match.end], span=" ".join(span[:60]),
    )  # fmt: skip


def texts_of(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (name, text) of every text in a row, however deep.

    Example: {"id": 1, "turns": ["Hi", "Ho"]} -> ("turns.0", "Hi"), ("turns.1", "Ho")
    """
    for name, value in row.items():
        yield from _texts(str(name), value)


def _texts(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _texts(f"{name}.{key}", part)
    elif isinstance(value, list | tuple):
        for number, part in enumerate(value):
            yield from _texts(f"{name}.{number}", part)


def _add_file(index: ContaminationIndex, path: str, tools: Tools) -> int:
    """Take a benchmark file in; return how many of its rows have no text that is long enough to be looked for."""
    if tools.read_rows is None:
        raise DataError(f"{path}: nothing here can read benchmark files")
    benchmark, rows, seen = path.rstrip("/").rpartition("/")[2].split(".")[0], 0, 0
    for rows, row in enumerate(tools.read_rows(path), 1):
        taken = [index.add(benchmark, f"{rows}.{name}", text) for name, text in texts_of(row)]
        seen += any(taken)
    if not seen:
        raise DataError(
            f"{path}: no text of at least {index.least} words in its {rows} rows: is it the benchmark? "
            "Expected JSONL, JSON, Parquet, CSV or an HF folder with questions in it"
        )
    return rows - seen


def _load(path: str, tools: Tools) -> ContaminationIndex:
    load = tools.read_bytes
    if load is None:
        raise DataError(f"{path}: nothing here can read saved indexes")
    try:
        return ContaminationIndex.load(load(path))
    except ValueError as error:
        raise DataError(f"{path}: {error}; make one: instructgen decontaminate --save FILE{SAVED}") from error
