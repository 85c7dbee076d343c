"""The change log of a card: what each export changed against the one before, in numbers.

Lines are only ever added. There is no date in them: an export's bytes depend on its input alone; the Hub dates commits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

BLOCK = "changes"
_LINES = re.compile(r"<!-- instructgen:begin changes -->\n(.*?)<!-- instructgen:end changes -->", re.DOTALL)


def section(previous: Mapping[str, Any], manifest: Mapping[str, Any], card: str) -> dict[str, str]:
    """Return the section, {} on a first export; the lines of `card` are kept, the newest comes first."""
    found = _LINES.search(card)
    kept = [line for line in found[1].splitlines() if line.startswith("- ")] if found else []
    change = described(previous, manifest) if previous else ""
    lines = [f"- {change}", *kept] if change else kept
    return {BLOCK: "## Changes\n\n" + "\n".join(lines)} if lines else {}


def described(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Return in one line what differs between two manifests; "" when the data files are the same.

    Example: "samples 100 -> 120; config messages added; licence mit -> cc-by-4.0"
    """
    if _data(old) == _data(new) and old.get("licence") == new.get("licence"):
        return ""
    parts = []
    if old.get("samples") != new.get("samples"):
        parts.append(f"samples {old.get('samples', 0):,} -> {new.get('samples', 0):,}")
    before, now = set(old.get("configs", {})), set(new.get("configs", {}))
    parts += [f"config {name} added" for name in sorted(now - before)]
    parts += [f"config {name} removed" for name in sorted(before - now)]
    for key in ("licence", "splits"):
        if old.get(key) != new.get(key):
            parts.append(f"{key} {_said(old.get(key))} -> {_said(new.get(key))}")
    recipes = [manifest.get("facts", {}).get("recipe", "") for manifest in (old, new)]
    if recipes[0] != recipes[1]:
        parts.append(f"recipe {recipes[0][:12] or 'none'} -> {recipes[1][:12] or 'none'}")
    return "; ".join(parts) or "rows changed, their number did not"


def _data(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {name: known for name, known in manifest.get("files", {}).items() if name.endswith((".parquet", ".jsonl"))}


def _said(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={share:g}" for name, share in value.items())
    return str(value)
