"""Samples -> the files of every config, in a working folder: one pass, bounded memory."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from instructgen.blocks import Behind
from instructgen.errors import ExportError
from instructgen.exporters import card, schema
from instructgen.exporters.checks import Checks, Finding
from instructgen.exporters.numbering import Numbering
from instructgen.exporters.openai_rules import OpenAIRules
from instructgen.exporters.options import Options, split_of, splits_of
from instructgen.exporters.shards import JsonLines, ParquetShards
from instructgen.exporters.tally import Tally
from instructgen.exporters.tokenizer import template_marks
from instructgen.exporters.vocabulary import NON_COMMERCIAL, SHARE_ALIKE, licence_id
from instructgen.formats import Format, Row, Unwritable
from instructgen.formats.columns import bytes_of, fixed_width, json_objects, sha256_starts, word_counts
from instructgen.formats.holds import carried, columns_of
from instructgen.formats.openai import OpenAI
from instructgen.formats.preference import OpenAIPreference
from instructgen.formats.reading import encoded
from instructgen.formats.single import Singles, writes_singles
from instructgen.records import ID_LENGTH, Sample, canonical

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

GROUP_SAMPLES = 10_000
"""The most samples that share a row: larger groups become several rows."""
_Named = tuple[Sample, str, str]
"""A sample, its id in this export, and its split."""


class Writing:
    """An export under way."""

    def __init__(self, working: Path, formats: Sequence[Format], options: Options) -> None:
        self._working, self._formats, self._options = working, formats, options
        self._behind = Behind()
        self._numbering = Numbering()
        self._columns = {shape.name: schema.with_ours(shape.columns, options.provenance) for shape in formats}
        self._schemas = {name: schema.arrow_schema(columns) for name, columns in self._columns.items()}
        self._shards: dict[tuple[str, str], ParquetShards] = {}
        self._lines: dict[tuple[str, str], JsonLines] = {}
        self._waiting: dict[str, list[_Named]] = {}
        """Config -> samples of one group that is not complete yet."""
        self._first_left_out: dict[str, str] = {}
        special = {*options.special_tokens, *(mark for shape in formats for mark in template_marks(shape))}
        self.checks = Checks(options.count_tokens, options.context, sorted(special))
        self._rules: dict[str, OpenAIRules] = {}
        """File -> what its lines break of OpenAI's rules."""
        self.tally = Tally()
        self._takes_singles = (
            all(map(writes_singles, formats))
            and self.checks.takes_singles
            and options.provenance in ("json", "none")
            and not options.commercial
        )
        self.left_out: dict[str, Counter[str]] = {shape.name: Counter() for shape in formats}
        self.withheld: Counter[str] = Counter()
        """Licence -> samples that `commercial` keeps out of every config."""
        self.examples: dict[str, str] = {}
        self.languages: set[str] = set(options.languages)
        self.seen = self.samples = 0
        """Samples of the input, and those of them that at least one config holds."""

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

    def write(self, batch: list[Sample] | Singles) -> None:
        """Write a batch of samples to every config; `Singles` go a faster way to the same where they can."""
        if isinstance(batch, Singles) and self._takes_singles:
            self._write_singles(batch)
        else:
            self._write_samples(batch.samples() if isinstance(batch, Singles) else batch)

    def _write_samples(self, batch: list[Sample]) -> None:
        if self._options.commercial:
            batch = [sample for sample in batch if self._commercial(sample)]
        ids = self._numbering.number([sample.id for sample in batch])
        splits = [split_of(name, self._options.splits, self._options.seed) for name in ids]
        named = list(zip(batch, ids, splits, strict=True))
        held = set[int]().union(*[self._write_config(shape, named) for shape in self._formats])
        for place, sample in enumerate(batch):
            self.seen += 1
            if place in held:
                self._count(sample)

    def _count(self, sample: Sample) -> None:
        """Take a sample that is in the dataset into its statistics."""
        self.samples += 1
        self.tally.add(sample)
        self.checks.look(sample, self.seen)
        self._check_licence(sample)
        if sample.provenance.language:
            self.languages.add(sample.provenance.language)

    def _write_singles(self, batch: Singles) -> None:
        """Do what `_write_samples` does, without making samples and column by column."""
        import numpy as np
        import pyarrow as pa

        hashes = sha256_starts(batch.contents(), ID_LENGTH // 2)
        digits = hashes.hex().encode()
        ids = fixed_width(digits, ID_LENGTH)
        values = np.frombuffer(hashes, np.uint8).reshape(-1, ID_LENGTH // 2)[:, :8].copy().view(">u8").ravel()
        asked = word_counts(batch.instruction) + word_counts(batch.input)
        answered = word_counts(batch.output)
        self.tally.add_singles(batch, asked, answered)
        self.checks.look_singles(batch, self.seen + 1, asked, answered)
        self.samples += len(batch)
        self.seen += len(batch)
        splits: dict[str, np.ndarray | None] = {"train": None}
        if self._options.splits:
            splits = dict(splits_of(digits, self._options.splits, self._options.seed))
        if repeated := self._numbering.repeated(values.astype(np.uint64)):
            names = ids.to_pylist()
            for place, times in repeated.items():
                names[place] += f"-{times}"
            ids = pa.array(names, pa.string())
        for shape in self._formats:
            self._write_columns(shape, batch, ids, splits)

    def _write_columns(
        self, shape: Format, batch: Singles, ids: pa.Array, splits: Mapping[str, np.ndarray | None]
    ) -> None:
        """Write one config's rows; a split's rows are those of its mask, `None` = all."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        columns = shape.write_singles(batch)
        lines = json_objects(columns, end="}\n")
        columns = {**columns, "id": ids}
        sizes = np.diff(bytes_of(lines)[1]) + pc.utf8_length(ids).to_numpy()
        if self._options.provenance == "json":
            columns["provenance"] = batch.carried(input_apart="input" in shape.holds)
            sizes = sizes + pc.utf8_length(columns["provenance"]).to_numpy()
        for split, mask in splits.items():
            chosen = {**columns, "": lines}
            if mask is not None:
                chosen = {name: column.filter(pa.array(mask)) for name, column in chosen.items()}
            self._jsonl(shape.name, split).write([memoryview(bytes_of(chosen.pop(""))[0])])
            self._parquet(shape.name, split).write_columns(chosen, sizes if mask is None else sizes[mask])
        if shape.name not in self.examples:
            self.examples[shape.name] = _shown({name: columns[name][0].as_py() for name in shape.columns})

    def _commercial(self, sample: Sample) -> bool:
        """Tell whether a sample may be used commercially; one without a licence has that of the dataset."""
        licence = licence_id(sample.provenance.licence or self._options.licence)
        if licence in NON_COMMERCIAL or licence == "unknown":
            self.withheld[licence] += 1
            return False
        return True

    def _check_licence(self, sample: Sample) -> None:
        if not sample.provenance.licence:
            return
        own, said = licence_id(sample.provenance.licence), licence_id(self._options.licence)
        if own in NON_COMMERCIAL and said not in NON_COMMERCIAL:
            self.checks.found("non_commercial", self.seen)
        if own in SHARE_ALIKE and said != own:
            self.checks.found("share_alike", self.seen)

    def _write_config(self, shape: Format, named: Sequence[_Named]) -> set[int]:
        """Write a batch to one config; return the places of the samples that it holds."""
        groups, held = type(shape).group is not Format.group, set[int]()
        lines: dict[str, list[bytes]] = {}
        for place, one in enumerate(named):
            try:
                (rows, _), *_ = shape.share([one[0]])
                flat = [self._flat(shape, row) for row in rows]
            except Unwritable as error:
                self._leave_out(shape, one[0], error)
                continue
            held.add(place)
            if groups:
                self._wait(shape, one)
            else:
                sample, name, split = one
                ours = self._ours([(sample, name)], shape)
                lines.setdefault(split, []).append(self._write_row(shape, rows[0], flat[0], split, ours))
        for split, part in lines.items():
            self._jsonl(shape.name, split).write(part)
        return held

    def _flat(self, shape: Format, row: Row) -> Row:
        """Return the row as Parquet holds it. Raises: Unwritable for a value of another type than its column's."""
        flat = shape.flat(row)
        if problem := schema.misfit(shape.columns, flat):
            raise Unwritable("wrong_type", f"format {shape.name!r}: {problem}")
        return flat

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
            ours = self._ours(inside, shape)
            for number, row in enumerate(rows):
                if number:  # what the samples carry stands once, beside the first row
                    ours = dict.fromkeys(ours) | {"id": f"{inside[0][1]}.{number}"}
                self._jsonl(shape.name, split).write([self._write_row(shape, row, shape.flat(row), split, ours)])

    def _write_row(self, shape: Format, row: Row, flat: Row, split: str, ours: Row) -> bytes:
        """Hand a row to its Parquet writer; return it as a line of JSON."""
        line = encoded(row) + b"\n"
        if isinstance(shape, OpenAI | OpenAIPreference):
            file = f"jsonl/{shape.name}-{split}.jsonl"
            self._rules.setdefault(file, OpenAIRules(file)).look(row)
        size = len(line) + sum(len(value) for value in ours.values() if isinstance(value, str))
        self._parquet(shape.name, split).write({**flat, **ours}, size)
        if shape.name not in self.examples:
            self.examples[shape.name] = _shown(row)
        return line

    def _ours(self, samples: Sequence[tuple[Sample, str]], shape: Format) -> Row:
        """Return `id` and provenance of a row with these samples, which have these names."""
        if self._options.provenance == "none":
            return {"id": samples[0][1]}
        known = [carried(sample, shape) for sample, _ in samples]
        for part, (_, name) in list(zip(known, samples, strict=True))[1:]:
            if len(name) > ID_LENGTH:  # the row's id is that of the first
                part["id"] = name
        if self._options.provenance == "columns":
            return {"id": samples[0][1], **columns_of(known)}
        told: Any = known if len(known) > 1 else known[0]
        return {"id": samples[0][1], "provenance": canonical(told).decode()}

    def _leave_out(self, shape: Format, sample: Sample, error: Unwritable) -> None:
        if self._options.strict:
            raise ExportError(f"sample {sample.id}: {error.detail}; leave out --strict to skip such samples, counted")
        self.left_out[shape.name][error.reason] += 1
        self._first_left_out.setdefault(shape.name, f"sample {sample.id}: {error.detail}")

    def _parquet(self, config: str, split: str) -> ParquetShards:
        if (config, split) not in self._shards:
            self._shards[config, split] = ParquetShards(
                self._working / config, split, self._schemas[config], self._options.shard_bytes, self._behind
            )
        return self._shards[config, split]

    def _jsonl(self, config: str, split: str) -> JsonLines:
        if (config, split) not in self._lines:
            self._lines[config, split] = JsonLines(self._working / "jsonl" / f"{config}-{split}.jsonl")
        return self._lines[config, split]

    def finish(self) -> list[Path]:
        """Close the files; return their paths. Raises: ExportError when a config would have no row."""
        for shape in self._formats:
            self._write_group(shape)
        self._refuse_nothing()
        paths = [path for shards in self._shards.values() for path in shards.close()]
        return paths + [lines.close() for lines in self._lines.values()]

    def findings(self) -> list[Finding]:
        """Return what the checks found, in the samples and in OpenAI's files."""
        return [*self.checks.findings(), *(one for rules in self._rules.values() for one in rules.findings())]

    def configs(self) -> list[card.Config]:
        """Return what was written, config by config."""
        return [self._config(shape) for shape in self._formats]

    def _refuse_nothing(self) -> None:
        if not self.seen:
            held = ", ".join(f"{count:,} of licence {name}" for name, count in sorted(self.withheld.items()))
            raise ExportError("there are no samples to export" + (f"; --commercial keeps out {held}" if held else ""))
        written = {config for config, _ in self._shards}
        for shape in self._formats:
            if shape.name not in written:
                raise ExportError(
                    f"format {shape.name!r} can hold none of the {self.seen:,} samples; "
                    f"the first: {self._first_left_out[shape.name]}"
                )

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
            file_bytes={split: sum(path.stat().st_size for path in shard.paths) for split, shard in shards.items()},
        )

    def empty(self, configs: Sequence[card.Config]) -> Iterator[str]:
        """Yield `config/split` for each split that got no row."""
        for config in configs:
            yield from (f"{config.name}/{s}" for s in ["train", *sorted(self._options.splits)] if s not in config.rows)


def _shown(row: Row) -> str:
    """Return a row as the card shows it: at most 1,200 characters, no comment mark that could end our block."""
    text = json.dumps(row, ensure_ascii=False, indent=2).replace("<!--", "<\\u0021--")
    return text if len(text) <= 1200 else f"{text[:1200]} ..."
