"""Pictures in rows and columns at their size in print, on a page measured in inches."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.report import plot

DPI = 400  # 28 pixels at 3 dots each are 5.3 mm
GAP = 2  # pixels between pictures
APART = 0.1  # inches beside the columns that stand aside
LINE = 0.125  # inches from one line of small print to the next


@dataclass(frozen=True)
class Grid:
    """Where the pictures of a grid lie, in inches: left and upper ends, size of each."""

    lefts: list[float]
    tops: list[float]
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.lefts[-1] + self.width

    @property
    def bottom(self) -> float:
        return self.tops[-1] + self.height


class Sheet:
    """A page on which things are put by their distance from the left and the upper edge."""

    def __init__(self, width: float, height: float):
        self.width, self.height = width, height
        self.figure = plot.canvas(width, height)
        self.figure.set_layout_engine("none")

    def axes(self, left: float, top: float, width: float, height: float):
        """Axes of that place and size."""
        bottom = 1 - (top + height) / self.height
        size = width / self.width, height / self.height
        return self.figure.add_axes((left / self.width, bottom, *size))

    def text(self, left: float, top: float, text: str, size: float = 7.5, **style) -> None:
        """Words whose upper left corner is there, unless the style says otherwise."""
        style = {"va": "top", "ha": "left", **style}
        self.figure.text(left / self.width, 1 - top / self.height, text, fontsize=size, **style)

    def lines(self, left: float, top: float, lines, columns: int) -> None:
        """Lines of small print, broken at so many letters, never at a sign as in "n = 5"."""
        words = [
            part
            for line in lines
            for part in textwrap.wrap(re.sub(" ([=±−]) ", "\u00a0\\1\u00a0", line), columns)
        ]
        for i, part in enumerate(words):
            self.text(left, top + LINE * i, part, size=7)

    def grid(
        self,
        pictures,
        left: float,
        top: float,
        cmap: str,
        zoom: int = 3,
        apart: int = 0,
        frame=None,
    ) -> Grid:
        """Pictures in rows and columns, every pixel a square of whole dots.

        Parameters
        ----------
        pictures : ndarray of uint8, shape (rows, columns, height, width)
        left, top : float
            Corner of the grid; it is put on a whole dot.
        cmap : str
            ``"gray"``, or ``"gray_r"`` where 255 is ink.
        zoom : int
            Dots of a pixel.
        apart : int
            The last so many columns stand aside.
        frame : colour, optional
            Of a line around those.
        """
        from matplotlib.patches import Rectangle

        columns, (height, width) = pictures.shape[1], pictures.shape[2:]
        x, y = (round(place * DPI) / DPI for place in (left, top))
        dot, inside = zoom / DPI, columns - apart
        lefts = [
            x + dot * (width + GAP) * j + (APART if j >= inside else 0) for j in range(columns)
        ]
        for first, part in ((0, pictures[:, :inside]), (inside, pictures[:, inside:])):
            if not part.shape[1]:
                continue
            pixels = mosaic(part, paper=0 if cmap == "gray_r" else 255)
            tall, wide = pixels.shape
            axis = self.axes(lefts[first], y, dot * wide, dot * tall)
            axis.imshow(pixels, cmap=cmap, vmin=0, vmax=255, aspect="auto", interpolation="none")
            axis.set_axis_off()
            if frame and first:
                look = {"fill": False, "edgecolor": frame, "linewidth": 1.2, "clip_on": False}
                axis.add_patch(Rectangle((-2.5, -2.5), wide + 4, tall + 4, **look))
        tops = [y + dot * (height + GAP) * i for i in range(len(pictures))]
        return Grid(lefts, tops, dot * width, dot * height)

    def save(self, base) -> dict[str, Path]:
        """Write `base`.png and `base`.pdf."""
        return plot.save(self.figure, base, dpi=DPI)


def mosaic(pictures, paper: int) -> np.ndarray:
    """One picture (h, w) of many, shape (rows, columns, height, width); gaps are of that value."""
    rows, columns, height, width = pictures.shape
    pixels = np.full((rows, height + GAP, columns, width + GAP), paper, dtype=np.uint8)
    pixels[:, :height, :, :width] = pictures.transpose(0, 2, 1, 3)
    return pixels.reshape(rows * (height + GAP), columns * (width + GAP))[:-GAP, :-GAP]
