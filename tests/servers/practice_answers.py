"""The practice teacher behind the loopback server: answers as a pure function of the request's body."""

from typing import Any

from instructgen.records import Params, Request, Turn
from instructgen.teachers import practice


def answer(body: dict[str, Any]) -> Any:
    """Answer a body as `instructgen.teachers.practice` answers the request behind it."""
    params = Params(seed=body.get("seed"))
    if "messages" in body:
        turns = tuple(Turn(role=m["role"], content=m["content"]) for m in body["messages"])
        request = Request(messages=turns, params=params)
    else:
        request = Request(mode="text", text=body["prompt"], params=params)
    said = practice.answer(request)
    if said.refusal:
        return {"message": {"role": "assistant", "content": None}, "finish_reason": "content_filter"}
    return said.content
