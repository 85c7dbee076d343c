"""Tasks that can be read in several ways: several tasks in one, words that point at nothing, vague size or form.

    {"instruction": "Explain it and then write something short."}   ->  dangling_reference, several_tasks, ...

All of these only leave a note unless they are rated `drop`: short tasks are often vague, and vague is not wrong.
The generator `clarify` rewrites flagged tasks through a teacher.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar, Literal

from instructgen.filters.rated import Exchange, Finding, RatedFilter, Rating, any_of, snippet
from instructgen.filters.references import missing_material

_VERB = (
    r"(?:write|list|explain|describe|summari[sz]e|translate|create|generate|compare|classify|identify|calculate|find|"
    r"give|suggest|provide|"
    r"rewrite|edit|compose|design|name|analy[sz]e|evaluate|convert|make|draw up|compute|sort|count|discuss|develop|"
    r"propose)"
)
_SENTENCE = re.compile(r"[^.?!\n]+")
_FIRST = re.compile(rf"\b{_VERB}\b", re.IGNORECASE)
_SECOND = re.compile(
    rf"(?:,? and then |, then |; |,? and also |,? as well as )(?:also )?{_VERB}\b",
    re.IGNORECASE,
)
_NEXT = re.compile(
    rf"(?:^|[.?!]\s++)(?:then|next|after that|afterwards|also|additionally|finally),? (?:please )?{_VERB}\b",
    re.IGNORECASE,
)
_POINTS = any_of(
    r"its?|they|them|their|he|she|him|(?:these|those)(?! \w)|this one|that one|the former|the latter",
)
_NOUN_LIKE = re.compile(
    r"\b(?:the|a|an|my|your|our|each|every|some|any|two|three|\d+)\s+\w+|\b[A-Z]\w+|\b\w+(?:s|ion|ment|ness|ity|er|ing)\b",
    re.ASCII,
)
_EXPLETIVE = re.compile(
    r"\bit(?:'s|’s)|\bit (?:is|was|would|will|can|could|should|may|might|seems|takes|means|feels|looks|rains|be|to)\b|"
    r"\bmake it (?:clear|more|less|sound|shorter|longer|easy)|\b(?:if it|that it|so it|is it|does it take)\b",
    re.IGNORECASE,
)
_THING = (
    r"(?:text|something|paragraphs?|piece|answer|response|essay|article|story|description|list|report|summary|speech)"
)
VAGUE_LENGTH = any_of(
    r"(?<!this )(?<!the )(?<!following )(?<!given )(?:a )?(?:short|long|brief|lengthy|quick|longer|shorter) "
    rf"(?:\w+ )?{_THING}",
    r"a few (?:words|lines|sentences|paragraphs|points)",
    r"some (?:words|lines|sentences|points|text)",
    r"not too (?:long|short)",
    r"something (?:short|long|brief)",
)
VAGUE_FORM = any_of(
    r"in(?:to)? (?:a|an) (?:good|nice|proper|suitable|appropriate|certain|special|correct|better|usual) "
    r"(?:way|format|form|style|manner|order)",
    r"(?:properly|appropriately|suitably) format(?:ted)?",
    r"and so on|etc|or something(?: like that| similar)?|some kind of|stuff|or whatever",
)
VAGUE_TASK = re.compile(
    r"^\W*(?:(?:please )?(?:do|fix|improve|change|continue|explain|help|answer|complete|process|handle|summari[sz]e|"
    r"rewrite|edit|translate|correct|sort)(?: (?:it|this|that|me|the task|the following|the input|the text))?)\W*$",
    re.IGNORECASE,
)
_SIZED = re.compile(
    r"\b(?:\d+|one|two|three|four|five|six|seven|eight|nine|ten|single)[ -](?:\w+ )?(?:words?|sentences?|lines?|"
    r"paragraphs?|points?|pages?|minutes?)\b",
    re.IGNORECASE,
)


class Ambiguity(RatedFilter):
    """Find tasks that leave open what is asked.

    Example: instruction="Summarise it." input="" -> dangling_reference
    """

    reasons: ClassVar[dict[str, str]] = {
        "missing_material": "the task points at material that is not there",
        "dangling_reference": "a pronoun of the instruction refers to nothing in the task",
        "vague_task": "the instruction does not say what is to be done, and there is no input",
        "several_tasks": "the instruction asks for several things at once",
        "vague_length": "a length is asked for in words that measure nothing",
        "vague_form": "a form is asked for in words that describe none",
    }
    ratings: ClassVar[dict[str, Rating]] = dict.fromkeys(reasons, "flag")
    reads: ClassVar[frozenset[str]] = frozenset({"instruction", "input"})

    kind: Literal["ambiguity"] = "ambiguity"

    def find(self, exchange: Exchange) -> Iterator[Finding]:
        """Yield what is open; later turns of a conversation may refer to earlier ones and are not looked at."""
        if exchange.number:
            return
        text, material = exchange.instruction.strip(), exchange.input.strip()
        if not material and (pointer := missing_material(text)):
            yield "missing_material", {"words": pointer}
        if not material and (pronoun := dangling(text)):
            yield "dangling_reference", {"words": pronoun}
        if not material and VAGUE_TASK.fullmatch(text):
            yield "vague_task", {"words": snippet(text)}
        if words := several(text):
            yield "several_tasks", {"words": snippet(words)}
        if not _SIZED.search(text) and (found := VAGUE_LENGTH.search(text)):
            yield "vague_length", {"words": found.group(0)}
        if found := VAGUE_FORM.search(text):
            yield "vague_form", {"words": found.group(0)}


def several(instruction: str) -> str:
    """Return the words by which an instruction asks for a second thing, or "".

    Example: several("Sort the list and then sum it. Then name it.") -> "Sort the list and then sum"
    """
    following = _NEXT.search(instruction)
    for sentence in _SENTENCE.finditer(instruction):
        # A phrase behind a later verb of the sentence is behind its first one too: one look at each is enough.
        first = _FIRST.search(instruction, *sentence.span())
        second = _SECOND.search(instruction, first.end(), sentence.end()) if first else None
        if first and second:
            return (
                following[0]
                if following and following.start() < first.start()
                else instruction[first.start() : second.end()]
            )
    return following[0] if following else ""


def dangling(instruction: str) -> str:
    """Return a pronoun before which the instruction has named nothing that it could stand for, or "".

    Example: dangling("Summarise it in one line.") -> "it"
    """
    found = _POINTS.search(instruction)
    if found is None:
        return ""
    if any(each.start() <= found.start() < each.end() for each in _EXPLETIVE.finditer(instruction)):
        return ""
    before = instruction[: found.start()]
    first = re.match(r"\W*\w+", before)  # the verb at the beginning names nothing
    named = _NOUN_LIKE.search(before, first.end() if first else 0)
    return "" if named or len(before.split()) > 4 else found.group(0)
