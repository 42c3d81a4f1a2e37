"""Where a film's next scene begins: a frame that no motion makes of the one before."""

import numpy as np

from stylebank.video.motion import Motion

_OFF = 16.0  # levels, over a window, beyond which a pixel is another thing
_SAME = 0.5  # share of the pixels that go on within a scene; measured: 0.63 and more, at cuts 0.4 and less


def is_cut(motion: Motion) -> bool:
    """Whether less than half of a frame is to be found in the one before."""
    return float(np.mean(motion.known * (motion.error <= _OFF**2))) < _SAME
