"""The bundled mixtures, run as they are on small copies of their datasets, in the datasets' own layouts."""

import json
from collections import Counter

import pytest
from typer.testing import CliRunner

from instructgen.cli import app
from instructgen.convert.mixing import load_mixture
from instructgen.errors import DataError
from instructgen.files import find

ROWS = 120
YES_NO = ("no", "yes")


def copies(root):
    """Write `root/id[/config]` for every dataset of the recipes: Parquet with features, as the Hub has it."""
    from datasets import ClassLabel, Dataset, Features, Sequence, Value

    text, nli = Value("string"), ClassLabel(names=["entailment", "neutral", "contradiction"])
    two = {"sentence1": text, "sentence2": text}
    answers = {"text": Sequence(text), "answer_start": Sequence(Value("int32"))}

    def put(name, features, row):
        folder = root / name
        folder.mkdir(parents=True)
        data = Dataset.from_list([row(i) for i in range(ROWS)], features=Features(features))
        data.to_parquet(folder / "train-00000-of-00001.parquet")

    put(
        "stanfordnlp/imdb",
        {"text": text, "label": ClassLabel(names=["neg", "pos"])},
        lambda i: {"text": f"Film {i} was long.", "label": i % 2},
    )
    put(
        "fancyzhx/ag_news",
        {"text": text, "label": ClassLabel(names=["World", "Sports", "Business", "Sci/Tech"])},
        lambda i: {"text": f"Story {i} broke.", "label": i % 4},
    )
    put(
        "stanfordnlp/snli",
        {"premise": text, "hypothesis": text, "label": nli},
        lambda i: {"premise": f"Dog {i} sleeps.", "hypothesis": "A dog.", "label": i % 4 - 1},
    )
    put(
        "nyu-mll/glue/mrpc",
        {**two, "label": ClassLabel(names=["not_equivalent", "equivalent"]), "idx": Value("int32")},
        lambda i: {"sentence1": f"He left at {i}.", "sentence2": f"At {i} he went.", "label": i % 2, "idx": i},
    )
    put(
        "rajpurkar/squad_v2",
        {"id": text, "title": text, "context": text, "question": text, "answers": answers},
        lambda i: {
            "id": str(i),
            "title": "Mill",
            "context": f"Mill {i} was built in 1807.",
            "question": f"When was mill {i} built?",
            "answers": {"text": ["1807"][: i % 3], "answer_start": [20][: i % 3]},
        },
    )
    put(
        "google/boolq",
        {"question": text, "answer": Value("bool"), "passage": text},
        lambda i: {"question": f"is {i} a number", "answer": bool(i % 2), "passage": f"{i} is as it is."},
    )
    put(
        "tau/commonsense_qa",
        {
            "id": text,
            "question": text,
            "question_concept": text,
            "answerKey": text,
            "choices": {"label": Sequence(text), "text": Sequence(text)},
        },
        lambda i: {
            "id": str(i),
            "question": f"Where is cup {i}?",
            "question_concept": "cup",
            "answerKey": "ABC"[i % 3],
            "choices": {"label": ["A", "B", "C"], "text": ["shelf", "sea", "sky"]},
        },
    )
    put(
        "EdinburghNLP/xsum",
        {"document": text, "summary": text, "id": text},
        lambda i: {
            "document": f"The council of town {i} met for nine hours.",
            "summary": f"Council {i} met.",
            "id": "",
        },
    )
    put(
        "abisee/cnn_dailymail/3.0.0",
        {"article": text, "highlights": text, "id": text},
        lambda i: {"article": f"The race of year {i} was won by a tortoise.", "highlights": "Tortoise won.", "id": ""},
    )
    put(
        "openai/gsm8k/main",
        {"question": text, "answer": text},
        lambda i: {"question": f"What is {i} + 1?", "answer": f"{i} + 1 = <<{i}+1={i + 1}>>{i + 1}\n#### {i + 1}"},
    )
    for language in ("de", "es", "sw", "zh"):
        put(
            f"facebook/xnli/{language}",
            {"premise": text, "hypothesis": text, "label": nli},
            lambda i: {"premise": f"Hund {i}.", "hypothesis": "Tier.", "label": i % 3},
        )
    for language in ("de", "fr", "ja"):
        put(
            f"google-research-datasets/paws-x/{language}",
            {"id": Value("int32"), **two, "label": ClassLabel(names=["0", "1"])},
            lambda i: {"id": i, "sentence1": f"Er ging {i}.", "sentence2": f"Um {i} ging er.", "label": i % 2},
        )
    (root / "tasks").mkdir()
    for number in (1, 2):
        example = {"input": "2", "output": "even", "explanation": "2 halves."}
        task = {"Definition": ["Say even or odd."], "Positive Examples": [example, {**example, "input": "4"}],
                "Negative Examples": [{"input": "3", "output": "even", "explanation": "3 does not halve."}],
                "Instances": [{"id": f"task00{number}-{i}", "input": str(i), "output": ["odd" if i % 2 else "even"]}
                              for i in range(ROWS)]}  # fmt: skip
        (root / "tasks" / f"task00{number}.json").write_text(json.dumps(task))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("copies")
    copies(folder)
    return folder


SHARES = {  # of the recipes' own words: group weights, and within a group by size (equal here)
    "flan_style": {"classification": 0.45, "questions": 0.3, "generation": 0.2, "reasoning": 0.05},
    "p3_style": dict.fromkeys(("imdb", "ag_news", "mrpc", "commonsense", "xsum"), 0.2),
    "xp3_style": {"nli": 0.5, "paraphrase": 0.5},
    "super_ni": {"task001": 0.5, "task002": 0.5},
}


@pytest.mark.parametrize("name", SHARES)
def test_a_bundled_mixture_runs_with_its_shares(root, name):
    """Each group within 3 sigma of its weight, each dataset within its group; nothing is rejected but test rows."""
    plan = load_mixture(find("recipes", f"{name}.yaml"), root, total=150).plan()
    made = [one for _, one in plan.run()]
    samples = [one for one in made if isinstance(one, dict)]
    groups = Counter()
    for leaf, count in plan.drawn.items():
        groups[leaf.split("/")[0]] += count
    leaves = {leaf.name: leaf.share for leaf in plan.leaves}

    assert len(samples) == 150
    assert {one.reason for one in made if not isinstance(one, dict)} <= {"unlabelled"}
    assert sum(leaves.values()) == pytest.approx(1)
    for shares, counts in ((SHARES[name], groups), (leaves, plan.drawn)):
        assert set(counts) <= set(shares)
        for part, share in shares.items():
            assert abs(counts.get(part, 0) - 150 * share) <= 3 * (150 * share * (1 - share)) ** 0.5, (part, counts)


def test_what_the_styles_ask_for_is_there(root):
    """Flan: few-shot and reasoning and inverted; xP3: the language of the data; Tk-Instruct: its five encodings."""
    made = {name: [one for _, one in load_mixture(find("recipes", f"{name}.yaml"), root, total=150).plan().run()
                   if isinstance(one, dict)] for name in SHARES}  # fmt: skip
    flan = [one.get("labels", {}) for one in made["flan_style"]]

    assert sum("shots" in labels for labels in flan) > 50
    sums = [one for one in made["flan_style"] if one["provenance"]["source"] == "openai/gsm8k"]
    assert sums
    assert all(" + 1 = " in one["turns"][-1]["content"] for one in sums)
    assert any("inverted" in labels for labels in flan)
    assert any("letters" in labels for labels in flan)
    assert not any({"letters", "shots"} & one.get("labels", {}).keys() for one in made["p3_style"])
    assert {one["provenance"]["language"] for one in made["xp3_style"]} == {"de", "es", "sw", "zh", "fr", "ja"}
    assert len({one["provenance"]["template"] for one in made["super_ni"]}) >= 5


def test_the_command_runs_a_bundled_mixture_from_copies(root, tmp_path):
    """By name, without the Hub; the same bytes again; a copy that is missing is named."""
    arguments = ["convert", "--recipe", "flan_style.yaml", "--source-root", str(root), "--total", "60", "--into"]
    for name in ("one", "two"):
        done = CliRunner().invoke(app, [*arguments, str(tmp_path / name)])
        assert done.exit_code == 0, done.output
    first, again = ((tmp_path / name / "samples.jsonl").read_bytes() for name in ("one", "two"))

    assert first == again
    assert first.count(b"\n") == 60
    assert b'"source":"nyu-mll/glue"' in first
    with pytest.raises(DataError, match=r"part 'imdb': no copy of stanfordnlp/imdb at .*put one there"):
        load_mixture(find("recipes", "p3_style.yaml"), tmp_path).plan()
