"""Answers that are not answers: refusals, talk of being an AI, excuses about dates.

{"instruction": "Write a haiku.", "output": "I'm sorry, but as an AI language model I cannot ..."}   ->  refusal
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar, Literal

from instructgen.filters.rated import Exchange, Finding, RatedFilter, Rating, snippet

_CANNOT = (
    r"(?:can ?not|can't|can’t|couldn't|am unable to|am not able to|'m unable to|’m unable to|'m not able to|"
    r"’m not able to|won't|will not|must decline to|have to decline|don't feel comfortable)"
)
_DO = (
    r"(?:fulfil?l?|comply|assist|help|provide|complete|answer|create|generate|write|perform|process|do that|do this|"
    r"give|offer|access|see|view|open|"
    r"engage|support|respond|continue|discuss|produce|display|play|send|draw|show|browse|determine|translate|edit|"
    r"summari[sz]e)"
)
_JOB = r"task|instruction|request|question|prompt|assignment"
REFUSAL = re.compile(
    rf"^\W*(?:(?:unfortunately|sorry|apologies|my apologies|i(?:'m| am|’m) (?:very |so |really )?sorry|"
    rf"i apologi[sz]e|as an? (?>[\w ]*?\b(?:ai|model|"
    rf"assistant)\b)[\w ]*)[,.:;!]?\s*(?:but\s*)?(?:unfortunately,?\s*)?){{0,3}}"
    rf"\bi {_CANNOT} (?:\w+ )?{_DO}\b|"
    r"^\W*(?:this (?:request|task|instruction|question|prompt) (?:cannot|can't|can not) be (?:completed|fulfilled|"
    r"done|answered|performed)|"
    r"(?:sorry|i(?:'m| am|’m) (?:very )?sorry|i apologi[sz]e|unfortunately)[,.]? (?:but )?(?:this|that|the|"
    r"your) [\w ]{0,40}(?:cannot|can't|can not|not possible|is not able|against))|"
    r"^\W*(?:i(?:'m| am|’m) )?(?:sorry|i apologi[sz]e|apologies) for (?:any|the) "
    r"(?:misunderstanding|confusion),? but\b|"
    r"^\W*i(?:'m| am|’m) not sure (?:what|where|how) (?:to (?:say|begin|start|answer)|you mean)\b|"
    rf"^\W*(?:sorry|unfortunately|apologies)[,.:!]? (?:but )?(?:the|this|that|your) (?:{_JOB})\b|"
    rf"^\W*(?:this|the) (?:type of |kind of |given )?(?:{_JOB})\b[^.]{{0,80}}?\b(?:can(?:not|'t| not) be|is (?:beyond|"
    r"not (?:possible|suitable|feasible))|not suitable for|impossible for)\b|"
    r"^\W*unable to (?:perform|complete|fulfil|do|generate|provide|process|answer|assist|comply)\b|"
    r"^\W*no ?output\W+(?:\w+\W+){0,2}?(?:because|since|possible|as|for this|gpt|model|the model|this)\b|"
    r"^\W*it is (?:not possible|impossible) (?:for me )?to (?:\w+ ){0,3}(?:this|the given|the following|without)",
    re.IGNORECASE,
)
_AI = (
    r"(?:\w+ ){0,2}?(?:(?:ai|artificial intelligence)(?: language)? (?:model|assistant|system|program|bot)|"
    r"language model|ai|chat ?bot|virtual assistant)"
)
AS_AN_AI = re.compile(
    rf"\b(?:as|being) (?:just |only |merely |simply )?an? {_AI}(?:,? [\w-]+){{0,16}}?[,]? (?:i|my|me)\b|\bi(?: am|'m|"
    rf"’m) (?:just |only |merely |simply )?an? {_AI}\b|"
    r"\bi (?:do not|don't|don’t) have (?:personal (?:opinions|feelings|experiences|preferences|beliefs)|"
    r"feelings or emotions|a physical (?:body|form))",
    re.IGNORECASE,
)
MODEL_CANNOT = re.compile(
    r"\b(?:gpt|language|ai)(?:[- ]\d)?(?: language)? models?\b[^.\n]{0,20}?"
    r"\b(?:can ?not|can't|(?:is|are) (?:not able|unable))\b|"
    r"\bthe model can ?not (?:currently |yet )?(?:generate|perform|complete|create|produce|access|do|be)\b|"
    r"\b(?:can ?not|can't|not) be (?:\w+ ){1,3}by (?:a |an |the )?(?:gpt|language model|ai model)|"
    r"\blimitations? of (?:the |a )?(?:gpt|language) models?\b|\bunreliab\w+ (?:generation )?of the model\b|"
    r"\bnot suitable for a (?:gpt|language) |\bnot possible for (?:a )?gpt",
    re.IGNORECASE,
)
"""An answer that says what models cannot do, in place of doing it."""
_ABOUT_IT = re.compile(
    r"\b(?:ai|chat ?bots?|assistants?|robots?|language models?|gpt|artificial intelligence|personal opinions?|"
    r"inappropriate|unsuitable|refus\w+|declin\w+|apolog\w+|sorry|can't|cannot|impossible|unable)\b",
    re.IGNORECASE,
)
"""Tasks that themselves speak of assistants or of declining."""
DATED = re.compile(
    r"\bmy (?:knowledge|training)(?: data)?(?: cut-?\s?off| only (?:goes|extends)| (?:ends|is limited|"
    r"was last updated))|\bas of my (?:last|latest|most recent) (?:update|training|knowledge)|"
    r"\b(?:knowledge|training) cut-?\s?off(?: date)?\b(?! frequency)|\b(?:i|we) (?:do not|don't|don’t|cannot|"
    r"can't) (?:currently )?have access to (?:real[- ]time|current|up[- ]to[- ]date|live|the latest|the internet)|"
    r"\bi (?:cannot|can't|am unable to) (?:access|browse|provide) (?:real[- ]time|current|the internet|"
    r"up[- ]to[- ]date)|\bi was (?:last )?trained on data (?:up to|until)",
    re.IGNORECASE,
)
_CUES_REFUSAL = (
    "i c",
    "i'm",
    "i’m",
    "i am",
    "i w",
    "i m",
    "i d",
    "i h",
    "cannot",
    "can't",
    "not possible",
    "impossible",
    "sorry",
    "unfortunately",
    "task",
    "instruction",
    "request",
    "unable",
    "output",
)
_CUES_AI = ("ai ", "ai,", "model", "assistant", "chatbot", "chat bot", "artificial", "i don", "i do not")
_CUES_DATE = (
    "cut",
    "my last",
    "my latest",
    "my most",
    "access to",
    "my knowledge",
    "my training",
    "trained on",
    "i can",
)


_BEGINNING = 300
"""Characters of an answer that are its beginning."""


def declines(answer: str) -> re.Match[str] | None:
    """Return the words by which the beginning of an answer declines the task.

    Example: declines("Sorry, I cannot help with that.") -> a match; declines("Dear Ann, I cannot come.") -> None
    """
    return REFUSAL.match(answer[:_BEGINNING])


class Refusal(RatedFilter):
    """Reject refusals, "as an AI" talk and knowledge-date excuses.

    Only the beginning of an answer counts for a refusal: a letter may well say "I cannot attend".
    Example: "As an AI language model, I don't have personal opinions." -> ai_boilerplate
    """

    reasons: ClassVar[dict[str, str]] = {
        "refusal": "the answer begins by declining the task",
        "ai_boilerplate": "the answer talks of being an AI or a language model",
        "knowledge_date": "the answer excuses itself with a knowledge cut-off or missing live access",
    }
    ratings: ClassVar[dict[str, Rating]] = {}

    kind: Literal["refusal"] = "refusal"

    def find(self, exchange: Exchange) -> Iterator[Finding]:
        """Yield what the answer hides behind; tasks about assistants or about declining are passed over."""
        output = exchange.output or ""
        text = output.casefold()
        start = text[:_BEGINNING]
        about_it = _ABOUT_IT.search(exchange.instruction) or _ABOUT_IT.search(exchange.input)
        if not about_it:
            found = declines(output) if any(cue in start for cue in _CUES_REFUSAL) else None
            if found is None and "model" in start:
                found = MODEL_CANNOT.search(output[:_BEGINNING])
            if found:
                yield "refusal", {"text": snippet(output, found.start())}
            if any(cue in text for cue in _CUES_AI) and (found := AS_AN_AI.search(output)):
                yield "ai_boilerplate", {"text": snippet(output, found.start())}
        if any(cue in text for cue in _CUES_DATE) and (found := DATED.search(output)):
            yield "knowledge_date", {"text": snippet(output, found.start())}
