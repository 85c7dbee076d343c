"""Name -> class, per kind of thing: built-in dicts, then entry points of installed packages.

To add a built-in, write its file and one line here. A third party declares an entry point in the group
`instructgen.filters` (or generators, teachers, formats, exporters) with the same name; a built-in name wins.
"""

from __future__ import annotations

import logging
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

from instructgen.defects import own_line
from instructgen.errors import RecipeError, suggestion

log = logging.getLogger(__name__)

Kind = Literal["generators", "filters", "teachers", "formats"]

BUILT_IN: dict[Kind, dict[str, str]] = {
    "generators": {
        "alpaca": "instructgen.generators.alpaca:Alpaca",
        "clarify": "instructgen.filters.clarify:Clarify",
        "self_instruct": "instructgen.generators.self_instruct:SelfInstruct",
    },
    "filters": {
        "ambiguity": "instructgen.filters.ambiguity:Ambiguity",
        "answers": "instructgen.filters.answers:Answers",
        "capability": "instructgen.filters.capability:Capability",
        "characters": "instructgen.filters.characters:Characters",
        "code_tests": "instructgen.filters.code_tests:CodeTests",
        "conflict": "instructgen.filters.conflict:Conflict",
        "constraints": "instructgen.filters.constraints:Constraints",
        "copying": "instructgen.filters.copying:Copying",
        "decontaminate": "instructgen.filters.decontaminate:Decontaminate",
        "emptiness": "instructgen.filters.emptiness:Emptiness",
        "ending": "instructgen.filters.ending:Ending",
        "exact": "instructgen.filters.exact:Exact",
        "fuzzy": "instructgen.filters.fuzzy:Fuzzy",
        "harm": "instructgen.filters.harm:Harm",
        "ifd": "instructgen.filters.ifd:Ifd",
        "instance_rules": "instructgen.filters.instance_rules:InstanceRules",
        "instruction_rules": "instructgen.filters.instruction_rules:InstructionRules",
        "judge": "instructgen.filters.judge:Judge",
        "language": "instructgen.filters.language:Language",
        "leakage": "instructgen.filters.leakage:Leakage",
        "licence": "instructgen.filters.licence:Licence",
        "markup": "instructgen.filters.markup:Markup",
        "minhash": "instructgen.filters.minhash:MinHash",
        "pii": "instructgen.filters.pii:Pii",
        "profanity": "instructgen.filters.profanity:Profanity",
        "references": "instructgen.filters.references:References",
        "refusal": "instructgen.filters.refusal:Refusal",
        "repetition": "instructgen.filters.repetition:Repetition",
        "rouge": "instructgen.filters.rouge:Rouge",
        "secrets": "instructgen.filters.secrets:Secrets",
        "select": "instructgen.filters.select:Select",
        "semantic": "instructgen.filters.semantic:Semantic",
        "shape": "instructgen.filters.shape:Shape",
        "tags": "instructgen.filters.tags:Tags",
    },
    "teachers": {
        "local": "instructgen.teachers.local:LocalTeacher",
        "openai": "instructgen.teachers.openai:OpenAITeacher",
        "recorded": "instructgen.teachers.recorded:RecordedTeacher",
        "scripted": "instructgen.teachers.scripted:ScriptedTeacher",
    },
    "formats": {
        "alpaca": "instructgen.formats.alpaca:Alpaca",
        "dolly": "instructgen.formats.dolly:Dolly",
        "flan": "instructgen.formats.prompt_completion:Flan",
        "llava": "instructgen.formats.llava:Llava",
        "messages": "instructgen.formats.messages:Messages",
        "oasst": "instructgen.formats.oasst:Oasst",
        "oasst_tree": "instructgen.formats.oasst:OasstTree",
        "openai": "instructgen.formats.openai:OpenAI",
        "openai_preference": "instructgen.formats.preference:OpenAIPreference",
        "preference": "instructgen.formats.preference:Preference",
        "preference_implicit": "instructgen.formats.preference:ImplicitPreference",
        "preference_text": "instructgen.formats.preference:TextPreference",
        "process": "instructgen.formats.process:Process",
        "prompt_completion": "instructgen.formats.prompt_completion:PromptCompletion",
        "prompt_completion_chat": "instructgen.formats.prompt_completion:ChatPromptCompletion",
        "ranked": "instructgen.formats.ranked:Ranked",
        "sample": "instructgen.formats.sample:SampleRows",
        "self_instruct": "instructgen.formats.self_instruct:SelfInstruct",
        "sharegpt": "instructgen.formats.sharegpt:ShareGPT",
        "sharegpt_tools": "instructgen.formats.sharegpt_tools:ShareGPTTools",
        "stepwise": "instructgen.formats.process:Stepwise",
        "super_ni": "instructgen.formats.super_ni:SuperNI",
        "text": "instructgen.formats.text:Text",
        "unpaired": "instructgen.formats.prompt_completion:Unpaired",
        "ultrachat": "instructgen.formats.ultrachat:UltraChat",
        "unnatural": "instructgen.formats.unnatural:Unnatural",
    },
}


@cache
def _plugins(kind: Kind) -> dict[str, Any]:
    return {point.name: point for point in entry_points(group=f"instructgen.{kind}")}


def names(kind: Kind) -> list[str]:
    """Return every known name of a kind, sorted."""
    return sorted({*BUILT_IN[kind], *_plugins(kind)})


def lookup(kind: Kind, name: str) -> Any:
    """Return the class behind a name. Raises: RecipeError that suggests the nearest known name."""
    if name in BUILT_IN[kind]:
        module, _, attribute = BUILT_IN[kind][name].partition(":")
        return getattr(import_module(module), attribute)
    if name in _plugins(kind):
        return _loaded(kind, _plugins(kind)[name])
    raise RecipeError(f"{kind.removesuffix('s')} {name!r} is not known{suggestion(name, names(kind))}")


def _loaded(kind: Kind, point: EntryPoint) -> Any:
    """Import what an entry point names. Raises: RecipeError that says which package is broken, and where."""
    try:
        return point.load()
    except Exception as error:
        log.debug("%s cannot be imported", point, exc_info=error)
        package = f"package {point.dist.name} {point.dist.version}" if point.dist else "an unknown package"
        raise RecipeError(
            f"{kind.removesuffix('s')} {point.name!r} of {package} ({point.value}) cannot be imported: "
            f"{type(error).__name__}: {error}, at {own_line(error)}. Mend, update or uninstall the package"
        ) from error
