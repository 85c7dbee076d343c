"""Samples -> a Hugging Face folder, in one pass and bounded memory.

    README.md                                the card
    dataset_info.json, axolotl/alpaca.yaml   for LLaMA-Factory and Axolotl, where they read one of the configs
    croissant.json                           the dataset described for machines
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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any

from pydantic import JsonValue

import instructgen.files as files
from instructgen.errors import DataError, ExportError
from instructgen.exporters import card, changes, trainers
from instructgen.exporters.batches import Watch, counted, readable, rendered
from instructgen.exporters.checks import estimated_tokens
from instructgen.exporters.croissant import croissant
from instructgen.exporters.options import Exported, Options, check_options, split_of
from instructgen.exporters.rendering import Renderer
from instructgen.exporters.sections import sections_of
from instructgen.exporters.tally import ranked
from instructgen.exporters.vocabulary import licence_id
from instructgen.exporters.writing import Writing
from instructgen.filters.licence import refuse_conflicts
from instructgen.formats import Format
from instructgen.formats.chats import Chats
from instructgen.formats.holds import GIVEN_ID
from instructgen.formats.light import samples_of
from instructgen.formats.openai import OpenAI
from instructgen.formats.preference import OpenAIPreference
from instructgen.formats.single import Singles
from instructgen.records import Rejection, Sample

__all__ = ["Exported", "Options", "export", "read_manifest", "split_of"]

MANIFEST = "manifest.json"
WORKING = ".partial"
LOCK = ".lock"
_OWN_FILE = re.compile(r"\w[\w-]*/\w[\w.-]*|dataset_info\.json|croissant\.json")


def export(
    samples: Iterable[Sample | Singles | Chats | Rejection],
    formats: Sequence[Format],
    into: Path,
    options: Options = Options(),
    facts: card.Facts = card.Facts(),
    watch: Watch = Watch(),
) -> Exported:
    """Write the folder; `watch` is told of progress and of rows that could not be read.

    Raises: ExportError for wrong options, a foreign folder, a full disk, or no rows at all;
    RunError while another process writes there. With `commercial`, the first sample whose licence or teacher's terms
    forbid commercial use is an ExportError that names it.
    """
    check_options(formats, options)
    unreadable, watch = counted(watch)
    openai = any(isinstance(shape, OpenAI | OpenAIPreference) for shape in formats)  # OpenAI bills by tokens
    if (openai or options.context is not None) and options.count_tokens is None:
        options = options.model_copy(update={"count_tokens": estimated_tokens})
    if options.commercial:
        made = chain.from_iterable(map(samples_of, readable(samples, watch)))
        samples = refuse_conflicts(made, options.licence, commercial=True)
    _claim(into, overwrite=options.overwrite)
    with files.locked(into / LOCK, str(into)):
        return _export(samples, Renderer(formats, options), into, facts, watch, unreadable)


def _export(
    samples: Iterable[Sample | Singles | Chats | Rejection],
    renderer: Renderer,
    into: Path,
    facts: card.Facts,
    watch: Watch,
    unreadable: Mapping[str, int],
) -> Exported:
    working = into / WORKING
    try:
        card.split_card(_old_card(into), str(into / "README.md"))  # a card that cannot be kept is told before any work
        _check_places(into, renderer)
        stale = _take_back(into, working)
        with Writing(working, renderer) as made, closing(rendered(samples, renderer, watch)) as batches:
            for batch in batches:
                made.take(batch)
            return _finish(made, into, stale, renderer.options, facts, unreadable)
    except OSError as error:
        raise ExportError(f"{into}: cannot be written: {files.describe(error)}") from error
    finally:
        swapping = (working / f"new-{MANIFEST}").exists() and not (into / MANIFEST).exists()
        if not swapping:  # else the next export finds here what this one has begun
            shutil.rmtree(working, ignore_errors=True)
        (into / LOCK).unlink(missing_ok=True)


def _finish(
    made: Writing, into: Path, stale: set[str], options: Options, facts: card.Facts, unreadable: Mapping[str, int]
) -> Exported:
    """Write what describes the data, and put all of it in place."""
    working = into / WORKING
    if unreadable and not made.counts.seen:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in ranked(unreadable).items())
        raise ExportError(f"there are no samples to export: no row of the input could be read ({reasons})")
    written = made.finish()
    configs, counts = made.configs(), made.counts
    rows = {config.name: config.rows for config in configs}
    paths = [file.path for file in written]
    known = {str(file.path.relative_to(working)): file.fingerprint() for file in written}
    licence = licence_id(options.licence)
    told = card.Told(
        configs=tuple(configs),
        samples=counts.samples,
        facts=facts,
        statistics=counts.tally.statistics(),
        findings=tuple(made.findings()),
        left_out={name: dict(sorted(counts.left_out[name].items())) for name in rows if name in counts.left_out},
        unshown={name: dict(ranked(counts.unshown[name])) for name in rows if name in counts.unshown},
        provenance=options.provenance,
        unreadable=dict(ranked(unreadable)),
        examples={name: counts.examples[name] for name in rows},  # batches end elsewhere with other workers
        trainers=trainers.snippets(rows),
        licence=licence,
        context=options.context,
        tokenizer=options.tokenizer,
        tokens=counts.checks.tokens,
    )
    front = card.front_matter(configs, licence=options.licence, languages=sorted(counts.languages), facts=facts)
    more = _describe(working, rows, croissant(configs, facts, known, licence))
    known |= {str(path.relative_to(working)): _fingerprint(path) for path in more}
    paths += more
    old = _old_card(into)
    previous = read_manifest(into) if _manifest(into / MANIFEST) else {}
    manifest = _manifest_of(told, options, known)
    sections = sections_of(told) | changes.section(previous, manifest, old)
    _swap(into, working, paths, stale, card.render(front, sections, old), manifest)
    return Exported(
        into=into,
        samples=counts.samples,
        rows=rows,
        left_out=told.left_out,
        empty_splits=tuple(made.empty(configs)),
        repeated_ids=made.repeats,
        given_ids=told.statistics.flags.get(GIVEN_ID, 0),
        findings=told.findings,
        unshown=told.unshown,
        unreadable=told.unreadable,
        gone=tuple(_gone(previous.get("configs", {}), rows)),
        dropped=made.dropped,
    )


def _gone(before: Mapping[str, Mapping[str, int]], now: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    for config, splits in before.items():
        if config in now:
            yield from (f"{config}/{split}" for split in splits if split not in now[config])
        else:
            yield config


def _old_card(into: Path) -> str:
    readme = into / "README.md"
    return files.read_text(readme) if readme.is_file() else ""


def _check_places(into: Path, renderer: Renderer) -> None:
    """Raise ExportError for a file where a folder of ours belongs, and the reverse."""
    folders = [*(shape.name for shape in renderer.formats), "jsonl", "axolotl"]
    for name in folders:
        if (into / name).exists() and not (into / name).is_dir():
            raise ExportError(f"{into / name} is a file; a folder of this name is to be written. Move it away")
    for name in (MANIFEST, "README.md", "dataset_info.json", "croissant.json"):
        if (into / name).is_dir():
            raise ExportError(f"{into / name} is a folder; a file of this name is to be written. Move it away")


def _describe(working: Path, rows: Mapping[str, Mapping[str, int]], crumb: dict[str, Any]) -> list[Path]:
    """Write the trainers' files and the Croissant description; return their paths."""
    texts = {"croissant.json": json.dumps(crumb, ensure_ascii=False, indent=2) + "\n"}
    texts |= trainers.trainer_files(rows)
    for name, text in texts.items():
        (working / name).parent.mkdir(exist_ok=True)
        (working / name).write_text(text, encoding="utf-8")
    return [working / name for name in texts]


def _manifest_of(told: card.Told, options: Options, fingerprints: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    return {
        "written_by": "instructgen",
        "samples": told.samples,
        "configs": {config.name: dict(config.rows) for config in told.configs},
        "left_out": {name: dict(reasons) for name, reasons in told.left_out.items()},
        "unshown": {name: dict(names) for name, names in told.unshown.items()},
        "unreadable": dict(told.unreadable),
        "splits": {"seed": options.seed, **options.splits},
        "licence": told.licence,
        "facts": told.facts.model_dump(mode="json", exclude_defaults=True),
        "statistics": told.statistics.model_dump(mode="json"),
        "findings": [finding.model_dump(mode="json") for finding in told.findings],
        "files": dict(sorted(fingerprints.items())),
    }


def _fingerprint(path: Path) -> dict[str, JsonValue]:
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _claim(into: Path, *, overwrite: bool) -> None:
    """Make the folder ours; a `manifest.json` that we did not write does not make it so."""
    try:
        working = (into / WORKING).is_dir()
    except OSError as error:  # no name for a file
        raise ExportError(f"{into}: cannot be written: {files.describe(error)}") from error
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
        if path.parent != into and path.parent.is_dir() and not any(path.parent.iterdir()):
            path.parent.rmdir()


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
