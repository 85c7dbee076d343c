"""A teacher for practice: replies like a model's, made by rule. For tests, examples and trying recipes offline.

    teacher: {kind: scripted, function: "instructgen.teachers.practice:answer"}

It knows what our prompts look like and answers with small tasks and their right answers, and now and then with what
real models do as well: an idea that the rules forbid, a reply without any, a refusal. Its rows are not training data:
there are two dozen kinds of task in them. What it says is a function of the prompt and the request's seed.
"""

from __future__ import annotations

import json
import re
from random import Random

from instructgen.records import Completion, Request, digest
from instructgen.teachers.practice_tasks import Family, family_of, invent, number, pick

MOST_IDEAS = 8
_NEXT_NUMBER = re.compile(r"^(\d+)\.[ \t]*\Z", re.MULTILINE)
_IDEAS_WANTED = re.compile(r"\b(\d+) more\b")
_NEXT_BLOCK = re.compile(r"^(\d+)\. Instruction:\Z", re.MULTILINE)
_LAST_BLOCK = re.compile(r"\bup to number (\d+)")
_TASKS_WANTED = re.compile(r"\bWrite (\d+) new tasks\b")
_LAST_TASK = re.compile(r"^Task: (.*?)\n?(Classification:)?\s*\Z", re.MULTILINE)
_UNWANTED = (
    "Draw the harbour at dusk with two boats.", "Write a program that greets every visitor by name.",
    "Sing something.", "Show a picture of a happy beekeeper.", "Sort these.", "- and then the same for Tuesday",
)  # fmt: skip
"""Ideas that Self-Instruct's rules drop: what a text model cannot do, too short, a leading sign."""


def answer(request: Request) -> Completion:
    """Answer a request by what its prompt asks for."""
    prompt = request.text if request.mode == "text" else request.messages[-1].text
    rng = Random(int(digest([prompt, request.params.seed])[:16], 16))
    if rng.random() < 0.01:
        return Completion(
            finish="refused", refusal="content_filter", message="The practice teacher refuses now and then."
        )
    properties = (request.answer_schema or {}).get("properties")
    tasks_wanted = isinstance(properties, dict) and "tasks" in properties
    reply = _as_json(prompt, rng) if tasks_wanted else _reply(prompt, rng)
    for stop in request.params.stop:
        reply = reply.split(stop)[0]
    return Completion(content=reply)


def _reply(prompt: str, rng: Random) -> str:
    """Find out from the end of a prompt what is wanted."""
    text = prompt.rstrip()
    if found := _NEXT_NUMBER.search(text):
        wanted = _IDEAS_WANTED.search(text)
        return _numbered(int(found[1]), int(wanted[1]) if wanted else MOST_IDEAS, rng)
    if found := _NEXT_BLOCK.search(text):
        last = _LAST_BLOCK.search(text)
        return _blocks(int(found[1]), int(last[1]) if last else int(found[1]) + MOST_IDEAS, rng)
    if text.endswith("\n-"):
        return f" {_idea(rng)}\n- {_idea(rng)}"
    if task := _LAST_TASK.search(text):
        family = family_of(task[1])
        if task[2]:
            return " Yes" if family and family.is_classification else " No"
        if "\nClass label:" in text:
            return _labelled(family, rng)
        return _worked(family, rng)
    return _answered(text, rng)


def _idea(rng: Random) -> str:
    return pick(_UNWANTED, rng) if rng.random() < 0.06 else invent(rng)


def _numbered(first: int, count: int, rng: Random) -> str:
    """Go on with a numbered list whose next number stands in the prompt."""
    if rng.random() < 0.02:
        return ""
    ideas = [_idea(rng) for _ in range(count)]
    return " " + "\n".join(f"{first + n}. {idea}" if n else idea for n, idea in enumerate(ideas))


def _blocks(first: int, last: int, rng: Random) -> str:
    """Write complete tasks, `###` between; now and then one lacks its output."""
    blocks = []
    for n in range(first, last + 1):
        idea = _idea(rng)
        family = family_of(idea)
        given, output = family.case(rng) if family else ("<noinput>", "That cannot be done in text.")
        block = f"{n}. Instruction: {idea}\n{n}. Input:\n{given}\n"
        blocks.append(block + (f"{n}. Output:\n{output}\n" if rng.random() > 0.03 else ""))
    return "###\n".join(blocks).removeprefix(f"{first}. Instruction:")


def _as_json(prompt: str, rng: Random) -> str:
    """Write complete tasks as JSON: now and then in a fence, cut off, or with a task that lacks its output."""
    wanted = _TASKS_WANTED.search(prompt)
    tasks = []
    for _ in range(int(wanted[1]) if wanted else MOST_IDEAS):
        idea = _idea(rng)
        family = family_of(idea)
        given, output = family.case(rng) if family else ("", "That cannot be done in text.")
        tasks.append({"instruction": idea, "input": given} | ({"output": output} if rng.random() > 0.03 else {}))
    written = json.dumps({"tasks": tasks}, ensure_ascii=False)
    chance = rng.random()
    if chance < 0.05:
        return "I would rather talk about the weather."
    return f"Here they are:\n```json\n{written[:-1]},}}\n```" if chance < 0.2 else written


def _worked(family: Family | None, rng: Random) -> str:
    """Write worked cases, the input first; now and then the last one lacks its output."""
    if family is None:
        return "Example 1\nOutput: That is outside what the practice teacher knows."
    lines = []
    for n in range(number(1, 3, rng)):
        given, output = family.case(rng)
        lines += [f"Example {n + 1}", f"Input: {given}", f"Output: {output}"]
    return "\n".join(lines[:-1] if rng.random() < 0.05 else lines)


def _labelled(family: Family | None, rng: Random) -> str:
    """Write labelled inputs, the label first."""
    if family is None:
        return "I cannot name the labels."
    cases = [family.case(rng) for _ in range(number(2, 4, rng))]
    return "\n".join(f"Class label: {label}\n{given}" for given, label in cases)


def _answered(instruction: str, rng: Random) -> str:
    """Answer an instruction, with the material that stands in it, or with an example."""
    family = family_of(instruction)
    if family is None:
        return "That is outside what the practice teacher knows."
    given, output = family.case(rng)
    return f"For example, for {given}: {output}"
