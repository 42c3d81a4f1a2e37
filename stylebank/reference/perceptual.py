"""LPIPS and FID by torchmetrics, an extra: perceptual distances whose backbones others have trained.

Zhang et al. 2018 (LPIPS); Heusel et al. 2017 (FID); ArtFID = (1 + LPIPS) (1 + FID), Wright and Ommer 2022. None of the
weights come with StyleBank.
"""

import contextlib
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor

from stylebank.errors import ConfigError
from stylebank.network.tensors import resized

Backbone = Literal["alex", "vgg", "squeeze"]


class Perceptual:
    """LPIPS, and FID where its weights are given.

    Args:
        backbone: of LPIPS: "alex", "vgg" or "squeeze", with torchvision's weights, which are downloaded once.
        inception: file of the InceptionV3 weights that torch-fidelity uses, for FID; None for none.
        device: to compute on.

    Raises:
        ConfigError: the extra is not installed, or weights cannot be had.
    """

    def __init__(self, backbone: str, inception: Path | None, device: torch.device) -> None:
        known: dict[str, Backbone] = {name: name for name in get_args(Backbone)}
        if backbone not in known:
            raise ConfigError(f"--lpips {backbone}: is unknown; choose one of {', '.join(known)}")
        try:
            from torchmetrics.image.fid import FrechetInceptionDistance
            from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

            # What torchvision says of a download is no result.
            with contextlib.redirect_stdout(sys.stderr):
                self._lpips = LearnedPerceptualImagePatchSimilarity(known[backbone], normalize=True).to(
                    device
                )
            self._fid = None
            if inception:
                weights = str(inception)
                self._fid = FrechetInceptionDistance(normalize=True, feature_extractor_weights_path=weights)
                self._fid.to(device)
        except ImportError as error:
            raise ConfigError(
                f"--lpips: torchmetrics is not installed ({error}); pip install 'stylebank[metrics]', or leave it out"
            ) from error
        except Exception as error:  # damaged weights make loaders raise whatever they like
            raise ConfigError(
                f"--lpips {backbone}: its weights cannot be had ({error}); leave it out"
            ) from error

    def lpips(self, outputs: Tensor, photos: Tensor) -> float:
        """Mean distance of outputs to photos, (B, 3, H, W) in [0, 1] twice."""
        with torch.no_grad():
            distances: list[float] = [
                self._lpips(output, photo).item()
                for output, photo in zip(outputs.split(1), photos.split(1), strict=True)
            ]
        return sum(distances) / len(distances)

    def fid(self, paintings: Iterable[Tensor], outputs: Iterable[Tensor]) -> float | None:
        """Distance between sets of images (B, 3, H, W) in [0, 1], of any sizes; None without the weights."""
        if self._fid is None:
            return None
        self._fid.reset()
        for images, real in ((paintings, True), (outputs, False)):
            for batch in images:
                squares = resized(batch, (299, 299))
                self._fid.update(squares.to(self._fid.device), real=real)
        return float(self._fid.compute())
