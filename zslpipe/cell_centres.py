"""Where the cells of a feature map look in the square image that a network sees."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class CellCentres:
    """Along either axis cell i looks at ``first + i * step``, as a fraction of the square's side.

    A network of odd kernels with stride 2 and symmetric padding (ResNet, MobileNet) has its first
    cell at the square's very edge; cells of patches and of VGG lie in the middles of equal tiles.
    """

    first: float
    step: float

    def of(self, cells: np.ndarray) -> np.ndarray:
        """Return the centres of cells by their numbers, float64."""
        centres: np.ndarray = self.first + self.step * np.asarray(cells, np.float64)
        return centres

    def cells_at(self, places: np.ndarray) -> np.ndarray:
        """Return the numbers of the cells that look at ``places``, float64: a place between two
        centres has a number between two cells.
        """
        cells: np.ndarray = (np.asarray(places, np.float64) - self.first) / self.step
        return cells
