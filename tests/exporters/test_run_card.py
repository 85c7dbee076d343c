"""The card of a run's dataset: every number in it counted again from the run's files and the written rows."""

import json
import re
from collections import Counter

from typer.testing import CliRunner

from instructgen import files
from instructgen.cli import app
from instructgen.exporters.card import split_card
from instructgen.exporters.checks import PER_TURN
from instructgen.exporters.verbs import VERBS
from instructgen.report import _filter_said
from tests.exporters.test_card import table


def quantiles(numbers):
    """Least, median, 95 % by nearest rank, and most, as the card writes them."""
    ordered = sorted(numbers)
    ranks = [-(-len(ordered) * share // 100) - 1 for share in (50, 95)]
    return [f"{value:,}" for value in (ordered[0], ordered[ranks[0]], ordered[ranks[1]], ordered[-1])]


def ranked(counter):
    return {name: [f"{count:,}"] for name, count in counter.items()}


def test_filters_are_named_with_what_was_set():
    """What is empty says nothing, and nobody reads Python's braces."""
    said = _filter_said({"kind": "harm", "rate": {"harm_words": "drop"}, "words": [], "more": {}, "fields": ["a", "b"]})

    assert said == "harm: rate harm_words=drop; fields a, b"


def test_every_number_of_a_runs_card(tmp_path):
    """Candidates, funnel, requests, tokens, rows, sizes, lengths, verbs and categories."""
    run, into = tmp_path / "run", tmp_path / "out"
    asked = ["generate", "practice.yaml", "--into", str(run), "--target", "40"]
    told = ["export", str(run), "--format", "alpaca", "--format", "messages", "--splits", "test=0.2"]
    for words in (asked, [*told, "--license", "cc-by-4.0", "--context", "60", "--into", str(into)]):
        assert CliRunner().invoke(app, words).exit_code == 0
    card = (into / "README.md").read_text(encoding="utf-8")
    front, body = split_card(card)
    lines = [line for _, line in files.iter_rows(run / "decisions.jsonl")]
    accepted = [line["accepted"] for line in lines if "accepted" in line]
    rejected = Counter((line["rejected"]["stage"], line["rejected"]["reason"]) for line in lines if "rejected" in line)
    rows = {split: [json.loads(line) for line in (into / f"jsonl/alpaca-{split}.jsonl").open(encoding="utf-8")]
            for split in ("train", "test")}  # fmt: skip
    every = rows["train"] + rows["test"]

    facts = {name: value for name, (value, *_) in table(card, "fact").items()}
    funnel = re.findall(r"\| (\w+) \| (\w+) \| ([\d,]+) \|", body.split("## What was rejected")[1].split("##")[0])
    assert {(stage, reason): int(count) for stage, reason, count in funnel if stage != "stage"} == dict(rejected)
    assert int(facts["candidates"]) == len(accepted) + rejected.total()
    assert int(facts["accepted"]) == len(accepted)
    assert int(facts["accepted ones in this dataset"]) == len(every) == 40
    usage = [used for line in lines if "closed" in line for used in line["closed"]["usage"].values()]
    for name, key in (
        ("requests", "requests"),
        ("prompt tokens", "prompt_tokens"),
        ("completion tokens", "completion_tokens"),
    ):
        assert facts[name] == f"{sum(used[key] for used in usage):,}"
    assert f"| `messages` | messages: role and content | train | {len(rows['train'])} |" in card
    assert f"| `alpaca` | instruction, input, output | test | {len(rows['test'])} |" in card
    assert table(card, "words of the") == {
        "prompt": quantiles(len(f"{row['instruction']} {row['input']}".split()) for row in every),
        "answer": quantiles(len(row["output"].split()) for row in every),
    }
    first = Counter(re.match(r"[A-Za-z]*", row["instruction"])[0].lower() for row in every)
    verbs = {word: count for word, count in first.items() if word in VERBS}
    rest = len(every) - sum(verbs.values())
    expected = ranked({**verbs, "(no verb first)": rest} if rest else verbs) if verbs else None
    assert ("opening verb" in card) == bool(verbs)
    assert expected is None or table(card, "opening verb") == expected
    lengths = [
        sum(-(-len(message["content"].encode()) // 4) + PER_TURN for message in json.loads(line)["messages"])
        for split in rows
        for line in (into / f"jsonl/messages-{split}.jsonl").open(encoding="utf-8")
    ]
    over = sum(length > 60 for length in lengths)
    assert f"{sum(lengths):,} in all; rows longer than a context of 60: {over}." in card
    assert ("longer than the context" in card) == bool(over)
    for info in front["dataset_info"]:
        assert {split["name"]: split["num_examples"] for split in info["splits"]} == {
            split: len(part) for split, part in rows.items()
        }
        parquet = (into / info["config_name"]).glob("*.parquet")
        assert info["download_size"] == sum(path.stat().st_size for path in parquet)
