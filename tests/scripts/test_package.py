"""What a wheel would hold, without building it; the rest is for scripts/package."""

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel() -> dict[str, int]:
    """Names and bytes of the files that the wheel takes."""
    builders = pytest.importorskip("hatchling.builders.wheel", reason="needs hatchling")
    builder = builders.WheelBuilder(str(ROOT))
    taken = [(file.distribution_path, Path(file.path)) for file in builder.recurse_included_files()]
    return {name.replace("\\", "/"): path.stat().st_size for name, path in taken}


def test_wheel_has_everything_and_nothing_else(
    wheel: dict[str, int], load_script: Callable[[str], ModuleType]
) -> None:
    names = [*wheel, "stylebank-0.dist-info/licenses/LICENSE"]
    package = load_script("package")
    package.check(names, sum(wheel.values()))
    for lost in ("stylebank/py.typed", "stylebank/weights/bank.safetensors", "stylebank/painting/canvas.py"):
        with pytest.raises(AssertionError, match=re.escape(lost)):
            package.check([name for name in names if name != lost], 0)
    with pytest.raises(AssertionError, match=r"tests/conftest\.py"):
        package.check([*names, "tests/conftest.py"], 0)


def test_pictures_of_the_model_card_stay_outside(wheel: dict[str, int]) -> None:
    pictures = [name for name in wheel if re.fullmatch(r"stylebank/weights/[^/]+\.(jpg|png)", name)]
    assert pictures == []
    assert len([name for name in wheel if name.startswith("stylebank/weights/photos/")]) >= 5


def test_version_and_licence_are_said_once() -> None:
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    assert 'dynamic = ["version"]' in text
    assert re.search(r'^license-files = \["LICENSE"\]$', text, re.MULTILINE)
