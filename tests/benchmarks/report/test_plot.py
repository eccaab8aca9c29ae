"""Pictures as they are stored."""

import io

import numpy as np
from PIL import Image

from benchmarks.report import plot


def test_a_small_png_is_the_same_picture():
    """Up to 256 colours bit for bit; of more, white stays white and shades stay near."""
    rng = np.random.default_rng(0)
    few = rng.choice(np.arange(256, dtype=np.uint8), (40, 60))
    for given, near in ((np.dstack([few, few // 2, 255 - few]), 0), (_shades(), 24)):
        out = io.BytesIO()
        Image.fromarray(given).save(out, "PNG")
        small = plot.small_png(out.getvalue())
        found = np.asarray(Image.open(io.BytesIO(small)).convert("RGB")).astype(int)
        assert np.abs(found - given).max() <= near
        white = (given == 255).all(axis=2)
        assert (found[white] == 255).all()
    clear = np.zeros((2, 2, 4), dtype=np.uint8)  # what is transparent is on white
    out = io.BytesIO()
    Image.fromarray(clear).save(out, "PNG")
    assert (
        np.asarray(Image.open(io.BytesIO(plot.small_png(out.getvalue()))).convert("RGB")) == 255
    ).all()


def _shades():
    """A picture of 4096 colours, half of it white."""
    y, x = np.mgrid[:64, :64]
    left = np.dstack([4 * x, 4 * y, 2 * (x + y)]).astype(np.uint8)
    return np.hstack([left, np.full_like(left, 255)])
