"""Weights and graphs as the page loads them: one compressed file, and an index of it with all that it says of styles.

Numbers of two bytes come first, all upper bytes, then all lower ones: so they pack to seven eighths. Filters of styles
are float16, as in the bank; kernels of layers, float32 there, are whole numbers times a step for each output channel,
a fifth of the error of float16.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stylebank.bank.bundle import Bundle, padded
from stylebank.bank.entries import Entry
from stylebank.bank.listing import Work, described, works
from stylebank.engines import page_graphs
from stylebank.engines.stages import EPSILON
from stylebank.errors import ConfigError
from stylebank.files.atomic import sha256_bytes
from stylebank.network.architecture import FLAT, Part, decoder, encoder
from stylebank.network.centring import centred, rest_of

FORM = 1
"""Of the index; the page refuses another."""


@dataclass(frozen=True)
class Packed:
    """A bank for the page.

    Attributes:
        index: plain JSON data: styles, layers, and where in the data each array and graph begins.
        data: gzip.
    """

    index: Mapping[str, Any]
    data: bytes


def pack(bank: Bundle, entries: Sequence[Entry]) -> Packed:
    """Encoder, decoder and some styles.

    Raises:
        ConfigError: there are no styles, or the network is no bank.
    """
    if not bank.network.is_bank:
        raise ConfigError(
            "export: the network is a johnson, which has its style in every layer; give a StyleBank"
        )
    if not entries:
        raise ConfigError("export: the bank has no styles; add one")
    bank = replace(bank, coder=centred(bank.network, bank.coder))
    side = max(entry.of_pass(again=again)[0].shape[-1] for entry in entries for again in (False, True))
    kernels, steps = _kernels(bank)
    halves = {**kernels, **_filters(entries, side)}
    floats = {**_norms(bank), **steps}
    graphs = page_graphs.build(bank, side)
    words = np.concatenate([array.reshape(-1).view(np.uint8) for array in halves.values()]).reshape(-1, 2)
    data = b"".join(
        [
            words[:, 1].tobytes(),
            words[:, 0].tobytes(),
            *(array.tobytes() for array in floats.values()),
            *graphs.values(),
        ]
    )
    index = {
        "form": FORM,
        "digest": sha256_bytes(data),
        "network": {
            "channels": 4 * bank.network.width,
            "sigmoid": bank.network.output == "sigmoid",
            "restores": bank.network.restore_moments,
            "epsilon": EPSILON,
            "flat": FLAT,
        },
        "styles": [_style(entry) for entry in entries],
        "encoder": [_part(part) for part in encoder(bank.network)],
        "decoder": [_part(part) for part in decoder(bank.network)],
        "halves": _places({name: (array.size, list(array.shape)) for name, array in halves.items()}),
        "floats": _places({name: (array.size, list(array.shape)) for name, array in floats.items()}),
        "graphs": _places({name: (len(graph), len(graph)) for name, graph in graphs.items()}),
    }
    return Packed(index, gzipped(data))


def gzipped(data: bytes) -> bytes:
    """Bytes as gzip has them, the same each time: no date, no name."""
    packing = zlib.compressobj(9, wbits=31)
    return packing.compress(data) + packing.flush()


def _kernels(bank: Bundle) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
    """Kernels of layers as whole numbers, and the step (C',) that each output channel's are times of; little-endian."""
    wholes, steps = {}, {}
    for layer in page_graphs.layers(bank):
        kernel = bank.coder[f"{layer.name}.weight"]
        step = np.maximum(np.abs(kernel).max((1, 2, 3)) / _LARGEST, np.finfo(np.float32).tiny).astype("<f4")
        wholes[layer.name] = (
            np.rint(kernel / step[:, None, None, None]).clip(-_LARGEST, _LARGEST).astype("<i2")
        )
        steps[layer.name] = step
    return wholes, steps


_LARGEST = 2**15 - 1


def _filters(entries: Sequence[Entry], side: int) -> dict[str, NDArray[Any]]:
    """Filters and revisions of styles, float16, little-endian."""
    return {
        _filter_name(entry, again=again): padded(
            entry.of_pass(again=again)[0].astype(np.float32), side
        ).astype("<f2")
        for entry in entries
        for again in ((False, True) if entry.revision is not None else (False,))
    }


def _norms(bank: Bundle) -> dict[str, NDArray[Any]]:
    """Weight, bias and rest of each norm, (3, C), and the last layer's bias (C,), float32, little-endian.

    For tiles and graphics processors; graphs have them as constants.
    """
    found = {}
    for layer in page_graphs.layers(bank):
        if layer.norm:
            weight, bias = (bank.coder[f"{layer.norm}.{name}"] for name in ("weight", "bias"))
            rest = rest_of(bank.coder, layer)
            rows = [weight, bias, np.zeros_like(bias) if rest is None else rest]
            found[layer.norm] = np.stack(rows).astype("<f4")
        else:
            found[f"{layer.name}.bias"] = bank.coder[f"{layer.name}.bias"].astype("<f4")
    return found


def _filter_name(entry: Entry, *, again: bool) -> str:
    return f"{entry.name}.{'revision' if again else 'filter'}"


def _style(entry: Entry) -> dict[str, Any]:
    known = works(entry)
    single = known[0] if len(known) == 1 and isinstance(known[0], Work) else None
    title = single.title.partition(",")[0] if single else entry.name  # without the year
    title = title[:1].upper() + title[1:].replace("_", " ")
    again = entry.revision is not None
    return {
        "name": entry.name,
        "title": title,
        "by": single.by if single else described(entry),
        "passes": [
            {"kernel": _filter_name(entry, again=second and again), "gain": entry.of_pass(again=second)[1]}
            for second in (False, True)
        ],
    }


def _part(part: Part) -> dict[str, Any]:
    return {
        "residual": part.residual,
        "layers": [
            {
                "name": layer.name,
                "norm": layer.norm,
                "form": page_graphs.form(layer),
                "stride": layer.stride,
                "relu": layer.relu,
            }
            for layer in part.layers
        ],
    }


def _places(sizes: Mapping[str, tuple[int, Any]]) -> dict[str, Any]:
    """Where each begins, one behind the other, and its shape."""
    found, start = {}, 0
    for name, (size, shape) in sizes.items():
        found[name] = [start, shape]
        start += size
    return found
