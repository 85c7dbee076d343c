"""Fields that say nothing, in words: `<nooutput>`, "No input required.", "N/A".

    {"instruction": "Name a prime.", "input": "<noinput>.", "output": "7"}   ->  no_input_text

Prompts that ask for "<noinput>" where a task needs no input get it back in some fifty spellings. Kept as text, the
trained model reads them as material. Defects known from published sets (recipes of AlpacaDataCleaned; counted in
`benchmarks/defects.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar, Literal

from instructgen.filters.rated import Exchange, Finding, RatedFilter, Rating, any_of, folded, snippet

_WORDS = (
    r"(?:necessary|needed|required|provided|given|available|applicable|specified|requested|received|supplied|found|"
    r"yet|here|for|this|task|question|instruction|from|user|additional|further|other|specific|data|text|information|"
    r"is|was|are|to|be|the|any|a|at|all|type|field|value|example|values|context|as|it|of|general|need|necessarily)"
)
NO_INPUT = re.compile(
    rf"(?:the |this |input )?(?:no ?inputs?|no (?:{_WORDS} )+inputs?|(?:there is |does )?not? (?:need |"
    rf"require )?(?:an? |any )?inputs?|"
    rf"inputs? (?:is |are )?(?:not|none|n a)|(?:without|empty|blank) inputs?)(?: {_WORDS})*"
)
"""A folded text that as a whole says there is no input."""
NOT_APPLICABLE = re.compile(
    r"n a|na|none|nil|null|not applicable|not available|no data|empty|blank|nan|undefined|(?:none|n a|"
    r"not)(?: \w+)? (?:needed|required|necessary|provided)"
)
NO_OUTPUT = re.compile(
    r"n a|not applicable|null|nil|nan|undefined|no ?outputs?(?: (?:is |was )?(?:needed|required|necessary|provided|"
    r"available|expected|given|produced))?|"
    r"no (?:answer|response|results?)(?: (?:needed|required|available|provided|given|found))?|(?:empty|"
    r"blank) (?:output|response|answer)|tbd|to be determined|"
    r"(?:insert|your) (?:answer|output|response) here"
)
_VALUE = re.compile(r"null|nil|nan|undefined|none|n a|na|empty|blank|no data|not applicable|not available")
"""Of these, the ones that are also values and short answers: JSON's null, Python's None, "N/A" in a form."""
_MAKES = re.compile(
    r"^\W*(?:please )?(?:write|create|design|generate|compose|make|build|develop|draw|train|record|draft|invent)\b",
    re.IGNORECASE,
)
"""Tasks whose answer is something made: nothing is no answer to them."""
_MAY_BE_NOTHING = any_of(
    r"what|which|who|whom|when|where|how (?:many|much)|is|are|does|do|did|has|evaluate[sd]?|returns?|returned|outputs?|"
    r"prints?|printed|extract\w*|find|identify|look up|values?|fields?|cells?|keys?|missing|json|compute|calculate|"
    r"classify|answer|labels?|select|choose|parse|types?|simplify|run|execute|result"
)
_ABOUT_THE_WORD = any_of(
    r"(?:this|the (?:following|given)) (?:\w+ ){0,2}?(?:value|expression|constant|literal|keyword|word|abbreviation|"
    r"acronym|token|term|string|input)",
    r"^(?:translate|spell|define|capitali[sz]e|evaluate|parse)(?: the (?:word|term)| this)?(?: (?:in)?to \w+)?(?=\W*$)",
)
"""Tasks for which "None" or "N/A" is the material itself."""
_MARK = re.compile(r"([-–—_.…?]|--|__|\.{3})|(?:output|answer|response)\s?:", re.IGNORECASE)
"""A mark that stands for nothing (or is the sign that was asked for), or a label with nothing behind it."""
_MARK_LENGTH = 14
_LONGEST = 60
"""Characters beyond which no text is a way of saying nothing; longer ones are not looked at."""


class Emptiness(RatedFilter):
    """Reject outputs that are empty or only say so, and inputs that put "no input" into words.

    Where the task may honestly have such an answer (code, data, a short question, or the task names the word), it is
    only noted. Example: output="<nooutput>" -> no_output_text
    """

    reasons: ClassVar[dict[str, str]] = {
        "empty_output": "the answer is empty or white space",
        "no_output_text": 'the answer only says that there is none: "N/A", "<nooutput>"',
        "nothing_as_answer": 'the answer is "null", "N/A", "No output", "-" or the like, and may be the right one',
        "no_input_text": 'the input only says that there is none: "<noinput>", "No input required."',
        "na_input": 'the input is "None", "N/A" or the like',
        "nothing_as_input": 'the input is "None", "N/A" or the like, and may be what the task is about',
    }
    ratings: ClassVar[dict[str, Rating]] = {"nothing_as_answer": "flag", "nothing_as_input": "flag"}

    kind: Literal["emptiness"] = "emptiness"

    def find(self, exchange: Exchange) -> Iterator[Finding]:
        """Yield empty and as-good-as-empty fields."""
        output = exchange.output
        if output is not None:
            if not output.strip():
                yield "empty_output", {}
            elif len(output) < _MARK_LENGTH and (mark := _MARK.fullmatch(output.strip())):
                yield "nothing_as_answer" if mark[1] else "no_output_text", {"output": snippet(output)}
            elif len(output) <= _LONGEST and NO_OUTPUT.fullmatch(words := folded(output)):
                reason = "nothing_as_answer" if _may_be_right(output, words, exchange) else "no_output_text"
                yield reason, {"output": snippet(output)}
        if exchange.input and len(exchange.input) <= _LONGEST:
            words = folded(exchange.input)
            if NO_INPUT.fullmatch(words):
                yield "no_input_text", {"input": snippet(exchange.input)}
            elif NOT_APPLICABLE.fullmatch(words):
                about = _VALUE.fullmatch(words) and _ABOUT_THE_WORD.search(exchange.instruction)
                yield "nothing_as_input" if about else "na_input", {"input": snippet(exchange.input)}


def _may_be_right(output: str, words: str, exchange: Exchange) -> bool:
    """Tell whether an answer that says nothing may be the right one."""
    if output.strip()[0] in "<[{" or _MAKES.search(exchange.instruction):
        return False
    material = "" if NOT_APPLICABLE.fullmatch(folded(exchange.input)) else exchange.input
    asked = f"{exchange.instruction} {material}"
    return f" {words} " in f" {folded(asked)} " or bool(_MAY_BE_NOTHING.search(exchange.instruction))
