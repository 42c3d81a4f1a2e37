"""The rules of CONTRIBUTING.md that a machine can judge, read from the syntax trees of the package."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import stylebank

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "stylebank"
SOURCES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in sorted(PACKAGE.rglob("*.py"))
}
"""Every module by its dotted name inside the package: "errors", "painting.canvas", "painting.__init__"."""
TREES = {module: ast.parse(path.read_text("utf-8")) for module, path in SOURCES.items()}
FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef

# The house from top to bottom: a wing imports what stands below it, and what it alone may touch of the libraries.
WINGS = {
    "__main__": "",
    "cli": "typer rich print",
    "terminal": "typer rich print",
    "studio": "starlette uvicorn subprocess socket",
    "easel": "",
    "web": "subprocess",
    "video": "cv2",
    "footage": "av PIL",
    "batch": "ray pyarrow",
    "__init__": "",
    "reference": "torchmetrics",
    "painting": "",
    "engines": "onnx onnxruntime openvino",
    "training": "",
    "persistence": "",
    "bank": "huggingface_hub",
    "supervision": "",
    "machine": "torch.distributed torch.nn.parallel psutil",
    "network": "",
    "priming": "PIL",
    "pixels": "PIL matplotlib",
    "photos": "PIL pillow_heif pillow_jxl",
    "config": "",
    "files": "safetensors filelock platformdirs os.replace os.rename",
    "errors": "",
}
# Inside a wing imports point down too: no circle, see `test_no_wing_holds_a_circle`.
NOWHERE = (
    "fcntl",  # is not there on Windows
    *("pickle", "marshal", "shelve", "yaml", "torch.load", "torch.save"),
    *("exec", "eval", "compile", "__import__", "importlib", "os.system"),
    *("http", "urllib", "requests"),
)


def wing(module: str) -> str:
    """The wing that a module is in; what stands at the top level is a wing of its own."""
    return module.partition(".")[0]


def imports(tree: ast.AST) -> Iterator[str]:
    """Dotted names that a tree imports, in functions too: `from a import b` gives "a.b"."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{name.name}" for name in node.names)


def own_imports(tree: ast.AST) -> set[str]:
    """Modules of the package that a tree imports; `__init__` for what the package itself offers."""
    found = set()
    for name in imports(tree):
        if name.partition(".")[0] == "stylebank":
            inner = name.split(".")[1:]
            names = (".".join(inner[:length]) for length in range(len(inner), 0, -1))
            found.add(next((module for module in names if module in TREES), "__init__"))
    return found


def uses(tree: ast.AST, name: str) -> bool:
    """Whether a tree imports or mentions `name` (a bare name or a chain such as `torch.load`) or what is inside."""
    mentioned = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Name | ast.Attribute)]
    return any(found == name or found.startswith(name + ".") for found in [*imports(tree), *mentioned])


def without_type_imports(tree: ast.Module) -> ast.Module:
    """A module less its `if TYPE_CHECKING:` block: types alone bind nobody to a library, or to a module."""
    kept = [node for node in tree.body if not (isinstance(node, ast.If) and uses(node.test, "TYPE_CHECKING"))]
    return ast.Module(kept, [])


def as_row(text: str) -> str:
    """A line as docs/architecture.md may show it: small first letter, no final period."""
    return text[:1].lower() + text[1:].rstrip(".")


def test_every_module_stands_in_a_wing() -> None:
    assert {wing(module) for module in TREES} == set(WINGS)


def test_every_wing_has_three_to_twelve_files_and_no_two_files_have_one_name() -> None:
    rooms = [module.split(".") for module in TREES if "." in module and not module.endswith("__init__")]
    counts = {name: sum(room[0] == name for room in rooms) for name in {room[0] for room in rooms}}
    assert {name: count for name, count in counts.items() if not 3 <= count <= 12} == {}
    names = [room[-1] for room in rooms]
    assert {name for name in names if names.count(name) > 1 or name in WINGS} == set()
    assert all(len(room) == 2 for room in rooms)


@pytest.mark.parametrize("module", TREES)
def test_module_imports_only_downwards(module: str) -> None:
    order = list(WINGS)
    others = {wing(other) for other in own_imports(TREES[module])} - {wing(module)}
    assert {other for other in others if order.index(other) < order.index(wing(module))} == set()


@pytest.mark.parametrize("name", sorted({wing(module) for module in TREES if "." in module}))
def test_no_wing_holds_a_circle(name: str) -> None:
    inside = {module: tree for module, tree in TREES.items() if wing(module) == name}
    above = {module: own_imports(tree) & set(inside) - {module} for module, tree in inside.items()}
    while above:
        lowest = {module for module, others in above.items() if not others}
        assert lowest, f"a circle of {sorted(above)}"
        above = {module: others - lowest for module, others in above.items() if module not in lowest}


@pytest.mark.parametrize(
    "name", sorted({library for libraries in WINGS.values() for library in libraries.split()})
)
def test_library_or_function_stays_in_the_wing_that_may_touch_it(name: str) -> None:
    users = {wing(module) for module, tree in TREES.items() if uses(without_type_imports(tree), name)}
    assert users <= {owner for owner, libraries in WINGS.items() if name in libraries.split()}


def test_one_room_alone_asks_the_hub() -> None:
    assert {name for name, tree in TREES.items() if uses(tree, "huggingface_hub")} == {"bank.hub"}


def test_the_network_touches_nothing_but_torch() -> None:
    outside = {
        name.partition(".")[0]
        for module, tree in TREES.items()
        if wing(module) == "network"
        for name in imports(without_type_imports(tree))
    }
    assert outside <= {"torch", "numpy", "stylebank"} | sys.stdlib_module_names


@pytest.mark.parametrize("name", NOWHERE)
def test_nothing_runs_data_as_code_or_opens_a_connection(name: str) -> None:
    assert {module for module, tree in TREES.items() if uses(tree, name)} == set()


@pytest.mark.parametrize(
    "code", ["import torch\ntorch.load(f)", "from torch import load", "def f(): import pickle", "eval(text)"]
)
def test_search_for_banned_names_finds_them(code: str) -> None:
    assert any(uses(ast.parse(code), name) for name in NOWHERE)


@pytest.mark.parametrize("module", ["stylebank", "stylebank.cli.app"])
def test_import_does_not_load_the_heavy_libraries(module: str) -> None:
    heavy = {"torch", "torchvision", "numpy", "PIL", "safetensors", "matplotlib"}
    code = f"import sys, {module}; print(*{heavy} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []


@pytest.mark.parametrize("module", TREES)
def test_file_has_at_most_300_lines_and_its_functions_60(module: str) -> None:
    lines = SOURCES[module].read_text("utf-8").count("\n")
    functions = [node for node in ast.walk(TREES[module]) if isinstance(node, FUNCTION)]
    lengths = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions}
    assert lines <= 300
    assert {name: length for name, length in lengths.items() if length > 60} == {}


@pytest.mark.parametrize("module", TREES)
def test_module_and_its_public_definitions_have_docstrings(module: str) -> None:
    scopes = [node for node in ast.walk(TREES[module]) if isinstance(node, ast.Module | ast.ClassDef)]
    definitions = [
        node for scope in scopes for node in scope.body if isinstance(node, FUNCTION | ast.ClassDef)
    ]
    assert ast.get_docstring(TREES[module])
    assert [node.name for node in definitions if node.name[0] != "_" and not ast.get_docstring(node)] == []


def test_tree_of_the_docs_shows_wings_and_rooms_each_with_its_first_docstring_line() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    block = re.search(r"^stylebank/.*\n((?:(?:[ \t]+.*)?\n)+?)```", page, re.MULTILINE)
    assert block, "docs/architecture.md shows no tree of stylebank/"
    rows, inside = {}, ""
    for name, text in re.findall(r"^ +(\w+(?:\.py|/)?) *(.*?)$", block[1], re.MULTILINE):
        if not text:
            inside = f"{name}."
        elif name.endswith("/"):
            rows[f"{name.removesuffix('/')}.__init__"] = text
        else:
            rows[inside + name.removesuffix(".py")] = text
    first_lines = {
        module: (ast.get_docstring(tree) or "").partition("\n")[0] for module, tree in TREES.items()
    }
    assert {module: as_row(text) for module, text in rows.items()} == {
        module: as_row(line) for module, line in first_lines.items()
    }


def test_tests_mirror_the_wings() -> None:
    folders = {path.parent.name for path in (ROOT / "tests").glob("*/test_*.py")}
    assert folders == {wing(module) for module in TREES if "." in module} | {
        "comfyui",
        "reliability",
        "scripts",
    }


def test_public_interface_is_these_four_names() -> None:
    assert (
        stylebank.__all__
        == ["StyleBank", "StyleBankError", "__version__", "masks"]
        == sorted(stylebank.__all__)
    )
    assert all(hasattr(stylebank, name) for name in stylebank.__all__)


def test_version_of_the_build_is_read_from_the_package() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert "version" in build["project"]["dynamic"]
    assert build["tool"]["hatch"]["version"]["path"] == "stylebank/__init__.py"
    assert re.fullmatch(r"\d+\.\d+\.\d+", stylebank.__version__)
