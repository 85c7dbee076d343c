"""The generated blocks of README.md: `python -m tests.readme_blocks` rewrites them, a test checks them."""

import re
from collections import Counter

from instructgen import registry
from tests.conftest import ROOT

README = ROOT / "README.md"
FAMILY = 5
BLOCK = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filters() -> str:
    lines = ["| filter | what it does | reasons |", "|---|---|---|"]
    for name in registry.names("filters"):
        cls = registry.lookup("filters", name)
        lines.append(f"| `{name}` | {summary(cls)} | {reasons_of(list(cls.reasons))} |")
    return "\n".join(lines) + "\n"


def reasons_of(reasons: list[str]) -> str:
    """A family of more than FAMILY reasons with the same first word stands as one, with its number."""
    families = Counter(reason.partition("_")[0] for reason in reasons)
    shown = []
    for reason in reasons:
        first = reason.partition("_")[0]
        entry = f"`{first}_*` ({families[first]})" if families[first] > FAMILY else f"`{reason}`"
        if entry not in shown:
            shown.append(entry)
    return ", ".join(shown)


def formats() -> str:
    lines = ["| format | a row | loaded by |", "|---|---|---|"]
    for name in registry.names("formats"):
        cls = registry.lookup("formats", name)
        lines.append(f"| `{name}` | {cls.title} | {', '.join(cls.consumers)} |")
    return "\n".join(lines) + "\n"


def summary(cls) -> str:
    return " ".join((cls.__doc__ or "").strip().split("\n\n")[0].split()).partition(" Example:")[0]


def current(text: str) -> str:
    made = {"filters": filters, "formats": formats}
    return BLOCK.sub(lambda match: match[1] + made[match[2]]() + match[3], text)


if __name__ == "__main__":
    README.write_text(current(README.read_text(encoding="utf-8")), encoding="utf-8")
