"""A plain transcription of the published StyleBank training loop, as the yardstick of `bench train`.

Algorithm 1 of Chen et al. (CVPR 2017, arXiv 1703.09210) the way public re-implementations write it (read for this:
github.com/jxcodetw/Stylebank, guijiyang/Stylebank_1, yujiachen-y/StyleBank, ncassereau-idris/distributed-stylebank):
float32, eager, contiguous; content and style targets recomputed each step by full VGG passes over the photos and the
style images, which have the size of the crops; entries applied one image at a time; upsampling, padding and
convolution as three calls; Adam over everything.

Differs from them where equal work asks for it: weights, losses, layers, balance and moments are this project's, and
photos are decoded in the main thread (theirs in worker processes, on the same cores). Those four send the output
through VGG once for both losses; `output_passes=2` sends it once for each.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylebank.config import Loss
from stylebank.network.model import StyleBankNetwork, match_moments
from stylebank.pixels import images
from stylebank.supervision import losses
from stylebank.supervision.vgg import VGG


class PlainNetwork(nn.Module):
    """E, D and {K_i} with torch's own layers, taking the weights of a `StyleBankNetwork`."""

    def __init__(self, network: StyleBankNetwork, width: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            *_block(3, width, 9), *_block(width, 2 * width, 3, 2), *_block(2 * width, 4 * width, 3, 2)
        )
        self.decoder = nn.Sequential(
            nn.Upsample(scale_factor=2),
            *_block(4 * width, 2 * width, 3),
            nn.Upsample(scale_factor=2),
            *_block(2 * width, width, 3),
            nn.Conv2d(width, 3, 9, padding=4, padding_mode="reflect"),
            nn.Sigmoid(),
        )
        self.bank = nn.ModuleList(
            nn.Conv2d(4 * width, 4 * width, 3, padding=1, padding_mode="reflect", bias=False)
            for _ in network.filters
        )
        own = [*self.encoder.parameters(), *self.decoder.parameters(), *self.bank.parameters()]
        theirs = [*network.encoder.parameters(), *network.decoder.parameters(), *network.filters]
        with torch.no_grad():
            for mine, yours in zip(own, theirs, strict=True):
                mine.copy_(yours)

    def stylize(self, content: Tensor, styles: Sequence[int]) -> Tensor:
        """One image at a time through its own entry."""
        features = self.encoder(content)
        painted = [self.bank[index](features[b : b + 1]) for b, index in enumerate(styles)]
        output: Tensor = self.decoder(torch.cat(painted))
        return output


def _block(inputs: int, outputs: int, kernel: int, stride: int = 1) -> tuple[nn.Module, ...]:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, padding_mode="reflect", bias=False)
    return conv, nn.InstanceNorm2d(outputs, affine=True), nn.ReLU()


class PlainLoop:
    """The loop: `step()` is one iteration.

    Args:
        network: whose weights to start from.
        vgg: float32.
        loss: weights and layers.
        style_images: S tensors (1, 3, crop, crop).
        unit: (S, L), the distances that the project's losses are relative to.
        photos: files to crop from.
        crop: pixels.
        batch: m.
        output_passes: VGG passes over the output, 1 or 2.
    """

    def __init__(
        self,
        network: StyleBankNetwork,
        vgg: VGG,
        loss: Loss,
        style_images: Sequence[Tensor],
        unit: Tensor,
        *,
        photos: Sequence[Path],
        width: int,
        crop: int,
        batch: int,
        output_passes: int,
    ) -> None:
        self.network = PlainNetwork(network, width)
        self._vgg, self._loss, self._images, self._unit = vgg, loss, style_images, unit
        self._photos, self._crop, self._batch = photos, crop, batch
        self._output_passes = output_passes
        self._adam = torch.optim.Adam(self.network.parameters(), lr=1e-3)
        self._step, self._norm = 0, 0.0
        self._random = torch.Generator().manual_seed(0)

    def step(self) -> None:
        """T = 2 stylizing iterations, then one of the auto-encoder, and so on."""
        self._adam.zero_grad()
        content = self._load_batch()
        shared = [*self.network.encoder.parameters(), *self.network.decoder.parameters()]
        if self._step % 3 < 2:
            styles = torch.randint(len(self._images), (self._batch,), generator=self._random).tolist()
            self.stylizing_loss(content, styles).backward()
            self._norm = float(_norm(shared))
        else:
            self.identity_loss(content).backward()
            factor = self._norm / float(_norm(shared))
            for parameter in shared:
                assert parameter.grad is not None
                parameter.grad *= factor
        self._adam.step()
        self._step += 1

    def stylizing_loss(self, content: Tensor, styles: Sequence[int]) -> Tensor:
        """L_K of a batch, mean over its images."""
        output = self.network.stylize(content, styles)
        layers, content_layer = self._loss.style_layers, self._loss.content_layer
        deepest = (*layers, content_layer)
        with torch.no_grad():
            wanted = self._vgg(content, deepest)[content_layer]
            target = self._vgg(torch.cat([self._images[index] for index in styles]), deepest)
        features = self._vgg(output, deepest)
        again = self._vgg(output, deepest) if self._output_passes == 2 else features
        unit = self._unit[torch.tensor(styles)]
        total = self._loss.content * losses.content_distance(again[content_layer], wanted)
        total = total + self._loss.tv * losses.total_variation(output)
        for place, layer in enumerate(layers):
            distance = losses.style_distance(losses.gram(features[layer]), losses.gram(target[layer]))
            total = total + self._loss.style * distance / unit[:, place] / len(layers)
        return total.mean()

    def identity_loss(self, content: Tensor) -> Tensor:
        """L_I of a batch."""
        output = match_moments(self.network.decoder(self.network.encoder(content)), content)
        return F.mse_loss(output, content)

    def _load_batch(self) -> Tensor:
        crops = []
        for _ in range(self._batch):
            place = int(torch.randint(len(self._photos), (), generator=self._random))
            photo = images.load(self._photos[place])
            scale = 1.2 * self._crop / min(photo.shape[2:])
            photo = F.interpolate(photo, scale_factor=scale, mode="bilinear", antialias=True)
            top, left = (
                int(torch.randint(side - self._crop + 1, (), generator=self._random))
                for side in photo.shape[2:]
            )
            crops.append(photo[:, :, top : top + self._crop, left : left + self._crop])
        return torch.cat(crops)


def _norm(parameters: Sequence[nn.Parameter]) -> Tensor:
    norm: Tensor = torch.cat([p.grad.flatten() for p in parameters if p.grad is not None]).norm()
    return norm
