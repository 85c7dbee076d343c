"""Import, export, import again: the identity on real files."""

import gzip
import json

import pytest

from instructgen import files
from instructgen.exporters.folder import Options, export
from instructgen.formats.detect import detect, read
from instructgen.records import Answer, Provenance, Sample
from tests.formats.holding import FORMATS

FILES = [
    ("fastchat/dummy_conversation.json", "sharegpt", ["sharegpt", "messages", "openai"]),
    ("dolly_cc_by_sa/dolly_3k.json.gz", "alpaca", ["dolly", "alpaca", "prompt_completion", "messages"]),
    ("llava/coco2014_val_gpt4_qa_30x3.jsonl", "llava", ["llava"]),
    ("gpteacher/roleplay.json.gz", "alpaca", ["alpaca", "flan"]),
    ("self_instruct/seed_tasks.jsonl", "self_instruct", ["self_instruct", "alpaca"]),
    ("self_instruct/user_oriented_instructions.jsonl", "self_instruct", ["alpaca", "super_ni"]),
    ("self_instruct/predictions_text-davinci-003.jsonl", "alpaca", ["alpaca"]),
]


KNOWN = Provenance(source="self_instruct", licence="apache-2.0")


def samples_of(path, shape=None):
    rows = list(files.iter_rows(path))
    shape = shape or detect([row for _, row in rows[:100]], FORMATS.values()).format
    made = list(read(rows, shape, source=path.name))
    assert all(isinstance(one, Sample) for one in made)
    return made, shape


def numbered(samples):
    """Ids as a stream numbers them."""
    seen = {}
    for sample in samples:
        seen[sample.id] = seen.get(sample.id, 0) + 1
        yield sample if seen[sample.id] == 1 else sample.model_copy(update={"id": f"{sample.id}-{seen[sample.id]}"})


@pytest.mark.parametrize(("name", "detected", "formats"), FILES)
def test_import_export_import(data_dir, tmp_path, name, detected, formats):
    """Every sample of the file comes back from every config, with id, labels, extra columns and provenance."""
    samples, shape = samples_of(data_dir / name)

    done = export(samples, [FORMATS[one] for one in formats], tmp_path, Options())

    assert shape.name == detected
    assert done.left_out == {}
    for one in formats:
        back, _ = samples_of(tmp_path / one, FORMATS[one])
        assert sorted(s.id.split("-")[0] for s in back) == sorted(s.id for s in samples)
        if not hasattr(FORMATS[one], "write_all") or one not in ("self_instruct", "super_ni"):
            assert back == list(numbered(samples))


def test_sharegpt_rows_are_written_back_unchanged(data_dir):
    """The rows themselves, id and all."""
    rows = json.loads((data_dir / "fastchat/dummy_conversation.json").read_text(encoding="utf-8"))
    shape = FORMATS["sharegpt"]

    assert [shape.write(sample) for row in rows for sample in shape.read(row)] == rows


def test_seed_tasks_are_written_back_unchanged(data_dir):
    """Tasks with several instances too."""
    rows = [row for _, row in files.iter_rows(data_dir / "self_instruct/seed_tasks.jsonl")]
    shape = FORMATS["self_instruct"]

    assert [made for row in rows for made in shape.write_all(shape.read(row))] == rows


def test_preferences_from_two_models_answers(data_dir, tmp_path):
    """A newer model's answer over an older one's: the same pairs come back from every preference shape."""
    old, new = (
        [row for _, row in files.iter_rows(data_dir / f"self_instruct/predictions_text-davinci-00{n}.jsonl")]
        for n in (2, 3)
    )
    pairs = []
    for worse, better in zip(old, new, strict=True):
        (sample,) = FORMATS["alpaca"].read(better)
        (other,) = FORMATS["alpaca"].read(worse)
        if sample.output != other.output:
            pairs.append(
                Sample(
                    turns=sample.turns,
                    answers=(Answer(turns=other.turns[-1:], source="davinci-002"),),
                    provenance=KNOWN,
                )
            )
    names = ["preference", "preference_implicit", "preference_text", "openai_preference"]

    export(pairs, [FORMATS[name] for name in names], tmp_path, Options())

    assert len(pairs) > 200
    for name in names:
        assert samples_of(tmp_path / name, FORMATS[name])[0] == pairs
        rows = [json.loads(line) for line in (tmp_path / f"jsonl/{name}-train.jsonl").open(encoding="utf-8")]
        assert detect(rows, FORMATS.values()).format.name == name


def test_original_alpaca_survives_messages(data_dir):
    """All 52,002 rows: from Alpaca to messages and back by way of the carried input lengths."""
    from tests.formats.test_round_trips import through

    rows = json.loads(gzip.decompress((data_dir / "alpaca_nc/alpaca_data.json.gz").read_bytes()))[::50]
    for row in rows:
        (sample,) = FORMATS["alpaca"].read(row)
        assert FORMATS["alpaca"].write(through(FORMATS["messages"], sample)) == row
