"""For people who write extensions: drive a flow by hand, with replies that you wrote.

    result = play(SelfInstruct().flow(view, Random(0)), [reply("9. Name three rivers.", truncated=True)])
    assert [item.reason for item in result.items] == ["truncated"]

No mock, no event loop, no network: a flow is a Python generator, and `play` sends it what it asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Generator as PythonGenerator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from pydantic import JsonValue

from instructgen.files import bundled_dir, read_text
from instructgen.generators import unread
from instructgen.pool import Pool, PoolView
from instructgen.prompts import Prompts
from instructgen.records import Completion, Draft, Instance, Refused, Rejection, Request, Sample, Seed

JudgeDraft = Callable[[Draft], Rejection | None]


class OutOfReplies(AssertionError):  # noqa: N818 - says what happened in the test
    """A flow asked for more than the test had written down."""


@dataclass
class Played:
    """What a flow did."""

    items: Any = None
    """What it returned: samples and rejections of a generator, the verdict of a judge."""
    requests: list[Request] = field(default_factory=list)
    """Every request, rendered, in the order of asking."""
    drafts: list[Draft] = field(default_factory=list)
    """Every draft that it showed."""

    @property
    def samples(self) -> list[Sample]:
        """The samples among the items."""
        return [item for item in self.items if isinstance(item, Sample)]

    @property
    def rejections(self) -> list[Rejection]:
        """The rejections among the items."""
        return [item for item in self.items if isinstance(item, Rejection)]


def play(
    flow: PythonGenerator[Any, Any, Any],
    replies: Iterable[Completion | str],
    *,
    judge_draft: JudgeDraft | None = None,
    prompts: Mapping[str, str] | None = None,
) -> Played:
    """Drive a flow to its end; requests take the replies in order, a list of n requests takes n of them.

    Requests are rendered with the bundled prompts and your `prompts` (name -> template text) over them, and each
    completion carries the hash of its request, as in a run. Drafts are answered by `judge_draft`, default `None`: new.
    A flow that ends at a refusal which it did not look at gives what a run records of it: all its answers as
    rejections (`generators.unread`).
    Raises: OutOfReplies with the request that found none; AssertionError for replies left over; PromptError for a
    request whose variables do not fit its template.
    """
    waiting, played, said = iter(replies), Played(), list[Completion]()
    rendering = Prompts({**_bundled_prompts(), **(prompts or {})})
    answer: Any = None
    while True:
        try:
            asked = flow.send(answer)
        except StopIteration as end:
            played.items = end.value
            break
        except Refused:
            played.items = unread(said)
            break
        if isinstance(asked, Draft):
            played.drafts.append(asked)
            answer = judge_draft(asked) if judge_draft else None
        else:
            many = asked if isinstance(asked, list) else [asked]
            replied = [_answer(request, waiting, rendering, played) for request in many]
            said += replied
            answer = replied if isinstance(asked, list) else replied[0]
    left = len(list(waiting))
    if left:
        raise AssertionError(
            f"the flow ended after {len(played.requests)} requests; {left} replies were never asked for"
        )
    return played


def reply(text: str = "", *, truncated: bool = False, refused: str = "") -> Completion:
    """Return a completion: what the teacher said, cut by the output limit, or why it would not answer.

    Example: reply("Yes"); reply("List the", truncated=True); reply(refused="content_filter")
    """
    if refused:
        return Completion(finish="refused", refusal=refused)
    return Completion(content=text, finish="length" if truncated else "stop")


def make_sample(
    instruction: str = "Name the capital of the country.",
    *,
    input: str = "",  # noqa: A002 - the field's own word
    output: str = "Paris",
    **more: Any,
) -> Sample:
    """Return a single-turn sample; `more` goes to `Sample.single` (system, labels, parents, draft, ...)."""
    return Sample.single(instruction, input=input, output=output, **more)


def make_seed(
    instruction: str = "Name the capital of the country.",
    *,
    input: str = "",  # noqa: A002 - the field's own word
    output: str = "Paris",
    id: str = "",  # noqa: A002 - the field's own word
    is_classification: bool = False,
    **more: Any,
) -> Seed:
    """Return a seed with one instance; its id is made from the instruction when none is given."""
    return Seed(
        id=id or f"seed-{instruction[:40]}",
        instruction=instruction,
        instances=(Instance(input=input, output=output),),
        is_classification=is_classification,
        **more,
    )


def make_view(seeds: Iterable[Seed], samples: Iterable[Sample] = ()) -> PoolView:
    """Return the pool view that a flow draws from: these seeds, and these samples as accepted so far."""
    pool = Pool(list(seeds))
    for sample in samples:
        pool.add(sample)
    return pool.view()


def evidence_of(rejection: Rejection | None) -> tuple[str, dict[str, JsonValue]]:
    """Return (reason, evidence), or ("", {}) for a sample that is kept: one line per row of a test's table."""
    return (rejection.reason, rejection.evidence) if rejection else ("", {})


def _answer(request: Request, waiting: Iterator[Completion | str], prompts: Prompts, played: Played) -> Completion:
    rendered = prompts.render(request)
    played.requests.append(rendered)
    given = next(waiting, None)
    if given is None:
        said = rendered.text or "\n".join(turn.text for turn in rendered.messages)
        raise OutOfReplies(
            f"no reply left for request {len(played.requests)} (prompt {rendered.prompt!r}); "
            f"add one to `replies`. It asks: {said[-300:]!r}"
        )
    completion = reply(given) if isinstance(given, str) else given
    return completion.model_copy(update={"request": completion.request or rendered.hash})


@cache
def _bundled_prompts() -> dict[str, str]:
    folder = bundled_dir("prompts")
    return {path.stem: read_text(path) for path in sorted(folder.glob("*.txt"))}
