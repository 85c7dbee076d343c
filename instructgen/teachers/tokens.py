"""How many tokens a request can take, and roughly took, without any tokeniser file.

A byte-level tokeniser never makes more tokens than the text has UTF-8 bytes, and a chat template adds a few tokens to
each message: their sum is an upper bound. What an endpoint does not report, or cannot mean, counts by its bound, so
that a budget is not overdrawn, and is marked as estimated.
"""

from __future__ import annotations

from instructgen.records import Completion, Request, SlotBound, Usage, canonical

MESSAGE_TOKENS = 16
"""Upper bound of what a chat template adds to one message: ChatML takes 5 (two markers, role, two line ends), Llama 3's
headers 6, and some templates add a date line or a default system message once, for which REQUEST_TOKENS stands."""
REQUEST_TOKENS = 64
"""Upper bound of what a template adds once a request: a default system message, the opening of the answer."""
SCHEMA_WORDS = "\n\nAnswer with one JSON value that fits this JSON schema, and with nothing else:\n"
"""What the prompt says before a schema, for endpoints that have no parameter for it."""
ANSWER_TOKENS = 32
"""Upper bound of what an answer takes beside its text: its end, markers around the reasoning, stripped line ends."""
HIDDEN_TOKENS = 1_000_000
"""How far beyond our bound a reported count is still believed: servers may add prompts of their own and think beyond
the limit, never more than a context window. Too much counted ends a run early, too little overdraws its budget."""
BYTES_PER_TOKEN = 4
"""Rule of thumb for English text with today's vocabularies; for what costs nothing, never for bounds."""


def prompt_bound(request: Request) -> int:
    """Return an upper bound of the prompt tokens of a rendered request; a schema in the prompt is counted in."""
    schema = len(SCHEMA_WORDS) + len(canonical(request.answer_schema)) if request.answer_schema else 0
    return request.prompt_bytes + schema + MESSAGE_TOKENS * len(request.messages) + REQUEST_TOKENS


def request_bound(request: Request, most_output: int) -> SlotBound:
    """Return the most that a request can take; `most_output` is the output limit of one that states none."""
    limit = request.params.max_tokens or most_output
    return SlotBound(requests=1, prompt_tokens=prompt_bound(request), completion_tokens=limit)


def answer_bound(request: Request, completion: Completion) -> int:
    """Return an upper bound of the tokens of an answer: its bytes, or the limit where that is less or was reached.

    Reasoning that is not shown is not known of; an endpoint that hides it and reports no usage is not bounded by this.
    """
    limit, text = request.params.max_tokens, _answer_bytes(completion) + ANSWER_TOKENS
    if limit is None:
        return text
    return limit if completion.finish == "length" else min(limit, text)


def _answer_bytes(completion: Completion) -> int:
    return len((completion.content + completion.reasoning + completion.message).encode())


def most_usage(request: Request, completion: Completion) -> Usage:
    """Return the most that an answered request can have taken, marked as estimated.

    Example: 40 bytes of prompt in one message and a reply of 9 bytes -> 120 and 41 tokens.
    """
    most = answer_bound(request, completion)
    return Usage(
        requests=1,
        prompt_tokens=prompt_bound(request),
        completion_tokens=most,
        reasoning_tokens=min(len(completion.reasoning.encode()), most),
        estimated=True,
    )


def plausible(usage: Usage, request: Request, completion: Completion) -> bool:
    """Say whether reported counts can be meant: none where there is text, or millions for a page, cannot."""
    if request.prompt_bytes and not usage.prompt_tokens:
        return False
    if _answer_bytes(completion) and not usage.completion_tokens:
        return False
    most_said = max(request.params.max_tokens or 0, _answer_bytes(completion) + ANSWER_TOKENS)
    return (
        usage.prompt_tokens <= prompt_bound(request) + HIDDEN_TOKENS
        and usage.completion_tokens <= most_said + HIDDEN_TOKENS
    )


def estimated(request: Request, completion: Completion) -> Usage:
    """Return a guess at the usage of a request that nobody bills (a script's), marked as estimated.

    Example: 40 bytes of prompt in one message and a reply of 9 bytes -> 10 and 3 tokens.
    """
    said = completion.content + completion.reasoning
    return Usage(
        requests=1,
        prompt_tokens=-(-request.prompt_bytes // BYTES_PER_TOKEN),
        completion_tokens=-(-len(said.encode()) // BYTES_PER_TOKEN),
        reasoning_tokens=-(-len(completion.reasoning.encode()) // BYTES_PER_TOKEN),
        estimated=True,
    )
