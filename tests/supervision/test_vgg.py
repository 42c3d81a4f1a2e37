"""VGG-16: the taps are torchvision's, and no layer runs that nobody asked for."""

from pathlib import Path

import pytest
import torch
import torchvision
from torch import Tensor

from stylebank.errors import TensorFileError
from stylebank.files import resources, tensorfile
from stylebank.network.tensors import to_numpy, to_torch
from stylebank.supervision import vgg
from stylebank.supervision.vgg import LAYERS, STYLE_LAYERS, VGG

# Where torchvision's `features` has the ReLU of each layer, written down from its configuration "D".
RELU_INDEX = dict(zip(LAYERS, (1, 3, 6, 8, 11, 13, 15, 18, 20, 22, 25), strict=True))


def test_layers_are_those_of_vgg16() -> None:
    assert LAYERS[:5] == ("relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1")
    assert LAYERS[-1] == "relu5_1"
    assert set(STYLE_LAYERS) <= set(LAYERS)
    assert [vgg.depth(layer) for layer in STYLE_LAYERS] == [1, 3, 5, 8, 11]


def test_taps_are_torchvision_s_own(vgg_weights: dict[str, Tensor]) -> None:
    features = torchvision.models.vgg16(weights=None).features[:26]
    features.load_state_dict({key.removeprefix("features."): value for key, value in vgg_weights.items()})
    transform = torchvision.models.VGG16_Weights.IMAGENET1K_FEATURES.transforms()
    photo = torch.rand(2, 3, 48, 32)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (transform.mean, transform.std))
    with torch.no_grad():
        found = VGG(vgg_weights)(photo, LAYERS)
        x = (photo - mean) / std
        for index, module in enumerate(features):
            x = module(x)
            for layer, place in RELU_INDEX.items():
                if place == index:
                    # float32 sums in another order; the deviation is a part of each layer's own size.
                    assert (found[layer] - x).abs().max() < 1e-4 * x.abs().max(), layer
    assert list(found) == list(LAYERS)


@pytest.mark.parametrize("layer", STYLE_LAYERS)
def test_a_request_runs_only_as_deep_as_it_must(layer: str, vgg_weights: dict[str, Tensor]) -> None:
    network, ran = VGG(vgg_weights), []
    for name, convolution in network.convolutions.items():
        convolution.register_forward_hook(lambda *_, name=name: ran.append(name))
    network(torch.rand(1, 3, 32, 32), ("relu1_1", layer))
    assert len(ran) == vgg.depth(layer)


def test_weights_are_frozen_but_the_image_gets_its_gradient(vgg_weights: dict[str, Tensor]) -> None:
    network = VGG(vgg_weights)
    photo = torch.rand(1, 3, 32, 32, requires_grad=True)
    network(photo, ("relu3_1",))["relu3_1"].sum().backward()
    assert photo.grad is not None
    assert photo.grad.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_half_precision_keeps_the_mean_colour_exact(vgg_weights: dict[str, Tensor]) -> None:
    network = VGG(vgg_weights).compute_in(torch.bfloat16)
    assert network.precision == torch.bfloat16
    assert network.mean.dtype == torch.float32
    assert network(torch.rand(1, 3, 16, 16), ("relu1_1",))["relu1_1"].dtype == torch.bfloat16


def test_the_file_that_comes_along_is_vgg16() -> None:
    tensors, manifest = tensorfile.read(resources.vgg_weights(), kind="vgg")
    assert "CC BY 4.0" in manifest["license"]
    assert tensors["features.24.weight"].shape == (512, 512, 3, 3)
    network = vgg.load(resources.vgg_weights())
    # A white image's first features, computed from the file by hand: bias plus summed weights times white.
    white = (1 - torch.tensor([0.48235, 0.45882, 0.40784])) * 255
    weight, bias = (torch.from_numpy(tensors[f"features.0.{part}"]).float() for part in ("weight", "bias"))
    wanted = (torch.einsum("oiyx,i->o", weight, white) + bias).relu()
    found = network(torch.ones(1, 3, 16, 16), ("relu1_1",))["relu1_1"][0, :, 8, 8]
    assert torch.allclose(found, wanted, rtol=1e-4, atol=1e-2)


@pytest.mark.shared
def test_float16_is_the_oxford_file_to_half_a_thousandth(shared: Path) -> None:
    from safetensors.torch import load_file

    original = load_file(shared / "vgg" / "vgg16_conv5_1.safetensors")
    ours = to_torch(tensorfile.read(resources.vgg_weights(), kind="vgg")[0])
    assert ours.keys() == original.keys()
    for name, tensor in original.items():
        # float16 keeps 11 bits of each weight: 2^-11 of it, or 2^-25 of the tiny ones.
        assert ((ours[name].float() - tensor).abs() <= tensor.abs() * 2**-11 + 2**-25).all(), name


def test_a_file_without_a_layer_is_refused(vgg_weights: dict[str, Tensor], tmp_path: Path) -> None:
    rest = to_numpy(vgg_weights)
    del rest["features.12.weight"]
    tensorfile.write(tmp_path / "vgg", kind="vgg", tensors=rest, manifest={})
    with pytest.raises(TensorFileError, match="is no VGG-16"):
        vgg.load(tmp_path / "vgg")


def test_a_layer_of_another_shape_is_refused(vgg_weights: dict[str, Tensor], tmp_path: Path) -> None:
    wrong = to_numpy(vgg_weights | {"features.5.weight": torch.zeros(128, 32, 3, 3)})
    tensorfile.write(tmp_path / "vgg", kind="vgg", tensors=wrong, manifest={})
    with pytest.raises(TensorFileError, match="is no VGG-16"):
        vgg.load(tmp_path / "vgg")
