"""The nodes, called as ComfyUI calls them: by the ids of their inputs, with tensors in its layout."""

import asyncio
import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from stylebank import StyleBank, __version__
from stylebank.bank import bundle
from stylebank.bank.bundle import Bundle
from stylebank.bank.mixture import Mixture
from stylebank.errors import UnknownStyleError

COMFYUI = Path(__file__).resolve().parents[2] / "comfyui"

Nodes = dict[str, Any]


@pytest.fixture(scope="module")
def nodes(pack: ModuleType) -> Nodes:
    """The node classes by their ids."""

    async def listed() -> list[Any]:
        return list(await (await pack.comfy_entrypoint()).get_node_list())

    return {node.define_schema().node_id: node for node in asyncio.run(listed())}


def run(node: Any, **given: Any) -> Any:
    """Call a node with what is given and the defaults of its widgets, as ComfyUI does; its one output."""
    inputs = node.define_schema().inputs
    assert given.keys() <= {found.id for found in inputs}, "an input that the node does not have"
    widgets = {found.id: found.how["default"] for found in inputs if found.is_widget}
    needed = {found.id for found in inputs if not found.optional}
    assert needed <= given.keys() | widgets.keys(), "ComfyUI would not run it"
    (result,) = node.execute(**(widgets | given)).result
    return result


@pytest.fixture(scope="module")
def bank(
    nodes: Nodes, make_bank: Callable[..., Bundle], tmp_path_factory: pytest.TempPathFactory
) -> StyleBank:
    path = tmp_path_factory.mktemp("bank") / "bank"
    bundle.write(path, make_bank({"wave": 3, "scream": 3}))
    found: StyleBank = run(nodes["StyleBankLoad"], bank=str(path), engine="torch", precision="float32")
    return found


def style(nodes: Nodes, words: str) -> Mixture:
    found: Mixture = run(nodes["StyleBankPick"], words=words)
    return found


def images(count: int, height: int, width: int, channels: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(count)
    coarse = torch.rand(count, channels, 4, 4, generator=generator)
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear").permute(0, 2, 3, 1)


@pytest.mark.parametrize(("count", "height", "width"), [(1, 48, 64), (3, 33, 47), (1, 17, 91)])
def test_batch_keeps_its_size_and_each_image_is_painted_as_if_alone(
    nodes: Nodes, bank: StyleBank, count: int, height: int, width: int
) -> None:
    photos = images(count, height, width)
    painted = run(nodes["StyleBankStylize"], bank=bank, image=photos, style=style(nodes, "wave"))
    assert (painted.shape, painted.dtype, painted.device.type) == (photos.shape, torch.float32, "cpu")
    assert painted.min() >= 0
    assert painted.max() <= 1
    for place in range(count):
        alone = run(
            nodes["StyleBankStylize"],
            bank=bank,
            image=photos[place : place + 1],
            style=style(nodes, "wave"),
        )
        assert torch.equal(alone[0], painted[place])
    assert not torch.allclose(painted, photos, atol=0.05)


def test_strength_stroke_and_colour_change_the_picture(nodes: Nodes, bank: StyleBank) -> None:
    photos, wave = images(1, 64, 64), style(nodes, "wave")
    ways: list[dict[str, Any]] = [{}, {"strength": 0.3}, {"stroke": 2.0}, {"keep_color": True}]
    pictures = [run(nodes["StyleBankStylize"], bank=bank, image=photos, style=wave, **way) for way in ways]
    for first in range(4):
        for second in range(first):
            assert not torch.equal(pictures[first], pictures[second])


def test_alpha_stays(nodes: Nodes, bank: StyleBank) -> None:
    photos = images(2, 32, 40, channels=4)
    painted = run(nodes["StyleBankStylize"], bank=bank, image=photos, style=style(nodes, "wave"))
    assert torch.equal(painted[..., 3], photos[..., 3])


def test_mix_multiplies_the_weights_of_mixtures(nodes: Nodes) -> None:
    half = run(
        nodes["StyleBankMix"],
        style_1=style(nodes, "wave"),
        weight_1=0.5,
        style_2=style(nodes, "scream/wave"),
        weight_2=0.5,
    )
    assert dict(half.weights) == {"wave": 0.5, "scream": 0.5}
    assert dict(half.marks) == {"wave": 1.0}
    most = run(
        nodes["StyleBankMix"],
        style_1=half,
        weight_1=0.5,
        style_2=style(nodes, "wave"),
        weight_2=0.25,
        style_3=style(nodes, "mosaic"),
        weight_3=0.25,
    )
    assert dict(most.weights) == {"wave": 0.5, "scream": 0.25, "mosaic": 0.25}


def test_pick_has_forms_and_marks(nodes: Nodes) -> None:
    node = nodes["StyleBankPick"]
    names = node.define_schema().inputs[0].how["options"]
    assert "munch_the_scream" in names
    assert str(run(node, style="munch_the_scream")) == "munch_the_scream"
    assert str(run(node, style="munch_the_scream", marks="mosaic")) == "munch_the_scream/mosaic"


@pytest.mark.parametrize("count", [1, 3])
def test_masks_of_any_size_divide_the_image(nodes: Nodes, bank: StyleBank, count: int) -> None:
    photos = images(count, 48, 64)
    left = torch.zeros(1, 24, 32)
    left[..., :16] = 1
    how: dict[str, Any] = {"bank": bank, "image": photos}
    fused = run(
        nodes["StyleBankFuse"],
        mask_1=left,
        style_1=style(nodes, "wave"),
        rest=style(nodes, "scream"),
        **how,
    )
    assert fused.shape == photos.shape
    whole = {
        name: run(nodes["StyleBankStylize"], style=style(nodes, name), **how) for name in ("wave", "scream")
    }
    # Away from the seam each side is its own style to within roundings of 8 bits; the other style is far away.
    assert (fused - whole["wave"])[:, :, :8].abs().max() <= 3 / 255
    assert (fused - whole["scream"])[:, :, -8:].abs().max() <= 3 / 255
    assert (fused - whole["scream"])[:, :, :8].abs().max() > 10 / 255


def test_each_image_has_its_own_mask_and_what_none_covers_stays_photo(nodes: Nodes, bank: StyleBank) -> None:
    photos = images(2, 32, 32)
    masks = torch.stack([torch.ones(32, 32), torch.zeros(32, 32)])
    fused = run(nodes["StyleBankFuse"], bank=bank, image=photos, mask_1=masks, style_1=style(nodes, "wave"))
    assert (fused[1] - photos[1]).abs().max() <= 1 / 255
    assert (fused[0] - photos[0]).abs().max() > 10 / 255


@pytest.mark.parametrize(
    ("node", "changed", "line"),
    [
        (
            "Stylize",
            {"image": torch.rand(1, 3, 32, 32)},
            "image: is .1, 3, 32, 32. float32; connect one with 3 or",
        ),
        ("Stylize", {"image": torch.rand(32, 32, 3)}, "image: is .32, 32, 3. float32; connect an IMAGE"),
        ("Stylize", {"image": torch.zeros(1, 8, 8, 3, dtype=torch.uint8)}, "image: is .* uint8; connect"),
        ("Stylize", {"image": torch.rand(1, 0, 32, 3)}, "image: is .* some pixels"),
        ("Stylize", {"image": "photo.jpg"}, "image: is a str; connect an IMAGE"),
        ("Stylize", {"strength": 1.5}, "strength 1.5 is out of range"),
        ("Stylize", {"stroke": 100.0}, "stroke 100 is out of range"),
        ("Fuse", {"mask_1": torch.rand(2, 32, 32)}, "mask_1: are 2 for 1 images; give one, or one for each"),
        ("Fuse", {"mask_1": torch.rand(1, 64, 16)}, "another shape"),
        ("Fuse", {"mask_1": torch.rand(1, 1, 32, 32)}, "mask_1: is .* connect a MASK"),
        ("Fuse", {"mask_2": torch.rand(1, 32, 32)}, "mask_2: has no style_2; connect both or neither"),
        ("Fuse", {"mask_1": None}, "style_1: has no mask_1; connect both"),
    ],
)
def test_bad_input_is_a_value_error_of_one_line(
    nodes: Nodes, bank: StyleBank, node: str, changed: dict[str, Any], line: str
) -> None:
    given: dict[str, Any] = {"bank": bank, "image": images(1, 32, 32)}
    if node == "Fuse":
        given |= {"mask_1": torch.ones(1, 32, 32), "style_1": style(nodes, "wave")}
    else:
        given["style"] = style(nodes, "wave")
    with pytest.raises(ValueError, match=line) as error:
        run(nodes[f"StyleBank{node}"], **(given | changed))
    assert "\n" not in str(error.value)


def test_style_that_the_bank_has_not_is_named(nodes: Nodes, bank: StyleBank) -> None:
    with pytest.raises(UnknownStyleError, match="style 'wvae': is not in the bank"):
        run(
            nodes["StyleBankStylize"],
            bank=bank,
            image=images(1, 32, 32),
            style=style(nodes, "wvae"),
        )


def test_bank_that_changed_is_loaded_again(
    nodes: Nodes, make_bank: Callable[..., Bundle], tmp_path: Path
) -> None:
    node, path = nodes["StyleBankLoad"], tmp_path / "bank"
    bundle.write(path, make_bank({"wave": 3}))
    first = node.fingerprint_inputs(bank=str(path))
    assert node.fingerprint_inputs(bank=str(path)) == first
    bundle.write(path, make_bank({"wave": 3, "scream": 3}))
    assert node.fingerprint_inputs(bank=str(path)) != first
    assert node.fingerprint_inputs(bank="hf:ann/bank") == node.fingerprint_inputs(bank="hf:ann/bank")


def test_example_workflow_fits_the_nodes(nodes: Nodes) -> None:
    found = json.loads((COMFYUI / "example_workflows" / "stylebank.json").read_text("utf-8"))
    placed = {node["id"]: node for node in found["nodes"]}
    assert {node["type"] for node in placed.values()} == {*nodes, "LoadImage", "SaveImage"}
    for number, source, output, target, slot, io_type in found["links"]:
        assert placed[source]["outputs"][output]["type"] == io_type == placed[target]["inputs"][slot]["type"]
        assert number in placed[source]["outputs"][output]["links"]
        assert placed[target]["inputs"][slot]["link"] == number
    for node in placed.values():
        if node["type"] not in nodes:
            continue
        inputs = nodes[node["type"]].define_schema().inputs
        sockets = [(one.id, one.io_type) for one in inputs if not one.is_widget]
        assert [(one["name"], one["type"]) for one in node["inputs"]] == sockets
        widgets = [one for one in inputs if one.is_widget]
        for widget, value in zip(widgets, node["widgets_values"], strict=True):
            assert type(value) is type(widget.how["default"]), widget.id
            assert value in widget.how.get("options", [value])


def test_registry_gets_what_it_asks_for() -> None:
    told = tomllib.loads((COMFYUI / "pyproject.toml").read_text("utf-8"))
    name = told["project"]["name"]
    assert re.fullmatch(r"[a-z][a-z0-9._-]{0,98}", name)
    assert "comfyui" not in name
    assert re.fullmatch(r"\d+\.\d+\.\d+", told["project"]["version"])
    assert told["project"]["version"] == __version__
    assert {"PublisherId", "DisplayName", "requires-comfyui"} <= told["tool"]["comfy"].keys()
    assert (COMFYUI / "LICENSE").read_bytes() == (COMFYUI.parent / "LICENSE").read_bytes()
    assert (COMFYUI / "requirements.txt").read_text().split() == told["project"]["dependencies"]
