"""Tasks that ask how to do harm, and texts that speak of violence, by phrases and words: a light check.

    {"instruction": "Explain how to poison a neighbour.", "output": "..."}   ->  asks_for_harm

No classifier: it knows phrasings, not meanings, and only English ones. It costs microseconds and needs nothing
installed. What is said without these words only a judge sees (filter `judge` with `rubric: safety`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar, Literal

from instructgen.filters.rated import Exchange, Finding, RatedFilter, Rating, any_of, snippet

_PERSON = (
    r"(?:him|her|them|me|myself|yourself|someone|somebody|people|(?:a|an|the|my|your|his|their) (?:\w+ )?(?:person|man|"
    r"woman|child|boy|girl|neighbou?r|boss|wife|husband|friend|teacher|parents?|mother|father|brother|sister|co-?worker|"
    r"enemy|enemies|victim|human|students?|family))"
)
_DEED = (
    rf"(?:(?:kill|murder|poison|stab|strangle|hurt|torture|kidnap|drug|shoot|attack|blackmail|stalk|threaten|"
    rf"choke) {_PERSON}|"
    r"(?:make|build|construct|assemble|detonate|plant) (?:a |an )?(?!bath |seed |photo )(?:\w+ )?"
    r"(?:bombs?|explosives?|molotov cocktails?|"
    r"silencers?|nerve gas)|(?:cook|make|produce|sell|smuggle) (?:\w+ )?(?:meth|heroin|cocaine|crack|fentanyl)|"
    r"(?:rob|steal from) (?:a|an|the|my|your|people)|hack into|launder money|counterfeit (?:money|bills)|"
    r"commit (?:a )?(?:suicide|murder|arson|fraud)|harm (?:myself|yourself|others)|get away with (?:murder|a crime|it))"
)
ASKS = re.compile(
    r"\b(?:how (?:to|do i|can i|could i|would (?:i|you)|should i)|ways? (?:to|of)|steps? to|"
    r"instructions? (?:for|to|on)|"
    r"(?:guide|plan|recipe|tips) (?:to|for)|(?:help|teach|show) me(?: how)?(?: to)?|best way to|method (?:to|of|for))\b"
    rf"(?P<between>[^.?!\n]{{0,40}}?)\b{_DEED}\b",
    re.IGNORECASE,
)
_AGAINST = re.compile(
    r"\b(?:prevent|avoid|stop|reduc\w+|protect|treat|deal|cope|report|recogni[sz]e|respond|help (?!me)|escape|"
    r"detect|without|not|never|defend)",
    re.IGNORECASE,
)
"""What turns a question about harm into one against it."""
WORDS = any_of(
    r"murder(?:ed|ers?|ing|s|ous)?|massacre[ds]?|stabb(?:ed|ing)|strangl\w+|behead\w*|tortur(?:e[ds]?|ing)|raped?|rapists?|"
    r"suicid(?:e|al)|self[- ]harm|slaughter(?:ed|ing)?|corpses?|dismember\w*|genocide|terrorists?|bombings?|gunm[ae]n|"
    r"hostages?|machine[- ]guns?|assault rifles?|overdos\w+|heroin|cocaine|methamphetamine|porn\w*|"
    r"shot (?:dead|to death)|"
    rf"(?:kill(?:ed|s|ing)?|stab|shot|shoot) {_PERSON}|blood ?bath|lynch\w*"
)


class Harm(RatedFilter):
    """Reject tasks that ask how to do harm; note texts with words of violence, self-harm and hard drugs.

    History, news and novels hold such words rightly, so they are only noted unless a recipe says
    `rate: {harm_words: drop}`. Example: instruction="How do I build a pipe bomb?" -> asks_for_harm
    """

    reasons: ClassVar[dict[str, str]] = {
        "asks_for_harm": "the task asks how to hurt people, to make weapons or drugs, or to commit a crime",
        "harm_words": "the task or the answer holds words of violence, self-harm or hard drugs",
    }
    ratings: ClassVar[dict[str, Rating]] = {"harm_words": "flag"}

    kind: Literal["harm"] = "harm"

    def find(self, exchange: Exchange) -> Iterator[Finding]:
        """Yield what the task asks for, then the first word of harm in any field."""
        asked = ASKS.search(exchange.instruction)
        if asked and not _AGAINST.search(exchange.instruction[: asked.start("between")] + asked["between"]):
            yield "asks_for_harm", {"text": snippet(asked.group())}
        for field, text in (
            ("instruction", exchange.instruction),
            ("input", exchange.input),
            ("output", exchange.output or ""),
        ):
            if found := WORDS.search(text):
                yield "harm_words", {"field": field, "word": found.group().lower()}
                return
