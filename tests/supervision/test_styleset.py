"""A layered set is five images, in layer order, and what is recorded of it rebuilds what VGG saw."""

import contextlib
import copy
import hashlib
import json
import math
import re
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image

from stylebank import config
from stylebank.config import Style
from stylebank.errors import ConfigError, ImageError, StyleBankError, StyleSetError
from stylebank.supervision import style_words, styleset
from stylebank.supervision.styleset import StyleSet

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
PAPER = ("relu1_2", "relu2_2", "relu3_2", "relu4_2")
FIVE = ("a.png", "b.png", "c.png", "d.png", "e.png")


def draw(path: Path, width: int, height: int, seed: int = 0) -> None:
    """Noise: no two crops of it are alike."""
    levels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(levels).save(path)


@pytest.fixture
def art(tmp_path: Path) -> Path:
    """A folder of five small paintings and a large one."""
    for seed, name in enumerate(FIVE):
        draw(tmp_path / name, 60 + 4 * seed, 40, seed)
    draw(tmp_path / "large.png", 1000, 600)
    return tmp_path


def resolve(folder: Path, layers: tuple[str, ...] = LAYERS, **style: Any) -> StyleSet:
    return styleset.resolve(Style("s", folder=str(folder), **style), layers, (1.0,) * len(layers))


def refusal(*style: Any, **keys: Any) -> str:
    """The one line that a style is refused with."""
    with pytest.raises(StyleSetError) as caught:
        resolve(*style, **keys)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_one_image_supervises_all_five_layers_alike(art: Path) -> None:
    found = resolve(art, image="a.png")
    assert [image.layer for image in found.layers] == list(LAYERS)
    assert {(x.source, x.crop, x.weight) for x in found.layers} == {("a.png", (0, 0, 60, 40), 1.0)}
    assert resolve(art, images=("a.png",) * 5) == found


def test_five_images_supervise_the_layers_in_the_order_given(art: Path) -> None:
    found = resolve(art, images=FIVE)
    assert [(image.layer, image.source) for image in found.layers] == list(zip(LAYERS, FIVE, strict=True))


def test_other_numbers_of_images_are_refused_by_what_five_mean(art: Path) -> None:
    for count in (1, 2, 3, 4, 6):
        message = refusal(art, images=(*FIVE, "a.png")[:count])
        assert f"has {count} images; give one for all layers, or five" in message
        assert all(words in message for words in (*LAYERS, "finest marks, colour", "largest forms"))


def test_blank_is_pure_white_and_has_no_digest(art: Path) -> None:
    first, second, *_ = resolve(art, images=("blank", *FIVE[1:]), size=64).layers
    assert (first.source, first.sha256) == ("blank", "")
    assert torch.equal(first.load(), torch.ones(1, 3, 64, 64))
    assert (len(second.sha256), bool(second.load().min() < 0.5)) == (64, True)  # the control: a painting


# By hand, for 1000 x 600: halves, quarters and eighths, whose margins are rounded down (437.5, 262.5).
BOXES = [(0, 0, 1000, 600), (250, 150, 500, 300), (375, 225, 250, 150), (437, 262, 125, 75)]


def test_zoom_crops_the_middle_to_halves_and_leaves_the_second_image_either_end(art: Path) -> None:
    last = resolve(art, zoom=("large.png", "a.png"))
    boxes = [*(("large.png", box) for box in BOXES), ("a.png", (0, 0, 60, 40))]
    assert [(image.source, image.crop) for image in last.layers] == boxes
    first = resolve(art, zoom=("large.png", "a.png"), rest_layer="relu1_1")
    assert [(x.layer, x.crop) for x in first.layers] == list(
        zip(LAYERS, [(0, 0, 60, 40), *BOXES], strict=True)
    )
    # All crops of the large image are enlarged to one size: 512 x 307.2.
    assert [image.size for image in last.layers] == [(307, 512)] * 4 + [(341, 512)]


def test_zoom_that_cannot_be_cut_is_refused(art: Path) -> None:
    draw(art / "small.png", 400, 255)
    message = refusal(art, zoom=("small.png", "a.png"))
    assert "small.png is too small to zoom (400 x 255 px); use one of at least 256 px" in message
    assert "is at neither end" in refusal(art, zoom=("large.png", "a.png"), rest_layer="relu3_1")
    for count in (1, 3):
        assert f"zoom has {count} images; give two" in refusal(art, zoom=("large.png",) * count)
    draw(art / "small.png", 400, 256)
    assert resolve(art, zoom=("small.png", "a.png")).layers[3].crop == (175, 112, 50, 32)


def test_images_are_resized_to_the_long_side_keeping_their_aspect(tmp_path: Path) -> None:
    sizes = {(300, 200): (43, 64), (200, 300): (64, 43), (16, 16): (64, 64), (2000, 10): (32, 64)}
    for (width, height), size in sizes.items():  # 64 * 2 / 3 = 42.7; never under 32
        draw(tmp_path / "x.png", width, height)
        image = resolve(tmp_path, image="x.png", size=64).layers[0]
        assert (image.size, image.load().shape) == (size, (1, 3, *size))


def test_crop_is_measured_in_the_upright_image(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6  # lies on its side
    Image.new("RGB", (60, 40)).save(tmp_path / "x.jpg", exif=exif)
    image = resolve(tmp_path, image="x.jpg", size=60).layers[0]
    assert (image.crop, image.size) == ((0, 0, 40, 60), (60, 40))


def test_weights_of_style_and_experiment_are_multiplied(art: Path) -> None:
    style = Style("s", image="a.png", weights=(1.0, 0.0, 3.0, 4.0, 5.0), folder=str(art))
    found = styleset.resolve(style, LAYERS, (2.0, 2.0, 2.0, 0.5, 0.0))
    assert [image.weight for image in found.layers] == [2.0, 0.0, 6.0, 2.0, 0.0]


def test_weights_that_do_not_fit_are_refused(art: Path) -> None:
    for weights in ((1.0,) * 4, (1.0,) * 6, (1.0, 1.0, -1.0, 1.0, 1.0), (0.0,) * 5):
        assert "give 5 numbers, none negative, not all zero" in refusal(art, image="a.png", weights=weights)


def test_layers_of_the_paper_take_one_image_and_no_layered_set(art: Path) -> None:
    assert [image.layer for image in resolve(art, PAPER, image="a.png").layers] == list(PAPER)
    for layered in ({"images": FIVE}, {"zoom": ("large.png", "a.png")}):
        assert "has 4 style layers; layered sets need the five" in refusal(art, PAPER, **layered)


def test_exactly_one_way_of_saying_what_a_style_is(art: Path) -> None:
    assert "says none of them" in refusal(art)
    assert "says image and zoom" in refusal(art, image="a.png", zoom=("large.png", "a.png"))
    assert "says image and images and zoom" in refusal(art, image="a.png", images=FIVE, zoom=FIVE)


def test_relative_paths_start_at_the_folder(art: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (art / "elsewhere").mkdir()
    monkeypatch.chdir(art / "elsewhere")
    assert resolve(art, image="a.png") == resolve(art, image=str(art / "a.png"))
    assert resolve(art, image="a.png").to_manifest() == resolve(Path(".."), image="a.png").to_manifest()
    with pytest.raises(ImageError, match=r"elsewhere/a\.png: is no file"):
        resolve(art / "elsewhere", image="a.png")
    (art / "set.toml").write_text('image = "a.png"')
    for words in ("s=../a.png", "s=../set.toml"):
        assert styleset.resolve(style_words.from_words(words), PAPER, (1.0,) * 4).layers[0].source == "a.png"


def from_set(folder: Path, text: str, **own: object) -> StyleSet:
    """The style that a set file holds, with what an experiment says of it."""
    (folder / "sets").mkdir(exist_ok=True)
    (folder / "sets" / "set.toml").write_text(text)
    table = {"name": "s", "set": "sets/set.toml", **own}
    return styleset.resolve(config.style_from_set(table, where="x", folder=folder), LAYERS, (1.0,) * 5)


def test_set_file_keeps_its_own_paths_and_takes_the_experiment_s_name(art: Path) -> None:
    images = json.dumps([f"../{name}" for name in FIVE])
    found = from_set(art, f'name = "other"\nimages = {images}\nkernel = 5\nsize = 96\n')
    assert (found.name, found.kernel) == ("s", 5)
    assert [(image.source, max(image.size)) for image in found.layers] == [(name, 96) for name in FIVE]


def test_what_the_experiment_says_of_a_set_wins_over_the_file(art: Path) -> None:
    text = 'image = "../a.png"\nweights = [1, 1, 1, 1, 1]\nkernel = 5\nsize = 96\n'
    found = from_set(art, text, size=64, weights=[1, 2, 3, 4, 5])
    assert [(max(x.size), x.weight) for x in found.layers] == [(64, 1), (64, 2), (64, 3), (64, 4), (64, 5)]
    assert (found.kernel, from_set(art, text, kernel=7).kernel) == (5, 7)
    with pytest.raises(StyleSetError, match="says image and images"):
        from_set(art, text, images=list(FIVE))


WRONG = {
    "": "says none of them",
    'set = "set.toml"': "points to another set",
    'imagge = "a.png"': "did you mean 'image'?",
    'image = "a.png"\nfolder = "/"': "unknown key 'folder'",
    'image = "missing.png"': "is no file",
}


def test_set_file_that_is_wrong_or_missing_is_refused(art: Path) -> None:
    for text, words in WRONG.items():
        with pytest.raises(StyleBankError, match=rf"\b{re.escape(words)}"):
            from_set(art, text)
    for name in ("missing.toml", ".", "a\0b.toml", 3):
        with pytest.raises(ConfigError, match=r"cannot be read|is not a text"):
            from_set(art, 'image = "../a.png"', set=name)


def manifest(art: Path) -> dict[str, Any]:
    """As a bank holds it: JSON, of all the kinds of images."""
    zoomed = resolve(art, zoom=("large.png", "blank"), weights=(1.0, 2.0, 0.0, 0.1, 1.0), size=128)
    return cast("dict[str, Any]", json.loads(json.dumps(zoomed.to_manifest())))


def test_manifest_reads_back_as_it_was_written_and_knows_no_folder(art: Path) -> None:
    data = manifest(art)
    assert str(art) not in repr(data)
    first, second, *_, last = styleset.from_manifest(data).layers
    assert (first.source, first.crop, first.size, first.path) == ("large.png", BOXES[0], (77, 128), None)
    assert (second.layer, second.crop, second.weight) == ("relu2_1", BOXES[1], 2.0)
    assert (last.source, last.sha256, last.crop) == ("blank", "", (0, 0, 128, 128))
    assert styleset.from_manifest(data).to_manifest() == data


def test_record_is_enough_to_rebuild_every_supervising_image(art: Path) -> None:
    by_digest = {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in art.glob("*.png")}

    def rebuilt(entry: dict[str, Any], shift: int) -> torch.Tensor:
        left, top, width, height = entry["crop"]
        picture = Image.open(by_digest[entry["sha256"]]).convert("RGB")
        picture = picture.crop((left + shift, top, left + width + shift, top + height))
        return torch.from_numpy(np.array(picture.resize(entry["size"][::-1], Image.Resampling.LANCZOS)) / 255)

    # Both sides hold 8-bit levels: rebuilding may round one of them the other way, by 1 / 255.
    tolerance = 1.01 / 255
    for layered in (resolve(art, images=FIVE), resolve(art, zoom=("large.png", "a.png"), size=128)):
        for image, entry in zip(layered.layers, layered.to_manifest()["layers"], strict=True):
            seen = image.load()[0].permute(1, 2, 0)
            assert (seen - rebuilt(entry, 0)).abs().max() <= tolerance
            assert (seen - rebuilt(entry, 1)).abs().max() > 10 * tolerance  # the control: one pixel aside


def places(data: Any, *path: Any) -> Iterator[tuple[Any, ...]]:
    """Every key and index of JSON data, at every depth."""
    entries = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in entries:
        yield (*path, key)
        yield from places(value, *path, key)


def changed(data: Any, path: tuple[Any, ...], *value: Any) -> Any:
    """A copy with one place replaced by the value, or removed where there is none."""
    inner = data = copy.deepcopy(data)
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    if value:
        inner.insert(path[-1], *value) if isinstance(inner, list) else inner.update({path[-1]: value[0]})
    return data


def test_manifest_that_lacks_a_key_or_a_coordinate_is_refused(art: Path) -> None:
    data = manifest(art)
    needed = [
        path for path in places(data) if path[0] != "layers" or len(path) != 2
    ]  # a layer fewer is a set
    assert len(needed) == 3 + 5 * (6 + 4 + 2)
    for path in needed:
        with pytest.raises(StyleBankError):
            styleset.from_manifest(changed(data, path))


JUNK: list[Any] = [None, True, 0, -1, 2, 2.5, 10**400, math.inf, "", "x", "../x", "x\ny", [], [1], {}]
HARMFUL = "kernel = -1; kernel = 2; size = [0, 9]; crop = [0, 0, 0, 9]; weight = -1.0; weight = inf"


def test_altered_manifest_is_refused_or_read_for_what_it_says(art: Path) -> None:
    data = manifest(art)
    for altered in (*JUNK, *(changed(data, path, value) for path in places(data) for value in JUNK)):
        with contextlib.suppress(StyleBankError):
            assert styleset.from_manifest(altered).to_manifest() == altered
    for line in HARMFUL.split("; "):
        ((key, value),) = tomllib.loads(line).items()
        with pytest.raises(StyleBankError):
            styleset.from_manifest(changed(data, (key,) if key in data else ("layers", 0, key), value))


WORDS = {
    "a=x.png": Style("a", image="x.png"),
    "a=x=y.png": Style("a", image="x=y.png"),
    "a=a.png,b.png,c.png,d.png,e.png": Style("a", images=FIVE),
    "a=zoom:x.png,y.png": Style("a", zoom=("x.png", "y.png")),
    "a=zoom:x.png,y.png@relu1_1": Style("a", zoom=("x.png", "y.png"), rest_layer="relu1_1"),
}


@pytest.mark.parametrize("words", WORDS)
def test_words_of_the_command_line_say_a_style(words: str) -> None:
    assert style_words.from_words(words) == WORDS[words]


def test_words_that_say_no_style_are_refused() -> None:
    for words in ("", "a", "a=", "=x.png", "A=x.png", "../a=x.png", "a b=x.png"):
        with pytest.raises(StyleBankError, match=rf"^--style {words}: "):
            style_words.from_words(words)


# Of large.png, 1000 x 600 px: left, top, right, bottom in fractions of the sides -> the box and the size at 64 px.
PARTS = {
    "0:0:1:1": ((0, 0, 1000, 600), (38, 64)),
    "0.5:0:1:0.5": ((500, 0, 500, 300), (38, 64)),
    ".1:0.25:0.2:0.75": ((100, 150, 100, 300), (64, 32)),  # 21 px would be too few for relu5_1
    "0.1234:0.5:0.5678:0.9": ((123, 300, 445, 240), (35, 64)),
    "0:0:0.032:0.0534": ((0, 0, 32, 32), (64, 64)),
}


@pytest.mark.parametrize("box", PARTS)
def test_a_part_is_cut_by_fractions_and_resized_as_a_whole_image_is(box: str, art: Path) -> None:
    image = resolve(art, image=f"large.png@{box}", size=64).layers[0]
    assert (image.source, image.crop, image.size) == ("large.png", *PARTS[box])
    assert image.sha256 == hashlib.sha256((art / "large.png").read_bytes()).hexdigest()
    left, top, width, height = image.crop
    picture = Image.open(art / "large.png").crop((left, top, left + width, top + height))
    picture.save(art / "part.png")
    alone = resolve(art, image="part.png", size=64).layers[0]
    assert torch.equal(image.load(), alone.load())


def test_a_part_may_stand_wherever_an_image_may(art: Path) -> None:
    half = "large.png@0.5:0:1:1"
    words = f"s={','.join([str(art / half), 'blank', *[str(art / 'a.png')] * 3])}"
    five = styleset.resolve(style_words.from_words(words), LAYERS, (1.0,) * 5)
    assert [image.source for image in five.layers] == ["large.png", "blank", "a.png", "a.png", "a.png"]
    assert five.layers[0].crop == (500, 0, 500, 600)
    zoomed = resolve(art, zoom=(half, "a.png"))
    # Halves, quarters and eighths of the part, about its own middle (750, 300).
    boxes = [(500, 0, 500, 600), (625, 150, 250, 300), (687, 225, 125, 150), (719, 262, 62, 75)]
    assert [image.crop for image in zoomed.layers[:4]] == boxes
    data = json.loads(json.dumps(five.to_manifest()))
    assert styleset.from_manifest(data).to_manifest() == data
    from_file = from_set(art, f'image = "../{half}"')
    assert from_file.layers[0].crop == (500, 0, 500, 600)


def test_a_zoom_of_a_part_can_be_said_on_the_command_line() -> None:
    part = "x.png@0:0:0.5:1"
    assert style_words.from_words(f"s=zoom:{part},y.png") == Style("s", zoom=(part, "y.png"))
    last = style_words.from_words(f"s=zoom:y.png,{part}@relu1_1")
    assert last == Style("s", zoom=("y.png", part), rest_layer="relu1_1")


@pytest.mark.parametrize(
    "box", ["0:0:1.01:1", "0.5:0:0.4:1", "0:0:0.031:1", "0:0:1:0.05", "0.5:0.5:0.5:0.5", "2:2:3:3"]
)
def test_a_part_outside_or_too_small_is_refused(box: str, art: Path) -> None:
    message = refusal(art, image=f"large.png@{box}")
    assert f"part {box} is outside the image or too small (" in message
    assert "give left:top:right:bottom in [0, 1], at least 32 px a side" in message


def test_a_part_of_impossible_numbers_is_refused_as_well(art: Path) -> None:
    assert "is outside the image" in refusal(art, image=f"large.png@{'9' * 400}:0:1:1")


@pytest.mark.parametrize("box", ["0:0:1", "0:0:1:1:1", "-0.1:0:1:1", "0:0:1e0:1", "a:b:c:d", ""])
def test_what_is_no_part_is_the_name_of_a_file(box: str, art: Path) -> None:
    with pytest.raises(ImageError, match=rf"large.png@{box}: is no file"):
        resolve(art, image=f"large.png@{box}")
    shutil.copy(art / "a.png", art / f"large.png@{box}")
    assert resolve(art, image=f"large.png@{box}").layers[0].crop == (0, 0, 60, 40)


def test_a_style_read_back_finds_its_images_by_name_and_content_in_any_folder_below(
    art: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    written = resolve(art, images=("large.png@0:0:0.5:1", "blank", "c.png", "d.png", "e.png"), size=64)
    read = styleset.from_manifest(json.loads(json.dumps(written.to_manifest())))
    museum = tmp_path_factory.mktemp("museum")
    for place, name in enumerate(("large.png", *FIVE[2:])):
        (museum / str(place) / "deep").mkdir(parents=True)
        shutil.copy(art / name, museum / str(place) / "deep")
    shutil.copy(art / "a.png", museum / "0" / "large.png")  # a namesake, found first
    found = read.located(museum)
    assert found.to_manifest() == written.to_manifest()
    for image, wanted in zip(found.layers, written.layers, strict=True):
        assert torch.equal(image.load(), wanted.load())
    assert found.layers[0].path == museum / "0" / "deep" / "large.png"
    shutil.copy(art / "a.png", museum / "3" / "deep" / "e.png")
    with pytest.raises(
        StyleSetError, match=r"its image e.png \(sha256 [0-9a-f]{12}\) is not below"
    ) as caught:
        read.located(museum)
    assert len(str(caught.value).splitlines()) == 1


def test_a_style_of_blanks_is_located_anywhere(tmp_path: Path) -> None:
    white = resolve(tmp_path, image="blank")
    assert white.located(tmp_path / "none") == white
