"""Painting with NumPy, Pillow and one engine: what stylebank-paint installs, and what it says of the rest.

A program of its own that refuses PyTorch, SciPy and Matplotlib is the stand-in for an environment without them.
"""

import json
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylebank.bank import bundle
from stylebank.bank.bundle import Bundle

ROOT = Path(__file__).resolve().parents[1]
ABSENT = (
    "torch",
    "torchvision",
    "scipy",
    "matplotlib",
    "pillow_heif",
    "pillow_jxl",
    "openvino",
    "ray",
    "tensorboard",
)
"""What stylebank-paint does without."""

PROGRAM = f"""
import contextlib, io, json, sys
for name in {ABSENT}:
    sys.modules[name] = None
from stylebank.cli import app
for line in sys.stdin:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            app.main(line.split())
        except SystemExit as leaving:
            code = leaving.code
    print(json.dumps([line.strip(), code, out.getvalue()]), flush=True)
"""

PAINTS = (
    "list --bank bank",
    "stylize photo.png --style wave --bank bank -o stylized.png",
    "stylize photo.jxl --style wave --bank bank -o x.png",
    "fuse photo.png --mix wave=1 --mix scream=1 --bank bank -o mixed.png",
    "fuse photo.png --region left.png=wave --bank bank -o left_only.png",
    "fuse photo.png --region left.png=wave --rest scream --bank bank -o both.png",
    "sheet photo.png --bank bank -o sheet.png",
    "sweep photo.png wave scream --bank bank -o sweep.png",
    "verify bank",
    "bake both --mix wave=1 --mix scream=1 --bank bank",
    "export --style wave --bank bank -o wave.onnx",
)
LACKS = {
    "fuse photo.png --region left.png=wave --feather 8 --bank bank -o x.png": "scipy",
    "segment photo.png --bank bank -o x.png": "scipy",
    "optimize photo.png photo.png -o x.png": "torch",
    "train smoke --content . --run run --out x": "torch",
    "add-style new photo.png --content . --bank bank": "torch",
}


@pytest.fixture(scope="module")
def answers(
    make_bank: Callable[..., Bundle], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, tuple[int, str]]]:
    """The folder, and each line's exit code and what it said."""
    pytest.importorskip("onnxruntime")
    folder = tmp_path_factory.mktemp("paint")
    bundle.write(folder / "bank", make_bank({"wave": 3, "scream": 3}))
    Image.effect_noise((64, 48), 80).convert("RGB").save(folder / "photo.png")
    Image.fromarray(np.repeat([[255] * 32 + [0] * 32], 48, axis=0).astype(np.uint8)).save(folder / "left.png")
    (folder / "photo.jxl").write_bytes(b"\xff\x0a" + bytes(64))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input="\n".join([*PAINTS, *LACKS]),
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return folder, {line: (code, said) for line, code, said in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("line", [line for line in PAINTS if ".jxl" not in line])
def test_painting_needs_neither_pytorch_nor_scipy(
    line: str, answers: tuple[Path, dict[str, tuple[int, str]]]
) -> None:
    folder, said = answers
    assert said[line][0] in (0, None), said[line]
    if " -o " in line:
        assert (folder / line.rsplit(maxsplit=1)[-1]).stat().st_size > 500


@pytest.mark.parametrize("line", LACKS)
def test_what_needs_more_says_so_in_a_line(
    line: str, answers: tuple[Path, dict[str, tuple[int, str]]]
) -> None:
    code, said = answers[1][line]
    assert code == 2
    wanted = f"needs {LACKS[line]}, which is not installed; pip install {LACKS[line]}, or all of stylebank"
    assert said.splitlines()[-1] == f"stylebank: error: this command: {wanted}"


def test_format_without_its_plugin_names_it(answers: tuple[Path, dict[str, tuple[int, str]]]) -> None:
    code, said = answers[1]["stylize photo.jxl --style wave --bank bank -o x.png"]
    assert code == 2
    assert "pillow-jxl-plugin" in said


def test_stylebank_paint_asks_for_nothing_that_stylebank_does_not() -> None:
    whole, paint = (
        tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
        for folder in (ROOT, ROOT / "packaging" / "paint")
    )
    extras = whole["optional-dependencies"]
    assert set(paint["dependencies"]) <= {*whole["dependencies"], *extras["onnx"]}
    assert paint["requires-python"] == whole["requires-python"]
    assert paint["scripts"] == whole["scripts"]
    assert not any(name.startswith(ABSENT) for name in paint["dependencies"])
    assert (ROOT / "packaging" / "paint" / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
