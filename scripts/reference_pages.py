"""Write the documentation's pages that follow from the code: commands, the studio's HTTP API, the styles of the bank."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

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
        words = " ".join([name, *(["[OPTIONS]"] if _options(command) else []), *map(_usage, _arguments(command))])
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
    word = _metavar(argument) + ("..." if argument.nargs == -1 else "")
    return word if argument.required else f"[{word}]"


def _spelled(option: Any) -> str:
    """`--output, -o OUT`."""
    names = ", ".join([*option.opts, *option.secondary_opts])
    if option.is_flag:
        return f"`{names}`"
    word = option.metavar or {"text": "TEXT", "integer": "N", "float": "X"}.get(option.type.name, "VALUE")
    choices = getattr(option.type, "choices", None)
    return f"`{names} {'|'.join(map(str, choices)) if choices else word}`"


def _default(option: Any) -> str:
    if option.required:
        return "required"
    value = option.show_default if isinstance(option.show_default, str) else option.default
    if callable(value) or value in (None, "", False, (), []) or (option.is_flag and value is True):
        return ""
    return str(value).replace("|", "\\|")


def _prose(text: str | None) -> str:
    """Help as Markdown in one line or several paragraphs."""
    return (text or "").strip().replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace(chr(10), ' ') for cell in row)} |"


def studio() -> str:
    """The studio's HTTP API: its OpenAPI document as a table, then bodies and answers of each operation."""
    from stylebank import __version__
    from stylebank.studio import api, orders, photographs

    operations = [*photographs.OPERATIONS, *orders.OPERATIONS]
    document: Mapping[str, Any] = api.openapi(operations, __version__)
    parts = []
    for address, methods in document["paths"].items():
        for method, facts in methods.items():
            parts += [f"## {method.upper()} {address}\n", f"{_prose(facts.get('summary') or facts.get('description'))}\n"]
    return "\n".join(parts)


def gallery() -> str:
    """The styles of the bank that comes along: artist, title, images and figures, as its manifest has them."""
    bank = bundle.read(resources.shipped_bank())
    rows = []
    for entry in bank.entries:
        card = entry.card
        mean = f"{sum(card.style_ratio) / len(card.style_ratio):.3f}" if card else ""
        rows.append((f"`{entry.name}`", "layered" if entry.style.is_layered else "one painting", mean))
    return "\n".join(_table(("style", "images", "mean style ratio"), rows))


PAGES: Mapping[str, Callable[[], str]] = {
    "commands.md": commands,
    "studio.md": studio,
    "gallery.md": gallery,
}
