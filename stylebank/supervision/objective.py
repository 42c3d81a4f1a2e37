"""What a style and a photo ask of an output image: targets computed once, one VGG pass for both.

Section 3.2 of the paper with the layered style set: L_s = sum_l w_l ||G(F_l(O)) - G(F_l(S_l))||^2. Each term is
divided by its mean over unstyled photos, so that every layer of every style starts near 1 and 0 is perfect, and the
L terms are averaged: one default weighting serves all styles. Each supervising image goes through VGG once, and only
as deep as the deepest layer that it supervises.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from stylebank.config import Loss
from stylebank.errors import ConfigError
from stylebank.network.tensors import indices
from stylebank.supervision import losses, seams, vgg, weaves
from stylebank.supervision.styleset import LayerImage, StyleSet
from stylebank.supervision.vgg import VGG

Seen = TypeVar("Seen")

_FAR_LAYERS = 2  # of the style layers, from the finest


class Kept(NamedTuple):
    """What pictures are to keep of B photos.

    Attributes:
        content: features (B, C, h, w).
        parts: see `losses.parts`, (B, 3, h', w').
        edges: see `seams.edges`, (B, N, 6); N is 0 where seams weigh nothing.
        flat: see `weaves.flat_windows`, (B, 2, W); W is 0 where weaves weigh nothing.
    """

    content: Tensor
    parts: Tensor
    edges: Tensor
    flat: Tensor


@dataclass(frozen=True)
class Terms:
    """Losses of B outputs: content (B,), style (B, L), tv (B,) as they are, `total` their weighted mean.

    `style` is 1 for an unstyled photo, on average, and 0 for perfect statistics.
    """

    content: Tensor
    style: Tensor
    tv: Tensor
    total: Tensor


class Objective:
    """The stylizing branch's loss L_K for a list of styles.

    Args:
        network: VGG, on the device to compute on; `precision` is what it computes the outputs' features in.
        loss: weights and layers.
        styles: S style sets over those layers.
        photos: (P, 3, H, W) in [0, 1], unstyled, whose mean style distance is the unit.
        progress: is told (done, of how many) after each picture that VGG looks at to begin with.
    """

    def __init__(
        self,
        network: VGG,
        loss: Loss,
        styles: Sequence[StyleSet],
        photos: Tensor,
        *,
        precision: torch.dtype,
        progress: Callable[[int, int], None] = lambda _done, _of: None,
    ) -> None:
        check_layers(loss)
        self._loss = loss
        self.kernels = [style.kernel for style in styles]
        self._layers = (*loss.style_layers, loss.content_layer)
        device = network.mean.device
        self._looked, self._of = 0, len(styles) + len(photos)
        self._progress = progress
        targets = [self._counted(style_grams(network, style)) for style in styles]
        self.grams = [torch.stack(layer) for layer in zip(*targets, strict=True)]  # L tensors (S, C, C)
        self.weights = torch.tensor(  # (S, L)
            [[image.weight for image in style.layers] for style in styles], device=device
        )
        floors = [contrast_floor(style) if loss.empty else 1.0 for style in styles]
        self._floors = torch.tensor(floors, device=device)  # (S,)
        own = [weaves.own_weave(style.pictures()) if loss.weave else 0.0 for style in styles]
        self._weaves = torch.tensor(own, device=device)  # (S,)
        self.unstyled = self._unstyled_distances(network, photos.to(device))
        self._vgg = network.compute_in(precision)

    def kept(self, content: Tensor, photo: Tensor | None = None) -> Kept:
        """What pictures are to keep of what they are painted over, (B, 3, H, W) in [0, 1], without gradient.

        Edges and flat ground are those of the photo, where pictures are painted over enlarged paintings of it.
        """
        layer = self._loss.content_layer
        photo = content if photo is None else photo
        with torch.no_grad():
            return Kept(
                content=self._vgg(content, (layer,))[layer],
                parts=losses.parts(content),
                edges=seams.edges(photo) if self._loss.seams else photo.new_zeros(len(photo), 0, 6),
                flat=weaves.flat_windows(photo) if self._loss.weave else photo.new_zeros(len(photo), 2, 0),
            )

    def __call__(self, output: Tensor, kept: Kept, styles: Sequence[int]) -> Terms:
        """Compare outputs (B, 3, H, W) with what they are to keep and, image by image, with styles[b]."""
        index = indices(styles, output.device)
        features = self._vgg(output, self._layers)
        distances = [
            losses.style_distance(losses.gram(features[layer]), target[index])
            for layer, target in zip(self._loss.style_layers, self.grams, strict=True)
        ]
        style = torch.stack(distances, dim=1) / self.unstyled[index]
        # Content and total variation are figures even where they weigh nothing; then they need no gradient.
        content = losses.content_distance(
            _with_gradient(features[self._loss.content_layer], self._loss.content), kept.content
        )
        tv = losses.total_variation(_with_gradient(output, self._loss.tv))
        per_image = (
            self._loss.content * content
            + self._loss.style * self.weighted_style(style, styles)
            + self._loss.tv * tv
        )
        if self._loss.empty:
            per_image = per_image + self._loss.empty * losses.emptiness(output, self._floors[index])
        parts = losses.parts(output)
        if self._loss.tone:
            per_image = per_image + self._loss.tone * losses.tone_distance(parts, kept.parts)
        if self._loss.color:
            per_image = per_image + self._loss.color * losses.color_distance(parts, kept.parts)
        if self._loss.seams:
            per_image = per_image + self._loss.seams * seams.seam_distance(output, kept.edges)
        if self._loss.weave:
            weave = weaves.weave_distance(output, kept.flat, self._weaves[index])
            per_image = per_image + self._loss.weave * weave
        return Terms(content=content, style=style, tv=tv, total=per_image.mean())

    def revision(self, output: Tensor, kept: Kept, styles: Sequence[int]) -> Terms:
        """The same of pictures that were painted over enlarged paintings, and how they look from farther away.

        Marks average out when a picture is seen small, and with them its colours: so the finest layers are compared
        again on the picture shrunk by two, at `far` of their weight.
        """
        terms = self(output, kept, styles)
        if not self._loss.far:
            return terms
        index = indices(styles, output.device)
        layers = self._loss.style_layers[:_FAR_LAYERS]
        features = self._vgg(F.avg_pool2d(output, 2), layers)
        distances = [
            losses.style_distance(losses.gram(features[layer]), target[index])
            for layer, target in zip(layers, self.grams, strict=False)
        ]
        ratio = torch.stack(distances, dim=1) / self.unstyled[index][:, :_FAR_LAYERS]
        seen = (self.weights[index][:, :_FAR_LAYERS] * ratio).sum(dim=1) / len(self._loss.style_layers)
        return replace(terms, total=terms.total + self._loss.style * self._loss.far * seen.mean())

    def weighted_style(self, style: Tensor, styles: Sequence[int]) -> Tensor:
        """The layers' mean (B,) of style losses (B, L), by the layers' weights in styles[b]."""
        return (self.weights[indices(styles, style.device)] * style).mean(dim=1)

    def _counted(self, seen: Seen) -> Seen:
        """The same, and one picture more has been looked at."""
        self._looked += 1
        self._progress(self._looked, self._of)
        return seen

    def _unstyled_distances(self, network: VGG, photos: Tensor) -> Tensor:
        """Mean style distance of photos to every style and layer: (S, L)."""
        total = torch.zeros_like(self.weights)
        with torch.no_grad():
            for photo in photos.split(1):
                features = self._counted(network(photo, self._loss.style_layers))
                total += torch.stack(
                    [
                        losses.style_distance(losses.gram(features[layer]), target)
                        for layer, target in zip(self._loss.style_layers, self.grams, strict=True)
                    ],
                    dim=1,
                )
        energies = torch.stack([target.square().sum(dim=(1, 2)) for target in self.grams], dim=1)
        # A style that photos already have by a thousandth of its energy needs no magnifying glass.
        return torch.maximum(total / len(photos), 1e-3 * energies)


def _with_gradient(x: Tensor, weight: float) -> Tensor:
    """What a term looks at, without gradient if it weighs nothing."""
    return x if weight else x.detach()


def style_grams(network: VGG, style: StyleSet) -> list[Tensor]:
    """Gram targets of a style in layer order: L tensors (C_l, C_l) float32 on VGG's device.

    Raises:
        ImageError: a supervising image cannot be read.
    """
    layers_of: dict[LayerImage, list[str]] = {}
    for image in style.layers:
        layers_of.setdefault(image.same_image(), []).append(image.layer)
    found: dict[str, Tensor] = {}
    with torch.no_grad():
        for image, layers in layers_of.items():
            features = network(image.load().to(network.mean.device), layers)
            found |= {layer: losses.gram(tensor)[0] for layer, tensor in features.items()}
    return [found[image.layer] for image in style.layers]


def contrast_floor(style: StyleSet) -> float:
    """The local contrast that all but a twentieth of a style's images has, at least a thousandth.

    Gram matrices are sums over a picture and do not ask where its paint lies: without a floor, networks leave flat
    bright and dark holes in it.
    """
    found = [float(losses.local_contrast(image).quantile(0.05)) for image in style.pictures()]
    return max(1e-3, min(found, default=0.0))


def check_layers(loss: Loss) -> None:
    """Reject layer names that VGG-16 up to relu5_1 does not have.

    Raises:
        ConfigError: naming the layer.
    """
    for layer in (*loss.style_layers, loss.content_layer):
        if layer not in vgg.LAYERS:
            raise ConfigError(f"[loss]: unknown VGG layer '{layer}'; known are {', '.join(vgg.LAYERS)}")
    if len(set(loss.style_layers)) != len(loss.style_layers) or not loss.style_layers:
        raise ConfigError("[loss] style_layers: are empty or name a layer twice; name each layer once")


def check_teaching(loss: Loss) -> None:
    """Reject a loss that would teach no style, whatever else it weighs; layers' weights are `styleset.resolve`'s.

    Raises:
        ConfigError: its style weight is 0.
    """
    if loss.style == 0:
        raise ConfigError(
            f"[loss] style: is 0, and nothing else teaches a style; give it a weight over 0 ({Loss().style:g} is usual)"
        )
