"""The OpenAI protocol as most endpoints speak it: requests to JSON, JSON to completions and refusals. Pure.

    {"choices": [{"message": {"content": "4"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 9, ...}}
    {"error": {"message": "...", "type": "invalid_request_error", "param": "max_tokens", "code": "..."}}

Read tolerantly: providers leave fields out, add their own and count differently. Field names of other servers are
noted where they are read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import orjson

from instructgen.records import Completion, Finish, Request, Turn, Usage, scrub
from instructgen.teachers.tokens import most_usage, plausible

CHAT_PATH = "/chat/completions"
TEXT_PATH = "/completions"

_CUT = frozenset({"length", "max_tokens", "max_output_tokens", "model_length"})
"""finish_reason of a cut answer; the last three are written by gateways to Anthropic, Gemini and Mistral."""
_FILTERED = frozenset({
    "content_filter", "safety", "image_safety", "prohibited_content", "blocklist", "recitation", "spii", "sensitive",
    "guardrail_intervened",
})  # fmt: skip
"""finish_reason of a filtered answer: OpenAI's, Gemini's, Zhipu's and Bedrock's; gateways append a detail
("content_filter: SAFETY")."""
_BROKEN_OFF = frozenset({
    "error", "abort", "aborted", "cancelled", "timeout", "network_error", "insufficient_system_resource", "failed",
})  # fmt: skip
"""finish_reason of an answer that the server broke off: OpenRouter's and Mistral's, vLLM's and SGLang's, DeepSeek's."""
_FIRST_WORD = re.compile(r"[a-z_]*")
_THOUGHT = re.compile(r"\s*<think(?:ing)?>(.*?)(?:</think(?:ing)?>\s*|\Z)", re.DOTALL)
_THOUGHT_END = re.compile(r"</think(?:ing)?>\s*")

_OVERFLOW_CODES = frozenset({"context_length_exceeded", "exceed_context_size_error", "string_above_max_length"})
_OVERFLOW_WORDS = re.compile(
    r"maximum context length"  # OpenAI, vLLM, Ollama
    r"|available context size"  # llama.cpp
    r"|(?:exceeds?|longer than|larger than|beyond|over) (?:the |this )?(?:model'?s? )?(?:maximum |max )?"
    r"(?:context|model) (?:length|size|window)"  # vLLM, SGLang, Ollama
    r"|context (?:length|window|size) (?:is )?exceeded"
    r"|prompt is too long"  # Anthropic
    r"|input token count .{0,40}exceeds"  # Gemini
    r"|reduce the length of the (?:messages|prompt|input)"  # OpenAI, vLLM
    r"|`inputs` tokens \+ `max_new_tokens`",  # text-generation-inference
    re.IGNORECASE,
)
_FILTER_CODES = frozenset({
    "content_filter", "content_policy_violation", "responsibleaipolicyviolation",  # OpenAI, Azure
    "invalid_prompt",  # OpenAI's reasoning models
    "data_inspection_failed", "datainspectionfailed",  # DashScope
})  # fmt: skip
_FLAGGED = re.compile(r"requires moderation|input was flagged|\bflagged (?:for|as)\b", re.IGNORECASE)
"""OpenRouter says so with 403, which is otherwise a matter of the key."""
_NEVER_FITS = re.compile(r"\blimit:? ([\d,]*\d),? requested:? ([\d,]*\d)", re.IGNORECASE)
"""OpenAI and Groq: "Request too large ... on tokens per min (TPM): Limit 30000, Requested 40000", with 429."""
_NO_CREDIT = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})


_UNTOLD = Usage()


class NotAnAnswer(ValueError):  # noqa: N818 - what the body is
    """A body with status 200 that does not hold an answer."""


class Complaint(NamedTuple):
    """What the endpoint says is wrong."""

    message: str
    """Its own words, without lone surrogates, at most 500 characters."""
    code: str = ""
    kind: str = ""
    """Its `type`."""
    param: str = ""
    status: int = 0

    @property
    def refusal(self) -> str:
        """The countable reason when it is an outcome of this one request, else ""."""
        codes = {self.code.lower(), self.kind.lower()}
        if codes & _FILTER_CODES or (self.status in (400, 403) and _FLAGGED.search(self.message)):
            return "content_filter"
        if self.status in (413, 429) and self._never_fits:
            return "request_too_large"
        if codes & _OVERFLOW_CODES or self.status == 413 or _OVERFLOW_WORDS.search(self.message):
            return "context_overflow"
        return ""

    @property
    def _never_fits(self) -> bool:
        """True when this one request is above a whole minute's limit, so that no wait makes it fit."""
        said = _NEVER_FITS.search(self.message)
        if said is None:
            return False
        limit, requested = (int(number.replace(",", "")) for number in said.groups())
        return requested > limit

    @property
    def no_credit(self) -> bool:
        """True when waiting will not help: the account's money or quota is used up."""
        return self.status == 402 or bool({self.code, self.kind} & _NO_CREDIT)


def message_json(turn: Turn) -> dict[str, Any]:
    """Return a turn as the chat API takes it."""
    message: dict[str, Any] = {"role": turn.role, "content": turn.text}
    if turn.name:
        message["name"] = turn.name
    if turn.tool_calls:
        message["tool_calls"] = list(turn.tool_calls)
    if turn.tool_call_id:
        message["tool_call_id"] = turn.tool_call_id
    return message


def body_of(request: Request, model: str) -> dict[str, Any]:
    """Return the JSON body of a request, as the flow asked it."""
    body: dict[str, Any] = {"model": model}
    if request.mode == "chat":
        body["messages"] = [message_json(turn) for turn in request.messages]
    else:
        body["prompt"] = request.text
    params = request.params
    for name in ("temperature", "top_p", "max_tokens", "presence_penalty", "frequency_penalty", "seed"):
        if (value := getattr(params, name)) is not None:
            body[name] = value
    if params.stop:
        body["stop"] = list(params.stop)
    if params.logit_bias:
        body["logit_bias"] = params.logit_bias
    if params.logprobs:
        body["logprobs"] = True if request.mode == "chat" else 1
    if request.answer_schema is not None and request.mode == "chat":
        schema = {"name": "answer", "schema": request.answer_schema, "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return body


def loads(body: bytes) -> Any:
    """Read JSON as endpoints write it: half surrogate pairs, NaN, a byte order mark and broken UTF-8 included.

    Raises: NotAnAnswer.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        return _scrubbed(json.loads(body.decode("utf-8-sig", "replace")))
    except (ValueError, RecursionError):
        raise NotAnAnswer(f"not JSON: {beginning(body)}") from None


def _scrubbed(value: Any) -> Any:
    """The value with no lone surrogate in any string, whatever depth."""
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, list):
        return [_scrubbed(inner) for inner in value]
    if isinstance(value, dict):
        return {scrub(name): _scrubbed(inner) for name, inner in value.items()}
    return value


def beginning(body: bytes, length: int = 200) -> str:
    """Return how a body begins, for an error message."""
    if not body.strip():
        return "an empty body"
    text = " ".join(scrub(body[: 4 * length].decode("utf-8", "replace")).split())
    return repr(text if len(text) <= length else text[:length] + "...")


def completion_of(request: Request, key: str, body: bytes, hide: Callable[[str], str] = str) -> Completion | Complaint:
    """Read the answer to a request; a complaint when a gateway wraps an error in status 200, or in a choice.

    `hide` takes secrets out of what a complaint says, before it is cut to length.
    An answer without text is a refusal `empty_answer` or `tool_calls`, unless the output limit cut it: `length`.

    Raises: NotAnAnswer.
    """
    data = loads(body)
    if not isinstance(data, dict):
        raise NotAnAnswer(f"not a JSON object: {beginning(body)}")
    choices = data.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, dict):
        if data.get("error"):
            return complaint_of(_status_inside(data["error"]), body, hide)
        raise NotAnAnswer(f"no choices: {beginning(body)}")
    if choice.get("error") or _reason(choice) in _BROKEN_OFF:
        error = choice.get("error") or f"broken off by the server with finish_reason {choice['finish_reason']!r}"
        return complaint_of(_status_inside(error), json.dumps({"error": error}).encode(), hide)
    return _read(request, key, data, choice)


def _read(request: Request, key: str, data: dict[str, Any], choice: dict[str, Any]) -> Completion:
    message = choice.get("message")
    if not isinstance(message, dict):
        message = {"content": choice.get("text")}
    said = scrub(_text(message.get("content")))
    thought = scrub(
        _text(message.get("reasoning_content")) or _text(message.get("reasoning")) or _thinking(message.get("content"))
    )
    if request.mode == "chat" and "<" in said and ("</think" in said or said.lstrip().startswith("<think")):
        said, aloud = split_thought(said)
        thought = thought or aloud
    refused = scrub(_text(message.get("refusal")))
    finish, refusal = _finish(choice, refused)
    if finish == "stop" and not said.strip():
        called = message.get("tool_calls") or message.get("function_call")
        finish, refusal = "refused", "tool_calls" if called else "empty_answer"
    completion = Completion(
        request=key, content=said, finish=finish, refusal=refusal, message=refused, reasoning=thought,
        model=scrub(_text(data.get("model"))), logprobs=choice.get("logprobs"),
        usage=usage_of(data.get("usage")) or _UNTOLD,
    )  # fmt: skip
    if completion.usage is _UNTOLD or not plausible(completion.usage, request, completion):
        return completion.model_copy(update={"usage": most_usage(request, completion)})
    return completion


def _reason(choice: dict[str, Any]) -> str:
    """The finish_reason in lower case without what gateways append; "" when there is none."""
    found = _FIRST_WORD.match(str(choice.get("finish_reason") or "").lower())
    return found[0] if found else ""


def _finish(choice: dict[str, Any], refused: str) -> tuple[Finish, str]:
    """How an answer ended. Servers invent names for "stop" (eos, end_turn, ...), so an unknown one is taken for it."""
    reason = _reason(choice)
    if reason in _FILTERED or refused:
        return "refused", "content_filter"
    return ("length" if reason in _CUT else "stop"), ""


def _text(value: object) -> str:
    """Content as a string, as a list of parts, or absent."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        parts = [part.get("text") if isinstance(part, dict) else part for part in value]
        return "".join(part for part in parts if isinstance(part, str))
    return ""


def _thinking(content: object) -> str:
    """The parts of a content that are thoughts: Mistral's {"type": "thinking", "thinking": [{"text": ...}]}."""
    if not isinstance(content, list):
        return ""
    return "".join(_text(part.get("thinking")) for part in content if isinstance(part, dict))


def split_thought(text: str) -> tuple[str, str]:
    """Return (answer, reasoning) of a reply that thinks aloud.

    Example: "<think>2+2</think>4" -> ("4", "2+2"). A template may have written the opening tag into the prompt, and
    the output limit may have cut the closing one.
    """
    if match := _THOUGHT.match(text):
        return text[match.end() :], match[1].strip()
    end = _THOUGHT_END.search(text)
    if end and "<think" not in text[: end.start()]:
        return text[end.end() :], text[: end.start()].strip()
    return text, ""


def usage_of(usage: object) -> Usage | None:
    """Read the token counts; `None` when the two that matter are not there."""
    if not isinstance(usage, dict):
        return None
    asked = _count(usage.get("prompt_tokens", usage.get("input_tokens")))
    said = _count(usage.get("completion_tokens", usage.get("output_tokens")))
    if asked is None or said is None:
        return None
    details = usage.get("completion_tokens_details") or usage.get("output_tokens_details")
    thought = _inner(details, "reasoning_tokens") or _count(usage.get("reasoning_tokens")) or 0
    # Gemini and Grok count reasoning beside the completion; the total tells.
    if thought and (thought > said or _count(usage.get("total_tokens")) == asked + said + thought):
        said += thought
    cached = _inner(usage.get("prompt_tokens_details"), "cached_tokens") or _count(usage.get("prompt_cache_hit_tokens"))
    return Usage(
        requests=1,
        prompt_tokens=asked,
        completion_tokens=said,
        reasoning_tokens=thought,
        cached_tokens=min(cached or 0, asked),
    )


def _inner(counts: object, name: str) -> int | None:
    return _count(counts.get(name)) if isinstance(counts, dict) else None


def _count(value: object) -> int | None:
    """A count of tokens; `None` for words, negative and absurd numbers."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12:
        return int(value)
    return None


def complaint_of(status: int, body: bytes, hide: Callable[[str], str] = str) -> Complaint:
    """Read what an error body says; a body of any other shape is quoted. `hide` takes secrets out of every text.

    They are looked for in what was read, not in the bytes: JSON has many spellings of one text.
    """
    try:
        data = loads(body)
    except NotAnAnswer:
        return Complaint(beginning(hide(body.decode("utf-8", "replace")).encode()), status=status)
    error = data.get("error", data) if isinstance(data, dict) else data
    if isinstance(error, str) and error.strip():
        return Complaint(hide(scrub(error))[:500], status=status)
    if not isinstance(error, dict):
        return Complaint(beginning(hide(scrub(json.dumps(error, ensure_ascii=False))).encode()), status=status)
    words = error.get("message") or error.get("detail")
    if isinstance(words, str) and words.strip():
        said = hide(scrub(words))[:500]
    else:
        said = beginning(hide(scrub(json.dumps(words or data, ensure_ascii=False))).encode())
    inner = error.get("innererror")
    code = inner.get("code") if isinstance(inner, dict) and inner.get("code") else error.get("code")
    code, kind, param = (hide(scrub(str(part or ""))) for part in (code, error.get("type"), error.get("param")))
    return Complaint(message=said, code=code, kind=kind, param=param, status=status)


def _status_inside(error: object) -> int:
    """The HTTP status that an error inside a 200 stands for: its code when that is one, else a gateway's failure."""
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, int) and 400 <= code < 600 else 502
