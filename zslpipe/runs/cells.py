"""Where the cells of the maps of a run look."""

from zslpipe.cell_centres import CellCentres
from zslpipe.formats.features import FeatureFile
from zslpipe.machine.errors import InputError
from zslpipe.networks.backbones import build_trunk
from zslpipe.networks.receptive_fields import known_cell_centres
from zslpipe.runs.models import RunInputs


def run_cell_centres(run_inputs: RunInputs) -> CellCentres:
    """Return where the cells of a run's regions look: as its network says, or its feature file.

    Raises InputError where neither does, and for inputs that have no regions.
    """
    if run_inputs.trunk is not None:
        return known_cell_centres(run_inputs.trunk, run_inputs.inputs.shape[1])
    if run_inputs.features is None:
        raise InputError("where a map's cells look is known of feature files and networks alone")
    return run_inputs.features.centres or _centres_of_network(run_inputs.features)


def _centres_of_network(file: FeatureFile) -> CellCentres:
    """Return where the regions of a file without centres look: as the network that it names says,
    whatever its weights.
    """
    described = file.attributes
    absent = [name for name in ("backbone", "layer", "size") if name not in described]
    if absent:
        raise InputError(
            f"{file.path}: does not say where its regions look, nor the {absent[0]} that tells it; "
            "delete it and run the extraction again"
        )
    layer = None if described["layer"] == "last map" else str(described["layer"])
    trunk = build_trunk(str(described["backbone"]), "random", layer, int(described["size"]))
    return known_cell_centres(trunk, int(described["size"]))
