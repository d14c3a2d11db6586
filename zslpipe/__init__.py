"""Generalized zero-shot recognition: published methods, one feature cache, one command."""

# Whoever takes one module of the package loads no other: what a function needs it imports itself.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    from zslpipe.runs.prediction import Predictor


def load(
    result: "str | Path",
    data_root: "str | Path" = "data",
    device: str = "auto",
    word_vectors: "str | Path | None" = None,
) -> "Predictor":
    """Return a finished run that predicts: ``zslpipe.load(result).predict(images)`` is a pandas
    table.

    ``result``: the folder of a seed (results/{dataset}/runs/{method}/{variant}/seed0), of an
    ensemble's, of a rebalancing in either, or one that ``zslpipe export`` wrote. ``data_root``: the
    folder that files of the extractor's weights and of word vectors are counted from. ``device``:
    auto, cpu, cuda or cuda:N. ``word_vectors``: the file of the run's word vectors, where it lies
    elsewhere; new attributes alone need it. Raises
    :class:`zslpipe.machine.errors.InputError` as :func:`zslpipe.runs.prediction.open_predictor`.
    """
    from functools import partial
    from pathlib import Path

    from zslpipe.datasets.more_words import more_vectors
    from zslpipe.runs.prediction import open_predictor

    file = None if word_vectors is None else Path(word_vectors)
    source = partial(more_vectors, data_root=Path(data_root), file=file)
    return open_predictor(result, data_root, device, source=source)
