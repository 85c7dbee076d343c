"""A toy generator with every kind of step, a judge, and a teacher that answers by hashing the request."""

import asyncio
import random
from typing import Literal

from instructgen.filters import Filter
from instructgen.generators import Generator
from instructgen.records import Completion, Draft, Params, Rejection, Request, Sample, SlotBound, Turn, Usage

TOPICS = 400
SAMPLED = Params(temperature=0.7, max_tokens=200)
GREEDY = Params(temperature=0, max_tokens=50)


def topic(number: int) -> str:
    """Eight words that name a topic; two instructions of one topic are near duplicates."""
    return " ".join(f"t{number}w{i}" for i in range(8))


def ask(text: str, params: Params = SAMPLED) -> Request:
    return Request(messages=(Turn(role="user", content=text),), params=params)


class ToyGenerator(Generator):
    """Plans some topics, drops known ones as drafts, writes one or two instances of the others."""

    kind: Literal["toy"] = "toy"
    prefix: str = ""

    def flow(self, pool, rng):
        shots = pool.draw_seeds(2, rng) + pool.draw_machine(2, rng)
        plan = yield ask("plan " + " | ".join(shot.instruction for shot in shots))
        if plan.refusal:
            return [plan.rejected()]
        items, drafts = [], []
        for number, part in enumerate(plan.text.split(",")):
            draft = Draft(
                number=number, instruction=f"{topic(int(part))} n{rng.random():.3f}", requests=(plan.request,)
            )
            if (yield draft) is None:
                drafts.append(draft)
        if not drafts:
            return []
        replies = yield [ask("write " + draft.instruction) for draft in drafts]
        check = yield ask("check " + str(len(drafts)), GREEDY)  # the same question in many slots: bought once
        for draft, reply in zip(drafts, replies, strict=True):
            if reply.refusal:
                items.append(reply.rejected())
            elif reply.text.startswith("<<"):
                items.append(reply.rejected("garbled", text=reply.text))
            else:
                for i, part in enumerate(reply.text.split("|")):
                    requests = (plan.request, reply.request, check.request)
                    items.append(
                        Sample.single(
                            draft.instruction, input=f"case {i}", output=part, requests=requests, draft=draft.number,
                            parents=[shot.id for shot in shots],
                        )
                    )  # fmt: skip
        return items

    def slot_bound(self):
        return SlotBound(requests=6, prompt_tokens=40_000, completion_tokens=1_200)

    def most_samples(self):
        return 8


class ToyJudge(Filter):
    """Asks for a number and keeps 2 and more."""

    judge = True
    stage = "judge"
    kind: Literal["toy_judge"] = "toy_judge"

    def flow(self, sample, rng):
        score = yield ask(f"judge {sample.instruction} {sample.input}", GREEDY)
        if score.refusal:
            return score.rejected()
        if int(score.text) < 2:
            return Rejection(stage="judge", reason="low_score", evidence={"score": int(score.text)})
        return {"score": int(score.text)}

    def slot_bound(self):
        return SlotBound(requests=1, prompt_tokens=1_000, completion_tokens=50)


def answer(request: Request) -> Completion:
    """Answer as a pure function of the request: its hash decides."""
    chance = random.Random(request.hash)
    verb, _, rest = request.messages[0].content.partition(" ")
    usage = Usage(requests=1, prompt_tokens=chance.randrange(5, 50), completion_tokens=chance.randrange(1, 50))
    if chance.random() < 0.02:
        return Completion(finish="refused", refusal="content_filter", usage=usage)
    if verb == "plan":
        known = [int(word.partition("w")[0][1:]) for word in rest.split() if word.startswith("t") and "w" in word]
        picks = [
            chance.choice(known) if known and chance.random() < 0.15 else int(TOPICS * chance.random() ** 2)
            for _ in range(chance.randrange(1, 4))
        ]
        text = ",".join(map(str, picks))
    elif verb == "write":
        text = "<<garbled" if chance.random() < 0.05 else "|".join(
            f"answer {chance.random():.4f}" for _ in range(chance.randrange(1, 3))
        )  # fmt: skip
    else:
        text = str(chance.choice([1, 2, 3, 3]))
    return Completion(content=text, usage=usage)


class Delayed:
    """The same answers after random delays, some twenty times the usual, so that slots finish in any order."""

    def __init__(self, seed: int, scale: float = 0.0005) -> None:
        self.chance, self.scale, self.asked = random.Random(seed), scale, []

    async def __call__(self, request: Request) -> Completion:
        tail = 20 if self.chance.random() < 0.02 else 1
        await asyncio.sleep(self.scale * tail * self.chance.expovariate(1.0))
        self.asked.append(request.hash)
        return answer(request)
