"""Rendered batches -> the files of every config, in a working folder: one pass, bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

from instructgen.blocks import Behind
from instructgen.errors import ExportError
from instructgen.exporters import card, schema
from instructgen.exporters.checks import Finding
from instructgen.exporters.numbering import Numbering
from instructgen.exporters.rendered import Rendered
from instructgen.exporters.rendering import Renderer, size_of
from instructgen.exporters.shards import DataFile, ParquetShards
from instructgen.formats import Format
from instructgen.formats.columns import column, lengths, texts
from instructgen.formats.reading import encoded
from instructgen.records import Sample

GROUP_SAMPLES = 10_000
"""The most samples that share a row: larger groups become several rows."""
_Named = tuple[Sample, str, str]
"""A sample, its id in this export, and its split."""


class Writing:
    """An export under way."""

    def __init__(self, working: Path, renderer: Renderer) -> None:
        self._working, self._renderer = working, renderer
        self._formats, self._options = renderer.formats, renderer.options
        self._behind = Behind()
        self._numbering = Numbering()
        self._columns = {
            shape.name: schema.with_ours(shape.columns, self._options.provenance) for shape in self._formats
        }
        self._schemas = {name: schema.arrow_schema(columns) for name, columns in self._columns.items()}
        self._shards: dict[tuple[str, str], ParquetShards] = {}
        self._lines: dict[tuple[str, str], DataFile] = {}
        self._waiting: dict[str, list[_Named]] = {}
        """Config -> samples of one group that is not complete yet."""
        self.dropped: dict[str, str] = {}
        """Format that can hold none of the samples -> why not the first of them."""
        self.counts = renderer.counts(of_batch=False)
        self.counts.languages.update(self._options.languages)

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """End; nothing is written any more when this returns."""
        self._behind.close()

    @property
    def repeats(self) -> int:
        """How many samples had an id that was there before."""
        return self._numbering.repeats

    def take(self, made: Rendered) -> None:
        """Write what a batch adds; batches come in the order of the input."""
        ids = made.ids
        if repeated := self._numbering.repeated(made.bits):
            names = ids.to_pylist()
            for place, times in repeated.items():
                names[place] += f"-{times}"
            ids = texts(names)
        for (config, split), part in made.parts.items():
            self._jsonl(config, split).write(part.lines)
            own = ids if len(part.places) == len(ids) else ids.take(column(part.places))
            sizes = part.sizes + lengths(own)
            self._parquet(config, split).write_columns({**part.columns, "id": own}, sizes)
        for shape in self._formats:
            for place, sample, split in made.groups.get(shape.name, ()):
                self._wait(shape, (sample, ids[place].as_py(), split))
        self.counts.add(made.counts)

    def _wait(self, shape: Format, one: _Named) -> None:
        """Collect samples until another group begins; a group is in the split of its first sample."""
        waiting = self._waiting.get(shape.name)
        if waiting and (shape.group(waiting[0][0]) != shape.group(one[0]) or len(waiting) >= GROUP_SAMPLES):
            self._write_group(shape)
        self._waiting.setdefault(shape.name, []).append(one)

    def _write_group(self, shape: Format) -> None:
        group = self._waiting.pop(shape.name, [])
        if not group:
            return
        names: dict[int, list[str]] = {}  # a list: one object may stand in the stream twice
        for sample, name, _ in group:
            names.setdefault(id(sample), []).append(name)
        split = group[0][2]
        for rows, samples in shape.share([sample for sample, _, _ in group]):
            inside = [(sample, names[id(sample)].pop(0)) for sample in samples]
            beside = self._renderer.beside(inside, shape)
            name = inside[0][1]
            for number, row in enumerate(rows):
                if number:  # what the samples carry stands once, beside the first row
                    beside, name = dict.fromkeys(beside), f"{inside[0][1]}.{number}"
                line = encoded(row) + b"\n"
                self._jsonl(shape.name, split).write(line)
                size = len(line) + len(name) + size_of(beside)
                self._parquet(shape.name, split).write({**shape.flat(row), **beside, "id": name}, size)
                self.counts.look(shape, split, row)

    def _parquet(self, config: str, split: str) -> ParquetShards:
        if (config, split) not in self._shards:
            self._shards[config, split] = ParquetShards(
                self._working / config, split, self._schemas[config], self._options.shard_bytes, self._behind
            )
        return self._shards[config, split]

    def _jsonl(self, config: str, split: str) -> DataFile:
        if (config, split) not in self._lines:
            self._lines[config, split] = DataFile(self._working / "jsonl" / f"{config}-{split}.jsonl")
        return self._lines[config, split]

    def finish(self) -> list[DataFile]:
        """Close the files; return them. Raises: ExportError when a config would have no row."""
        for shape in self._formats:
            self._write_group(shape)
        self._refuse_nothing()
        shards = [file for shards in self._shards.values() for file in shards.close()]
        lines = list(self._lines.values())
        for file in lines:
            file.close()
        return shards + lines

    def findings(self) -> list[Finding]:
        """Return what the checks found, in the samples and in OpenAI's files."""
        of_files = (one for rules in self.counts.rules.values() for one in rules.findings())
        return [*self.counts.checks.findings(), *of_files]

    def configs(self) -> list[card.Config]:
        """Return what was written, config by config."""
        return [self._config(shape) for shape in self._formats]

    def _refuse_nothing(self) -> None:
        if not self.counts.seen:
            raise ExportError("there are no samples to export")
        written = {config for config, _ in self._shards}
        for shape in self._formats:
            if shape.name not in written:
                self.dropped[shape.name] = self.counts.first_left_out[shape.name]
        if self.dropped and not (written and self._options.drop_empty):
            name, first = next(iter(self.dropped.items()))
            able = f"; leave it out: {', '.join(sorted(written))} can" if written else ""
            raise ExportError(
                f"format {name!r} can hold none of the {self.counts.seen:,} samples; the first: {first}{able}"
            )
        self._formats = [shape for shape in self._formats if shape.name in written]

    def _config(self, shape: Format) -> card.Config:
        splits = sorted((s for c, s in self._shards if c == shape.name), key=lambda s: (s != "train", s))
        shards = {split: self._shards[shape.name, split] for split in splits}
        return card.Config(
            name=shape.name,
            title=shape.title,
            columns=self._columns[shape.name],
            own_columns=tuple(shape.columns),
            optional=tuple(sorted(shape.optional)),
            features=tuple(schema.card_features(self._columns[shape.name])),
            rows={split: sum(shard.rows) for split, shard in shards.items()},
            arrow_bytes={split: shard.arrow_bytes for split, shard in shards.items()},
            file_bytes={split: shard.file_bytes for split, shard in shards.items()},
        )

    def empty(self, configs: Sequence[card.Config]) -> Iterator[str]:
        """Yield `config/split` for each split that got no row."""
        for config in configs:
            yield from (f"{config.name}/{s}" for s in ["train", *sorted(self._options.splits)] if s not in config.rows)
