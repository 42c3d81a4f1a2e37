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
TREES = {path.stem: ast.parse(path.read_text("utf-8")) for path in sorted((ROOT / "stylebank").glob("*.py"))}
FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef

# A module imports modules of the layers below its own, and of its own layer only what ALLOWED says.
LAYERS = (
    "errors",
    (
        "config toml images srgb decoding files scratch tensorfile tensors devices interrupts memory "
        "resources mixture"
    ),
    "instance_norm layers model vgg losses",
    (
        "checkpoint entries bundle data styleset style_words objective feature_pool warm_start metrics perceptual "
        "fusion masks segmentation pictures charts tiling passes tiled budget distributed"
    ),
    (
        "train material algorithm incremental report session add_style editing optimize evaluate "
        "bank regions batch unfinished onnx_graph engines crew tuning ray_data console"
    ),
    "__init__",
    "options",
    "commands_paint commands_fuse commands_optimize commands_train commands_evaluate commands_export commands_bank",
    "cli",
    "__main__",
)
ALLOWED = {
    "config": {"toml"},
    "images": {"decoding", "files", "srgb"},
    "layers": {"instance_norm"},
    "model": {"instance_norm", "layers"},
    "charts": {"pictures"},
    "tensorfile": {"files"},
    "entries": {"styleset"},
    "passes": {"tiling"},
    "tiled": {"fusion", "passes", "tiling"},
    "budget": {"tiling"},
    "bundle": {"entries", "styleset"},
    "warm_start": {"bundle", "entries", "feature_pool", "objective"},
    "checkpoint": {"styleset", "data"},
    "objective": {"styleset"},
    "metrics": {"objective"},
    "incremental": {"algorithm"},
    "regions": {"bank"},
    "unfinished": {"batch"},
    "engines": {"bank", "onnx_graph"},
    "ray_data": {"crew", "engines"},
    "crew": {"bank", "engines"},
    "tuning": {"engines"},
    "evaluate": {"optimize"},
    "material": {"report"},
    "session": {"report"},
    "train": {"material", "algorithm", "report", "session"},
    "add_style": {"material", "incremental", "report", "session", "editing"},
    "commands_train": {"commands_bank"},
}
LAYER = {module: layer for layer, modules in enumerate(LAYERS) for module in modules.split()}

# Who alone may touch a library or a function. Types alone (`if TYPE_CHECKING:`) bind nobody to a library.
CONFINED = {
    "PIL": {"images", "srgb", "decoding", "pictures", "charts", "masks"},
    "safetensors": {"tensorfile"},
    "onnx": {"onnx_graph", "engines"},
    "onnxruntime": {"engines"},
    "openvino": {"engines"},
    "ray": {"ray_data"},
    "pyarrow": {"ray_data"},
    "typer": {"cli", "options", *(module for module in TREES if module.startswith("commands_"))},
    "rich": {"console"},
    "fcntl": {"files"},
    "torch.distributed": {"distributed"},
    "torch.nn.parallel": {"distributed"},
    "os.replace": {"files"},
    "os.rename": {"files"},
    "print": {"cli"},
}
NOWHERE = (
    *("pickle", "marshal", "shelve", "yaml", "torch.load", "torch.save"),
    *("exec", "eval", "compile", "__import__", "importlib", "subprocess", "os.system"),
    *("socket", "http", "urllib", "requests"),
)


def imports(tree: ast.AST) -> Iterator[str]:
    """Dotted names that a tree imports, in functions too: `from a import b` gives "a.b"."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{name.name}" for name in node.names)


def own_imports(tree: ast.AST) -> set[str]:
    """Modules of the package that a tree imports; `__init__` for what the package itself offers."""
    found = [name.split(".") for name in imports(tree)]
    heads = {name[1] if name[1:] else "__init__" for name in found if name[0] == "stylebank"}
    return {head if head in TREES else "__init__" for head in heads}


def uses(tree: ast.AST, name: str) -> bool:
    """Whether a tree imports or mentions `name` (a bare name or a chain such as `torch.load`) or what is inside."""
    mentioned = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Name | ast.Attribute)]
    return any(found == name or found.startswith(name + ".") for found in [*imports(tree), *mentioned])


def without_type_imports(tree: ast.Module) -> ast.Module:
    """A module less its `if TYPE_CHECKING:` block."""
    kept = [node for node in tree.body if not (isinstance(node, ast.If) and uses(node.test, "TYPE_CHECKING"))]
    return ast.Module(kept, [])


def as_row(text: str) -> str:
    """A line as README's tree may show it: small first letter, no final period."""
    return text[:1].lower() + text[1:].rstrip(".")


def test_every_module_has_a_place_in_the_layer_table() -> None:
    assert set(TREES) - set(LAYER) == set()


@pytest.mark.parametrize("module", TREES)
def test_module_imports_only_downwards(module: str) -> None:
    others = own_imports(TREES[module])
    assert {other for other in others if LAYER[other] > LAYER[module]} == set()
    assert {other for other in others if LAYER[other] == LAYER[module]} <= ALLOWED.get(module, set())


@pytest.mark.parametrize("name", CONFINED)
def test_library_or_function_stays_where_it_is_confined(name: str) -> None:
    users = {module for module, tree in TREES.items() if uses(without_type_imports(tree), name)}
    assert users <= CONFINED[name]


@pytest.mark.parametrize("name", NOWHERE)
def test_nothing_runs_data_as_code_or_opens_a_connection(name: str) -> None:
    assert {module for module, tree in TREES.items() if uses(tree, name)} == set()


@pytest.mark.parametrize(
    "code", ["import torch\ntorch.load(f)", "from torch import load", "def f(): import pickle", "eval(text)"]
)
def test_search_for_banned_names_finds_them(code: str) -> None:
    assert any(uses(ast.parse(code), name) for name in NOWHERE)


@pytest.mark.parametrize("module", ["stylebank", "stylebank.cli"])
def test_import_does_not_load_the_heavy_libraries(module: str) -> None:
    code = f"import sys, {module}; print(*{{'torch', 'torchvision', 'numpy', 'PIL', 'safetensors'}} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []


@pytest.mark.parametrize("module", TREES)
def test_file_has_at_most_300_lines_and_its_functions_60(module: str) -> None:
    lines = (ROOT / "stylebank" / f"{module}.py").read_text("utf-8").count("\n")
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


def test_readme_tree_has_one_row_a_module_equal_to_its_first_docstring_line() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    block = re.search(r"^stylebank/.*\n((?:[ \t]+.*\n)+)", readme, re.MULTILINE)
    assert block, "README.md shows no tree of stylebank/"
    rows = re.findall(r"^\s+(\w+)\.py\s+(.+?)\s*$", block[1], re.MULTILINE)
    first_lines = {
        module: (ast.get_docstring(tree) or "").partition("\n")[0] for module, tree in TREES.items()
    }
    assert {module: as_row(text) for module, text in rows} == {
        module: as_row(line) for module, line in first_lines.items()
    }


def test_public_interface_is_these_three_names() -> None:
    assert stylebank.__all__ == ["StyleBank", "StyleBankError", "__version__"] == sorted(stylebank.__all__)
    assert all(hasattr(stylebank, name) for name in stylebank.__all__)


def test_version_is_that_of_the_build() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert stylebank.__version__ == project["version"]
