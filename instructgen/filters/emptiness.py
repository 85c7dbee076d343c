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

from instructgen.filters.rated import Exchange, Finding, RatedFilter, Rating, folded, snippet

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
_LONGEST = 60
"""Characters beyond which no text is a way of saying nothing; longer ones are not looked at."""


class Emptiness(RatedFilter):
    """Reject outputs that are empty or only say so, and inputs that put "no input" into words.

    Example: output="<nooutput>" -> no_output_text
    """

    reasons: ClassVar[dict[str, str]] = {
        "empty_output": "the answer is empty or white space",
        "no_output_text": 'the answer only says that there is none: "N/A", "<nooutput>"',
        "no_input_text": 'the input only says that there is none: "<noinput>", "No input required."',
        "na_input": 'the input is "None", "N/A" or the like',
    }
    ratings: ClassVar[dict[str, Rating]] = {}

    kind: Literal["emptiness"] = "emptiness"

    def find(self, exchange: Exchange) -> Iterator[Finding]:
        """Yield empty and as-good-as-empty fields."""
        output = exchange.output
        if output is not None:
            if not output.strip():
                yield "empty_output", {}
            elif len(output) <= _LONGEST and NO_OUTPUT.fullmatch(folded(output)):
                yield "no_output_text", {"output": snippet(output)}
        if exchange.input and len(exchange.input) <= _LONGEST:
            words = folded(exchange.input)
            if NO_INPUT.fullmatch(words):
                yield "no_input_text", {"input": snippet(exchange.input)}
            elif NOT_APPLICABLE.fullmatch(words):
                yield "na_input", {"input": snippet(exchange.input)}
