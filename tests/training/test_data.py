"""A batch is a function of (photos, seed, number): whatever came before, however many threads, any cache."""

from collections import Counter
from contextlib import closing
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from stylebank.errors import ContentError
from stylebank.pixels import folders, images
from stylebank.training import data

CROP = 16


def stream(
    photos: list[Path], *, crop: int = CROP, batch: int = 4, zoom: float = 1.5, seed: int = 0, **others: Any
) -> closing[data.ContentStream]:
    """A stream that stops with its test; a report is a failure unless it is asked for."""
    others = {"report": pytest.fail} | others
    return closing(data.ContentStream(photos, crop=crop, batch=batch, zoom=zoom, seed=seed, **others))


def flat(path: Path, level: int, size: tuple[int, int] = (40, 30)) -> Path:
    """A photo of one grey, so that a crop of it tells which photo it is."""
    Image.new("RGB", size, (level, level, level)).save(path)
    return path


def flats(folder: Path, count: int) -> list[Path]:
    return [flat(folder / f"{i:03d}.png", i) for i in range(count)]


def noisy(folder: Path, count: int) -> list[Path]:
    """Photos no two crops of which are alike, of different sizes and shapes."""
    random = np.random.default_rng(0)
    paths = [folder / f"{i}.png" for i in range(count)]
    for i, path in enumerate(paths):
        levels = random.integers(0, 256, (20 + 7 * i, 50 - 3 * i, 3), np.uint8)
        Image.fromarray(levels).save(path)
    return paths


def levels(batch: torch.Tensor) -> list[int]:
    """Which flat photos a batch shows."""
    assert torch.equal(batch.amin(dim=(1, 2, 3)), batch.amax(dim=(1, 2, 3)))
    return [round(255 * float(level)) for level in batch[:, 0, 0, 0]]


def broken(path: Path) -> Path:
    path.write_bytes(b"no image")
    return path


def test_batches_are_crops_in_the_unit_range(tmp_path: Path) -> None:
    with stream(noisy(tmp_path, 5), batch=3) as content:
        batch = content.batch(0)
    assert (batch.shape, batch.dtype) == ((3, 3, CROP, CROP), torch.float32)
    assert 0 <= batch.min() < 0.2
    assert 0.8 < batch.max() <= 1


def test_batch_is_the_same_in_whatever_order_and_with_however_many_workers(tmp_path: Path) -> None:
    photos = noisy(tmp_path, 7)
    with stream(photos) as content:
        forwards = [content.batch(n) for n in range(9)]
        again = [content.batch(n) for n in (8, 0, 3, 3)]
    assert all(torch.equal(forwards[n], batch) for n, batch in zip((8, 0, 3, 3), again, strict=True))
    for workers in (1, 4):
        with stream(photos, workers=workers) as content:
            assert torch.equal(content.batch(5), forwards[5])
            assert torch.equal(content.batch(6), forwards[6])


def test_batches_of_other_seeds_and_numbers_differ(tmp_path: Path) -> None:
    photos = noisy(tmp_path, 1)  # one alone: no order of photos can make the difference
    with stream(photos) as content, stream(photos, seed=1) as other:
        batches = [*(content.batch(n) for n in range(5)), *(other.batch(n) for n in range(5))]
    assert not any(torch.equal(a, b) for i, a in enumerate(batches) for b in batches[:i])


def test_memory_budget_changes_no_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = noisy(tmp_path, 7)
    reads, read = Counter[Path](), images.read

    def counted(path: Path) -> Image.Image:
        reads[path] += 1
        return read(path)

    monkeypatch.setattr(images, "read", counted)

    def batches() -> torch.Tensor:
        reads.clear()
        with stream(photos, workers=1) as content:
            return torch.cat([content.batch(n) for n in range(7)])

    kept = batches()
    assert set(reads.values()) == {1}
    monkeypatch.setattr(data, "CACHE_BYTES", 0)
    assert torch.equal(batches(), kept)
    assert reads.total() >= 28  # each of 7 batches of 4 decoded its own


def test_every_photo_comes_once_an_epoch_in_a_new_order(tmp_path: Path) -> None:
    with stream(flats(tmp_path, 10), batch=4) as content:
        seen = [level for n in range(15) for level in levels(content.batch(n))]
    epochs = [seen[i : i + 10] for i in range(0, 60, 10)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(10))] * 6
    assert len({tuple(epoch) for epoch in epochs}) == 6  # 6 of 10! orders: equal ones are a fault


def places(folder: Path, *, zoom: float, width: int, height: int, count: int) -> torch.Tensor:
    """Where crops lie, told by a photo whose red is x and whose green is y: (N, 4) of left, right, top, bottom.

    In units of the photo's sides, at the outermost pixels' centres; left is larger than right in mirrored ones.
    """
    x = np.broadcast_to(np.linspace(0, 255, width), (height, width))
    y = np.broadcast_to(np.linspace(0, 255, height)[:, None], (height, width))
    pixels = np.stack([x, y, np.zeros_like(x)], axis=2).round().astype(np.uint8)
    Image.fromarray(pixels).save(folder / "map.png")
    with stream([folder / "map.png"], zoom=zoom, batch=count, crop=64) as content:
        batch = content.batch(0)
    red, green = batch[:, 0, 32], batch[:, 1, :, 32]
    return torch.stack([red[:, 0], red[:, -1], green[:, 0], green[:, -1]], dim=1)


def test_crops_are_square_lie_inside_the_photo_and_span_the_zoom(tmp_path: Path) -> None:
    width, height, zoom = 400, 300, 1.6
    found = places(tmp_path, zoom=zoom, width=width, height=height, count=300)
    left, right = found[:, :2].amin(1) * width, found[:, :2].amax(1) * width
    top, bottom = found[:, 2] * height, found[:, 3] * height
    # Half a level is 400 / 510 = 0.8 px across and 0.6 px down, and is lost at the photo, its reduction and the
    # crop: 4.8 px between left and right, 3.6 px between top and bottom. First and last of 64 pixels' centres are
    # 63 apart. The photo's own shape would be off by a third of 187 px at least.
    wide, high = (right - left) * 64 / 63, (bottom - top) * 64 / 63
    assert (wide - high).abs().max() < 8.6
    assert bool((high < 300 + 3.7).all())
    assert bool((high > 300 / zoom - 3.7).all())
    assert high.max() > 290  # both ends of the range are reached
    assert high.min() < 300 / zoom + 10
    # Log-uniform: half of the crops are larger than the geometric mean; 5 standard deviations of 300 draws.
    assert abs(float((high > 300 / zoom**0.5).float().mean()) - 0.5) < 5 * 0.5 / 300**0.5
    # All four edges are reached: margins are at most 213 px, and of 300 draws some fall close.
    assert max(float(left.min()), float(top.min())) < 8
    assert min(float(right.max()) - 400, float(bottom.max()) - 300) > -8


def test_no_zoom_shows_the_whole_short_side(tmp_path: Path) -> None:
    found = places(tmp_path, zoom=1.0, width=400, height=300, count=50)
    # The centres of the outermost of 64 pixels: 1 / 128 from the edge, and two roundings to 1 / 255.
    assert found[:, 2].max() < 1 / 128 + 2 / 255
    assert found[:, 3].min() > 1 - 1 / 128 - 2 / 255


def test_about_half_of_the_crops_are_mirrored(tmp_path: Path) -> None:
    found = places(tmp_path, zoom=1.5, width=100, height=80, count=400)
    share = float((found[:, 0] > found[:, 1]).float().mean())
    assert abs(share - 0.5) < 5 * 0.5 / 400**0.5  # 5 standard deviations of 400 fair draws
    assert bool((found[:, 2] < found[:, 3]).all())  # none stands on its head


def test_photos_smaller_than_the_crop_and_of_all_kinds_are_used(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    Image.new("RGB", (5, 3), (10, 10, 10)).save(tmp_path / "tiny.png")
    Image.new("L", (1, 1), 20).save(tmp_path / "a" / "pixel.PNG")
    Image.new("RGBA", (500, 20), (30, 30, 30, 255)).save(tmp_path / "a" / "b" / "long.webp", lossless=True)
    Image.new("RGB", (30, 40), (40, 40, 40)).save(tmp_path / "a" / "b" / "photo.bmp")
    (tmp_path / "notes.txt").write_text("not a photo")
    photos = folders.find_photos(tmp_path)
    inside = [photo.relative_to(tmp_path).as_posix() for photo in photos]
    assert inside == ["a/b/long.webp", "a/b/photo.bmp", "a/pixel.PNG", "tiny.png"]
    with stream(photos) as content:
        assert sorted(levels(content.batch(0))) == [10, 20, 30, 40]


def test_folder_without_photos_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a photo")
    with pytest.raises(ContentError, match="holds no photos"):
        folders.find_photos(tmp_path)
    for path in (tmp_path / "missing", tmp_path / "notes.txt"):
        with pytest.raises(ContentError, match="is not a folder"):
            folders.find_photos(path)


def test_broken_photo_is_replaced_by_the_next_and_reported_once(tmp_path: Path) -> None:
    photos = flats(tmp_path, 6)
    broken(photos[2])
    broken(photos[5])
    reports: list[str] = []
    with stream(photos, batch=6, report=reports.append) as content:
        for n in range(8):
            assert sorted(levels(content.batch(n))) == [0, 0, 1, 3, 3, 4]  # 3 for 2, and 0 for 5
    assert [sum(str(photo) in line for line in reports) for photo in photos] == [0, 0, 1, 0, 0, 1]
    assert all(line.endswith("; skipped") and len(line.splitlines()) == 1 for line in reports)


def test_broken_photo_that_two_workers_meet_at_once_is_reported_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = [broken(tmp_path / "0.png"), flat(tmp_path / "1.png", 1)]
    both, read = Barrier(2, timeout=10), images.read

    def together(path: Path) -> Image.Image:
        if path == photos[0]:
            both.wait()  # batches 0 to 3 are two epochs: the broken one comes twice
        return read(path)

    monkeypatch.setattr(images, "read", together)
    reports: list[str] = []
    with stream(photos, batch=1, report=reports.append) as content:
        assert [levels(content.batch(n)) for n in range(4)] == [[1]] * 4
    assert len(reports) == 1


def test_folder_of_broken_photos_is_an_error(tmp_path: Path) -> None:
    photos = [broken(tmp_path / f"{i}.png") for i in range(3)]
    match = "3 photos in a row cannot be read"
    with stream(photos, report=lambda _: None) as content, pytest.raises(ContentError, match=match):
        content.batch(0)


def test_squares_are_the_middles_of_photos_and_leave_out_broken_ones(tmp_path: Path) -> None:
    picture = Image.new("RGB", (60, 20), "red")
    picture.paste("blue", (20, 0, 40, 20))
    picture.save(tmp_path / "a.png")
    reports: list[str] = []
    squares = data.read_squares([tmp_path / "a.png", broken(tmp_path / "b.png")], 10, reports.append)
    assert squares.shape == (1, 3, 10, 10)
    # Resampling rings across an edge over 3 of the 10 pixels; what is left of it is blue to half a level.
    blue = torch.tensor([0.0, 0.0, 1.0])[:, None, None]
    assert (squares[0, :, :, 3:7] - blue).abs().max() < 0.5 / 255
    assert squares[0, 2].mean() > 0.98  # a margin of red at either side would leave 0.9 or less
    assert len(reports) == 1
    with pytest.raises(ContentError, match="none of 1 photos can be read"):
        data.read_squares([tmp_path / "b.png"], 10, reports.append)


def test_photos_held_back_are_at_most_a_quarter_and_never_trained_on(tmp_path: Path) -> None:
    photos = [tmp_path / f"{i}.png" for i in range(41)]
    for wanted, got in ((0, 0), (8, 8), (10, 10), (11, 10), (1000, 10)):
        training, held = data.hold_back(photos, tmp_path, wanted)
        assert len(held) == got
        assert training == [photo for photo in photos if photo not in held]
        assert set(held) <= set(photos)
    assert data.hold_back(photos[:3], tmp_path, 8) == (photos[:3], [])


def test_held_back_are_the_same_elsewhere_and_few_move_when_photos_are_added(tmp_path: Path) -> None:
    here = [tmp_path / f"{i}.png" for i in range(100)]
    there = [Path("/there", photo.name) for photo in here[::-1]]
    _, held = data.hold_back(here, tmp_path, 10)
    assert data.hold_back(there, Path("/there"), 10)[1] == [Path("/there", photo.name) for photo in held]
    assert held != here[:10]
    for i in range(20):
        _, more = data.hold_back([*here, tmp_path / f"new{i}.png"], tmp_path, 10)
        assert len(set(held) - set(more)) <= 1  # the new one comes in for at most one old one


def test_digest_tells_names_sizes_and_order_of_photos_but_not_their_folder(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
        flats(folder, 3)
    photos, others = (sorted(folder.iterdir()) for folder in folders)
    first = data.digest(photos, folders[0])
    assert data.digest(others, folders[1]) == first
    different = [data.digest(photos[:2], folders[0]), data.digest(photos[::-1], folders[0])]
    others[0].write_bytes(others[0].read_bytes() + b"\0")
    different.append(data.digest(others, folders[1]))
    different.append(data.digest([*photos[:2], photos[2].rename(folders[0] / "x.png")], folders[0]))
    assert len({first, *different}) == 5


@pytest.mark.parametrize(("count", "batch"), [(1, 4), (3, 4), (7, 4), (4, 4), (50, 3)])
def test_every_style_is_drawn_once_before_any_comes_again(count: int, batch: int) -> None:
    drawn = (data.draw_styles(count, batch=batch, seed=0, number=n) for n in range(3 * count))
    draws = [style for styles in drawn for style in styles]
    assert len(draws) == 3 * count * batch
    rounds = [draws[i : i + count] for i in range(0, len(draws), count)]
    assert all(sorted(drawn) == list(range(count)) for drawn in rounds)
    assert count < 7 or len({tuple(drawn) for drawn in rounds}) > 1


def test_styles_drawn_are_a_function_of_seed_and_number() -> None:
    first = [data.draw_styles(9, batch=4, seed=0, number=n) for n in range(8)]
    assert data.draw_styles(9, batch=4, seed=0, number=5) == first[5]
    assert [data.draw_styles(9, batch=4, seed=1, number=n) for n in range(8)] != first


def test_styles_are_drawn_uniformly_at_every_place() -> None:
    # 3000 draws of 5 at a place: 600 each, standard deviation (3000 * 0.2 * 0.8) ** 0.5 = 22; 5 of them.
    drawn = [data.draw_styles(5, batch=5, seed=3, number=n) for n in range(3000)]
    for place in range(5):
        counts = Counter(styles[place] for styles in drawn)
        assert all(abs(counts[style] - 600) < 110 for style in range(5))
