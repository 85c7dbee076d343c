"""Imports point one way, no module does another's I/O."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "instructgen"

ORDER = [
    ["records", "errors", "defects"],
    ["prompts", "pool", "dedup"],
    ["generators", "filters", "formats"],
    ["parquet", "delimited", "files", "blocks"],
    ["decisions", "store", "run", "syscalls", "sandbox", "scoring"],
    ["teachers", "convert", "exporters"],
    ["registry"],
    ["recipe"],
    [
        "tools",
        "forecast",
        "screening",
        "ahead",
        "purchases",
        "engine",
        "report",
        "life",
        "sitting",
        "clean_screen",
        "clean_summary",
        "clean",
        "judging",
    ],
    ["api", "testing"],
    ["cli"],
]
"""Among names on one line imports go left only."""

RANK = {name: (line, place) for line, names in enumerate(ORDER) for place, name in enumerate(names)}
PURE = {name for names in ORDER[:3] for name in names}
NETWORK = ("aiohttp", "httpx2", "httpx", "requests", "socket", "urllib.request", "huggingface_hub", "openai")
NETWORK_HOMES = ("teachers/", "convert/sources", "exporters/hub")


def modules():
    return sorted(path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)


def part_of(path):
    relative = path.relative_to(PACKAGE)
    return relative.parts[0].removesuffix(".py")


def imports(path):
    """Yield (imported module, line, only for the type checker)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    checked = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno, id(node) in checked
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "instructgen":
                for alias in node.names:
                    yield f"instructgen.{alias.name}", node.lineno, id(node) in checked
            else:
                yield node.module, node.lineno, id(node) in checked


def test_every_module_has_its_place():
    """A new top-level module is given a rank here, or it stands nowhere."""
    known = {*RANK, "__init__", "__main__"}

    assert {part_of(path) for path in modules()} - known == set()


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path):
    """records, errors <- ... <- cli, as the table says; a type-only import may look up."""
    part = part_of(path)
    if part in ("__init__", "__main__"):
        return
    wrong = []
    for name, line, checked in imports(path):
        pieces = name.split(".")
        if pieces[0] != "instructgen" or len(pieces) == 1 or checked:
            continue
        other = pieces[1]
        if other in RANK and other != part and RANK[other] > RANK[part]:
            wrong.append(f"{path.name}:{line} imports {name}")

    assert wrong == []


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_network_only_where_it_belongs(path):
    """Only teachers, convert/sources and exporters/hub reach for the network."""
    relative = str(path.relative_to(PACKAGE))
    if relative.startswith(NETWORK_HOMES):
        return
    found = [(name, line) for name, line, _ in imports(path) if name.startswith(NETWORK)]

    assert found == []


@pytest.mark.parametrize(
    "path", [p for p in modules() if part_of(p) in PURE], ids=lambda p: str(p.relative_to(PACKAGE))
)
def test_pure_modules_open_nothing(path):
    """The pure layers call neither open() nor a path's read and write methods, nor start processes."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    names = {func.id for func in calls if isinstance(func, ast.Name)}
    attributes = [func for func in calls if isinstance(func, ast.Attribute)]
    lent = [f for f in attributes if isinstance(f.value, ast.Name) and f.value.id == "tools"]  # what the edges lend
    methods = {func.attr for func in attributes if func not in lent}

    assert names.isdisjoint({"open", "print", "input"})
    assert methods.isdisjoint({"read_text", "write_text", "read_bytes", "write_bytes", "Popen", "check_output"})
    assert all(not name.startswith(("subprocess", "sqlite3")) for name, _, checked in imports(path) if not checked)
    assert "Path" not in {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}, "PurePath does no I/O"


def test_generators_import_no_teacher():
    """A generator does no I/O and knows no teacher."""
    for path in (PACKAGE / "generators").glob("*.py"):
        assert all(not name.startswith("instructgen.teachers") for name, _, _ in imports(path)), path
