import h5py
import numpy as np
import pytest

from tests.made_up.parts import CENTRES, HEIGHT, WIDTH, attention_file, cell_peaks, made_up_index
from zslpipe.formats.attention import read_peaks
from zslpipe.formats.index import write_index
from zslpipe.machine.errors import InputError
from zslpipe.maps.localization import centres_of_cells, localize


def test_bad_attention_files_are_refused(tmp_path):
    index = made_up_index()
    write_index(index, tmp_path / "index.h5")
    generator = np.random.default_rng(0)
    good, path = cell_peaks(generator, 36, 5), tmp_path / "attention.h5"

    def refused(message, *arguments, **attrs):
        attention_file(path, index, *arguments, **attrs)
        with pytest.raises(InputError, match=message):
            localize(path, tmp_path / "index.h5", tmp_path, tmp_path / "localization.json")

    refused("not stamped complete", good, complete=False)
    refused(r"not a readable attention\.h5 \(maps of unknown kind classes\)", good, kind="classes")
    refused("does not belong to .*dataset 'other', 5 maps of 36", good, dataset="other")
    refused("does not belong", cell_peaks(generator, 36, 4))
    refused("36 images and peaks", good[:30])
    refused("no centres of cells of the 5 x 7 maps", good + np.float32(0.03))
    refused("no centres of cells", np.where(good > 0.9, np.nan, good))
    # Beyond the last row, where a map of more rows would have cells.
    refused("no centres of cells", good + np.float32([0, CENTRES.step]))
    # As if the cells were the tiles of the square.
    refused("no centres of cells", good, cell_first=0.5 / WIDTH, cell_step=1 / WIDTH)
    refused("12 images and peaks", cell_peaks(generator, 36, 2), cell_peaks(generator, 11, 2))
    attention_file(path, index, good)
    with h5py.File(path, "a") as file:
        del file.attrs["cell_first"]  # as files were before they said it
    with pytest.raises(InputError, match="it lacks the attribute cell_first"):
        read_peaks(path)
    attention_file(path, index, good)
    with h5py.File(path, "a") as file:
        file["test/images"][0] = index.splits["trainval"][0]
    with pytest.raises(InputError, match="does not belong"):
        localize(path, tmp_path / "index.h5", tmp_path, tmp_path / "localization.json")
    with h5py.File(path, "a") as file:
        del file["test/peaks"]
    with pytest.raises(InputError, match=r"not a readable attention\.h5"):
        read_peaks(path)
    path.write_bytes(b"cut")
    with pytest.raises(InputError, match=r"not a readable attention\.h5"):
        read_peaks(path)
    with pytest.raises(InputError, match=r"absent\.h5: no such file; the rule 'attend' writes it"):
        read_peaks(tmp_path / "absent.h5")


def test_peaks_are_read_as_exact_centres(tmp_path):
    index = made_up_index()
    peaks = cell_peaks(np.random.default_rng(0), 36, 5)
    found = read_peaks(attention_file(tmp_path / "attention.h5", index, peaks))
    cells = {tuple(cell) for cell in centres_of_cells((HEIGHT, WIDTH), CENTRES).tolist()}
    assert {tuple(peak) for peak in found.peaks.reshape(-1, 2).tolist()} <= cells
    assert (
        np.allclose(found.peaks, peaks)
        and found.shape == (HEIGHT, WIDTH)
        and len(found.train_peaks) == 0
        and found.centres == CENTRES
    )
