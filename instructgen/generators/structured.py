r"""Answers in a shape: a flow asks for a value of a Pydantic model, and gets one or a rejection.

    class Pair(BaseModel): question: str; answer: str

    pair = yield from ask_for(Pair, Request.from_prompt("qa.pair", text=text))
    if isinstance(pair, Rejection): return [pair]

The endpoint is told the model's JSON schema, by its own means or in the prompt. Near-JSON (fences, trailing commas,
single quotes, a sentence around it) is repaired; what still does not fit is shown to the teacher once, with what is
wrong with it. A flow that uses this declares `structured_bound` of its request.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator as PythonGenerator
from typing import Any, TypeVar

from pydantic import BaseModel, JsonValue, ValidationError

from instructgen.records import Completion, Rejection, Request, SlotBound, Turn, scrub

M = TypeVar("M", bound=BaseModel)

MOST_QUOTED = 4000
"""Characters of a wrong answer that the second question quotes; a longer one is cut in its middle."""
MOST_PROBLEMS = 5
"""Validation errors named in the second question."""
_CORRECTION_BYTES = 2000
"""Upper bound of the second question's own words: five problems of at most 300 bytes, and the sentences around them."""
_FENCE_HEAD = re.compile(r"```[a-zA-Z]*\s*")
_BRACKET = re.compile(r"[{\[]")


class Misfit(ValueError):  # noqa: N818 - says what the answer is
    """An answer that is no value of the model."""

    def __init__(self, reason: str, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.reason, self.problems = reason, problems


def ask_for(model: type[M], request: Request) -> PythonGenerator[Request, Completion, M | Rejection]:
    """Ask for a value of `model`; ask a second time with the validation error; else return a rejection.

    The rejection has the reason `not_json`, `wrong_shape` or `truncated`, the problems, and both raw texts. A refused
    request is a rejection at once.
    """
    asked = request.model_copy(update={"answer_schema": schema_of(model)})
    first = yield asked
    if first.refusal:
        return first.rejected()
    try:
        return read_value(model, first)
    except Misfit as misfit:
        problem = misfit
    second = yield asked.model_copy(update=_again(asked, first, problem))
    if second.refusal:
        return second.rejected(first=first.content)
    try:
        return read_value(model, second)
    except Misfit as misfit:
        problems: list[JsonValue] = [*misfit.problems]
        rejection = second.rejected(misfit.reason, second.content, problems=problems, first=first.content)
        return rejection.model_copy(update={"requests": (first.request, second.request)})


def structured_bound(single: SlotBound) -> SlotBound:
    """Return the most that `ask_for` takes, from the bound of its request alone."""
    quoted = 4 * MOST_QUOTED + _CORRECTION_BYTES
    again = SlotBound(prompt_tokens=quoted)
    return single.times(2) + again


def read_value(model: type[M], reply: Completion) -> M:
    r"""Return the value that a reply holds.

    Example: read_value(Pair, reply("```json\n{'question': 'Who?', 'answer': 'Me',}\n```"))
    Raises: Misfit. A truncated reply is read as it stands and never repaired: what is missing cannot be known.
    """
    text = reply.content
    try:
        data = json.loads(unfenced(text))
    except (ValueError, RecursionError) as error:
        if reply.truncated:
            raise Misfit("truncated", ["the answer was cut off; make it shorter"]) from error
        data = _repaired(text)
    try:
        return model.model_validate(_scrubbed(data))
    except ValidationError as error:
        raise Misfit("wrong_shape", [_problem(found) for found in error.errors()[:MOST_PROBLEMS]]) from error


def unfenced(text: str) -> str:
    r"""Return the content of a reply that is one code fence, without the fence; any other reply as it is, stripped.

    Example: unfenced("```json\n[1]\n```\n") -> "[1]"
    """
    plain = text.strip()
    head, line_break, rest = plain.partition("\n")
    if not line_break or not rest.endswith("```") or not _FENCE_HEAD.fullmatch(head):
        return plain
    return rest[:-3].strip()


def _repaired(text: str) -> Any:
    """Read near-JSON: a value with talk around it, else what a repair makes of the text.

    Raises: Misfit for text in which no object or list can be found.
    """
    from json_repair import repair_json

    if begin := _BRACKET.search(text):
        try:
            return json.JSONDecoder().raw_decode(text, begin.start())[0]
        except (ValueError, RecursionError):
            pass
    try:
        data = repair_json(text, return_objects=True, skip_json_loads=True)
    except (ValueError, RecursionError, IndexError, TypeError):
        data = ""
    if not isinstance(data, dict | list) or not data:
        raise Misfit("not_json", ["the answer is not JSON"])
    return data


def _scrubbed(data: Any) -> Any:
    """Return parsed JSON with the halves of surrogate pairs joined, and lone ones replaced."""
    if isinstance(data, str):
        return scrub(data)
    if isinstance(data, list):
        return [_scrubbed(part) for part in data]
    if isinstance(data, dict):
        return {scrub(str(key)): _scrubbed(part) for key, part in data.items()}
    return data


def _problem(found: Any) -> str:
    place = ".".join(str(part) for part in found["loc"])
    return f"{place}: {found['msg']}"[:300] if place else str(found["msg"])[:300]


def _again(asked: Request, first: Completion, problem: Misfit) -> dict[str, Any]:
    """Return what the second question changes: it shows the answer and says what is wrong with it."""
    listed = "\n".join(f"- {line}" for line in problem.problems)
    words = (
        f"That answer does not fit the JSON schema:\n{listed}\nAnswer again with one JSON value that fits the schema, "
        "and with nothing else."
    )
    if asked.mode == "text":
        raise TypeError("ask_for asks by chat; a text completion has no second turn")
    turns = (Turn(role="assistant", content=_quoted(first.content)), Turn(role="user", content=words))
    if asked.messages:
        return {"messages": (*asked.messages, *turns)}
    return {"following": (*asked.following, *turns)}


def _quoted(text: str) -> str:
    if len(text) <= MOST_QUOTED:
        return text
    half = MOST_QUOTED // 2 - 3
    return f"{text[:half]}[...]{text[-half:]}"


def schema_of(model: type[BaseModel]) -> dict[str, JsonValue]:
    """Return the model's JSON schema in the form that strict endpoints take.

    Every object says all its properties as required and no others allowed, and defaults and titles are left out, as
    OpenAI's structured outputs demand; a field with a default is then asked for as well. Free-form objects
    (`dict[str, int]`) keep their own rule, which strict endpoints may refuse.
    """
    found: dict[str, JsonValue] = _strict(model.model_json_schema())
    return found


def _strict(part: Any) -> Any:
    if isinstance(part, list):
        return [_strict(piece) for piece in part]
    if not isinstance(part, dict):
        return part
    strict = {key: _strict(value) for key, value in part.items() if key not in ("title", "default") or _is_name(value)}
    if isinstance(part.get("properties"), dict):
        strict["properties"] = {name: _strict(value) for name, value in part["properties"].items()}
        strict["required"] = list(part["properties"])
        strict["additionalProperties"] = False
    return strict


def _is_name(value: object) -> bool:
    """True for a property that is itself called `title` or `default`: its value is a schema."""
    return isinstance(value, dict)
