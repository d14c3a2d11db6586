"""Generalized zero-shot recognition: published methods, one feature cache, one command."""

# Whoever takes one module of the package loads no other: what a function needs it imports itself.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    from zslpipe.runs.prediction import Predictor


def load(
    result: "str | Path", data_root: "str | Path" = "data", device: str = "auto"
) -> "Predictor":
    """Return a finished run that predicts: ``zslpipe.load(result).predict(images)`` is a pandas
    table.

    ``result``: the folder of a seed (results/{dataset}/runs/{method}/{variant}/seed0), of a
    rebalancing in it, or one that ``zslpipe export`` wrote. ``data_root``: the folder that a file
    of the extractor's weights is counted from. ``device``: auto, cpu, cuda or cuda:N. Raises
    :class:`zslpipe.machine.errors.InputError` as :func:`zslpipe.runs.prediction.open_predictor`.
    """
    from zslpipe.runs.prediction import open_predictor

    return open_predictor(result, data_root, device)
