"""What a user may name as weights: files by their endings and folders as Hugging Face keeps them;
all else is a library's name.
"""

import json
from pathlib import Path
from typing import Any

# Endings of files of weights, of all tools (ours): what has none of them is a library's name of
# weights.
WEIGHT_FILES = (".pt", ".pth", ".pth.tar", ".tar", ".ckpt", ".bin", ".safetensors", ".pkl")
# Before a folder that timm, open_clip or huggingface_hub wrote.
OF_FOLDER = "hf:"
# Files of such a folder with weights, as timm prefers them (its models._hub._PREFERRED_FILES).
IN_FOLDER = (
    *("model.safetensors", "pytorch_model.bin", "pytorch_model.pth", "model.pth"),
    *("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors"),
    *("open_clip_pytorch_model.bin", "open_clip_pytorch_model.pth"),
)
TOLD_FILES = f"a file ({', '.join(WEIGHT_FILES)}), {OF_FOLDER}FOLDER"


def is_weights_file(weights: str) -> bool:
    """Return whether ``weights`` names a file or folder, not a library's weights."""
    return weights.startswith(OF_FOLDER) or weights.lower().endswith(WEIGHT_FILES)


def weights_path(root: str | Path, weights: str) -> Path:
    """Return the path of the file that ``weights`` names, relative to ``root``: of a folder the one
    in it, whether there is one or not.
    """
    path = Path(root) / weights.removeprefix(OF_FOLDER)
    if not weights.startswith(OF_FOLDER):
        return path
    found = [path / name for name in IN_FOLDER if (path / name).is_file()]
    return found[0] if found else path / IN_FOLDER[0]


def said_of_folder(root: str | Path, weights: str) -> dict[str, Any]:
    """Return what the config.json of a folder says, {} where there is none or ``weights`` is not a
    folder.
    """
    path = weights_path(root, weights).parent / "config.json"
    if not weights.startswith(OF_FOLDER) or not path.is_file():
        return {}
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
