"""Write the documentation's pages that follow from the code: commands, the studio's HTTP API, styles of the bank."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from stylebank.bank import bundle, listing
from stylebank.files import resources


def write(folder: Path) -> None:
    """Write every generated page into a folder, leaving alone what is as it should be."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        path, text = folder / name, page()
        if not path.is_file() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")


def commands() -> str:
    """Every command with its arguments and options, from the program's own definitions."""
    import typer

    from stylebank.cli.app import app

    program: Any = typer.main.get_command(app)
    parts = []
    for name, command in program.commands.items():
        words = " ".join(
            [name, *(["[OPTIONS]"] if _options(command) else []), *map(_usage, _arguments(command))]
        )
        parts += [f"## {name}\n", f"{_prose(command.help)}\n", f"```text\nstylebank {words}\n```\n"]
        rows = [(f"`{_metavar(x)}`", "", _prose(x.help)) for x in _arguments(command)]
        rows += [(_spelled(option), _default(option), _prose(option.help)) for option in _options(command)]
        parts += [*_table(("", "default", ""), rows), ""]
    return "\n".join(parts)


def _arguments(command: Any) -> list[Any]:
    return [found for found in command.params if found.param_type_name == "argument"]


def _options(command: Any) -> list[Any]:
    return [found for found in command.params if found.param_type_name == "option" and not found.hidden]


def _metavar(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper()).strip("{}[]")


def _usage(argument: Any) -> str:
    word = _metavar(argument)
    return word if argument.required else f"[{word}]"


def _spelled(option: Any) -> str:
    """`--output -o FILE`, long names first, and what stands behind them."""
    names = " ".join([*sorted(option.opts, key=len, reverse=True), *option.secondary_opts])
    return f"`{names}`" if option.is_flag else f"`{names} {_word(option)}`".replace("|", "\\|")


def _word(option: Any) -> str:
    kind = option.type_descriptor.annotation
    if option.metavar:
        return str(option.metavar)
    if get_origin(kind) is Literal:
        return "|".join(map(str, get_args(kind)))
    if option.min is not None and option.max is not None:
        return f"{option.min}..{option.max}"
    return {int: "N", float: "X", Path: "FILE"}.get(kind) or str(option.name).upper()


def _default(option: Any) -> str:
    said = re.search(_SAID, option.help or "")
    if option.required:
        return "required"
    if said or option.is_flag or option.default in (None, "", (), []):
        return _prose(said[1]) if said else ""
    return f"`{option.default}`"


_SAID = r"\\?\[default: (.*)\]$"


def _prose(text: str | None) -> str:
    """Help as Markdown; a default that it ends with has a column of its own."""
    words = re.sub(_SAID, "", (text or "").strip()).strip()
    return words.replace("\\[", "[").replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace(chr(10), ' ') for cell in row)} |"


def studio() -> str:
    """The studio's HTTP API, from its OpenAPI document."""
    from stylebank import __version__
    from stylebank.studio import api, server

    document: Mapping[str, Any] = api.openapi(server.OPERATIONS, __version__)
    parts = []
    for address, methods in document["paths"].items():
        for method, facts in methods.items():
            summary, more = _prose(facts["summary"]), _prose(facts["description"])
            parts += [f"## {method.upper()} `{address}`\n", f"{summary}\n", f"{more}\n" if more else ""]
            rows = [
                (f"`{x['name']}`", f"in the {x['in']}", x.get("description", "")) for x in facts["parameters"]
            ]
            if "requestBody" in facts:
                [(kind, _)] = facts["requestBody"]["content"].items()
                rows.append(("body", f"`{kind}`", f"up to {facts['requestBody']['x-limit']:,} bytes"))
            status, answer = next(iter(facts["responses"].items()))
            rows.append(("answer", f"`{next(iter(answer['content']))}`", status))
            parts += [*_table(("", "", ""), rows), ""]
    return "\n".join(parts)


def gallery() -> str:
    """The styles of the bank that comes along: works, whether layered, and how near pictures come to them."""
    rows = []
    for entry in bundle.read(resources.shipped_bank()).entries:
        works = "; ".join(_prose(str(work)) for work in listing.works(entry))
        mean = f"{sum(entry.card.style_ratio) / len(entry.card.style_ratio):.3f}" if entry.card else ""
        rows.append((f"`{entry.name}`", works, "layered" if entry.style.is_layered else "", mean))
    return "\n".join([*_table(("style", "made of", "", "r"), rows), ""])


PAGES: Mapping[str, Callable[[], str]] = {
    "commands.md": commands,
    "studio.md": studio,
    "gallery.md": gallery,
}
