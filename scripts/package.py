"""Build what is published, look into it, and use it as somebody who installed it.

    scripts/package                    # wheels and source distribution in dist/, the wheel used with .venv's libraries
    scripts/package --fresh            # installed with all that it asks for into an environment of its own
    scripts/package --fresh --paint    # the same with stylebank-paint, which has no PyTorch

All are built twice and must be equal to the last byte: files have the time of the last commit.
"""

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAINT = ROOT / "packaging" / "paint"

NEEDED = (
    "stylebank/py.typed",
    "stylebank/icon.svg",
    "stylebank/studio/page/index.html",
    "stylebank/studio/page/main.js",
    "stylebank/web/page/index.html",
    "stylebank/weights/bank.safetensors",
    "stylebank/weights/bank-small.safetensors",
    "stylebank/weights/vgg16.safetensors",
    "stylebank/weights/paintings.csv",
    "stylebank/weights/training_photos.csv",
    "stylebank/weights/photos/coffee.jpg",
    "stylebank/configs/smoke.toml",
    "stylebank/configs/layered/exp2.toml",
    "stylebank/configs/styles/mosaic.toml",
    "stylebank/configs/styles/mosaic/1_relu1_1.png",
)
"""Of a wheel: what nobody misses before it is installed."""

LEFT_OUT = ("vgg16.safetensors", "bank-small.safetensors", "training_photos.csv", "configs/")
"""What stylebank-paint has no use for."""

UNWANTED = ("tests/", "scripts/", "shared/", "runs/", ".venv/", "comfyui/", "__pycache__")
"""How nothing in a wheel may begin, or be called."""

LARGEST = 60_000_000
"""Bytes of a wheel; an index takes 100 MB."""


def main() -> None:
    """Build, compare, look, install, use."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "dist", metavar="DIR", help="where they go")
    parser.add_argument("--fresh", action="store_true", help="install all that the wheel asks for")
    parser.add_argument("--build", action="store_true", help="build and look inside, install nothing")
    parser.add_argument("--paint", action="store_true", help="stylebank-paint instead")
    chosen = parser.parse_args()
    project = PAINT if chosen.paint else ROOT
    with tempfile.TemporaryDirectory(prefix="stylebank-package-") as folder:
        first, again = build(project, chosen.out), build(project, Path(folder, "again"))
        for one, other in zip(first, again, strict=True):
            assert one.read_bytes() == other.read_bytes(), f"{one.name}: two builds differ"
            print(f"{one}: {one.stat().st_size:,} bytes, built twice alike")
        wheel = next(path for path in first if path.suffix == ".whl")
        check(names_of_wheel(wheel), wheel.stat().st_size, LEFT_OUT if chosen.paint else ())
        for source in first:
            if source.suffix == ".gz":
                check_source(source)
        if not chosen.build:
            use(Path(folder), wheel, fresh=chosen.fresh, trains=not chosen.paint)


def build(project: Path, out: Path) -> list[Path]:
    """Both distributions of a project, with the time of the last commit.

    Args:
        project: folder of a pyproject.toml.
        out: where they go; what is there of other versions stays.
    """
    out.mkdir(parents=True, exist_ok=True)
    words = [sys.executable, "-m", "hatchling", "build", "-d", str(out.resolve())]
    words += ["-t", "wheel"] if project == PAINT else []
    done = _run(words, cwd=project, env=os.environ | {"SOURCE_DATE_EPOCH": last_commit()})
    assert done.returncode == 0, f"{project}: cannot be built\n{done.stdout}{done.stderr}"
    return sorted(
        out / Path(line).name
        for line in (done.stdout + done.stderr).split()
        if line.endswith((".whl", ".tar.gz"))
    )


def last_commit() -> str:
    """Seconds of the epoch at the last commit; of 2020 where there is no git."""
    done = _run(["git", "log", "-1", "--format=%ct"], cwd=ROOT)
    return done.stdout.strip() or "1577836800"


def names_of_wheel(wheel: Path) -> list[str]:
    """Files in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def check(names: list[str], size: int, left_out: tuple[str, ...] = ()) -> None:
    """Whether a wheel has everything but what is left out, and nothing else."""
    needed = [name for name in NEEDED if not any(word in name for word in left_out)]
    missing = [name for name in needed if name not in names]
    assert not missing, f"the wheel lacks {missing}"
    foreign = [name for name in names if name.startswith(UNWANTED) or "__pycache__" in name]
    assert not foreign, f"the wheel holds {foreign}"
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names), "the wheel lacks its licence"
    modules = {f"stylebank/{path.relative_to(ROOT / 'stylebank').as_posix()}" for path in sources()}
    assert modules <= set(names), f"the wheel lacks {sorted(modules - set(names))}"
    assert size < LARGEST, f"the wheel has {size:,} bytes; an index takes 100 MB, and people wait"


def check_source(source: Path) -> None:
    """Whether a source distribution can be built and tested."""
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = {"pyproject.toml", "LICENSE", "README.md", "hubconf.py", "tests/conftest.py", "scripts/test"}
    needed |= {
        name.removeprefix("stylebank/") for name in NEEDED if "/weights/" in name or "/configs/" in name
    }
    assert needed <= names, f"the source distribution lacks {sorted(needed - names)}"


def sources() -> list[Path]:
    """The package's modules."""
    return sorted((ROOT / "stylebank").rglob("*.py"))


def use(folder: Path, wheel: Path, *, fresh: bool, trains: bool) -> None:
    """Install a wheel, and do with it what people do first, in an empty folder."""
    python, variables = _installed(folder, wheel, fresh=fresh)
    work = folder / "work"
    work.mkdir()
    environment = os.environ | variables | {"XDG_DATA_HOME": str(folder / "data")}

    def run(*words: str, code: int = 0) -> str:
        done = _run([str(python), *words], cwd=work, env=environment)
        assert done.returncode == code, f"{' '.join(words)}\n{done.stdout}{done.stderr}"
        said = done.stdout.strip() or done.stderr.strip() or "done"
        print(f"{' '.join(words)}: {said.splitlines()[-1]}")
        return done.stdout + done.stderr

    place = run("-c", "import stylebank; print(stylebank.__file__)").splitlines()[0]
    assert Path(place).resolve().is_relative_to(folder.resolve()), f"{place} is not what was installed"
    photos = Path(place).parent / "weights" / "photos"
    run("-m", "stylebank", "--version")
    assert "munch_the_scream" in run("-m", "stylebank", "list")
    run("-m", "stylebank", "verify", str(photos.parent / "bank.safetensors"))
    photo = str(photos / "coffee.jpg")
    run("-m", "stylebank", "stylize", photo, "--style", "munch_the_scream", "-o", "coffee.png")
    run(
        "-m",
        "stylebank",
        "fuse",
        photo,
        "--mix",
        "munch_the_scream=1",
        "--mix",
        "mosaic=1",
        "-o",
        "mixed.png",
    )
    assert min((work / name).stat().st_size for name in ("coffee.png", "mixed.png")) > 100_000
    train = [
        "train",
        "smoke",
        "--content",
        str(photos),
        "--run",
        "run",
        "--out",
        "smoke.safetensors",
        "--steps",
        "2",
    ]
    if not trains:
        if fresh:
            assert "needs torch" in run("-m", "stylebank", "optimize", photo, photo, code=2)
        return
    assert "smoke" in run("-m", "stylebank", "configs")
    run("-m", "stylebank", "configs", "smoke", "mine")
    run("-m", "stylebank", *train)
    run("-m", "stylebank", "list", "--bank", "smoke.safetensors")


def _installed(folder: Path, wheel: Path, *, fresh: bool) -> tuple[Path, dict[str, str]]:
    """A Python that has the wheel, and the environment variables that it takes."""
    if fresh:
        venv.create(folder / "venv", with_pip=True)
        python = folder / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        done = _run([str(python), "-m", "pip", "install", "--quiet", str(wheel)])
        assert done.returncode == 0, done.stderr
        return python, {}
    target = folder / "site"
    how = ["--quiet", "--no-deps", "--no-index", "--target", str(target)]
    done = _run([sys.executable, "-m", "pip", "install", *how, str(wheel)])
    assert done.returncode == 0, done.stderr
    return Path(sys.executable), {"PYTHONPATH": str(target)}


def _run(words: list[str], **how: Any) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603  # our own words
        words, check=False, capture_output=True, text=True, timeout=1800, **how
    )


if __name__ == "__main__":
    main()
