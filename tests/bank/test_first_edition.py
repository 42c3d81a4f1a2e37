"""Banks of before there were second filters and more than one form: read as they were meant, with their old digests."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from stylebank import StyleBank
from stylebank.bank import bundle, editing, entries
from stylebank.bank.bundle import Bundle
from stylebank.bank.entries import Entry
from stylebank.config import Network
from stylebank.errors import OutputError
from stylebank.files import tensorfile
from stylebank.network.architecture import coder_shapes
from stylebank.supervision.styleset import LayerImage, StyleSet
from stylebank.supervision.vgg import STYLE_LAYERS

OLD_KEYS = ("kind", "width", "output", "restore_moments")
"""Of [network] in the manifests of that time."""

STYLES = {"stylebank": {"wave": 3, "night": 5}, "johnson": {"wave": 1}}

# What the code of that time (commit 8895076) said of the files that `first_edition` makes: `Bundle.coder_digest`,
# `Bundle.digest`, and the pixel (5, 7) of "night" on the photo below.
DIGESTS = {
    "stylebank": (
        "110c214485cc90e56ca6e0f5ea22769a841c5f59402ffb620b378450db21322d",
        "c5e379a8a83d498747d7ddbadf7aa8f8e67590538ccdb1a184a419b4f35a3e53",
    ),
    "johnson": (
        "0b6db538febdac0448f8940068818bea6824f0c64db317791033cf76b1c1346d",
        "6cf739501486c910485ae20e2055047d72f4de086da83e0f8e1eed6e9a619b34",
    ),
}
PIXEL = (0.7068, 0.6928, 0.5018)


def numbers(shape: tuple[int, ...], seed: int) -> NDArray[np.float32]:
    """Between -0.5 and 0.5, and the same for every version of every library."""
    places = np.arange(int(np.prod(shape)))
    found: NDArray[np.float32] = ((places * 7919 + seed * 104729) % 1009 / 1009 - 0.5).astype(np.float32)
    return found.reshape(shape)


def first_edition(path: Path, kind: str = "stylebank", *, keys: tuple[str, ...] = OLD_KEYS) -> Path:
    """A file as it was written then: less keys in its manifest, one filter a style."""
    shape = Network(kind="johnson" if kind == "johnson" else "stylebank", width=4, blocks=0, outer_kernel=9)
    coder = {
        name: numbers(size, place) for place, (name, size) in enumerate(sorted(coder_shapes(shape).items()))
    }
    styles, filters = [], {}
    for place, (name, kernel) in enumerate(STYLES[kind].items()):
        layers = (
            LayerImage(layer, "a.png", "0" * 64, (0, 0, 64, 48), (64, 48), 1.0) for layer in STYLE_LAYERS
        )
        style = StyleSet(name=name, kernel=kernel, layers=tuple(layers))
        styles.append({"style": style.to_manifest(), "gain": 1.5 - place, "card": None, "recipe": {}})
        filters[f"style.{name}.filter"] = numbers((16, 16, kernel, kernel), 100 + place).astype(np.float16)
    manifest: dict[str, Any] = {
        "network": {key: value for key, value in asdict(shape).items() if key in keys},
        "styles": styles,
        "training": {"steps": 7},
    }
    tensorfile.write(path, kind="bank", tensors={**coder, **filters}, manifest=manifest)
    return path


def test_an_old_file_is_the_papers_network_with_one_filter_a_style(tmp_path: Path) -> None:
    found = bundle.read(first_edition(tmp_path / "old"))
    assert found.network == Network(width=4, blocks=0, outer_kernel=9) != Network(width=4)
    assert found.names == ("wave", "night")
    assert [(entry.revision, entry.gain) for entry in found.entries] == [(None, 1.5), (None, 0.5)]


@pytest.mark.parametrize("kind", DIGESTS)
def test_an_old_file_keeps_its_digests(kind: str, tmp_path: Path) -> None:
    found = bundle.read(first_edition(tmp_path / "old", kind))
    assert (found.coder_digest(), found.digest()) == DIGESTS[kind]


def test_an_older_file_that_knows_no_kinds_has_the_same_digest(tmp_path: Path) -> None:
    found = bundle.read(first_edition(tmp_path / "old", keys=OLD_KEYS[1:]))
    assert found.coder_digest() == DIGESTS["stylebank"][0]


def test_an_old_file_builds_the_network_that_it_was(tmp_path: Path) -> None:
    network = bundle.read(first_edition(tmp_path / "old")).build()
    photo = torch.from_numpy(numbers((1, 3, 16, 20), 5) + 0.5)
    with torch.no_grad():
        found, other = (network.stylize(photo, [place])[0, :, 5, 7].tolist() for place in (1, 0))
        again = network.stylize(photo, [1], again=True)[0, :, 5, 7].tolist()
    # Noted to four digits.
    assert found == again == pytest.approx(PIXEL, abs=6e-5)
    assert other != pytest.approx(PIXEL, abs=6e-5), "the control"


def test_every_style_of_an_old_file_paints(tmp_path: Path) -> None:
    path = first_edition(tmp_path / "old")
    loaded = StyleBank.load(path, device="cpu")
    photo = torch.rand(3, 32, 36, generator=torch.Generator().manual_seed(0))
    pictures = [loaded.stylize(photo, name) for name in ("wave", "night", "wave:0.5+night:0.5", "wave@0.5")]
    assert all(picture.shape == photo.shape and bool(picture.isfinite().all()) for picture in pictures)
    assert (pictures[0] - pictures[1]).abs().max() > 0.05, "the control"


def test_an_old_bank_written_again_and_an_old_style_exported_are_read_as_the_same(tmp_path: Path) -> None:
    old = bundle.read(first_edition(tmp_path / "old"))
    bundle.write(tmp_path / "again", old)
    again = bundle.read(tmp_path / "again")
    assert (again.network, again.coder_digest(), again.digest()) == (old.network, *DIGESTS["stylebank"])
    assert all(map(Entry.is_same, again.entries, old.entries))
    editing.export_style("wave", bank=tmp_path / "old", out=tmp_path / "wave.style", force=False)
    entry, coder = entries.read(tmp_path / "wave.style")
    assert coder == DIGESTS["stylebank"][0]
    assert entry.is_same(old.entries[0])


def test_a_bank_with_second_filters_and_an_old_one_of_the_same_weights_merge(tmp_path: Path) -> None:
    """Encoder and decoder are the same, so a style goes from one to the other."""
    old = bundle.read(first_edition(tmp_path / "old"))
    wave, night = old.entries
    revised = editing.renamed(
        Entry(**{**vars(night), "revision": night.filter, "revision_gain": night.gain}), "revised"
    )
    bundle.write(tmp_path / "new", Bundle(old.network, old.coder, (wave, revised), {}))
    merged = editing.merge(
        [tmp_path / "old", tmp_path / "new"], out=tmp_path / "both", renames=[], force=False
    )
    assert merged.names == ("wave", "night", "revised")
    found = bundle.read(tmp_path / "both")
    assert [entry.revision is not None for entry in found.entries] == [False, False, True]
    assert found.digest() != old.digest()
    network = found.build()
    for place, name in enumerate(found.names):
        own = found.find(name).of_pass(again=True)[0]
        assert np.array_equal(network.revisions[place].numpy(), own), "K where there is no R"


def test_another_form_with_the_same_tensors_is_another_coder(tmp_path: Path) -> None:
    """An old digest says blocks 0 and an outer kernel of 9, not nothing."""
    old = bundle.read(first_edition(tmp_path / "old"))
    other = Bundle(Network(width=4, blocks=1, outer_kernel=9), old.coder, (), {})
    assert other.coder_digest() != old.coder_digest()
    with pytest.raises(OutputError, match="was trained against another encoder and decoder"):
        editing.adding(old.entries[0], coder_digest=old.coder_digest(), source="test")(other)
