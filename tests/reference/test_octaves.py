"""What is seen of pictures from near and far is what a plain transcription of the definitions sees."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from stylebank.bank.bundle import Bundle
from stylebank.config import Style
from stylebank.errors import ConfigError, ContentError
from stylebank.painting.painter import StyleBank
from stylebank.pixels import images
from stylebank.reference import octaves
from stylebank.reference.views import Looks, Octaves, Plan, Preview, View
from stylebank.supervision import metrics, styleset, vgg
from stylebank.supervision.styleset import StyleSet
from stylebank.supervision.vgg import STYLE_LAYERS, VGG

LAYERS = STYLE_LAYERS[:3]
PLAN = Plan(sizes=(96, 48), preview=48, final=120 * 80)
Paint = Callable[[Image.Image, str], Image.Image]


@pytest.fixture(autouse=True)
def seen_down_to_24_px(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten times smaller than in earnest, and a hundred times faster."""
    monkeypatch.setattr(octaves, "SMALLEST", 24)


@pytest.fixture(scope="module")
def network(vgg_weights: dict[str, Tensor]) -> VGG:
    return VGG(vgg_weights)


def blots(seed: int, width: int, height: int) -> Image.Image:
    """A picture with marks of all sizes, in colours of its own."""
    generator = np.random.default_rng(seed)
    image = Image.new("RGB", (width, height), tuple(generator.integers(0, 256, 3)))
    for side in (3, 8, 30):
        noise = Image.fromarray(generator.integers(0, 256, (side, side, 3), np.uint8))
        image = Image.blend(image, noise.resize(image.size, Image.Resampling.BICUBIC), 0.4)
    return image


@pytest.fixture(scope="module")
def style(tmp_path_factory: pytest.TempPathFactory) -> StyleSet:
    """One painting, of 96 x 64 px, at five layers."""
    folder = tmp_path_factory.mktemp("art")
    blots(7, 96, 64).save(folder / "wave.png")
    given = Style("wave", image="wave.png", size=96, folder=str(folder))
    return styleset.resolve(given, STYLE_LAYERS, (1.0,) * 5)


def look(paint: Paint, style: StyleSet, network: VGG, photos: list[Image.Image], plan: Plan) -> Octaves:
    some = replace(style, layers=style.layers[:3])
    return octaves.look(paint, [some], photos, layers=LAYERS, network=network, plan=plan)


def plain_grams(network: VGG, image: Image.Image) -> list[Tensor]:
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
    flat = [found[0].flatten(1).double() for found in network(pixels, LAYERS).values()]
    return [one @ one.T / one.shape[1] for one in flat]


def distances(first: list[Tensor], second: list[Tensor]) -> np.ndarray[Any, Any]:
    return np.array([float(((a - b) ** 2).sum()) for a, b in zip(first, second, strict=True)])


def darkened(photo: Image.Image, _style: str) -> Image.Image:
    """A painter: of every photo something of the same size, yet not of the same look at every size."""
    return Image.blend(photo, blots(3, *photo.size), 0.5).point(lambda level: level * 3 // 4)


def test_style_ratios_and_tone_are_those_of_their_definitions(style: StyleSet, network: VGG) -> None:
    photos = [blots(1, 96, 60), blots(2, 70, 96)]
    found = look(darkened, style, network, photos, PLAN)
    wanted = plain_grams(network, images.to_pil(style.layers[0].load()))
    views = {(view.painted, view.seen): view for view in found.rows[0].views}
    assert list(views) == [(96, 96), (96, 48), (96, 24), (48, 48), (48, 24)]
    shapes = {96: ((96, 60), (70, 96)), 48: ((48, 30), (35, 48)), 24: ((24, 16), (18, 24))}  # 16 at least
    for (painted, seen), view in views.items():
        before, after, tones = [], [], []
        for place, photo in enumerate(photos):
            ground = photo.resize(shapes[painted][place], Image.Resampling.LANCZOS)
            small, picture = (
                image.resize(shapes[seen][place], Image.Resampling.LANCZOS)
                for image in (ground, darkened(ground, "wave"))
            )
            before.append(distances(plain_grams(network, small), wanted))
            after.append(distances(plain_grams(network, picture), wanted))
            tones.append(float(metrics.tone(images.to_tensor(picture), images.to_tensor(small))))
        # Gram matrices in float32 against float64, of which differences are taken.
        assert view.style_ratio == pytest.approx(np.mean(after, 0) / np.mean(before, 0), rel=1e-4)
        assert view.tone == pytest.approx(np.median(tones))
    assert views[96, 24].style_ratio != pytest.approx(views[96, 96].style_ratio, rel=0.05), "the control"


def test_the_style_s_own_image_is_perfect_from_near_and_not_from_far(style: StyleSet, network: VGG) -> None:
    painting = images.to_pil(style.layers[0].load())
    found = look(lambda photo, _: painting.resize(photo.size), style, network, [blots(1, 96, 64)], PLAN)
    near, half, quarter, *_ = found.rows[0].views
    assert max(near.style_ratio) < 1e-9
    assert min(*half.style_ratio, *quarter.style_ratio) > 1e-4


def test_the_photo_itself_is_unstyled_at_every_distance_and_keeps_its_tone(
    style: StyleSet, network: VGG
) -> None:
    found = look(lambda photo, _: photo, style, network, [blots(1, 96, 64), blots(2, 64, 96)], PLAN)
    for view in found.rows[0].views:
        assert view.style_ratio == pytest.approx([1.0] * 3)
        assert view.tone == pytest.approx(float(view.seen > 24)), "24 px are one area, which has no rank"
    negative = look(lambda photo, _: photo.point(lambda x: 255 - x), style, network, [blots(1, 96, 64)], PLAN)
    assert negative.rows[0].views[0].tone == pytest.approx(-1.0)


def test_a_style_that_photos_have_already_gives_finite_ratios(style: StyleSet, network: VGG) -> None:
    painting = images.to_pil(style.layers[0].load())
    found = look(lambda photo, _: photo, style, network, [painting], PLAN)
    assert np.isfinite([view.style_ratio for view in found.rows[0].views]).all()


def test_photos_are_painted_at_the_sizes_asked_for_and_small_ones_enlarged_and_counted(
    style: StyleSet, network: VGG
) -> None:
    photos = [blots(1, 60, 40), blots(2, 120, 90)]
    grounds: list[Image.Image] = []

    def paint(photo: Image.Image, _: str) -> Image.Image:
        grounds.append(photo)
        return photo

    found = look(paint, style, network, photos, PLAN)
    sizes = [(96, 64), (48, 32), (120, 80), (48, 32), (96, 72), (48, 36), (113, 85), (48, 36)]
    assert [ground.size for ground in grounds] == sizes, "two sizes, then a final picture and its preview"
    assert (found.photos, found.enlarged) == (2, (1, 0, 1))
    assert grounds[0] == photos[0].resize((96, 64), Image.Resampling.LANCZOS)
    assert grounds[3] == grounds[2].resize((48, 32), Image.Resampling.LANCZOS)


def test_previews_are_compared_with_their_finals_shrunk(style: StyleSet, network: VGG) -> None:
    photo = blots(1, 120, 80)
    found = look(darkened, style, network, [photo], PLAN).rows[0].preview
    final = darkened(photo, "wave").resize((48, 32), Image.Resampling.LANCZOS)
    preview = darkened(photo.resize((48, 32), Image.Resampling.LANCZOS), "wave")
    grams = [plain_grams(network, image) for image in (final, preview)]
    assert found.gram == pytest.approx(
        distances(*grams) / [float((gram**2).sum()) for gram in grams[1]], rel=1e-3
    )
    similar = float(metrics.ssim(images.to_tensor(final), images.to_tensor(preview)))
    assert found.ssim == pytest.approx(similar)


def test_marks_that_go_by_the_picture_survive_shrinking_and_marks_that_go_by_pixels_do_not(
    style: StyleSet, network: VGG
) -> None:
    def woven(photo: Image.Image, _: str) -> Image.Image:
        weave = np.indices((photo.height, photo.width)).sum(0) % 2 * 255
        return Image.blend(photo, Image.fromarray(weave.astype(np.uint8)).convert("RGB"), 0.5)

    photo = blots(1, 120, 80)
    by_picture, by_pixels = (
        look(paint, style, network, [photo], PLAN).rows[0].preview
        for paint in (lambda photo, _: photo, woven)
    )
    assert by_picture.ssim == pytest.approx(1.0)
    assert by_picture.gram == pytest.approx([0.0] * 3)
    assert by_pixels.ssim < 0.5
    assert min(by_pixels.gram) > 0.01


def test_every_picture_is_reported(style: StyleSet, network: VGG) -> None:
    told: list[int] = []
    photos, some = [blots(1, 60, 40)] * 2, replace(style, layers=style.layers[:3])
    octaves.look(darkened, [some] * 2, photos, layers=LAYERS, network=network, plan=PLAN, report=told.append)
    assert told == list(range(1, 1 + PLAN.pictures(2, 2)))


@pytest.mark.parametrize(("side", "wanted"), [(96, [96, 48, 24]), (95, [95, 47]), (24, [24]), (20, [20])])
def test_octaves_end_at_the_smallest(side: int, wanted: list[int]) -> None:
    assert octaves.octaves(side) == wanted


def test_in_earnest_a_picture_is_seen_down_to_256_px(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert octaves.octaves(4096) == [4096, 2048, 1024, 512, 256]
    assert octaves.octaves(1000) == [1000, 500]
    assert (Plan().sizes, Plan().preview, Plan().final) == ((512, 1024, 4096), 768, 12_000_000)


def test_medians_are_taken_over_styles_figure_by_figure() -> None:
    rows = tuple(
        Looks(f"{x}", (View(96, 48, (x, -x), 2 * x),), Preview(3 * x, (4 * x, 5 * x)))
        for x in (1.0, 2.0, 9.0)
    )
    found = Octaves(("a", "b"), 1, PLAN, (0, 0, 0), rows)
    assert found.medians() == replace(
        rows[1], name="(median)", views=(View(96, 48, (2.0, -2.0), 4.0),), preview=Preview(6.0, (8.0, 10.0))
    )
    read = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert set(read) == {*Octaves.__dataclass_fields__, "medians"}
    assert read["medians"]["views"][0] == {"painted": 96, "seen": 48, "style_ratio": [2, -2], "tone": 4}
    assert read["plan"]["sizes"] == [96, 48]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for place in range(3):
        (tmp_path / "photos").mkdir(exist_ok=True)
        blots(place, 100, 70).save(tmp_path / f"photos/{place}.png")
    return tmp_path


@pytest.fixture
def measure(
    make_bank: Callable[..., Bundle], style: StyleSet, home: Path, vgg_file: Path
) -> Callable[..., tuple[Bundle, Octaves, list[str]]]:
    def measure(plan: Plan = PLAN, **options: Any) -> tuple[Bundle, Octaves, list[str]]:
        loss = {"style_layers": list(LAYERS), "layer_weights": [1.0] * 3, "content_layer": "relu2_1"}
        made = make_bank({"wave": 3, "missing": 3}, training={"config": {"loss": loss}})
        known = replace(made.entries[0], style=replace(style, layers=style.layers[:3]))
        bank = replace(made, entries=(known, made.entries[1]))
        path = style.layers[0].path
        assert path
        asked: dict[str, Any] = {"content": home / "photos", "styles": path.parent, "count": 2} | options
        notes: list[str] = []
        found = octaves.measure(
            bank, plan=plan, device="cpu", vgg_weights=vgg_file, note=notes.append, **asked
        )
        return bank, found, notes

    return measure


Measure = Callable[..., tuple[Bundle, Octaves, list[str]]]


def test_a_bank_is_measured_by_what_its_painter_paints(
    measure: Measure, style: StyleSet, home: Path, vgg_file: Path
) -> None:
    plan = replace(PLAN, stroke=2.0)
    bank, found, notes = measure(plan)
    assert len(notes) == 1
    assert notes[0].startswith("style 'missing': its image missing.jpg")
    painter = StyleBank(bank)
    photos = [images.read(home / f"photos/{place}.png") for place in range(2)]
    wanted, other = (
        look(
            lambda photo, name: painter.stylize(photo, name, stroke=stroke),  # noqa: B023  # called at once
            style,
            vgg.load(vgg_file),
            photos,
            plan,
        )
        for stroke in (2.0, 1.0)
    )
    assert found == wanted
    assert found.rows != other.rows, "the control"


def test_photos_that_cannot_be_read_are_noted_and_others_taken(measure: Measure, home: Path) -> None:
    (home / "photos/0.png").write_text("no photo")
    plan = replace(PLAN, sizes=(48,))
    _, found, notes = measure(plan)
    assert found.photos == 2
    assert "0.png" in notes[-1]
    assert notes[-1].endswith("; skipped")
    for photo in (home / "photos").iterdir():
        photo.write_text("no photo")
    with pytest.raises(ContentError, match="none of 3 photos can be read"):
        measure(plan)
    shutil.rmtree(home / "photos")
    with pytest.raises(ContentError, match="is not a folder"):
        measure(plan)


def test_a_stroke_out_of_range_is_refused(measure: Measure) -> None:
    with pytest.raises(ConfigError, match="stroke 100 is out of range"):
        measure(replace(PLAN, stroke=100.0))
