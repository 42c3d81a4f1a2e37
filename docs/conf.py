"""How the documentation is built: Sphinx, furo and myst-nb; nothing is fetched, tutorials are run."""

import os
import sys
import tempfile
from html import escape
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

import reference_pages  # noqa: E402

from stylebank import __version__  # noqa: E402
from stylebank.bank import bundle  # noqa: E402
from stylebank.errors import ConfigError  # noqa: E402
from stylebank.files import resources  # noqa: E402
from stylebank.web import site  # noqa: E402

project, author, release = "StyleBank", "StyleBank contributors", __version__
copyright = author  # noqa: A001
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "_generated", "_kernel"]
default_role = "code"

html_theme = "furo"
html_title = "StyleBank"
html_favicon = html_logo = str(resources.icon())
html_static_path = ["_static"]
html_css_files = ["stylebank.css"]
html_theme_options = {"navigation_with_keys": True}
html_show_sphinx = False

myst_enable_extensions = ["colon_fence", "deflist", "smartquotes"]
myst_heading_anchors = 4
napoleon_use_ivar = True
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "undoc-members": False}
copybutton_exclude = ".linenos, .gp, .go"

# Commands of tutorials find this checkout and the program beside this Python; whatever bank of their own people have.
nb_execution_mode = "cache"
nb_execution_in_temp = True
nb_execution_timeout = 900  # of a cell, on a busy machine
nb_execution_cache_path = str(ROOT / "docs" / "_build" / "cache")
nb_output_stderr = "show"
nb_merge_streams = True
_home = tempfile.mkdtemp(prefix="stylebank-docs-")
os.environ |= {
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "docs" / "_kernel")]),
    "STYLEBANK_DOCS_ROOT": str(ROOT),
    "XDG_DATA_HOME": _home,
    "NO_COLOR": "1",
    "COLUMNS": "96",
}
os.environ.pop("STYLEBANK_BANK", None)


def _as_commands(_app: Sphinx, tree: nodes.document) -> None:
    """Show cells of shell commands as such: without the word that makes the notebook run them."""
    for block in tree.findall(nodes.literal_block):
        first, _, rest = block.astext().partition("\n")
        if first == "%%bash":
            block.children = [nodes.Text(rest)]
            block.rawsource = rest
            block["language"] = "bash"


def _with_drawings(
    _app: Sphinx, _kind: str, _name: str, _object: object, _options: object, lines: list[str]
) -> None:
    """Formulas and trees that docstrings set off by four spaces stay as they are drawn."""
    found: list[str] = []
    drawn = section = False
    for line in lines:
        if line and not line.startswith(" "):
            if drawn:
                found.append("")
            drawn, section = False, line.rstrip(":") in ("Args", "Attributes", "Raises", "Returns", "Yields")
        elif line.startswith("    ") and not section and not drawn:
            found += ["", "::", ""]
            drawn = True
        found.append(line)
    lines[:] = found


def _with_page(app: Sphinx, failure: Exception | None) -> None:
    """Put the page that paints into the folder `try`; where ONNX Runtime Web cannot be had, its place says why."""
    if failure or app.builder.name != "html":
        return
    folder, shipped = Path(app.outdir, "try"), bundle.read(resources.shipped_bank())
    try:
        written = site.write(folder, shipped, site.chosen(shipped, []), None)
        said = f"{len(written.styles)} styles, {written.packed / 1e6:.1f} MB packed"
    except ConfigError as error:
        if os.environ.get("CI"):
            raise
        said = f"left out: {error}"
        folder.mkdir(exist_ok=True)
        (folder / "index.html").write_text(f"<!doctype html><title>Try it</title><p>{escape(said)}", "utf-8")
    logging.getLogger(__name__).info("the page that paints: %s", said)


def setup(app: Sphinx) -> None:
    """Write the generated pages before they are read, and the page that paints when they are built."""
    reference_pages.write(ROOT / "docs" / "_generated")
    app.connect("doctree-read", _as_commands)
    app.connect("autodoc-process-docstring", _with_drawings, priority=400)  # before napoleon's
    app.connect("build-finished", _with_page)
