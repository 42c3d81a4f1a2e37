"""stylebank evaluate: a table, JSON or bars of the figures, and one line for every mistake."""

import json
import re
import signal
import urllib.error
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylebank.bank import bundle
from stylebank.bank.bundle import Bundle
from stylebank.config import Style
from stylebank.reference.views import Plan
from stylebank.supervision import styleset
from stylebank.terminal.console import Watch

Run = Callable[[str], tuple[object, str, str]]
"""The rest of a command line -> exit code, standard output, standard error."""

# Three convolutions of VGG instead of eleven.
LAYERS, WEIGHTS = ("relu1_1", "relu2_1"), (1.0, 1.0)
LOSS = {"content_layer": "relu2_1", "style_layers": list(LAYERS), "layer_weights": list(WEIGHTS)}
ALL = "--content photos --styles art --bank bank"


@pytest.fixture
def studio(make_bank: Callable[..., Bundle], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a bank of two styles, three photos, the paintings, and what is wrong."""
    pixels = np.random.default_rng(0).integers(0, 256, (5, 64, 70, 3), np.uint8)
    for place, name in enumerate(("photos/a", "photos/b", "photos/c", "art/wave", "art/night")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(pixels[place]).save(tmp_path / f"{name}.png")
    (tmp_path / "nothing").mkdir()
    (tmp_path / "thesis").write_text("my thesis")
    (tmp_path / "thesis.png").write_text("my thesis")
    made = make_bank({"wave": 3, "night": 3}, training={"config": {"loss": LOSS}})
    styles = [Style(name, image=f"{name}.png", size=48, folder=str(tmp_path / "art")) for name in made.names]
    entries = [
        replace(entry, style=styleset.resolve(style, LAYERS, WEIGHTS))
        for entry, style in zip(made.entries, styles, strict=True)
    ]
    bundle.write(tmp_path / "bank", replace(made, entries=tuple(entries)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(studio: Path, vgg_file: Path, command_line: Run) -> Run:
    assert studio == Path.cwd()
    return lambda line: command_line(f"evaluate --device cpu --vgg {vgg_file} --size 64 {line}")


def test_the_figures_come_as_a_markdown_table(run: Run) -> None:
    code, out, err = run(f"{ALL} --optimization 1 --photos 2")
    assert (code, err) == (0, "")
    head, rule, *rows, median, empty, facts = out.splitlines()
    heads = ["style", *LAYERS, "content", "SSIM", "TV", "tone", "optimisation", "bytes"]
    assert [cell.strip() for cell in head.strip("|").split("|")] == heads
    assert rule == "|---" * len(heads) + "|"
    assert [row.split("|")[1].strip() for row in (*rows, median)] == ["wave", "night", "**median**"]
    assert {row.count("|") for row in (head, *rows, median)} == {len(heads) + 1}
    assert empty == ""
    assert re.fullmatch(
        r"2 photos, 64 px; \d+ ms a photo; auto-encoder -?[\d.]+ dB PSNR, -?[\d.]+ SSIM", facts
    )


def test_json_holds_the_figures_of_the_table(run: Run) -> None:
    table = run(ALL)[1]
    code, out, err = run(f"{ALL} --json")
    assert (code, err) == (0, "")
    read = json.loads(out, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert (read["photos"], read["side"], read["layers"]) == (3, 64, list(LAYERS))
    for row in read["rows"]:
        figures = row["figures"]
        ratios = " | ".join(f"{ratio:.3f}" for ratio in figures["style_ratio"])
        assert f"| {row['name']} | {ratios} | {figures['content']:.2f} | " in table
        assert f" | {figures['tv']:.3f} | {figures['tone']:.3f} | " in table
        assert row["lpips"] is row["optimization"] is None
    assert read["octaves"] is read["defects"] is None


def test_the_side_is_rounded_up_to_what_the_network_takes(run: Run) -> None:
    assert json.loads(run(f"{ALL} --json --photos 1 --size 66")[1])["side"] == 68


def test_a_style_without_its_image_is_skipped_with_a_note(run: Run) -> None:
    Path("art/wave.png").rename("art/other.png")
    code, out, err = run(ALL)
    assert code == 0
    assert "| wave |" not in out
    assert "| night |" in out
    assert re.fullmatch(
        r"note: style 'wave': its image wave\.png \(sha256 .*\) is not below art; .*skipped\n", err
    )


def test_bars_are_drawn_and_the_table_is_printed_too(run: Run) -> None:
    code, out, err = run(f"{ALL} --plot bars.png")
    assert (code, err) == (0, "note: bars.png: the style ratios as bars\n")
    assert out.startswith("| style |")
    with Image.open("bars.png") as picture:
        assert picture.width == 960


LOOK = f"{ALL} --photos 2 --octaves --sizes 96,64"


@pytest.fixture
def small_octaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Previews and finals of a size that tests have time for."""
    from stylebank.reference import octaves, views

    monkeypatch.setattr(octaves, "SMALLEST", 48)
    monkeypatch.setattr(views, "Plan", partial(Plan, preview=48, final=80 * 60))


def cells(table: str) -> list[list[str]]:
    head, rule, *rows = table.splitlines()
    assert set(rule) == {"|", "-"}
    found = [[cell.strip() for cell in row.strip("|").split("|")] for row in (head, *rows)]
    assert {len(row) for row in found} == {len(found[0])} == {rule.count("---")}
    return found


@pytest.mark.usefixtures("small_octaves")
def test_octaves_are_two_more_tables_below_the_first(run: Run) -> None:
    code, out, err = run(f"{LOOK} --stroke 2")
    assert code == 0
    assert all(line.startswith("looking at pictures ") for line in err.splitlines())
    first, _, views, view_facts, previews, preview_facts = out.rstrip("\n").split("\n\n")
    assert first.startswith("| style | relu1_1 | relu2_1 | content |")
    head, *rows = cells(views)
    assert head == ["style", "painted", "seen at", *LAYERS, "tone"]
    seen = [["96", "96"], ["96", "48"], ["64", "64"]]
    assert [row[:3] for row in rows] == [
        [name, *view] for name in ("**median**", "wave", "night") for view in seen
    ]
    assert view_facts == (
        "2 whole photos, stroke 2; painted enlarged: 2 to 96 px; photos are seen as small as pictures"
    )
    head, *rows = cells(previews)
    assert head == ["style", "SSIM", *LAYERS]
    assert [row[0] for row in rows] == ["**median**", "wave", "night"]
    assert preview_facts.startswith("pictures of 0.0048 megapixels, shrunk to 48 px, against paintings of")
    assert preview_facts.endswith("2 of 2 photos enlarged for it")


@pytest.mark.usefixtures("small_octaves")
def test_json_holds_the_figures_of_octaves(run: Run) -> None:
    tables = run(LOOK)[1]
    code, out, _ = run(f"{LOOK} --json")
    assert code == 0
    seen = json.loads(out, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))["octaves"]
    assert (seen["photos"], seen["layers"], seen["enlarged"]) == (2, list(LAYERS), [2, 0, 2])
    assert seen["plan"] == {"sizes": [96, 64], "stroke": 1.0, "preview": 48, "final": 4800}
    for name, row in (("**median**", seen["medians"]), *((row["name"], row) for row in seen["rows"])):
        for view in row["views"]:
            figures = " | ".join(f"{x:.3f}" for x in (*view["style_ratio"], view["tone"]))
            assert f"| {name} | {view['painted']} | {view['seen']} | {figures} |" in tables
        figures = " | ".join(f"{x:.3f}" for x in (row["preview"]["ssim"], *row["preview"]["gram"]))
        assert f"| {name} | {figures} |" in tables


@pytest.mark.usefixtures("small_octaves")
def test_a_style_without_its_image_is_noted_once_with_octaves_too(run: Run) -> None:
    Path("art/wave.png").rename("art/other.png")
    code, out, err = run(f"{ALL} --photos 1 --octaves --sizes 64")
    assert code == 0
    assert err.count("skipped") == 1
    assert "| wave |" not in out


@pytest.mark.usefixtures("small_octaves")
def test_looking_stops_where_it_is_asked_to(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(watch: Watch, step: int, _: object) -> None:
        watch.stop.signal = signal.SIGINT if step == 2 else None
        assert step <= 2

    monkeypatch.setattr(Watch, "progress", stop)
    assert run(LOOK) == (130, "", "")


def test_defects_are_one_more_table_and_json_with_each_limit(run: Run) -> None:
    line = f"{ALL} --photos 1 --defects --sizes 96,64"
    code, out, err = run(line)
    assert code == 0
    assert all(line.startswith("looking for defects ") for line in err.splitlines())
    _, _, table, facts, meanings = out.rstrip("\n").split("\n\n")
    head, *rows, medians, limits, over = cells(table)
    names = [cell.partition(",")[0] for cell in head[1:]]
    assert names == ["grid", "weave", "bare", "busy", "halo", "border", "black", "patch"]
    assert [row[0] for row in (*rows, medians, limits, over)] == [
        *("wave", "night", "median", "limit", "styles over it")
    ]
    assert facts.startswith(
        "1 whole photos at 96 px, a drawn scene at 96, 64 px, stroke 1, the worst of them; "
    )
    assert [line.partition(":")[0] for line in meanings.splitlines()] == [f"- {name}" for name in names]
    read = json.loads(run(f"{line} --json")[1])["defects"]
    assert list(read["over"].values()) == [int(cell) for cell in over[1:]]
    for row, found in zip(rows, read["rows"], strict=True):
        marked = [name for name, cell in zip(names, row[1:], strict=True) if cell.startswith("**")]
        assert marked == found["over"]


MISTAKES = {
    "": "Missing option",
    "--content photos --bank bank": "Missing option '--styles'",
    "--content none --styles art --bank bank": "^none: is not a folder",
    "--content nothing --styles art --bank bank": "^nothing: holds no photos",
    "--content photos --styles nothing --bank bank": "^nothing: has the images of none of the bank's styles",
    "--content photos --styles none --bank bank": "^none: has the images of none of the bank's styles",
    "--content photos --styles art --bank thesis": "^thesis: ",
    "--content photos --styles art --bank none": "^none: ",
    f"{ALL} --plot bars.gif": "no known image format",
    f"{ALL} --plot thesis.png": "another kind of file.*--force",
    f"{ALL} --plot photos/a.png": "is the photo itself",
    f"{ALL} --plot photos": "no known image format",
    f"{ALL} --size 32": "'--size'",
    f"{ALL} --photos 0": "'--photos'",
    f"{ALL} --optimization -1": "'--optimization'",
    f"{ALL} --lpips resnet": "^--lpips resnet: is unknown; choose one of alex, vgg, squeeze",
    f"{ALL} --inception none": "--lpips",
    f"{ALL} --sizes 512": "^--sizes: goes with --octaves or --defects",
    f"{ALL} --stroke 2": "^--stroke: goes with --octaves",
    f"{ALL} --octaves --sizes 512,large": "^--sizes 512,large: has another form",
    f"{ALL} --octaves --sizes ''": "^--sizes : has another form",
    f"{ALL} --octaves --sizes 512,32": "^--sizes 512,32: is out of range; .* 64 to 16384 px",
    f"{ALL} --octaves --sizes 99999": "^--sizes 99999: is out of range",
    f"{ALL} --octaves --stroke 9": "^--octaves: stroke 9 is out of range",
    f"{ALL} --defects --stroke 9": "^--defects: stroke 9 is out of range",
    f"{ALL} --defects --sizes 32": "^--sizes 32: is out of range",
    f"{ALL} --octaves --stroke nan": "^--octaves: stroke nan is out of range",
    f"{ALL} --device gpu": "'gpu': is unknown",
    f"{ALL} --vgg none": "^none: ",
}


def everything() -> dict[Path, object]:
    return {path: path.is_file() and path.read_bytes() for path in Path().rglob("*")}


@pytest.mark.parametrize(("line", "wanted"), MISTAKES.items(), ids=list(MISTAKES))
def test_every_mistake_is_one_line_and_changes_nothing(line: str, wanted: str, run: Run) -> None:
    before = everything()
    code, out, err = run(line)
    assert (code, out) == (2, "")
    *notes, error = err.splitlines()
    assert all(note.startswith("note: ") for note in notes)
    assert re.search(wanted, error.removeprefix("stylebank: error: "))
    assert everything() == before


def test_a_painting_is_not_overwritten_by_its_bars(run: Run) -> None:
    before = everything()
    assert run(f"{ALL} --plot art/wave.png")[0] == 2
    assert everything() == before


def test_lpips_without_a_network_and_without_weights_is_one_error(
    run: Run, studio: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torchmetrics")

    def refuse(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no network")

    monkeypatch.setenv("TORCH_HOME", str(studio / "torch"))
    monkeypatch.setattr("torch.hub.urlopen", refuse)
    code, out, err = run(f"{ALL} --lpips squeeze")
    assert (code, out) == (2, "")
    *before, error = err.splitlines()
    assert all(line.startswith("Downloading: ") for line in before), "torch says what it tries"
    assert re.search(r"--lpips squeeze: its weights cannot be had \(.*no network.*\); leave it out$", error)
