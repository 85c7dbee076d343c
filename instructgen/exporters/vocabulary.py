"""The words that the Hub knows in a card's YAML, and our own check of them before anything is sent.

Sources: the Hub's documentation of dataset cards and repository licences (hf.co/docs/hub), ISO 639-1 for two-letter
language codes. `huggingface_hub` checks YAML syntax only; the Hub itself checks these words, when it is too late.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

_LICENCES = """
afl-3.0 agpl-3.0 apache-2.0 artistic-2.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0 c-uda cc
cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0
cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0
cdla-permissive-1.0 cdla-permissive-2.0 cdla-sharing-1.0 creativeml-openrail-m ecl-2.0 epl-1.0 epl-2.0 etalab-2.0
eupl-1.1 eupl-1.2 gemma gfdl gpl gpl-2.0 gpl-3.0 isc lgpl lgpl-2.1 lgpl-3.0 lgpl-lr llama2 llama3 llama3.1
llama3.2 llama3.3 llama4 lppl-1.3c mit mpl-2.0 ms-pl mulan-psl-2.0 ncsa odbl odc-by ofl-1.1 openrail osl-3.0
pddl postgresql unknown unlicense wtfpl zlib
"""
LICENCES = frozenset(_LICENCES.split())
"""Licence ids of the Hub, lower case; `other` goes with `license_name`."""
SHARE_ALIKE = frozenset(name for name in LICENCES if "-sa-" in name) | {"gfdl", "odbl", "cdla-sharing-1.0"}
_LANGUAGES = """
aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el
en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu
ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na
nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so
sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu
code multilingual
"""
LANGUAGES = frozenset(_LANGUAGES.split())
"""ISO 639-1, and the two words that the Hub takes beside it. Three-letter ISO 639-3 codes pass by their shape."""
_TASKS = """
text-classification token-classification table-question-answering question-answering zero-shot-classification
translation summarization feature-extraction text-generation fill-mask sentence-similarity text-to-speech
text-to-audio automatic-speech-recognition audio-to-audio audio-classification audio-text-to-text
voice-activity-detection depth-estimation image-classification object-detection image-segmentation text-to-image
image-to-text image-to-image image-to-video unconditional-image-generation video-classification
reinforcement-learning robotics tabular-classification tabular-regression tabular-to-text table-to-text multiple-choice
text-ranking text-retrieval time-series-forecasting text-to-video image-text-to-text visual-question-answering
document-question-answering zero-shot-image-classification graph-ml mask-generation zero-shot-object-detection
text-to-3d image-to-3d image-feature-extraction video-text-to-text other
"""
TASKS = frozenset(_TASKS.split())
SIZES = (
    (1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"), (100_000_000, "10M<n<100M"), (1_000_000_000, "100M<n<1B"),
    (10_000_000_000, "1B<n<10B"), (100_000_000_000, "10B<n<100B"), (1_000_000_000_000, "100B<n<1T"),
)  # fmt: skip
_CODE = re.compile(r"[a-z]{3}(-[A-Za-z0-9]{2,8})*|[a-z]{2}(-[A-Za-z0-9]{2,8})+")


def size_category(rows: int) -> str:
    """Return the Hub's size class of a number of rows.

    Example: size_category(999) -> "n<1K"; size_category(1000) -> "1K<n<10K"
    """
    return next((name for limit, name in SIZES if rows < limit), "n>1T")


def licence_id(name: str) -> str:
    """Return the Hub's spelling of a licence (SPDX ids differ in case): "CC-BY-4.0" -> "cc-by-4.0"; "" -> "unknown"."""
    return name.strip().lower().replace(" ", "-") or "unknown"


def language_code(tag: str) -> str:
    """Return the Hub's spelling of a BCP 47 tag: the language, lower case. Example: "zh-Hans" -> "zh"."""
    return tag.split("-", maxsplit=1)[0].lower()


def problems(front: Mapping[str, Any], rows: int | None = None) -> list[str]:
    """Return what is wrong with a card's YAML, one sentence each; with `rows`, the size class must fit it.

    Example: problems({"license": "cc-by-4"}) -> ["license: 'cc-by-4' is no licence id of the Hub; nearest: ..."]
    """
    found = []
    for licence in _listed(front.get("license")):
        if licence not in LICENCES | {"other"}:
            found.append(_unknown("license", licence, LICENCES, "licence id"))
        if licence == "other" and not front.get("license_name"):
            found.append("license: 'other' needs license_name (and license_link) beside it")
    found += [
        _unknown("language", code, LANGUAGES, "language code")
        for code in _listed(front.get("language"))
        if code not in LANGUAGES and not (isinstance(code, str) and _CODE.fullmatch(code))
    ]
    found += [
        _unknown("task_categories", task, TASKS, "task")
        for task in _listed(front.get("task_categories"))
        if task not in TASKS
    ]
    sizes = [name for _, name in SIZES] + ["n>1T"]
    for size in _listed(front.get("size_categories")):
        if size not in sizes:
            found.append(_unknown("size_categories", size, sizes, "size class"))
        elif rows is not None and size != size_category(rows):
            found.append(f"size_categories: {size!r}, but there are {rows:,} rows: {size_category(rows)!r}")
    return found + _config_problems(front)


def _config_problems(front: Mapping[str, Any]) -> list[str]:
    configs = front.get("configs") or []
    if not isinstance(configs, list) or not all(isinstance(config, Mapping) for config in configs):
        return ["configs: expected a list of objects"]
    found = []
    names = [config.get("config_name", "default") for config in configs]
    found += [f"configs: {name!r} is named twice" for name in sorted(set(names)) if names.count(name) > 1]
    if sum(bool(config.get("default")) for config in configs) > 1:
        found.append("configs: more than one is the default")
    infos = front.get("dataset_info") or []
    for info in infos if isinstance(infos, list) else [infos]:
        if info.get("config_name", "default") not in names:
            found.append(f"dataset_info: {info.get('config_name')!r} is not among the configs")
    return found


def _listed(value: Any) -> Sequence[Any]:
    if value is None:
        return ()
    return value if isinstance(value, list | tuple) else (value,)


def _unknown(key: str, value: Any, known: Sequence[str] | frozenset[str], what: str) -> str:
    near = get_close_matches(str(value), sorted(known), n=1, cutoff=0.6)
    return f"{key}: {value!r} is no {what} of the Hub" + (f"; nearest: {near[0]!r}" if near else "")
