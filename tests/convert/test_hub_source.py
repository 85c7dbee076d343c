"""Datasets by Hub id: streamed while the Hub answers, from the local cache when it does not."""

import json
import logging
import os
import subprocess
import sys
import time

import pytest

from instructgen.convert import sources
from instructgen.errors import DataError
from tests.hub_standin import standing_in

NAME = "tester/reviews"
ROWS = [{"text": f"Film {i} was {'fine' if i % 2 else 'dull'}.", "label": i % 2} for i in range(40)]
FILL = f"from datasets import load_dataset; load_dataset('{NAME}', split='train')"


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A stand-in for the Hub that holds one dataset with named classes; the client uploads over LFS."""
    import huggingface_hub.constants as constants
    from datasets import ClassLabel, Dataset, Features, Value
    from huggingface_hub import CommitOperationAdd, HfApi

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    features = Features({"text": Value("string"), "label": ClassLabel(names=["neg", "pos"])})
    path = tmp_path / "train-00000-of-00001.parquet"
    Dataset.from_list(ROWS, features=features).to_parquet(path)
    with standing_in(tmp_path / "hub") as server:
        client = HfApi(endpoint=server.url, token="t")
        client.create_repo(NAME, repo_type="dataset")
        files = [CommitOperationAdd(f"data/{path.name}", path.read_bytes())]
        client.create_commit(NAME, files, commit_message="rows", repo_type="dataset")
        yield server


def child(arguments, site, home, **more):
    """Run a process that knows the Hub by its environment only."""
    environment = {**os.environ, "HF_ENDPOINT": site.url, "HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1",
                   "HF_HUB_DISABLE_XET": "1", **more}  # fmt: skip
    return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False)


def convert(site, tmp_path, name, **more):
    arguments = ["-m", "instructgen", "convert", NAME, "--task", "sentiment", "--into", str(tmp_path / name)]
    return child(arguments, site, tmp_path / "home", **more)


def test_a_hub_dataset_is_streamed_and_later_found_in_the_cache(site, tmp_path):
    """Class names come from the dataset; offline, what was downloaded before is read; else one message says all."""
    streamed = convert(site, tmp_path, "streamed")
    assert streamed.returncode == 0, streamed.stderr
    assert "named by the dataset" in streamed.stderr
    assert "neg=negative, pos=positive" in streamed.stderr

    absent = convert(site, tmp_path, "absent", HF_HUB_OFFLINE="1")
    assert absent.returncode == 1
    assert "not in the local cache" in absent.stderr
    assert "Traceback" not in absent.stderr

    assert child(["-c", FILL], site, tmp_path / "home").returncode == 0
    cached = convert(site, tmp_path, "cached", HF_HUB_OFFLINE="1")
    assert cached.returncode == 0, cached.stderr

    samples = [(tmp_path / name / "samples.jsonl").read_bytes() for name in ("streamed", "cached")]
    assert samples[0] == samples[1]
    assert json.loads(samples[0].split(b"\n")[0])["provenance"]["source"] == NAME


def test_a_hub_that_does_not_answer_is_said_to_be_waited_for(monkeypatch, caplog):
    """The client's half a minute of tries is not silent; what comes in time is."""
    asked = []

    def load(*given, streaming, **more):
        asked.append(streaming)
        logging.getLogger("huggingface_hub.utils._http").warning("Retrying in 1s (2 of 5)")
        if streaming:
            time.sleep(0.3)
        raise ConnectionError("no route")

    monkeypatch.setattr("datasets.load_dataset", load)
    monkeypatch.setattr(sources, "HUB_SECONDS", 0.05)
    with pytest.raises(DataError, match="not to be had from the Hub"):
        sources.open_source("someone/somewhere")

    assert asked == [True, False]
    assert "(2 of 5)" not in caplog.text
    assert [record.message for record in caplog.records if "HF_HUB_OFFLINE=1" in record.message]
    caplog.clear()
    monkeypatch.setattr(sources, "HUB_SECONDS", 60.0)
    with pytest.raises(DataError):
        sources.open_source("someone/somewhere")
    assert not caplog.records
