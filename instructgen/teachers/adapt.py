"""What a model does not take, learnt from its refusals: each is met once, said once, and left out from then on.

    400 {"error": {"param": "max_tokens", "message": "Unsupported parameter. Use 'max_completion_tokens' instead."}}
    400 {"error": {"param": "temperature", "message": "Unsupported value. Only the default (1) is supported."}}

The request's hash is of what the flow asked; none of this enters it. A run keeps its lessons (`learnt`).
"""

from __future__ import annotations

import re
from collections.abc import Container
from typing import Any

import orjson

from instructgen.records import Completion, Request
from instructgen.teachers.learnt import Learnt, Lessons
from instructgen.teachers.tokens import SCHEMA_WORDS
from instructgen.teachers.wire import Complaint, body_of

OPTIONAL = (
    "temperature", "top_p", "presence_penalty", "frequency_penalty", "seed", "stop", "logit_bias", "logprobs",
    "response_format",
)  # fmt: skip
"""Parameters that an answer can do without: stops are applied by us, a schema is said in the prompt. Never the output
limit: money hangs on it, so it is only respelled."""
_SPELLINGS = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
_REFUSING = re.compile(
    r"unsupported|not? support|does ?n.t support|unknown|unrecognized|unexpected|extra (?:inputs|fields)|not permitted"
    r"|not allowed|forbidden|not available|not implemented|incompatible|deprecated|only the default"
    r"|invalid (?:parameter|argument|field)",
    re.IGNORECASE,
)
_ABOUT_FORMAT = re.compile(r"response[_ ]format|json[_ ]schema", re.IGNORECASE)
"""Groq and DeepSeek refuse it in words of their own, OpenAI also refuses single schemas."""
_ABOUT_MODEL = re.compile(
    r"(?:unknown|unrecognized|unsupported|invalid|deprecated) model\b"
    r"|\bmodel\b[^.,;]{0,80}\b(?:not found|does ?n.t exist|does not exist|not (?:currently |yet )?available|unavailable"
    r"|been deprecated|is deprecated)",
    re.IGNORECASE,
)
"""The model itself is refused: its name ("seed-oss-36b") and the words around it are not about a parameter."""
_ENGLISH = frozenset({"stop", "seed"})
"""Parameters whose names are also plain words, or parts of models' names."""
_TOO_MANY_STOPS = re.compile(
    r"\bstop\b.{0,80}(?:too (?:long|many)|at most|maximum|up to \d)"
    r"|(?:too many|at most \d+|up to \d+|maximum of \d+) stop\b",
    re.IGNORECASE,
)
"""OpenAI takes four: "Invalid 'stop': array too long. Expected an array with maximum length 4, but got ..."."""
_BAD_IN_A_ROW = 2
"""Answers in a row that do not follow `response_format` until it is taken for ignored; one may be an accident."""
_REFUSING_CODES = frozenset({"unsupported_parameter", "unsupported_value", "unknown_parameter"})


class Adaptation:
    """The shape that one model at one endpoint takes."""

    def __init__(self, model: str, limit_name: str, lessons: Lessons | None = None) -> None:
        self._model = model
        self._lessons = lessons or Learnt().of("", model)
        self._limit_name = self._lessons.limit or limit_name
        self._respelled = False
        self.dropped = self._lessons.without
        self._unshaped = 0

    def body(self, request: Request) -> bytes:
        """Return the bytes to send for a request."""
        body = body_of(request, self._model)
        if "max_tokens" in body and self._limit_name != "max_tokens" and request.mode == "chat":
            body[self._limit_name] = body.pop("max_tokens")
        for name in self.dropped:
            body.pop(name, None)
        if request.answer_schema is not None and "response_format" not in body:
            _say_schema(body, request.answer_schema)
        return orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS)

    def learn(self, complaint: Complaint, body: bytes) -> str | None:
        """Take in a refusal of the request `body`; `None` when it names nothing that we can do without.

        Returns what to tell the user, once; "" when another request in flight has already taught us.
        """
        sent: dict[str, Any] = orjson.loads(body)
        if "response_format" in sent and _ABOUT_FORMAT.search(f"{complaint.param} {complaint.message}"):
            return self._without_format(complaint.message)
        if not _refuses(complaint):
            return None
        for name in self._named(complaint, sent):
            if name in _SPELLINGS:
                return self._respell(name)
            if name in self.dropped:
                return ""
            self._lessons.leave_out(name)
            ours = "; we cut the answers at it ourselves" if name == "stop" else ""
            return f"does not take {name!r} ({complaint.message}); left out from now on{ours}"
        return None

    def known(self, complaint: Complaint, body: bytes) -> bool:
        """Say whether a complaint is about what is left out or respelled by now: one about an older body than this."""
        sent: dict[str, Any] = orjson.loads(body)
        gone = {*self.dropped, _SPELLINGS[self._limit_name] if self._lessons.limit else ""}.difference(sent)
        if "response_format" in gone and _ABOUT_FORMAT.search(f"{complaint.param} {complaint.message}"):
            return True
        if not _refuses(complaint):
            return False
        return any(name in gone for name in self._named(complaint, {*gone, *sent})[:1])

    def _without_format(self, why: str) -> str:
        known = "response_format" in self.dropped
        if not known:
            self._lessons.leave_out("response_format")
        return "" if known else f"takes no 'response_format' ({why}); the prompt says the schema from now on"

    def _respell(self, name: str) -> str | None:
        if name != self._limit_name:
            return ""
        if self._respelled:  # it takes neither spelling
            return None
        self._respelled = True
        self._limit_name = _SPELLINGS[name]
        self._lessons.call_limit(self._limit_name)
        return f"takes {self._limit_name!r} in place of {name!r}"

    def _named(self, complaint: Complaint, sent: Container[str]) -> list[str]:
        """The parameters of ours that the complaint names: the one in `param`, else the first in its words."""
        present = [name for name in (*_SPELLINGS, *OPTIONAL) if name in sent]
        if complaint.param:
            said = re.split(r"[.\[]", complaint.param)[-1 if "body" in complaint.param else 0]
            return [name for name in present if name == said]
        if _ABOUT_MODEL.search(complaint.message):
            return []
        if _TOO_MANY_STOPS.search(complaint.message):
            return ["stop"] if "stop" in sent else []
        found = [(match.start(), name) for name in present if (match := _mention(name).search(complaint.message))]
        return [name for _, name in sorted(found)]

    def notice(self, request: Request, completion: Completion) -> str | None:
        """Learn from answers: what was to be JSON and, though complete, begins like none, came without constraint.

        It takes two in a row. Some servers ignore `response_format` silently. Returns what to tell the user, once.
        """
        if request.answer_schema is None or "response_format" in self.dropped or request.mode == "text":
            return None
        if completion.finish != "stop" or completion.refusal or completion.content.lstrip()[:1] in '{["-0123456789tfn':
            self._unshaped = 0
            return None
        self._unshaped += 1
        if self._unshaped < _BAD_IN_A_ROW:
            return None
        return self._without_format("its answers do not follow it")

    def finish(self, request: Request, completion: Completion) -> Completion:
        """Apply to an answer what was left out of the question: the stops."""
        if "stop" not in self.dropped or not request.params.stop:
            return completion
        text = completion.content
        places = [place for stop in request.params.stop if (place := text.find(stop)) >= 0]
        if not places:
            return completion
        return completion.model_copy(update={"content": text[: min(places)], "finish": "stop"})


def _refuses(complaint: Complaint) -> bool:
    """Say whether a complaint is about a parameter that is not taken, or not so many of it."""
    words = complaint.message
    return bool(_REFUSING.search(words) or _TOO_MANY_STOPS.search(words)) or complaint.code in _REFUSING_CODES


def _mention(name: str) -> re.Pattern[str]:
    """Return what finds a parameter's name as a word of its own; a plain English word, only where it is one's name.

    Example: "seed is not supported", "parameter: seed" and "'seed'", but not "stop using it".
    """
    if name not in _ENGLISH:
        return re.compile(rf"(?<![\w/-]){name}(?![\w/-])")
    return re.compile(
        rf"['\"`]{name}['\"`]|\b(?:parameters?|arguments?|fields?|name|property|supports?|inputs?):? {name}(?![\w/:-])"
        rf"|(?<![\w/-]){name}:? (?:is|are|was|not|cannot|can.t|parameter|argument|field|extra|unsupported)\b"
        rf"|\.{name}(?![\w/-])",
    )


def _say_schema(body: dict[str, Any], schema: dict[str, Any]) -> None:
    """Put the schema behind the prompt: behind the last user message, or the text."""
    words = SCHEMA_WORDS + orjson.dumps(schema, option=orjson.OPT_SORT_KEYS).decode()
    if "messages" not in body:
        body["prompt"] += words
        return
    messages = body["messages"]
    last = max((n for n, message in enumerate(messages) if message["role"] == "user"), default=None)
    if last is None:
        messages.append({"role": "user", "content": words.strip()})
    else:
        messages[last] = messages[last] | {"content": messages[last]["content"] + words}
