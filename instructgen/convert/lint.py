"""What is wrong with templates, found before they are used: by reading them, and by rendering rows.

    templates/sentiment.yaml: template 'thumbs': choices_flag: choices_shown is false, but the input shows every choice

Packs of ours are rendered on made-up rows whose fields cannot be mistaken for one another, and on rows that are given;
promptsource files on rows of their dataset.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from instructgen.convert import superni
from instructgen.convert.bank import Compiled, Pack, environment, load_pack
from instructgen.convert.choosing import choose
from instructgen.convert.jinja import Unrenderable
from instructgen.convert.layouts import NLI, NO_YES, PARAPHRASE, SENTIMENT
from instructgen.convert.options import NO_OPTIONS, recover
from instructgen.convert.promptsource import LABEL_COLUMNS, PromptTemplate, is_prompts, load_prompts, unlabelled
from instructgen.convert.render import Batch, Made, Renderer
from instructgen.convert.sources import Chunk
from instructgen.errors import TemplateError

_MADE_UP = re.compile(r"[A-Z_]+\d")
"""What made-up values hold; a target without it is the template's own words, which its input may well name."""
DRAWS = 24
"""Seeds tried for templates that draw, so that what happens in some branches only is found."""
KINDS = {
    "syntax": "the template cannot be compiled, or is stopped by the sandbox",
    "unknown_field": "it uses a name that the rows do not have",
    "separator": "input and target are not parted by exactly one separator",
    "leftover": "a trace of another notation: a stray n, a brace that Jinja did not take, a doubled full stop",
    "duplicate": "it says the same as another template",
    "target_in_input": "the answer stands in the input",
    "gold_not_in_choices": "the right answer is not among the choices, or not among those shown",
    "empty": "input or target is empty on a row",
    "unrecoverable": "two labels give the same target, or the target does not tell the label",
    "unlabelled": "a row without a label (-1, empty) gets an answer all the same",
    "choices_flag": "the metadata on shown choices say otherwise than the template does",
    "unused": "a field that its task is about is used nowhere",
    "never_fits": "no row meets its condition",
    "task_file": "a Super-NaturalInstructions task breaks one of its rules",
}  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """One thing wrong with one template."""

    where: str
    """File and template."""
    kind: str
    detail: str

    def __str__(self) -> str:
        """Return the finding as one line."""
        return f"{self.where}: {self.kind}: {self.detail}"


_LEFTOVERS = (
    (re.compile(r"\}n(?=\s|$)"), 'a stray "n" behind a field: a line break that lost its backslash'),
    (re.compile(r"[.?!:\"']n(?=\n|$)"), 'a stray "n" at the end of a line'),
    (re.compile(r"\\[nt](?![a-z])"), "a backslash sequence that is printed as it stands"),
    (re.compile(r"(?<!\.)\.\.(?!\.)"), "two full stops"),
    (re.compile(r"\?\s*\?"), "two question marks"),
    (re.compile(r"(?<!\{)\{\s*\w+\s*\}(?!\})"), "a name in single braces, which Jinja does not fill in"),
    (re.compile(r"\(\s*\)|\[\s*\](?!\()"), "empty brackets"),
)
_BLOCKS = re.compile(r"\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_PRINTS = re.compile(r"\{\{.*?\}\}", re.DOTALL)


def leftovers(source: str) -> list[str]:
    """Return what stands in the words of a template that was meant for another notation."""
    words = _BLOCKS.sub("", source)
    plain = _PRINTS.sub("\0", words)
    found = [said for rule, said in _LEFTOVERS[:1] if rule.search(words)]
    return found + [said for rule, said in _LEFTOVERS[1:] if rule.search(plain)]


def _squeezed(*parts: str | None) -> str:
    return re.sub(r"\s+", "", "\0".join(part or "" for part in parts)).lower()


def lint(path: Path, rows: Sequence[Mapping[str, Any]] = ()) -> list[Finding]:
    """Return what is wrong with a file: a pack of ours, a promptsource file, or a Super-NI task.

    Raises: TemplateError only for a file that is none of these; DataError when it cannot be read.
    """
    if path.suffix == ".json":
        return [Finding(str(path), "task_file", said) for said in superni.problems(path)]
    if is_prompts(path):
        return lint_prompts(load_prompts(path), rows)
    try:
        pack = load_pack(path)
    except TemplateError as error:
        return [Finding(str(path), "syntax", str(error).removeprefix(f"{path}: "))]
    return lint_pack(pack) + (_lint_on_rows(pack, rows) if rows else [])


# Packs of ours


def lint_pack(pack: Pack) -> list[Finding]:
    """Return what is wrong with the templates of a pack."""
    found, seen = list[Finding](), dict[str, str]()
    jinja = environment()
    for template in pack.templates:
        where = pack.where(template)
        found += [
            Finding(where, "leftover", said) for text in (template.input, template.target) for said in leftovers(text)
        ]
        key = _squeezed(template.input, template.target, repr(template.choices), template.condition)
        if key in seen:
            found.append(Finding(where, "duplicate", f"the same as {seen[key]!r}"))
        seen.setdefault(key, template.name)
        try:
            compiled = Compiled(pack, template, jinja)
        except TemplateError as error:
            kind = "unknown_field" if "not a field of task" in str(error) else "syntax"
            found.append(Finding(where, kind, str(error).removeprefix(where).removeprefix(", ")))
            continue
        found += _lint_compiled(compiled, where)
    return found


def _lint_on_rows(pack: Pack, rows: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """Return what a pack cannot say of real rows: nothing printed, a label lost, choices that miss a class."""
    mapping = choose(pack, list(dict.fromkeys(column for row in rows for column in row)), rows)
    _, batch, _ = mapping.take_all(Chunk(range(1, len(rows) + 1), [dict(row) for row in rows]))
    found = dict[str, Finding]()
    for template in pack.templates:
        where = pack.where(template)
        try:
            renderer = Renderer(Compiled(pack, template, environment()), mapping.labels, by_row=True)
            part = batch.take([at for at, fit in enumerate(renderer.fits(batch)) if fit])
            made = renderer.render(part, NO_OPTIONS, Random(0))
        except TemplateError as error:
            kind = "gold_not_in_choices" if "choices for" in str(error) else "syntax"
            detail = str(error).removeprefix(where).removeprefix(", ")
            found.setdefault(f"{where}{kind}", Finding(where, kind, f"on the rows given: {detail}"))
            continue
        for one in made:
            if isinstance(one, Unrenderable):
                kind = "empty" if one.reason.startswith("empty") else "unrecoverable"
                found.setdefault(
                    f"{where}{kind}", Finding(where, kind, f"on the rows given: {one.reason}: {one.detail}")
                )
    return list(found.values())


def _lint_compiled(compiled: Compiled, where: str) -> Iterator[Finding]:
    pack, template = compiled.pack, compiled.template
    unused = _unused(compiled)
    if unused:
        yield Finding(where, "unused", f"{unused} is used nowhere")
    fitted = 0
    for labels in _label_sets(pack):
        try:
            renderer = Renderer(compiled, labels, by_row=True)
            batch = _made_up(pack, labels)
            fits = [at for at, fit in enumerate(renderer.fits(batch)) if fit]
            fitted += len(fits)
            part = batch.take(fits)
            yield from _lint_rendered(renderer, part, where)
        except TemplateError as error:
            yield Finding(where, "syntax", str(error).removeprefix(where).removeprefix(", "))
            return
    if not fitted:
        yield Finding(where, "never_fits", f"condition {template.condition!r} is false for every row tried")


def _unused(compiled: Compiled) -> str | None:
    """Return the label, or the first field, when nothing in the template depends on it or on what may stand for it."""
    pack, template = compiled.pack, compiled.template
    if template.inverted or not template.original_task:
        return None
    used = compiled.input.names | compiled.target.names
    if pack.label_field is not None and not used & {"answer", pack.label_field}:
        return pack.label_field
    first, *others = pack.fields
    instead = {role for role in others if pack.fields[role].optional}
    return None if used & ({first} | instead) else first


def _lint_rendered(renderer: Renderer, batch: Batch, where: str) -> Iterator[Finding]:
    template, pack = renderer.compiled.template, renderer.compiled.pack
    targets: dict[str, str] = {}
    said = set[str]()
    for made in renderer.render(batch, NO_OPTIONS, Random(0)):
        if isinstance(made, Unrenderable):
            kind = {"label_lost": "unrecoverable", "empty_input": "empty", "empty_target": "empty"}.get(
                made.reason, "syntax"
            )
            if kind not in said:
                yield Finding(where, kind, f"{made.reason}: {made.detail}")
            said.add(kind)
            continue
        if pack.label_field and made.label is not None:
            for kind, detail in _lint_label(renderer, made, targets, pack.choices_field is not None):
                if kind not in said:
                    yield Finding(where, kind, detail)
                said.add(kind)
        elif "target_in_input" not in said and _leaks(made):
            said.add("target_in_input")
            yield Finding(where, "target_in_input", f"the target {made.target!r:.80} stands in the input")
    if template.choices_shown and renderer.compiled.shows_options:
        yield Finding(where, "choices_flag", "choices_shown is true, but {{ options }} can be left out")


def _leaks(made: Made) -> bool:
    """Tell whether a target stands in its input; a made-up answer is in no context by itself."""
    return _MADE_UP.search(made.target) is not None and made.target in made.input


def _lint_label(renderer: Renderer, made: Made, targets: dict[str, str], own: bool) -> Iterator[tuple[str, str]]:
    template = renderer.compiled.template
    if not template.inverted and template.original_task:
        label = str(made.label)
        if not own and targets.setdefault(made.target, label) != label:
            yield (
                "unrecoverable",
                f"labels {targets[made.target]!r} and {label!r} give the same target {made.target!r:.60}",
            )
        at = recover(made.target, made.choices)
        if at is None:
            yield "unrecoverable", f"the target {made.target!r:.60} does not tell which of {list(made.choices)} it is"
        shown = [choice for choice in made.choices if _holds(made.input, choice)]
        if len(shown) == len(made.choices) and not template.choices_shown:
            yield "choices_flag", "choices_shown is false, but the input shows every choice"
        if template.choices_shown and len(shown) < len(made.choices):
            missing = [choice for choice in made.choices if choice not in shown]
            yield "gold_not_in_choices", f"choices_shown is true, but the input lacks {missing}"
        if at is not None and shown == [made.choices[at]]:
            yield "target_in_input", f"the right answer {made.choices[at]!r} stands in the input, the others do not"


def _holds(text: str, words: str) -> bool:
    return re.search(r"(?<!\w)" + re.escape(words) + r"(?!\w)", text, re.IGNORECASE) is not None


def _label_sets(pack: Pack) -> list[tuple[str, ...] | None]:
    """Return sets of classes that datasets of the task have; a template fits each, or says by its condition which."""
    if pack.label_field is None or pack.choices_field is not None:
        return [None]
    known: dict[str, list[tuple[str, ...] | None]] = {
        "sentiment": [SENTIMENT, ("negative", "neutral", "positive"), ("1", "2", "3", "4", "5")],
        "nli": [NLI, ("entailment", "not entailment")],
        "paraphrase": [PARAPHRASE],
        "boolean_qa": [NO_YES],
        "topic": [("World", "Sports", "Business", "Sci/Tech")],
    }
    return known.get(pack.task, [("alpha", "beta"), ("alpha", "beta", "gamma")])


def _made_up(pack: Pack, labels: tuple[str, ...] | None) -> Batch:
    """Return rows that differ in every field: one a class, with and without the optional fields."""
    count = len(labels) if labels else 3
    ids = list(range(count)) * 2
    columns: dict[str, list[Any]] = {}
    for role, rule in pack.fields.items():
        values = [_value(rule.kind, role, number) for number in range(count)]
        columns[role] = values + ([None] * count if rule.optional else values)
    if pack.label_field is not None:
        own = columns[pack.choices_field] if pack.choices_field else None
        columns[pack.label_field] = [(own[at] if own else labels or ())[i] for at, i in enumerate(ids)]
        return Batch(2 * count, columns, ids)
    return Batch(2 * count, columns)


def _value(kind: str, role: str, number: int) -> Any:
    """Return a value of a kind that holds the role's name, so that no two fields can be mistaken for one another."""
    word = f"{role.upper()}{number}"
    return {
        "text": f"Qua {word} zed wei hep tol",
        "label": None,
        "number": 1000 + number,
        "choices": [f"{word}A", f"{word}B", f"{word}C"],
        "answers": [f"{word}first", f"{word}second"] if number < 2 else [],
        "list": [f"{word}one", f"{word}two"],
        "spans": [{"text": f"{word}x", "type": "KINDX"}, {"text": f"{word}y", "type": "KINDY"}],
        "triples": [[f"{word}s", f"{word}r", f"{word}o"]],
        "pairs": [[f"{word}slot", f"{word}value"]],
        "turns": [{"speaker": "Pia", "text": f"{word}hello"}, {"speaker": "Quo", "text": f"{word}there"}],
        "table": {"columns": [f"{word}c"], "rows": [[f"{word}v"]]},
        "record": {f"{word}c": f"{word}v"},
        "schema": {"id": f"{word}db", "tables": {f"{word}t": [f"{word}c", f"{word}d"]}},
        "examples": [{"input": f"{word}in", "output": f"{word}out", "explanation": f"{word}why"}],
    }[kind]


# promptsource's


def lint_prompts(templates: Sequence[PromptTemplate], rows: Sequence[Mapping[str, Any]] = ()) -> list[Finding]:
    """Return what is wrong with a promptsource file; `rows` are rows in its dataset's layout."""
    found, texts, names = list[Finding](), dict[str, str](), dict[str, str]()
    for template in templates:
        key = _squeezed(template.jinja, template.answer_choices)
        if key in texts:
            found.append(Finding(template.where, "duplicate", f"the same text as {texts[key]!r}"))
        texts.setdefault(key, template.name)
        name = template.name.strip().lower()
        if name in names:
            found.append(Finding(template.where, "duplicate", f"its name is also that of {names[name]!r}"))
        names.setdefault(name, template.name)
        found += [Finding(template.where, "leftover", said) for said in leftovers(template.jinja)]
        found += _lint_prompt(template, rows)
    return found


def _lint_prompt(template: PromptTemplate, rows: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    where = template.where
    try:
        fields = template.fields
    except TemplateError as error:
        yield Finding(where, "syntax", str(error).removeprefix(where).removeprefix(", "))
        return
    count = template.jinja.count("|||")
    if count != 1:
        yield Finding(where, "separator", f"{count} separators in the text, expected 1")
    known = {column for row in rows for column in row}
    unknown = sorted(fields - known) if rows else []
    if unknown:
        yield Finding(where, "unknown_field", f"uses {unknown}; the rows have {sorted(known)}")
    said = dict[str, str]()
    try:
        for row in rows:
            for draw in range(DRAWS if re.search(r"\|\s*(choice|random)\b", template.jinja) else 1):
                said.update({k: d for k, d in _lint_prompt_row(template, row, Random(draw)) if k not in said})
    except TemplateError as error:
        said["syntax"] = str(error).removeprefix(where).removeprefix(", ")
    for kind, detail in said.items():
        yield Finding(where, kind, detail)
    yield from _lint_prompt_answers(template, rows)


def _lint_prompt_row(template: PromptTemplate, row: Mapping[str, Any], rng: Random) -> Iterator[tuple[str, str]]:
    try:
        parts, choices = template.parts(row, rng), template.choices(row)
    except Unrenderable as problem:
        yield "empty", f"{problem.reason}: {problem.detail}"
        return
    if not any(parts):
        return  # a condition that this row does not meet
    if len(parts) != 2:
        yield "separator", f"a row renders with {len(parts) - 1} separators, expected 1"
        return
    asked, target = parts
    lacking = unlabelled(row) or any(row.get(field, "?") in ("", None) for field in template.fields)
    if not (asked and target) and not lacking:
        yield "empty", f"{'target' if asked else 'input'} is empty for row {str(dict(row))[:80]}"
        return
    if target and unlabelled(row) and choices and target in choices:
        yield "unlabelled", f"a row with {_label_said(row)} gets the answer {target!r:.60}"
        return
    if choices and target and target not in choices and template.metadata.get("original_task"):
        yield "gold_not_in_choices", f"the target {target!r:.60} is none of {choices}"
    shown = template.metadata.get("choices_in_prompt")
    if choices and target in choices and shown and not _holds(asked, target):
        yield "gold_not_in_choices", f"the input is said to show the choices but lacks the right one, {target!r:.60}"
    if choices and not shown and all(_holds(asked, choice) for choice in choices):
        yield "choices_flag", "choices_in_prompt is false, but the input shows every choice"
    if not choices and len(target) > 8 and target in asked and not _quotes_row(row, target):
        yield "target_in_input", f"the target {target!r:.60} stands in the input"


def _quotes_row(row: Mapping[str, Any], target: str) -> bool:
    """Tell whether two fields of the row hold the target: then it is the data that tells, not the template."""
    texts = [value for value in row.values() if isinstance(value, str)]
    return sum(target.strip('"?') in text for text in texts) > 1 or "answers" in row


def _label_said(row: Mapping[str, Any]) -> str:
    return next((f"{c}={row[c]!r}" for c in LABEL_COLUMNS if c in row), "no label")


def _lint_prompt_answers(template: PromptTemplate, rows: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Find labels that cannot be told apart: rows that differ in the label alone and give the same target."""
    if not template.metadata.get("original_task") or template.answer_choices is None:
        return
    for row in rows:
        numbers = [number for number in {r.get("label") for r in rows} if isinstance(number, int) and number >= 0]
        if "label" not in template.fields or len(numbers) < 2:
            return
        targets: dict[str, int] = {}
        for number in sorted(numbers):
            made = template.made({**row, "label": number}, Random(0))
            if isinstance(made, Made) and targets.setdefault(made.target, number) != number:
                said = f"labels {targets[made.target]} and {number} give the same target {made.target!r:.60}"
                yield Finding(template.where, "unrecoverable", said)
                return
