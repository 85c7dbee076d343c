"""Every number of a card is that of the data; every file beside it says the same."""

import json
import re

import pytest
import yaml

from instructgen import files
from instructgen.exporters import trainers
from instructgen.exporters.card import Facts, render, split_card
from instructgen.exporters.changes import described
from instructgen.exporters.folder import Options, export
from instructgen.exporters.vocabulary import problems, size_category
from instructgen.formats.alpaca import Alpaca
from instructgen.records import Provenance, Sample
from tests.exporters.test_folder import BOTH, some

FACTS = Facts(
    name="Help | desk",
    version="1.2.3",
    generator="self_instruct",
    teacher="model-x",
    terms="its own terms",
    prompts={"invent": "ab" * 32},
    parsed=150,
    accepted=120,
    funnel=(("filter", "too_short", 20), ("parse", "truncated", 10)),
    requests=300,
    prompt_tokens=12_000,
    completion_tokens=3_400,
    cost_usd=1.5,
)


def varied(count):
    """Samples of several lengths, languages and categories."""
    return [
        Sample.single(
            f"{('Sort', 'List', 'Write')[n % 3]} the {'very ' * (n % 7)}words",
            output="word " * (n % 11 + 1),
            labels={"category": f"c{n % 4}"},
            provenance=Provenance(source="generated", source_id=str(n), language=("en", "de")[n % 2]),
        )
        for n in range(count)
    ]


def table(card, head):
    """Return a Markdown table of the card as a dict of its first column."""
    match = re.search(rf"\| {head} \|.*\n\|[-|]+\|\n((?:\|.*\n?)+)", card)
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in match[1].strip().splitlines()]
    return {row[0].strip(): [cell.strip(" |") for cell in row[1:]] for row in rows}


def test_every_number_is_recomputed(tmp_path):
    """Rows, lengths, languages, categories, openings, funnel and sizes, from the files themselves."""
    export(varied(120), BOTH, tmp_path, Options(splits={"test": 0.2}, licence="mit"), FACTS)
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    front, _ = split_card(card)
    rows = [row for _, row in files.iter_rows(tmp_path / "alpaca")]

    def words(column):
        lengths = sorted(len(row[column].split()) for row in rows)
        return [str(lengths[0]), str(lengths[59]), str(lengths[113]), str(lengths[-1])]

    assert table(card, "words of the") == {"prompt": words("instruction"), "answer": words("output")}
    assert table(card, "language") == {"de": ["60"], "en": ["60"]}
    assert table(card, "category") == {f"c{n}": ["30"] for n in range(4)}
    assert table(card, "opening verb") == {"list": ["40"], "sort": ["40"], "write": ["40"]}
    assert table(card, "stage") == {"filter": ["too_short", "20"], "parse": ["truncated", "10"]}
    counts = {split: len([1 for _ in files.iter_rows(file)]) for split in ("train", "test")
              for file in (tmp_path / "alpaca").glob(f"{split}-*")}  # fmt: skip
    for info in front["dataset_info"]:
        assert {split["name"]: split["num_examples"] for split in info["splits"]} == counts
        size = sum(path.stat().st_size for path in (tmp_path / info["config_name"]).iterdir())
        assert info["download_size"] == size
    assert f"| `alpaca` | instruction, input, output | train | {counts['train']} |" in card
    assert (front["size_categories"], front["language"]) == (["n<1K"], ["de", "en"])
    for line in (
        "| candidates | 150 |",
        "| accepted | 120 |",
        "| accepted ones in this dataset | 120 |",
        "| cost | 1.50 USD |",
        "| teacher | model-x |",
    ):
        assert line in card


def test_datasets_agrees_with_the_sizes(tmp_path):
    """`num_bytes` is what Arrow needs for the rows."""
    import pyarrow.parquet as pq

    export(some(50), [Alpaca()], tmp_path)
    front, _ = split_card((tmp_path / "README.md").read_text(encoding="utf-8"))

    assert front["dataset_info"][0]["dataset_size"] == pq.read_table(tmp_path / "alpaca").nbytes


def test_text_of_the_data_cannot_break_the_card(tmp_path):
    """Bars, comment marks, fences and YAML in samples and facts stay inside their place; a re-export still works."""
    nasty = "<!-- instructgen:end examples -->\n```\n---\n| a | b | <script>alert(1)</script>"
    samples = [Sample.single(nasty, output=nasty, labels={"category": nasty}, provenance=Provenance(source=nasty))]
    for _ in range(2):
        export(samples, BOTH, tmp_path, Options(), FACTS)

    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    front, body = split_card(card)
    assert front["pretty_name"] == "Help | desk"
    assert body.count("<!-- instructgen:end examples -->") == body.count("<!-- instructgen:begin examples -->") == 1
    assert "````json" in body
    cells = [line for line in body.splitlines() if line.startswith("| ")]
    assert any("&lt;script>" in line for line in cells)
    assert not any("<" in line for line in cells)


def test_a_broken_head_is_named():
    """A README whose YAML cannot be read is not thrown away."""
    with pytest.raises(Exception, match=r"README.md: its YAML head cannot be read"):
        render({}, {}, "---\na: [\n---\nbody")


@pytest.mark.parametrize(
    ("front", "problem"),
    [
        ({"license": "other"}, "needs license_name"),
        ({"language": ["en", "klingon"]}, "'klingon' is no language code"),
        ({"task_categories": ["text-generator"]}, "nearest: 'text-generation'"),
        ({"size_categories": ["1K-10K"]}, "'1K-10K' is no size class"),
        ({"size_categories": ["1K<n<10K"]}, "but there are 7 rows: 'n<1K'"),
        ({"configs": [{"config_name": "a"}, {"config_name": "a"}]}, "'a' is named twice"),
        ({"configs": [{"config_name": "a", "default": True}, {"config_name": "b", "default": True}]}, "more than one"),
        ({"configs": [{"config_name": "a"}], "dataset_info": [{"config_name": "b"}]}, "'b' is not among the configs"),
    ],
)
def test_the_heads_words_are_checked(front, problem):
    """Each problem is one sentence; the nearest known word is suggested."""
    assert [said for said in problems(front, rows=7) if problem in said]


def test_size_classes():
    """The Hub's classes begin at round numbers."""
    assert [size_category(n) for n in (0, 999, 1000, 9_999, 10**6, 10**13)] == [
        "n<1K", "n<1K", "1K<n<10K", "1K<n<10K", "1M<n<10M", "n>1T",
    ]  # fmt: skip


def test_changes_in_one_line():
    """Samples, configs, licence, splits and recipe; nothing when the data is the same."""
    old = {
        "samples": 100,
        "configs": {"alpaca": {}},
        "licence": "mit",
        "splits": {"seed": 0},
        "files": {"a/x.parquet": 1},
    }
    new = {**old, "samples": 120, "configs": {"messages": {}}, "licence": "cc0-1.0", "files": {"a/x.parquet": 2}}

    assert (
        described(old, new)
        == "samples 100 -> 120; config messages added; config alpaca removed; licence mit -> cc0-1.0"
    )
    assert described(old, old) == ""


def test_the_log_grows_at_the_top(tmp_path):
    """An export without a change adds no line."""
    for count in (2, 3, 3, 5):
        export(some(count), [Alpaca()], tmp_path)

    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"- samples .*", card) == ["- samples 3 -> 5", "- samples 2 -> 3"]


def test_trainers_files_name_files_that_are_there(tmp_path):
    """`dataset_info.json` and Axolotl's stanzas point at columns and files of the export."""
    export(some(30), [Alpaca(), *BOTH[1:]], tmp_path, Options(splits={"test": 0.2}))

    info = json.loads((tmp_path / "dataset_info.json").read_text())
    assert set(info) == {"alpaca_train", "alpaca_test", "messages_train", "messages_test"}
    for entry in info.values():
        first = json.loads((tmp_path / entry["file_name"]).read_text(encoding="utf-8").splitlines()[0])
        assert set(entry["columns"].values()) <= set(first)
    for config in ("alpaca", "messages"):
        (stanza,) = yaml.safe_load((tmp_path / f"axolotl/{config}.yaml").read_text())["datasets"]
        assert (tmp_path / stanza["path"]).exists()


def test_formats_name_the_trainers_that_have_an_entry_for_them():
    """What a format says of its consumers is what the trainers' tables hold; `make test-trl` and the like load it."""
    from instructgen.registry import lookup, names

    tables = {
        "TRL": trainers.TRL,
        "LLaMA-Factory": trainers.LLAMAFACTORY,
        "Axolotl": trainers.AXOLOTL,
        "torchtune": trainers.TORCHTUNE,
    }
    said = {
        name: {shape for shape in names("formats") if name in lookup("formats", shape).consumers} for name in tables
    }

    assert said == {name: set(table) for name, table in tables.items()}


def test_every_format_has_samples_for_the_consumers():
    """`make test-datasets` and the like have something to export in every format that there is."""
    from instructgen.registry import names
    from tests.consumers import samples

    covered = {*samples.PRACTICE_SHAPES, *(shape for *_, shapes in samples.SOURCES.values() for shape in shapes)}

    assert covered == set(names("formats"))


def test_snippets_are_python_over_columns_that_exist():
    """Each block of each config compiles, and TRL is given columns that the config has."""
    from instructgen.registry import lookup

    for config, (_, columns) in trainers.TRL.items():
        assert set(columns) <= set(lookup("formats", config).columns)
    told = trainers.snippets({config: {"train": 1} for config in {**trainers.TRL, **trainers.TORCHTUNE}})
    blocks = [part.split("```")[0] for part in told.split("```python\n")[1:]]
    assert len(blocks) == len(trainers.TRL) + len(trainers.TORCHTUNE)
    for block in blocks:
        compile(block, "card", "exec")


def test_axolotl_reads_pairs_with_a_strategy_that_keeps_their_prompt():
    """`argilla_chat` looks for the prompt in `chosen`: right for whole chats, a loss for pairs with a prompt apart."""
    made = {
        name: yaml.safe_load(trainers.axolotl_config(name, {"train": 1}))
        for name in ("preference", "preference_implicit")
    }

    assert [made[name]["rl"] for name in made] == ["dpo", "dpo"]
    assert made["preference"]["datasets"][0]["type"] == "chat_template.default"
    assert made["preference_implicit"]["datasets"][0]["type"] == "chat_template.argilla_chat"


def test_croissant_describes_the_files(tmp_path):
    """Each JSON-lines file with size and hash, each config and split with its fields, ids unique."""
    export(some(30), BOTH, tmp_path, Options(splits={"test": 0.2}, licence="mit"), FACTS)

    made = json.loads((tmp_path / "croissant.json").read_text())
    manifest = json.loads((tmp_path / "manifest.json").read_text())["files"]
    assert (made["conformsTo"], made["license"]) == ("http://mlcommons.org/croissant/1.0", "mit")
    for file in made["distribution"]:
        assert manifest[file["contentUrl"]]["sha256"] == file["sha256"]
    assert {records["@id"]: [field["name"] for field in records["field"]] for records in made["recordSet"]} == {
        "alpaca-train": ["instruction", "input", "output"], "alpaca-test": ["instruction", "input", "output"],
        "messages-train": ["messages"], "messages-test": ["messages"],
    }  # fmt: skip
    text = (tmp_path / "croissant.json").read_text()
    ids = re.findall(r'"@type": "cr:\w+",\s+"@id": "([^"]+)"', text)
    assert len(ids) == len(set(ids)) > 8


def test_no_word_of_the_hub_is_broken():
    """Ids are whole: none ends in a hyphen or begins in the middle, and common ones are there."""
    from instructgen.exporters import vocabulary

    words = vocabulary.LICENCES | vocabulary.TASKS

    assert not [word for word in words if word.endswith("-") or word.startswith(("by-", "permissive-", "activity-"))]
    assert {"cc-by-2.0", "cdla-permissive-1.0", "voice-activity-detection", "reinforcement-learning"} <= words
