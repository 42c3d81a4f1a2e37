"""What README and docs/ say can be followed: commands parse, links lead somewhere, generated pages know everything."""

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer

import stylebank
from stylebank.bank import bundle
from stylebank.cli.app import app
from stylebank.files import resources
from stylebank.files.tensorfile import read as read_checked

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(
        page for page in DOCS.rglob("*.md") if page.relative_to(DOCS).parts[0] not in ("_build", "_generated")
    ),
]
PROGRAM: Any = typer.main.get_command(app)


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def code(text: str) -> Iterator[str]:
    """Fenced blocks of commands, less what is Python, TOML or a drawing."""
    for language, block in re.findall(r"^```(\S*)[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        if language in ("", "bash") or block.startswith("%%bash"):
            yield block


def commands(text: str) -> Iterator[list[str]]:
    """The words behind `stylebank` of each command in fenced blocks, continued lines joined, comments left out."""
    for block in code(text):
        for line in block.replace("\\\n", " ").splitlines():
            if "stylebank " not in line or line.lstrip().startswith(("+", "docker build", "#")):
                continue
            words = shlex.split(line, comments=True)
            if "stylebank" in words:  # behind docker, torchrun, cat or settings, too
                words = words[words.index("stylebank") + 1 :]
                ends = [
                    i for i, word in enumerate(words) if word in (">", "<", "|", "||", "&&", "2>&1", "...")
                ]
                yield words[: min(ends, default=len(words))]


def parsed(words: list[str]) -> None:
    """Read the words of a command as the program does, without running it."""
    if words[:1] == ["--install-completion"]:
        return
    command = PROGRAM.commands[words[0]]
    context = command.make_context(words[0], [], resilient_parsing=True)
    context.resilient_parsing = False  # else mistakes are passed over
    _, rest, _ = command.make_parser(context).parse_args(args=_with_words(words[1:]))
    assert rest == []


def _with_words(words: list[str]) -> list[str]:
    from stylebank.cli.app import _with_words as completed

    return completed([word for word in words if word != "..."])


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_command_of_a_page_is_one_of_the_program_s(page: Path) -> None:
    for words in commands(page.read_text("utf-8")):
        parsed(words)


@pytest.mark.parametrize(
    "line", ["stylebank stylise a.jpg", "stylebank stylize a.jpg --stlye x", "stylebank list a b"]
)
def test_a_command_that_is_none_is_found(line: str) -> None:
    [words] = commands(f"```bash\n{line}\n```\n")
    with pytest.raises(Exception, match=r"stylise|stlye|'b'"):
        parsed(words)


def test_pages_show_a_command_of_every_kind() -> None:
    shown = {words[0] for page in PAGES for words in commands(page.read_text("utf-8"))}
    assert set(PROGRAM.commands) - shown == set()


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_and_pictures_of_a_page_are_there(page: Path) -> None:
    links = re.findall(
        r"\]\(([^)\s#]+)[^)]*\)", re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    )
    files = [link for link in links if not re.match(r"\w+:", link) and "_generated" not in link]
    assert [link for link in files if not (page.parent / link).exists()] == []


def test_every_page_is_in_the_contents() -> None:
    told = set()
    for contents in (DOCS / "index.md", DOCS / "decisions" / "index.md"):
        for block in re.findall(r"```\{toctree\}\n(.*?)```", contents.read_text("utf-8"), re.DOTALL):
            told |= {
                (contents.parent / word).resolve()
                for word in re.findall(r"^(?:[^:\n]*<)?([\w/-]+)>?$", block, re.MULTILINE)
            }
    pages = {page.with_suffix("").resolve() for page in PAGES if DOCS in page.parents}
    assert pages - told == {(DOCS / "index").resolve()}
    assert told - pages == set()


def test_readme_is_a_front_page() -> None:
    assert (ROOT / "README.md").stat().st_size < 6000


@pytest.fixture(scope="module")
def pages(load_script: Callable[[str], ModuleType]) -> ModuleType:
    """scripts/reference_pages.py."""
    return load_script("reference_pages")


def test_reference_knows_every_command_and_option(pages: ModuleType) -> None:
    text = pages.commands()
    for name, command in PROGRAM.commands.items():
        section = text.partition(f"## {name}\n")[2].partition("\n## ")[0]
        options = [
            option for param in command.params if not getattr(param, "hidden", False) for option in param.opts
        ]
        assert [x for x in options if x.startswith("-") and x not in section] == []


def test_reference_knows_every_operation_and_style(pages: ModuleType) -> None:
    from stylebank.studio.server import OPERATIONS

    text = pages.studio()
    assert [each.path for each in OPERATIONS if f"## {each.method} `{each.address}`" not in text] == []
    table = pages.gallery()
    assert [
        name for name in bundle.read(resources.shipped_bank()).names if f"| `{name}` |" not in table
    ] == []


@pytest.mark.parametrize("name", ["bank.safetensors", "vgg16.safetensors"])
def test_the_reader_of_the_page_on_files_reads_what_ours_reads(name: str) -> None:
    page = (DOCS / "reference" / "files.md").read_text("utf-8")
    [source] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    space: dict[str, Any] = {}
    exec(compile(source, "files.md", "exec"), space)
    path = resources.weights_folder() / name
    kind, manifest, tensors = space["read"](path)
    ours, known = read_checked(path, kind=kind)
    assert manifest == known
    assert tensors.keys() == ours.keys()
    assert all((tensors[key] == ours[key]).all() for key in ours)


def test_the_digest_of_encoder_and_decoder_is_as_the_page_on_files_says() -> None:
    import hashlib

    bank = bundle.read(resources.shipped_bank())
    network = read_checked(resources.shipped_bank(), kind="bank")[1]["network"]
    shape = {
        k: v
        for k, v in network.items()
        if (k, v) not in {("kind", "stylebank"), ("blocks", 0), ("outer_kernel", 9)}
    }
    parts = []
    for name, tensor in bank.coder.items():
        facts = f"{name}\0torch.{tensor.dtype}\0{tensor.shape}\0".encode()
        parts.append(hashlib.sha256(facts + tensor.tobytes()).hexdigest())
    digest = hashlib.sha256("".join(sorted(parts)).encode()).hexdigest()
    assert hashlib.sha256(f"{sorted(shape.items())}{digest}".encode()).hexdigest() == bank.coder_digest()


def test_the_public_names_are_on_the_page_on_python() -> None:
    page = (DOCS / "reference" / "python.md").read_text("utf-8")
    assert [name for name in stylebank.__all__ if name not in page and name != "__version__"] == []
