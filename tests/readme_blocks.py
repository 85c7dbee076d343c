"""The generated blocks of README.md: `python -m tests.readme_blocks` rewrites them, a test checks them."""

import re

from instructgen import registry
from tests.conftest import ROOT

README = ROOT / "README.md"
BLOCK = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filters() -> str:
    lines = ["| filter | what it does | reasons |", "|---|---|---|"]
    for name in registry.names("filters"):
        cls = registry.lookup("filters", name)
        reasons = ", ".join(f"`{reason}`" for reason in cls.reasons)
        lines.append(f"| `{name}` | {summary(cls)} | {reasons} |")
    return "\n".join(lines) + "\n"


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
