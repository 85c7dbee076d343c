"""The practice teacher behind the loopback server: answers as a pure function of the request's body."""

import json
from typing import Any

from instructgen.records import Params, Request, Turn
from instructgen.teachers import practice
from instructgen.teachers.tokens import SCHEMA_WORDS


def answer(body: dict[str, Any]) -> Any:
    """Answer a body as `instructgen.teachers.practice` answers the request behind it, however it was told a schema."""
    params = Params(seed=body.get("seed"))
    if "messages" in body:
        prompt, _, schema = body["messages"][-1]["content"].partition(SCHEMA_WORDS)
        if "response_format" in body:
            schema = json.dumps(body["response_format"]["json_schema"]["schema"])
        said_before = tuple(Turn(role=m["role"], content=m["content"]) for m in body["messages"][:-1])
        turns = (*said_before, Turn(role="user", content=prompt))
        request = Request(messages=turns, params=params, answer_schema=json.loads(schema) if schema else None)
    else:
        request = Request(mode="text", text=body["prompt"], params=params)
    said = practice.answer(request)
    if said.refusal:
        return {"message": {"role": "assistant", "content": None}, "finish_reason": "content_filter"}
    return said.content
