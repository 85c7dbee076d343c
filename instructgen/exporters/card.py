"""The dataset card: `README.md` with YAML for machines and generated sections for people.

Everything between `<!-- instructgen:begin NAME -->` and `<!-- instructgen:end NAME -->` is written by us and replaced
at each export; text outside is the author's and stays. YAML keys that are not ours stay too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict

from instructgen.errors import ExportError
from instructgen.exporters.checks import Finding
from instructgen.exporters.tally import Statistics
from instructgen.exporters.vocabulary import language_code, licence_id, problems, size_category

OWN_KEYS = ("configs", "dataset_info", "size_categories", "license", "language")
"""YAML keys that say what the data is: rewritten at each export. Others are set once and then the author's."""
PLACE = "PATH_OR_NAME"
"""Stands for the dataset's folder or name in code, until a push knows it."""
WITH_PLACE = frozenset({"load", "training"})
"""The generated sections with such code."""
_BLOCK = re.compile(r"<!-- instructgen:begin (\S+) -->\n.*?<!-- instructgen:end \1 -->\n?", re.DOTALL)
_FRONT = re.compile(r"\A\ufeff?---\r?\n(.*?)\r?\n---\r?\n?(.*)\Z", re.DOTALL)


class Facts(BaseModel):
    """What is known of how a dataset came about; the report fills it in, the card prints it. Empty = unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = ""
    """The recipe's name; the card's title."""
    description: str = ""
    """A paragraph for people."""
    version: str = ""
    """instructgen's version."""
    recipe: str = ""
    """Hash of the frozen recipe."""
    generator: str = ""
    teacher: str = ""
    teacher_revision: str = ""
    terms: str = ""
    """Terms of the teacher that the rows fall under."""
    seeds: dict[str, str] = {}
    """Seeds file -> sha256."""
    filters: tuple[str, ...] = ()
    """Filters of the recipe in their order, with the options that were set."""
    prompts: dict[str, str] = {}
    """Prompt name -> sha256 of its text."""
    sources: dict[str, str] = {}
    """Dataset that rows were made from -> its licence."""
    parsed: int | None = None
    """Candidates, accepted and rejected."""
    accepted: int | None = None
    funnel: tuple[tuple[str, str, int], ...] = ()
    """(stage, reason, how many were rejected for it)."""
    requests: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost_usd: float | None = None
    """What the requests cost by the price table; `None` = no price known."""
    ending: str = ""
    """Why the run ended: target, novelty exhausted, budget."""
    notes: tuple[str, ...] = ()
    """Findings of filters about privacy, bias and quality, a sentence each."""


def citation(facts: Facts) -> str:
    """Return a BibTeX entry."""
    name = facts.name or "instruction-dataset"
    key = re.sub(r"\W+", "-", name).strip("-").lower() or "dataset"
    made = f"  note = {{Made with instructgen {facts.version}}}\n" if facts.version else ""
    return f"@misc{{{key},\n  title = {{{name}}},\n{made}}}"


class Config(BaseModel):
    """One config of the folder, as written."""

    model_config = ConfigDict(frozen=True)

    name: str
    title: str
    columns: dict[str, Any]
    """Features as the card states them (`schema.card_features`), by column."""
    own_columns: tuple[str, ...]
    """Those of the format itself, without id and provenance."""
    optional: tuple[str, ...] = ()
    """Columns, and keys inside of them, that not every JSON line has."""
    features: tuple[dict[str, Any], ...]
    rows: dict[str, int]
    """Split -> rows."""
    arrow_bytes: dict[str, int]
    """Split -> size in memory."""
    file_bytes: dict[str, int]
    """Split -> size of its Parquet files."""


class Told(BaseModel):
    """All that the card says."""

    model_config = ConfigDict(frozen=True)

    configs: tuple[Config, ...]
    samples: int
    """How many were exported; a config may hold fewer."""
    facts: Facts
    statistics: Statistics
    findings: tuple[Finding, ...]
    left_out: dict[str, dict[str, int]]
    """Config -> reason -> samples that its shape cannot hold."""
    unshown: dict[str, dict[str, int]]
    """Config -> what its own columns do not show -> samples."""
    provenance: str
    """Where that is: "json", "columns", or "none"."""
    unreadable: dict[str, int]
    """Reason -> rows of the input that could not be read."""
    examples: dict[str, str]
    """Config -> its first row as JSON."""
    trainers: str
    licence: str
    context: int | None
    tokenizer: str
    tokens: int
    """Tokens of all rows, 0 when they were not counted."""


def front_matter(
    configs: Sequence[Config], *, licence: str, languages: Sequence[str], facts: Facts, task: str = "text-generation"
) -> dict[str, Any]:
    """Return the card's YAML as a dict. Raises: ExportError when a word in it is none of the Hub's."""
    rows = max(sum(config.rows.values()) for config in configs)
    front: dict[str, Any] = {
        "configs": [_config(config, default=number == 0) for number, config in enumerate(configs)],
        "dataset_info": [_info(config) for config in configs],
        "language": sorted({language_code(tag) for tag in languages if tag}),
        "license": licence_id(licence),
        "size_categories": [size_category(rows)],
        "task_categories": [task],
        "tags": _tags(facts),
    }
    if facts.name:
        front["pretty_name"] = facts.name
    if not front["language"]:
        del front["language"]
    wrong = problems(front, rows)
    if wrong:
        raise ExportError("the card would not be accepted by the Hub: " + "; ".join(wrong))
    return front


def check_words(*, licence: str, languages: Sequence[str]) -> None:
    """Raise ExportError for a licence or language that the Hub does not know, before any work is done."""
    wrong = problems({"license": licence_id(licence), "language": [language_code(tag) for tag in languages]})
    if wrong:
        raise ExportError("; ".join(wrong))


def _tags(facts: Facts) -> list[str]:
    made = ["synthetic"] if facts.generator or facts.teacher else []
    return [*made, "instruction-tuning", "instructgen", *([facts.generator] if facts.generator else [])]


def _config(config: Config, *, default: bool) -> dict[str, Any]:
    files = [{"split": split, "path": f"{config.name}/{split}-*.parquet"} for split in config.rows]
    return {"config_name": config.name, **({"default": True} if default else {}), "data_files": files}


def _info(config: Config) -> dict[str, Any]:
    splits = [
        {"name": split, "num_bytes": config.arrow_bytes[split], "num_examples": rows}
        for split, rows in config.rows.items()
    ]
    return {
        "config_name": config.name,
        "features": list(config.features),
        "splits": splits,
        "download_size": sum(config.file_bytes.values()),
        "dataset_size": sum(config.arrow_bytes.values()),
    }


def render(front: Mapping[str, Any], sections: Mapping[str, str], old: str = "") -> str:
    """Return the card: `sections` by name in their blocks, the author's text and YAML keys of `old` kept.

    A block that `old` has stays where it is there; new blocks go to the end. A block no longer written disappears.
    """
    kept, body = split_card(old)
    merged = {**front, **{k: v for k, v in kept.items() if k not in OWN_KEYS}}
    merged["tags"] = sorted({*front.get("tags", ()), *_texts(kept.get("tags"))}) or None
    left = dict(sections)

    def replaced(match: re.Match[str]) -> str:
        return _block(match[1], left.pop(match[1])) if match[1] in left else ""

    body = _BLOCK.sub(replaced, body)
    fresh = "\n".join(_block(name, text) for name, text in left.items())
    joint = "\n\n" if body.strip() and fresh else ""
    body = f"{body.rstrip()}{joint}{fresh}".strip()
    text = yaml.safe_dump(
        {k: v for k, v in merged.items() if v is not None}, sort_keys=False, allow_unicode=True, width=1000
    )
    return f"---\n{text}---\n\n{body}\n"


def _texts(value: Any) -> list[str]:
    return [str(part) for part in value] if isinstance(value, list) else []


def _block(name: str, text: str) -> str:
    return f"<!-- instructgen:begin {name} -->\n{text.strip()}\n<!-- instructgen:end {name} -->\n"


def split_card(text: str, name: str = "README.md") -> tuple[dict[str, Any], str]:
    """Return a card's YAML and its body; ({}, text) without YAML. Raises: ExportError, under `name`, for no YAML."""
    match = _FRONT.match(text)
    if match is None:
        return {}, text
    try:
        front = yaml.safe_load(match[1])
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date that there is not
        said = " ".join(str(error).split())
        raise ExportError(f"{name}: its YAML head cannot be read: {said}; correct it, or remove the file") from error
    if not isinstance(front, dict | None):
        raise ExportError(f"{name}: its YAML head holds {front!r:.40}, expected keys; correct it, or remove the file")
    return front or {}, match[2]


def joined(ours: str, theirs: str, name: str) -> tuple[str, list[str]]:
    """Return our card as it is to be published over theirs, and what of theirs it replaces, for people.

    YAML keys and tags that only theirs has are kept, and the text that people wrote there if ours has none.
    Raises: ExportError, under `name`, when theirs cannot be read.
    """
    (front, body), (known, there) = split_card(ours), split_card(theirs, name)
    both = {key for key in known if key in front and key not in OWN_KEYS}
    told = [f"key {key}" for key in known if key in both - {"tags"} and known[key] != front[key]]
    more = {key: value for key, value in known.items() if key not in front}
    tags = [tag for tag in _texts(known.get("tags")) if tag not in _texts(front.get("tags"))]
    written, here = _BLOCK.sub("", there).strip(), _BLOCK.sub("", body).strip()
    if here:
        told += [f"text {line.strip()[:60]!r}" for line in written.splitlines() if line.strip() not in here]
    if not (more or tags or (written and not here)):
        return ours, told
    head = yaml.safe_dump({**more, "tags": tags}, sort_keys=False, allow_unicode=True)
    return render(front, blocks(ours), f"---\n{head}---\n{body if here else there}"), told


def addressed(text: str, name: str) -> str:
    """Return a card whose generated code loads the dataset by this name."""
    return _BLOCK.sub(lambda block: block[0].replace(PLACE, name) if block[1] in WITH_PLACE else block[0], text)


def blocks(text: str) -> dict[str, str]:
    """Return the generated sections of a card by name."""
    found = {}
    for match in _BLOCK.finditer(text):
        lines = match[0].strip().splitlines()
        found[match[1]] = "\n".join(lines[1:-1])
    return found
