"""The floors of docs/architecture.md hold: rooms import only downwards, no module imports in a circle, and what a file keeps to
itself (`_name`) no other file uses."""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "aesthetic_mllm"
SOURCE = ROOT / "src" / PACKAGE
USERS = ("benchmarks", "docs", "examples", "recipes", "tests")
# Hooks that transformers and vLLM look up by these names on their own classes and ours.
HOOKS = {"_get_num_multimodal_tokens", "_supports_flash_attn"}


@dataclass(frozen=True)
class Room:
    """A row of the page's table."""

    floor: int
    may_import: frozenset[str]


@dataclass(frozen=True)
class Module:
    """A file of the package.

    Args:
        name: such as "aesthetic_mllm.engine.engine".
        imports: modules of the package that it imports anywhere, within functions and for type checking too.
    """

    name: str
    imports: frozenset[str]

    @property
    def room(self) -> str:
        """The folder below the package; empty for the package's own files."""
        parts = self.name.split(".")
        return parts[1] if len(parts) > 2 else ""


def read_rooms(page: str) -> dict[str, Room]:
    """The table of rooms; "all" means all floors below."""
    rows = re.findall(r"^\| (\d+) \| `(\w+)/` \| .* \| ([^|]*) \|$", page, re.M)
    floors = {name: int(floor) for floor, name, _ in rows}
    below = {name: {other for other in floors if floors[other] < floors[name]} for name in floors}
    return {
        name: Room(floors[name], frozenset(below[name] if said.strip() == "all" else re.findall(r"`(\w+)`", said)))
        for _, name, said in rows
    }


def python_files(folder: Path) -> list[Path]:
    """Without the copies that travel with the checkpoint."""
    return sorted(path for path in folder.rglob("*.py") if "checkpoints/nano/" not in path.as_posix())


def module_name(path: Path, source: Path) -> str:
    parts = [PACKAGE, *path.relative_to(source).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def read_modules(source: Path) -> list[Module]:
    """All modules of the package with what they import of it."""
    files = {module_name(path, source): path for path in python_files(source)}
    packages = {name for name, path in files.items() if path.name == "__init__.py"}
    return [
        Module(name, frozenset(found for found in imported(path, name, name in packages, set(files)) if found != name))
        for name, path in files.items()
    ]


def imported(path: Path, name: str, is_package: bool, known: set[str]) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        if isinstance(node, ast.ImportFrom):
            target = imported_from(node, name, is_package)
            for alias in node.names:  # a module of a package, or a name of a module
                both = f"{target}.{alias.name}"
                yield from [both] if both in known else [target] if target in known else []


def imported_from(node: ast.ImportFrom, name: str, is_package: bool) -> str:
    """The absolute name of what stands after `from`."""
    if not node.level:
        return node.module or ""
    around = name.split(".") if is_package else name.split(".")[:-1]
    return ".".join([*around[: len(around) - node.level + 1], *([node.module] if node.module else [])])


def wrong_floors(modules: list[Module], rooms: Mapping[str, Room]) -> list[str]:
    """Imports that no row of the table allows. The package's own files import what they like; `_version` is for all."""
    found = [
        f"{module.name}: the room {module.room}/ is not in the table" for module in modules if module.room not in {"", *rooms}
    ]
    for module in modules:
        for target in sorted(module.imports):
            room = target.split(".")[1] if target.count(".") else ""
            if module.room not in rooms or room in ("", "_version", module.room):
                continue
            if room not in rooms[module.room].may_import:
                found.append(f"{module.name} imports {target}, and {module.room}/ may not import {room}/")
    return found


def circles(modules: list[Module]) -> list[list[str]]:
    """Modules that reach themselves by imports. A package's own file, which holds a docstring, is no step on the way."""
    imports = {module.name: module.imports for module in modules}

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        ahead = list(imports[start])
        while ahead:
            name = ahead.pop()
            if name not in seen:
                seen.add(name)
                ahead += imports.get(name, ())
        return seen

    reach = {name: reached(name) for name in imports}
    within = {name: sorted(other for other in reach[name] if name in reach[other]) for name in imports if name in reach[name]}
    return sorted({tuple(members): members for members in within.values()}.values())


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name != "_"


def own_names(tree: ast.AST) -> set[str]:
    """The private names that a file defines: functions, classes, variables and attributes."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.add(node.id if isinstance(node, ast.Name) else node.attr)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
    return set(filter(is_private, names))


def used_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of every private name that a file imports, or looks up on an object, by `getattr` and its like too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.Attribute):
            yield node.lineno, node.attr
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("getattr", "hasattr", "setattr", "delattr"):
            yield from (
                (node.lineno, value.value.rpartition(".")[2])
                for value in node.args
                if isinstance(value, ast.Constant) and isinstance(value.value, str)
            )


def borrowed_names(defining: list[Path], using: list[Path]) -> list[str]:
    """Where a file uses a private name that only other files define. Libraries' own private names are not looked for."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in {*defining, *using}}
    own = {path: own_names(tree) for path, tree in trees.items()}
    defined = set().union(*(own[path] for path in defining)) - HOOKS
    return [
        f"{path.name}, line {line}: {name} is another file's"
        for path in using
        for line, name in used_names(trees[path])
        if is_private(name) and name in defined - own[path]
    ]


@pytest.fixture(scope="module")
def rooms() -> dict[str, Room]:
    return read_rooms((ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"))


def test_the_table_lists_every_room_and_only_lower_floors(rooms: Mapping[str, Room]) -> None:
    folders = {path.parent.relative_to(SOURCE).parts[0] for path in python_files(SOURCE) if path.parent != SOURCE}
    assert set(rooms) == folders
    for name, room in rooms.items():
        assert all(rooms[other].floor < room.floor for other in room.may_import), name


def test_rooms_import_only_what_the_table_allows(rooms: Mapping[str, Room]) -> None:
    assert wrong_floors(read_modules(SOURCE), rooms) == []


def test_no_circle() -> None:
    assert circles(read_modules(SOURCE)) == []


def test_nobody_uses_another_files_private_names() -> None:
    package = python_files(SOURCE)
    recipes = python_files(ROOT / "recipes")
    everybody = [*package, *(path for folder in USERS for path in python_files(ROOT / folder))]
    assert borrowed_names([*package, *recipes], everybody) == []


PLANTED = {
    "__init__.py": "",
    "low/__init__.py": "",
    "low/a.py": "from .b import second\n\ndef _own():\n    return second\n\nclass Thing:\n    def _hidden(self): ...\n",
    "low/b.py": "second = 2\n\ndef late():\n    from .a import Thing\n    return Thing\n",
    "low/c.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..high.d import use\n",
    "high/__init__.py": "",
    "high/d.py": "from aesthetic_mllm.low.a import Thing, _own\n\ndef use(thing: Thing):\n    return thing._hidden(), _own\n",
    "high/e.py": "def use(thing):\n    return getattr(thing, '_hidden'), thing._private_of_a_library\n",
    "attic/f.py": "",
}
PLANTED_PAGE = "| 1 | `low/` | a, b and c | nothing of the package |\n| 2 | `high/` | d | `low` |\n"


def test_planted_violations_are_found(tmp_path: Path) -> None:
    """An import upwards for type checking alone, a circle by a late import, another file's names, a room nobody listed."""
    source = tmp_path / PACKAGE
    for name, text in PLANTED.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text)
    modules = read_modules(source)
    floors = wrong_floors(modules, read_rooms(PLANTED_PAGE))
    assert floors == [
        "aesthetic_mllm.attic.f: the room attic/ is not in the table",
        "aesthetic_mllm.low.c imports aesthetic_mllm.high.d, and low/ may not import high/",
    ]
    assert circles(modules) == [["aesthetic_mllm.low.a", "aesthetic_mllm.low.b"]]
    files = python_files(source)
    assert sorted(borrowed_names(files, files)) == [
        "d.py, line 1: _own is another file's",
        "d.py, line 4: _hidden is another file's",
        "e.py, line 2: _hidden is another file's",
    ]
