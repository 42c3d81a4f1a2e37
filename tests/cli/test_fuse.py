"""Commands that bring styles together: what each leaves behind, what it notes, and one line when it cannot."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from PIL import Image, ImageChops

from stylebank import StyleBank
from stylebank.bank import bundle
from stylebank.bank.bundle import Bundle
from stylebank.engines.choice import Computing, Engine
from stylebank.engines.stages import Stages
from stylebank.painting import regions, strokes
from stylebank.pixels import masks, pictures

Run = Callable[[str], tuple[object, str, str]]
"""A command line -> exit code, standard output, standard error."""

HEIGHT, WIDTH = 33, 42
COLOUR = "#{:02x}{:02x}{:02x}".format(
    *pictures.label_image(np.ones((1, 1), np.uint8)).convert("RGB").tobytes()
)

# Command line -> what its one line of complaint must say; FUSE is `fuse photo.png --bank bank`, the others alike.
MISTAKES = {
    "FUSE": "^fuse: has no styles; give one of --mix, --region, --regions, --auto-regions",
    "FUSE --mix wave=1 --region left.png=wave": "^fuse: has --mix and --region; give one of",
    "FUSE --regions labels.png --auto-regions 2 --assign auto": "has --regions and --auto-regions; give one",
    "FUSE --regions labels.png": "^--assign: goes with --regions and --auto-regions, and they with it",
    "FUSE --auto-regions 2": "^--assign: goes with --regions and --auto-regions",
    "FUSE --mix wave=1 --assign auto": "^--assign: goes with --regions",
    "FUSE --region left.png=wave --assign 1=wave": "^--assign: goes with --regions",
    "FUSE --mix wave": "^--mix wave: has no weight; write NAME=WEIGHT",
    "FUSE --mix wave=": "^--mix wave=: weight: is missing",
    "FUSE --mix wave=x": "^--mix wave=x: weight: 'x' is no number",
    "FUSE --mix wave=1 --mix night=-1": "^--mix: weight -1 of 'night' is out of range",
    "FUSE --mix wave=nan": "^--mix: weight nan of 'wave' is out of range",
    "FUSE --mix wave=0": "^--mix: weights sum to 0",
    "FUSE --mix wave=1 --mix wave=1": "^--mix: names 'wave' twice",
    "FUSE --mix wave=0.5 --mix nihgt=0.5": r"'nihgt': is not in the bank \(did you mean 'night'\?\)",
    "FUSE --mix wave=2 --mix nihgt=2": "'nihgt': is not in the bank",
    "FUSE --mix wave=1 --strength 1.5": "strength 1.5 is out of range",
    "FUSE --mix wave=1 --tile small": "--tile small: is no size of tiles; give auto, off or 16",
    "FUSE --mix wave=1 --tile 8": "--tile 8: is no size of tiles",
    "FUSE --mix wave=1 --max-memory much": "--max-memory much: is no amount of memory; write 2GB",
    "FUSE --mix wave=1 --max-memory 1MB": r"GB even in tiles \(0\.00 allowed\); allow more with --max-memory",
    "FUSE --mix wave=1 --strength x": "'--strength'",
    "FUSE --mix wave=1 --stroke 9": r"^--mix: stroke 9 is out of range; give 0\.5 \(finer\) to 4",
    "FUSE --mix wave=1 --stroke x": "'--stroke'",
    "FUSE --region left.png=wave --stroke 0": "stroke 0 is out of range",
    "FUSE --region left.png=wave@x9": "^--region left.png=wave@x9: stroke 9 is out of range",
    "FUSE --region left.png=wave@0.5xy": "^--region left.png=wave@0.5xy: stroke: 'y' is no number",
    "FUSE --mix wave=1 --device gpu": "'gpu': is unknown",
    "FUSE --mix wave=1 -o photo.png": "^photo.png: is the photo itself",
    "FUSE --mix wave=1 -o out.gif": "'.gif' is no known image format",
    "FUSE --mix wave=1 -o thesis.png": "^thesis.png: exists and is another kind of file",
    "FUSE --region left.png": "^--region left.png: has another form; write MASK=STYLE",
    "FUSE --region none.png=wave": "^none.png: is no file",
    "FUSE --region thesis.png=wave": "^thesis.png: is no image",
    "FUSE --region left.png=wvae": r"'wvae': is not in the bank \(did you mean 'wave'\?\)",
    "FUSE --region left.png=wave@3": "^--region left.png=wave@3: strength 3 is out of range",
    "FUSE --region left.png=wave --rest wvae": "'wvae': is not in the bank",
    "FUSE --region left.png=wave --rest wave:x": "weight of 'wave': 'x' is no number",
    "FUSE --region left.png=wave --fusion best": "^fusion 'best': is unknown; choose one of exact, region, paper",
    "FUSE --region left.png=wave --overlap under": "^overlap 'under': is unknown; choose one of over, share",
    "FUSE --mix wave=1 --fit": "^--fit: goes with regions, not with --mix; leave it out",
    "FUSE --mix wave=1 --overlap share --fusion paper": "^--overlap, --fusion: go with regions, not with --mix",
    "FUSE --region turned.png=wave": "^turned.png: is 33 x 42 px, and the photo 42 x 33: the photo's on its side",
    "FUSE --regions turned.png --assign 0=wave": "^turned.png: is 33 x 42 px, and the photo 42 x 33",
    "FUSE --region left.png=wave --feather -1": "^feather -1: is out of range; give 0 or more",
    "FUSE --region left.png=wave --feather nan": "^feather nan: is out of range",
    "FUSE --region left.png=wave -o left.png": "^left.png: is ",
    "FUSE --regions labels.png --assign 1=wave -o labels.png": "^labels.png: is ",
    # What goes wrong after something was noted.
    "FUSE --region small.png=wvae": "'wvae': is not in the bank",
    "FUSE --region small.png=wave --fusion best": "^fusion 'best'",
    "FUSE --region left.png=wave:2 --feather -1": "^feather -1",
    "FUSE --regions labels.png --assign auto --rest wvae": "'wvae': is not in the bank",
    "FUSE --regions none.png --assign auto": "^none.png: is no file",
    "FUSE --regions labels.png --assign 3=wave": r"has no label '3'; it has 1 \(#\w{6}\), 0 \(#ffffff\)$",
    "FUSE --regions labels.png --assign 1=wave --assign 1=night": "^--assign: names a label twice",
    "FUSE --regions labels.png --assign wave": "^--assign wave: has another form; write LABEL=STYLE, or auto",
    "FUSE --regions photo.png --assign auto": "^--assign auto: cannot give 1[0-9]+ regions",
    f"FUSE --regions labels.png --assign {'9' * 5000}=wave": "^labels.png: has no label",
    "FUSE --auto-regions 1 --assign auto": "^1 regions: is out of range; give 2 to 12",
    "FUSE --auto-regions 13 --assign auto": "^13 regions: is out of range",
    "FUSE --auto-regions two --assign auto": "'--auto-regions'",
    "FUSE --auto-regions 2 --assign 9=wave": "^--auto-regions 2: has no label '9'; it has 1, 2",
    "FUSE --auto-regions 2 --assign auto --seed -1": "'--seed'",
    "SWEEP": "Missing argument",
    "SWEEP wave night scream": "^sweep: has 3 styles; give one or two",
    "SWEEP wvae": "'wvae': is not in the bank",
    "SWEEP wave nihgt": "'nihgt': is not in the bank",
    "SWEEP wave:x": "^mixture 'wave:x': weight of 'wave': 'x' is no number",
    "SWEEP wave --steps 1": "'--steps'",
    "SWEEP wave --steps 33": "'--steps'",
    "SWEEP wave --size 63": "'--size'",
    "SWEEP wave -o photo.png": "^photo.png: is the photo itself",
    "SWEEP wave -o thesis.png": "^thesis.png: exists and is another kind of file",
    "SEGMENT -k 1": "^1 regions: is out of range; give 2 to 12",
    "SEGMENT -k 13": "^13 regions: is out of range",
    "SEGMENT -k x": "'-k'",
    "SEGMENT -o labels.jpg": "^labels.jpg: cannot hold labels; choose a name that ends in .png",
    "SEGMENT -o labels": "^labels: '' is no known image format",
    "SEGMENT -o photo.png": "^photo.png: is the photo itself",
    "SEGMENT -o thesis.png": "^thesis.png: exists and is another kind of file",
    "SEGMENT -o taken.png": "^taken-preview.png: exists and is another kind of file",
    "segment photo.png --bank none": "^none: cannot be read",
    "bake both --bank bank": "Missing option",
    "bake both --mix wave=0 --bank bank": "^--mix: weights sum to 0",
    "bake both --mix wave --bank bank": "^--mix wave: has no weight",
    "bake both --mix wave=2 --mix nihgt=2 --bank bank": "'nihgt': is not in the bank",
    "bake night --mix wave=2 --bank bank": "^style 'night': is in the bank already",
    "bake ../x --mix wave=1 --bank bank": "'../x' is no style name",
    "bake both --mix wave=1 --bank none": "^none: cannot be read",
    "bake both --mix wave=1 --bank thesis.png": "^thesis.png: is no StyleBank file",
}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, make_bank: Callable[..., Bundle]) -> Path:
    """A folder with a bank of three styles, a photo, masks and labels."""
    home = tmp_path_factory.mktemp("easel")
    bundle.write(home / "bank", make_bank({"wave": 3, "night": 5, "scream": 1}))
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    Image.fromarray(pixels).save(home / "photo.png")
    labels = np.ones((HEIGHT, WIDTH), np.uint8)
    labels[:, :10] = 0
    pictures.label_image(labels).save(home / "labels.png")
    left = Image.fromarray(255 - 255 * labels)
    left.save(home / "left.png")
    left.resize((14, 11)).save(home / "small.png")
    left.rotate(90, expand=True).save(home / "turned.png")
    for name in ("thesis.png", "taken-preview.png"):
        (home / name).write_bytes(b"my thesis")
    return home


@pytest.fixture(autouse=True)
def _first_passes_are_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else small photos would be painted enlarged."""
    monkeypatch.setattr(strokes, "FIRST", 42)


@pytest.fixture
def run(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command_line: Run) -> Run:
    """Run a command line in a copy of the folder, as the current one."""
    monkeypatch.chdir(shutil.copytree(template, tmp_path / "easel"))

    def run(line: str) -> tuple[object, str, str]:
        line = re.sub("^(FUSE|SWEEP|SEGMENT)", lambda word: f"{word[0].lower()} photo.png --bank bank", line)
        return command_line(line)

    return run


def contents() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path().rglob("*") if path.is_file()}


def photo() -> Image.Image:
    with Image.open("photo.png") as image:
        return image.convert("RGB")


def same(path: str, wanted: Image.Image) -> bool:
    with Image.open(path) as image:
        return image.size == wanted.size and ImageChops.difference(image, wanted).getbbox() is None


@pytest.mark.parametrize("line", MISTAKES, ids=lambda line: line[:70])
def test_a_mistake_is_one_line_and_nothing_is_written(line: str, run: Run) -> None:
    before = contents()
    code, out, err = run(line)
    assert code == 2
    assert out == ""
    said = re.fullmatch(r"stylebank: error: (\S.*)\n", err)
    assert said, "one line and no more"
    assert re.search(MISTAKES[line], said[1])
    assert contents() == before


def test_fuse_paints_a_mixture_and_notes_its_weights(run: Run) -> None:
    note = "note: weights sum to 4; taken as wave 0.25, night 0.75\n"
    assert run("FUSE --mix wave=1 --mix night=3") == (0, "photo-fused.png\n", note)
    bank = StyleBank.load("bank", device="cpu")
    assert same("photo-fused.png", bank.stylize(photo(), {"wave": 0.25, "night": 0.75}))
    assert not same("photo-fused.png", bank.stylize(photo(), {"wave": 0.3, "night": 0.7})), "the control"
    assert run("FUSE --mix wave=1 --strength 0.5 --keep-color -o new/a.png") == (0, "new/a.png\n", "")
    assert same("new/a.png", bank.stylize(photo(), "wave", strength=0.5, keep_color=True))


def test_fuse_paints_masked_regions_with_every_option(run: Run) -> None:
    bank, mask = StyleBank.load("bank", device="cpu"), masks.read_mask(Path("left.png"))
    assert run("FUSE --region left.png=wave -o a.png") == (0, "a.png\n", "")
    assert same("a.png", bank.fuse(photo(), [(mask, "wave")]))
    line = "FUSE --region left.png=wave:0.5+night:0.5@0.7 --rest scream --strength 0.9 --feather 6 -o b.png"
    given = [(mask, "wave:0.5+night:0.5@0.7")]
    for mode in ("exact", "region", "paper"):
        assert run(f"{line} --fusion {mode} --keep-color")[:2] == (0, "b.png\n")
        wanted = bank.fuse(photo(), given, rest="scream", strength=0.9, feather=6, mode=mode, keep_color=True)
        assert same("b.png", wanted)
    assert not same("b.png", bank.fuse(photo(), given, rest="scream", feather=6, mode=mode)), "the control"


def test_strokes_are_those_of_the_command_or_of_a_region(run: Run) -> None:
    bank, mask = StyleBank.load("bank", device="cpu"), masks.read_mask(Path("left.png"))
    for line, name, wanted in (
        ("FUSE --mix wave=1 --stroke 2", "photo-fused.png", bank.stylize(photo(), "wave", stroke=2)),
        (
            "FUSE --region left.png=wave@0.7x2 --rest night --stroke 0.5",
            "photo-fused.png",
            bank.fuse(photo(), [(mask, "wave@0.7x2")], rest="night", stroke=0.5),
        ),
        (
            "stylize photo.png --bank bank --style wave --stroke 2",
            "photo-wave.png",
            bank.stylize(photo(), "wave", stroke=2),
        ),
        (
            "SWEEP wave@x0.5 night --stroke 2 --steps 2 --size 64",
            "photo-sweep.png",
            pictures.single_sheet(
                [(f"{x}@x{s}", bank.stylize(photo(), x, stroke=s)) for x, s in (("wave", 0.5), ("night", 2))],
                cell=64,
                columns=2,
            ),
        ),
        (
            "sheet photo.png --bank bank --stroke 2 --size 64",
            "photo-sheet.png",
            pictures.single_sheet(
                [("photo", photo()), *((x, bank.stylize(photo(), x, stroke=2)) for x in bank.styles)], cell=64
            ),
        ),
    ):
        assert run(line)[0] == 0
        assert same(name, wanted)
    plain = bank.stylize(photo(), "wave")
    assert not same("photo-wave.png", plain), "the control"


def test_fuse_notes_what_it_did_to_masks(run: Run) -> None:
    assert run("FUSE --region small.png=wave")[2] == "note: small.png: resized from 14 x 11 to 42 x 33 px\n"
    line = "FUSE --region left.png=wave:2+night:2 --force"
    assert run(line)[2] == "note: weights sum to 4; taken as wave 0.5, night 0.5\n"


def test_fuse_paints_later_regions_over_earlier_ones(run: Run) -> None:
    Image.new("L", (WIDTH, HEIGHT), 255).save("all.png")
    bank, mask = StyleBank.load("bank", device="cpu"), masks.read_mask(Path("left.png"))
    line = "FUSE --region all.png=wave --region left.png=night"
    over = bank.fuse(photo(), [(1 - mask, "wave"), (mask, "night")])
    share = bank.fuse(photo(), [(1 - mask / 2, "wave"), (mask / 2, "night")])
    for more, wanted, other in (
        ("", over, share),
        (" --overlap over", over, share),
        (" --overlap share", share, over),
    ):
        assert run(f"{line}{more} --force") == (0, "photo-fused.png\n", "")
        assert same("photo-fused.png", wanted)
        assert not same("photo-fused.png", other), "the control"


def test_fuse_stretches_a_mask_of_another_shape_if_asked(run: Run) -> None:
    said = "note: turned.png: resized from 33 x 42 to 42 x 33 px\n"
    assert run("FUSE --region turned.png=wave --fit") == (0, "photo-fused.png\n", said)
    line = "FUSE --regions turned.png --assign 0=wave --assign 255=night --fit --force"
    assert run(line) == (0, "photo-fused.png\n", said)


def test_fuse_paints_labelled_regions(run: Run) -> None:
    line = "FUSE --regions labels.png --assign 0=wave --assign 1=night@0.5"
    assert run(line) == (0, "photo-fused.png\n", "")
    bank, mask = StyleBank.load("bank", device="cpu"), masks.read_mask(Path("left.png"))
    assert same("photo-fused.png", bank.fuse(photo(), [(mask, "wave"), (1 - mask, "night@0.5")]))
    code, _, err = run("FUSE --regions labels.png --assign 0=wave -o part.png")
    assert (code, err) == (0, f"note: labels.png: 1 ({COLOUR}) (76% of the pixels) left to the rest\n")
    assert same("part.png", bank.fuse(photo(), [(mask, "wave")]))


def test_fuse_finds_regions_and_styles_by_itself(run: Run) -> None:
    code, out, err = run("FUSE --auto-regions 3 --assign auto --assign 2=scream --precision float32")
    assert (code, out) == (0, "photo-fused.png\n")
    notes = re.fullmatch(r"note: region 1: (\w+)\nnote: region 3: (\w+)\n", err)
    assert notes
    bank = StyleBank.load("bank", device="cpu", precision="float32")
    labels = regions.clustered(bank, photo(), 3)
    styles = {1: notes[1], 2: "scream", 3: notes[2]}
    assert styles[1] != styles[3]
    wanted = bank.fuse(photo(), [(labels == label, style) for label, style in styles.items()])
    # The order of regions is that of a sum in float32: a level's rounding may go either way.
    with Image.open("photo-fused.png") as found:
        assert np.asarray(ImageChops.difference(found, wanted)).max() <= 1


def test_segment_writes_labels_that_fuse_reads(run: Run) -> None:
    code, out, err = run("SEGMENT -k 3 --seed 1")
    assert (code, err) == (0, "")
    *rows, labels, preview = out.splitlines()
    assert (labels, preview) == ("photo-labels.png", "photo-labels-preview.png")
    wanted = regions.clustered(StyleBank.load("bank", device="cpu"), photo(), 3, seed=1)
    assert np.array_equal(masks.read_labels(Path(labels)).values, wanted)
    assert rows == [f"{i}  {(wanted == i).mean():4.0%} of the photo" for i in range(1, wanted.max() + 1)]
    assert same(preview, pictures.label_overlay(wanted, photo()))
    assert run(f"FUSE --regions {labels} --assign auto")[0] == 0
    by_file = Path("photo-fused.png").read_bytes()
    assert run("FUSE --auto-regions 3 --seed 1 --assign auto")[0] == 0
    assert Path("photo-fused.png").read_bytes() == by_file


def test_sweep_shows_each_step_of_the_way(run: Run) -> None:
    assert run("SWEEP wave night --steps 3 --size 64") == (0, "photo-sweep.png\n", "")
    bank = StyleBank.load("bank", device="cpu")
    ways: list[tuple[str, dict[str, float]]] = [
        ("wave", {"wave": 1}),
        ("50% : 50%", {"wave": 0.5, "night": 0.5}),
        ("night", {"night": 1}),
    ]
    cells = [(label, bank.stylize(photo(), mix)) for label, mix in ways]
    assert same("photo-sweep.png", pictures.single_sheet(cells, cell=64, columns=3))
    assert run("SWEEP scream --steps 2 --size 64 --keep-color -o s.jpg") == (0, "s.jpg\n", "")
    steps = [(f"strength {s}", bank.stylize(photo(), "scream", strength=s, keep_color=True)) for s in (0, 1)]
    pictures.single_sheet(steps, cell=64, columns=2).save("wanted.jpg", quality=95, subsampling=0)
    with Image.open("wanted.jpg") as wanted:
        assert same("s.jpg", wanted)


PAINTED = "--bank bank --precision float32 --device cpu"
ENGINES = get_args(Engine)


def loaded(engine: str) -> StyleBank:
    return StyleBank.load("bank", engine=engine, precision="float32", device="cpu")


@pytest.mark.parametrize("engine", ENGINES)
def test_stylize_takes_mixtures_strength_and_the_photos_colours(engine: str, run: Run) -> None:
    bank, stylize = loaded(engine), f"stylize photo.png --engine {engine} {PAINTED}"
    assert run(f"{stylize} --style night") == (0, "photo-night.png\n", "")
    assert same("photo-night.png", bank.stylize(photo(), "night"))
    assert not same("photo-night.png", bank.stylize(photo(), "wave")), "the control"
    line = f"{stylize} --style wave:0.5+night:0.5 --strength 0.5 --keep-color"
    assert run(line) == (0, "photo-wave+night.png\n", "")
    mix = {"wave": 0.5, "night": 0.5}
    assert same("photo-wave+night.png", bank.stylize(photo(), mix, strength=0.5, keep_color=True))
    assert run(f"{stylize} --style night@0.2 --strength 0.9 -o a.png")[0] == 0
    assert same("a.png", bank.stylize(photo(), "night", strength=0.2))
    assert not same("a.png", bank.stylize(photo(), "night", strength=0.9)), "the control"


@pytest.mark.parametrize("more", ["", " --strength 0.6 --keep-color", " --tile 16"])
@pytest.mark.parametrize("engine", ENGINES)
def test_fuse_and_stylize_make_the_same_file_of_a_mixture(engine: str, more: str, run: Run) -> None:
    more = f"--engine {engine} {PAINTED}{more}"
    assert run(f"stylize photo.png --style wave:1+night:3 {more} -o stylized.png")[0] == 0
    for name, weights in (("fused", "--mix wave=1 --mix night=3"), ("other", "--mix wave=3 --mix night=1")):
        assert run(f"fuse photo.png {weights} {more} -o {name}.png")[0] == 0
    stylized, fused, other = (Path(f"{name}.png").read_bytes() for name in ("stylized", "fused", "other"))
    assert fused == stylized
    assert other != stylized, "the control"


@pytest.mark.parametrize("engine", ENGINES)
def test_each_command_computes_with_the_engine_and_the_precision_that_it_is_given(
    engine: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank, used = loaded(engine), set[Computing]()
    stages = Computing.stages

    def counted(computing: Computing, *given: Any, **named: Any) -> Stages:
        used.add(computing)
        return stages(computing, *given, **named)

    monkeypatch.setattr(Computing, "stages", counted)
    more, mask = f"--engine {engine} {PAINTED}", masks.read_mask(Path("left.png"))
    for line in (
        f"fuse photo.png --region left.png=wave --rest night {more}",
        f"sweep photo.png wave night --steps 2 --size 64 {more}",
        f"segment photo.png -k 2 {more}",
        f"sheet photo.png --size 64 {more}",
    ):
        used.clear()
        assert run(line)[0] == 0
        assert used == {Computing(engine, "float32", "cpu")}
    assert same("photo-fused.png", bank.fuse(photo(), [(mask, "wave")], rest="night"))
    cells = [(name, bank.stylize(photo(), name)) for name in bank.styles]
    assert same("photo-sweep.png", pictures.single_sheet(cells[:2], cell=64, columns=2))
    assert same("photo-sheet.png", pictures.single_sheet([("photo", photo()), *cells], cell=64))
    assert np.array_equal(
        masks.read_labels(Path("photo-labels.png")).values, regions.clustered(bank, photo(), 2)
    )


def test_a_precision_shows_in_what_is_fused(run: Run) -> None:
    line = "FUSE --region left.png=wave --rest night --engine torch --device cpu --precision"
    for precision in ("float32", "bfloat16"):
        assert run(f"{line} {precision} -o {precision}.png")[0] == 0
    exact, rounded = (np.asarray(Image.open(f"{name}.png"), int) for name in ("float32", "bfloat16"))
    found = np.abs(exact - rounded)
    # Eight digits of each feature: the picture moves by levels, and stays the same picture.
    assert 0 < found.mean() < 8
