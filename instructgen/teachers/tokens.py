"""How many tokens a request can take, and roughly took, without any tokeniser file.

A byte-level tokeniser never makes more tokens than the text has UTF-8 bytes, and a chat template adds a few tokens to
each message: their sum is an upper bound. The estimate is for endpoints that report no usage; it is marked as such.
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
BYTES_PER_TOKEN = 4
"""Rule of thumb for English text with today's vocabularies; for estimates only, never for bounds."""


def prompt_bound(request: Request) -> int:
    """Return an upper bound of the prompt tokens of a rendered request; a schema in the prompt is counted in."""
    schema = len(SCHEMA_WORDS) + len(canonical(request.answer_schema)) if request.answer_schema else 0
    return request.prompt_bytes + schema + MESSAGE_TOKENS * len(request.messages) + REQUEST_TOKENS


def request_bound(request: Request, most_output: int) -> SlotBound:
    """Return the most that a request can take; `most_output` is the output limit of one that states none."""
    limit = request.params.max_tokens or most_output
    return SlotBound(requests=1, prompt_tokens=prompt_bound(request), completion_tokens=limit)


def estimated(request: Request, completion: Completion) -> Usage:
    """Return a guess at one request's usage, marked as estimated.

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
