"""Every format's folder is loaded by the installed `datasets`; every shard has the one schema of its card."""

import os
import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from instructgen.exporters import schema
from instructgen.exporters.folder import Options, export
from instructgen.registry import lookup, names
from tests.conftest import ROOT
from tests.consumers.every_format import samples, write


def test_datasets_loads_every_format(tmp_path):
    """Rows, streamed rows and features of all configs, in a process without network."""
    write(tmp_path / "every")
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")}

    done = subprocess.run(
        [sys.executable, str(ROOT / "tests/consumers/datasets_loads.py"), str(tmp_path / "every")],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in names("formats"))


@pytest.mark.parametrize("name", names("formats"))
def test_all_shards_have_one_schema(tmp_path, monkeypatch, name):
    """Shards of a config can be concatenated: the same typed columns in each, even where all values are null."""
    monkeypatch.setattr("instructgen.exporters.shards.GROUP_ROWS", 2)

    export(samples(name), [lookup("formats", name)()], tmp_path, Options(shard_bytes=1))

    paths = sorted((tmp_path / name).glob("*.parquet"))
    stated = schema.arrow_schema(schema.with_ours(lookup("formats", name).columns, "json"))
    assert len(paths) >= 6
    assert all(pq.read_schema(path).equals(stated) for path in paths)
