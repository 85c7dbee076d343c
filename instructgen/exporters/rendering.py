"""A batch of samples -> what it adds to files and counts, wherever it stands in the stream.

    [sample 7, sample 8, ...]  ->  ids, lines of JSON and columns for each config and split, counts

Nothing here looks at what came before, so batches are rendered beside each other (threads, or processes where samples
have to be made); `writing.Writing` takes them in the order of the input, and the folder does not depend on how many
workers there were.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from instructgen.errors import ExportError
from instructgen.exporters import schema
from instructgen.exporters.checks import Checks, licence_checks
from instructgen.exporters.numbering import all_bits_of, bits_of
from instructgen.exporters.options import Options, first_of, splits_of
from instructgen.exporters.rendered import Counts, Part, Rendered, shown
from instructgen.exporters.tally import Tally
from instructgen.exporters.tokenizer import template_marks
from instructgen.filters.licence import licence_of, licence_stated
from instructgen.formats import Format, Row, Unwritable
from instructgen.formats.chats import Chat, Chats
from instructgen.formats.columns import bytes_of, fixed_width, json_objects, lengths, sha256_starts, texts, word_counts
from instructgen.formats.holds import carried, columns_of, refusal
from instructgen.formats.light import chats_of
from instructgen.formats.reading import encoded
from instructgen.formats.single import Singles, writes_chats, writes_singles
from instructgen.formats.unshown import BORDER, unshown, unshown_of_chats
from instructgen.records import ID_LENGTH, Sample, canonical

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


class Renderer:
    """Renders batches."""

    def __init__(self, formats: Sequence[Format], options: Options) -> None:
        self.formats, self.options = formats, options
        special = {*options.special_tokens, *(mark for shape in formats for mark in template_marks(shape))}
        self._special = sorted(special)
        self.takes_singles = (
            all(map(writes_singles, formats))
            and options.count_tokens is None
            and options.provenance in ("json", "none")
        )
        """Whether plain rows need not become samples."""

    @property
    def stand_alone(self) -> bool:
        """Whether no shape joins samples that stood side by side."""
        return not any(map(joins, self.formats))

    def counts(self, *, of_batch: bool = True) -> Counts:
        """Return counts of nothing."""
        return Counts(Tally(of_batch=of_batch), Checks(self.options.count_tokens, self.options.context, self._special))

    def render(self, batch: Sequence[Sample] | Singles | Chats) -> Rendered:
        """Render a batch. Raises: ExportError when `strict` and a shape cannot hold a sample."""
        if isinstance(batch, Singles):
            if self.takes_singles:
                return self._of_singles(batch)
            batch = chats_of(batch)
        if isinstance(batch, Chats):
            return self._of_chats(batch)
        return self._of_samples(batch)

    def _of_samples(self, batch: Sequence[Sample]) -> Rendered:
        import numpy as np
        import pyarrow as pa

        counts = self.counts()
        ids = [sample.id for sample in batch]
        bits = np.array([bits_of(name) for name in ids], dtype=np.uint64)
        firsts = np.array([bits_of(first_of(name)) for name in ids], dtype=np.uint64)
        splits = np.full(len(ids), "train", dtype=object)
        for split, mask in splits_of(firsts, self.options.splits, self.options.seed).items():
            splits[mask] = split
        made = Rendered(pa.array(ids, pa.string()), bits, counts)
        held = set[int]().union(*[self._config(shape, batch, splits.tolist(), made) for shape in self.formats])
        for place, sample in enumerate(batch):
            counts.seen += 1
            if place in held:
                self._count(sample, counts)
        return made

    def _config(self, shape: Format, batch: Sequence[Sample], splits: Sequence[str], made: Rendered) -> set[int]:
        """Render a batch for one config; return the places of the samples that it holds."""
        held, rows = set[int](), dict[str, _Rows]()
        for place, sample in enumerate(batch):
            try:
                (found, _), *_ = shape.share([sample])
                flat = [self._flat(shape, row) for row in found]
            except Unwritable as error:
                self._leave_out(shape, sample, error, made.counts)
                continue
            held.add(place)
            for name in unshown(sample, shape, flat[0]):
                made.counts.hide(shape.name, name)
            split = splits[place]
            if joins(shape):
                made.groups.setdefault(shape.name, []).append((place, sample, split))
                continue
            made.counts.look(shape, split, found[0])
            beside = self.beside([(sample, "")], shape)
            rows.setdefault(split, _Rows()).add(place, encoded(found[0]) + b"\n", flat[0], beside)
        for split, those in rows.items():
            made.parts[shape.name, split] = those.part(schema.with_ours(shape.columns, self.options.provenance))
        return held

    def _flat(self, shape: Format, row: Row) -> Row:
        """Return the row as Parquet holds it. Raises: Unwritable for a value of another type than its column's."""
        flat = shape.flat(row)
        if problem := schema.misfit(shape.columns, flat):
            raise Unwritable("wrong_type", f"format {shape.name!r}: {problem}")
        return flat

    def _leave_out(self, shape: Format, sample: Sample | Chat, error: Unwritable, counts: Counts) -> None:
        if self.options.strict:
            raise ExportError(f"sample {sample.id}: {error.detail}; leave out --strict to skip such samples, counted")
        counts.left_out.setdefault(shape.name, Counter())[error.reason] += 1
        counts.first_left_out.setdefault(shape.name, f"sample {sample.id}: {error.detail}")

    def beside(self, samples: Sequence[tuple[Sample, str]], shape: Format) -> Row:
        """Return the provenance of a row with these samples, which have these ids in the export."""
        if self.options.provenance == "none":
            return {}
        known = [carried(sample, shape) for sample, _ in samples]
        for part, (_, name) in list(zip(known, samples, strict=True))[1:]:
            if len(name) > ID_LENGTH:  # the row's id is that of the first
                part["id"] = name
        if self.options.provenance == "columns":
            return columns_of(known)
        told: Any = known if len(known) > 1 else known[0]
        return {"provenance": canonical(told).decode()}

    def _count(self, sample: Sample, counts: Counts) -> None:
        """Take a sample that is in the dataset into its statistics."""
        counts.samples += 1
        counts.tally.add(sample)
        counts.checks.look(sample, counts.seen)
        if sample.provenance.language:
            counts.languages.add(sample.provenance.language)
        for check in licence_checks(licence_of(sample), self.options.licence):
            counts.checks.found(check, counts.seen)

    def _of_chats(self, batch: Chats) -> Rendered:
        """Do what `_of_samples` does, without making samples where a shape can take chats."""
        import numpy as np

        ids = [chat.id for chat in batch.chats]
        bits = all_bits_of(ids)
        firsts = bits if all(len(name) <= ID_LENGTH for name in ids) else all_bits_of([*map(first_of, ids)])
        masks = splits_of(firsts, self.options.splits, self.options.seed)
        made, held = Rendered(texts(ids), bits, self.counts()), np.zeros(len(ids), bool)
        for shape in self.formats:
            held |= self._chat_config(shape, batch, masks, made)
        counts, places = made.counts, np.flatnonzero(held)
        counts.seen, counts.samples = len(batch), len(places)
        self._count_chats(batch.taken(places), (places + 1).tolist(), counts)
        return made

    def _count_chats(self, batch: Chats, numbers: Sequence[int], counts: Counts) -> None:
        """Take chats that are in the dataset into its statistics; `numbers` are theirs in the batch, from 1."""
        counts.tally.add_chats(batch)
        counts.checks.look_chats(batch, numbers)
        for number, chat in zip(numbers, batch.chats, strict=True):
            for check in licence_checks(
                licence_stated(chat.provenance.get("licence", ""), chat.extra), self.options.licence
            ):
                counts.checks.found(check, number)
            if language := chat.provenance.get("language"):
                counts.languages.add(language)

    def _chat_config(self, shape: Format, batch: Chats, masks: Mapping[str, np.ndarray], made: Rendered) -> np.ndarray:
        """Render chats for one config; return which of them it holds."""
        import numpy as np

        held = np.ones(len(batch), bool)
        if not writes_chats(shape):
            splits = np.full(len(batch), "train", dtype=object)
            for split, mask in masks.items():
                splits[mask] = split
            kept = self._config(shape, batch.samples, splits.tolist(), made)
            return np.isin(np.arange(len(batch)), [*kept])
        refusals = {roles: refusal(roles, shape) for roles in {chat.roles for chat in batch.chats}}
        if any(refusals.values()):
            for place, chat in enumerate(batch.chats):
                if error := refusals[chat.roles]:
                    self._leave_out(shape, chat, error, made.counts)
                    held[place] = False
        for name, times in unshown_of_chats(batch.taken(np.flatnonzero(held)), shape).items():
            made.counts.hide(shape.name, name, times)
        first = len(batch)
        for split, mask in masks.items():
            places = np.flatnonzero(mask & held)
            if not len(places):
                continue
            part = batch.taken(places)
            columns = dict(shape.write_chats(part))
            if places[0] < first:
                first = int(places[0])
                made.counts.examples[shape.name] = shown({name: columns[name][0].as_py() for name in shape.columns})
            made.parts[shape.name, split] = self._chat_part(shape, part, columns, places)
        return held

    def _chat_part(self, shape: Format, part: Chats, columns: dict[str, pa.Array], places: np.ndarray) -> Part:
        """Return columns of a shape with their lines and what stands beside them."""
        import numpy as np
        import pyarrow as pa

        lines, ends = bytes_of(json_objects(columns, end="}\n"))
        sizes, known = np.diff(ends).astype(np.int64), part.carried(input_apart="input" in shape.holds)
        if self.options.provenance == "json":
            columns["provenance"] = texts([canonical(one).decode() for one in known])
            sizes += lengths(columns["provenance"])
        elif self.options.provenance == "columns":
            beside = [columns_of([one]) for one in known]
            kinds = schema.arrow_schema(schema.with_ours(shape.columns, self.options.provenance))
            columns |= {name: pa.array([row[name] for row in beside], kinds.field(name).type) for name in beside[0]}
            sizes += np.array([size_of(row) for row in beside], dtype=np.int64)
        return Part(places, lines.tobytes(), columns, sizes)

    def _of_singles(self, batch: Singles) -> Rendered:
        """Do what `_of_samples` does, without making samples and column by column."""
        import numpy as np

        hashes = sha256_starts(batch.contents(), ID_LENGTH // 2)
        ids = fixed_width(hashes.hex().encode(), ID_LENGTH)
        digest = np.dtype([("start", ">u8"), ("rest", f"V{ID_LENGTH // 2 - 8}")])
        bits = np.frombuffer(hashes, digest)["start"].astype(np.uint64)
        asked = word_counts(batch.instruction) + word_counts(batch.input)
        answered = word_counts(batch.output)
        made = Rendered(ids, bits, self.counts())
        made.counts.seen = made.counts.samples = len(batch)
        made.counts.tally.add_singles(batch, asked, answered)
        made.counts.checks.look_singles(batch, 1, asked, answered)
        for split, mask in splits_of(bits, self.options.splits, self.options.seed).items():
            places = np.flatnonzero(mask)
            part = batch if len(places) == len(batch) else batch.taken(mask)
            for shape in self.formats:
                made.parts[shape.name, split] = self._columns(shape, part, places, made.counts)
        return made

    def _columns(self, shape: Format, part: Singles, places: np.ndarray, counts: Counts) -> Part:
        """Render the plain rows of a split for one config; `places` are theirs in the batch."""
        import numpy as np

        columns = dict(shape.write_singles(part))
        if "input" not in shape.holds and (apart := int(np.count_nonzero(lengths(part.input)))):
            counts.hide(shape.name, BORDER, apart)
        if places[0] == 0:
            counts.examples[shape.name] = shown({name: columns[name][0].as_py() for name in shape.columns})
        lines, ends = bytes_of(json_objects(columns, end="}\n"))
        sizes = np.diff(ends).astype(np.int64)
        if self.options.provenance == "json":
            columns["provenance"] = part.carried(input_apart="input" in shape.holds)
            sizes += lengths(columns["provenance"])
        return Part(places, lines, columns, sizes)


class _Rows:
    """Rows of one config and split, until they are columns."""

    def __init__(self) -> None:
        self._places: list[int] = []
        self._lines: list[bytes] = []
        self._rows: list[Row] = []
        self._sizes: list[int] = []

    def add(self, place: int, line: bytes, row: Row, beside: Row) -> None:
        """Take a row; `beside` is its provenance."""
        self._places.append(place)
        self._lines.append(line)
        self._rows.append(row | beside)
        self._sizes.append(len(line) + size_of(beside))

    def part(self, columns: Mapping[str, Any]) -> Part:
        """Return them as columns of these kinds; the id is not among them yet."""
        import numpy as np
        import pyarrow as pa

        kinds = schema.arrow_schema({name: kind for name, kind in columns.items() if name != "id"})
        made = {kind.name: pa.array([row.get(kind.name) for row in self._rows], kind.type) for kind in kinds}
        return Part(np.array(self._places), b"".join(self._lines), made, np.array(self._sizes, dtype=np.int64))


def joins(shape: Format) -> bool:
    """Tell whether a shape joins samples that stood side by side."""
    return type(shape).group is not Format.group


def size_of(beside: Row) -> int:
    """Return the length of the texts among what stands beside a row."""
    return sum(len(value) for value in beside.values() if isinstance(value, str))
