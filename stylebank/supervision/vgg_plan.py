"""VGG-16's layers up to relu5_1 in their order, without PyTorch: what engines build its graph by."""

_BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512,))
POOL = "pool"
"""Name of a pooling in `PLAN`."""


def _plan() -> tuple[tuple[str, str], ...]:
    """Pairs of (layer name, torchvision key) in forward order; a pooling has no key."""
    plan: list[tuple[str, str]] = []
    index = 0
    for block, widths in enumerate(_BLOCKS, start=1):
        for convolution in range(1, len(widths) + 1):
            plan.append((f"relu{block}_{convolution}", f"features.{index}"))
            index += 2  # a convolution and its ReLU
        plan.append((POOL, ""))
        index += 1
    return tuple(plan[:-1])


PLAN = _plan()
LAYERS: tuple[str, ...] = tuple(name for name, _ in PLAN if name != POOL)
"""Layer names in forward order, relu1_1 to relu5_1."""

WIDTHS = dict(zip(LAYERS, (width for block in _BLOCKS for width in block), strict=True))

# Caffe's convention: RGB in [0, 1], minus these means, times 255 (IMAGENET1K_FEATURES' transform).
MEAN = (0.48235, 0.45882, 0.40784)
SCALE = 255.0
