"""What a configuration may say, section by section: every key with its type, range, default and
meaning.

The sections of methods (``dazle: ...``) hold besides :class:`RunSection` the fields of the method's
own ``Config``; a dataset's ``source`` and ``words`` are checked against the Settings of those who
read them (:mod:`zslpipe.study.declarations`), ``rebalancing`` against its kinds
(:mod:`zslpipe.scores.kinds`). The schema for editors is written from this file
(:mod:`zslpipe.study.schema`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, NonNegativeFloat, PositiveInt, WithJsonSchema

from zslpipe.machine.errors import nearest
from zslpipe.machine.ranges import Device, FileName, OneOrMore, Seed, Threads
from zslpipe.scores.kinds import KINDS
from zslpipe.settings import known_names

# Names under results/ that are taken.
TAKEN = ("tables", "figures", "studies", "logs", "irrelevant", "README.md", "report.html")
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
WORD = re.compile(r"[A-Za-z0-9_]+")
LONGEST = 80  # characters of a name: three of them and a word behind stay below a file's 255
WITH_SETTINGS = tuple(name for name, kind in KINDS.items() if known_names(kind, ()))


def _name(text: str) -> str:
    """Return a name that can stand in a path; ValueError for another one."""
    if not NAME.fullmatch(text) or len(text) > LONGEST:
        raise ValueError(
            "is no name that can stand in a path: use letters from A to Z, digits, _ . and -, "
            f"beginning with a letter, a digit or _, {LONGEST} at most"
        )
    return text


def _dataset_name(text: str) -> str:
    """Return a name that can stand under results/; ValueError for another one."""
    if text.casefold() in (name.casefold() for name in TAKEN):
        raise ValueError("stands for something else under results/; choose another name")
    return _name(text)


def _extractor_name(text: str) -> str:
    """Return a name for a feature file; ValueError for one that another extractor's has."""
    if text.casefold().endswith(".irrelevant"):
        raise ValueError("ends as features of task-irrelevant images do; choose another name")
    return _name(text)


def row_name(text: str) -> str:
    """Return a name of letters, digits and _; ValueError for another one."""
    if not WORD.fullmatch(text) or len(text) > LONGEST:
        raise ValueError(
            "is no name for a row of the table: use letters from A to Z, digits and _, "
            f"{LONGEST} at most"
        )
    return text


def _variant(text: str) -> str:
    """Return a variant's name; ValueError for one that is taken or no word."""
    if text.casefold() == "default":
        raise ValueError("is the method without a variant's changes; choose another name")
    return row_name(text)


def _kind(text: str) -> str:
    """Return a kind of rebalancing; ValueError for a text that names none."""
    if text not in KINDS:
        raise ValueError(f"is none of {', '.join(KINDS)}; {nearest(text, KINDS)}")
    return text


def _kind_with_settings(text: str) -> str:
    """Return a kind of rebalancing that has settings; ValueError for another one."""
    if text not in WITH_SETTINGS:
        raise ValueError(f"is none of {', '.join(WITH_SETTINGS)}; {nearest(text, WITH_SETTINGS)}")
    return text


def _different(items: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a list whose items differ; ValueError for another one."""
    if len(set(items)) < len(items):
        raise ValueError("has non-unique elements; give each once")
    return items


def _apart(section: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a section whose names differ in more than case; ValueError for another one."""
    met: dict[str, str] = {}
    for name in section:
        other = met.setdefault(name.casefold(), name)
        if other != name:
            raise ValueError(
                f"{other!r} and {name!r} differ in case alone and would be one file on some "
                "systems; choose another name"
            )
    return section


Apart = AfterValidator(_apart)
Name = Annotated[str, AfterValidator(_name)]
ExtractorName = Annotated[str, AfterValidator(_extractor_name)]
DatasetName = Annotated[str, AfterValidator(_dataset_name)]
EnsembleName = Annotated[str, AfterValidator(row_name)]
VariantName = Annotated[str, AfterValidator(_variant)]
Text = Annotated[str, Field(min_length=1)]
# The settings of others, checked by their own dataclasses.
Others = Mapping[str, Any]
Different = AfterValidator(_different)
Normalisation = Literal["none", "unit", "minmax"]
InputKind = Literal["regions", "pooled", "images"]
Rebalancing = Annotated[str, AfterValidator(_kind), WithJsonSchema({"enum": list(KINDS)})]
RebalancingWithSettings = Annotated[
    str, AfterValidator(_kind_with_settings), WithJsonSchema({"enum": list(WITH_SETTINGS)})
]
Candidates = Annotated[tuple[Any, ...], OneOrMore]
Rebalancings = Annotated[tuple[Rebalancing, ...], OneOrMore, Different]


@dataclass(frozen=True)
class Dataset:
    """One dataset: who reads it, from which files, and what its rows of the table are made of."""

    adapter: Text
    """a file in zslpipe/datasets/adapters"""
    extractors: Annotated[tuple[str, ...], OneOrMore, Different]
    """extractors of this dataset; a method takes the first that fits its INPUT"""
    source: Others = field(default_factory=dict)
    """the adapter's own settings"""
    methods: Annotated[tuple[str, ...], Different] | None = None
    """only these of the methods; default all"""
    words: str | None = None
    """which source of word vectors"""
    semantics: Text = "att"
    """kind of class vectors: att, original_att, sent_att ..."""
    normalisation: Normalisation = "unit"
    """of the class vectors"""
    irrelevant: str | None = None
    """which set of task-irrelevant images; needed by the rebalancing 'discriminator'"""
    settings_of: str | None = None
    """start from the settings that each paper publishes for this dataset"""
    removed_attributes: Annotated[tuple[Text, ...], Different] = ()
    """by name, what Grad-CAM takes away from a crafted network's rules; default two a class"""


@dataclass(frozen=True)
class Extractor:
    """A network over images at one size, and the grid of regions that it is cut to."""

    backbone: Text
    """demo, a torchvision classifier, or timm/NAME; stored = pooled features of the dataset"""
    size: Annotated[int, Field(ge=32, le=4096)]
    """pixels a side"""
    grid: PositiveInt
    """regions a side"""
    weights: FileName | None = None
    """a .pt file, the library's name of weights, or random; the demo trains its own"""
    layer: Text | None = None
    """node of the network; default its last convolutional map"""
    dtype: Literal["float32", "bfloat16", "float16"] = "bfloat16"
    """of the computation on a GPU; float16 is what is stored"""
    batch_size: Annotated[int, Field(ge=1, le=256)] = 32
    """images that go through the network at once"""

    def __post_init__(self) -> None:
        """Raise ValueError for more regions than pixels."""
        if self.grid > self.size:
            raise ValueError(f"grid {self.grid} is more regions a side than {self.size} pixels")


@dataclass(frozen=True)
class Irrelevant:
    """A set of task-irrelevant images: a folder, or what a demo dataset draws for its backbone."""

    images: FileName | None = None
    """folder under data_root"""
    drop: tuple[str, ...] = ()
    """classes that overlap with the dataset's"""
    layout: Literal["folder", "voc"] = "folder"
    """voc = PASCAL VOC: JPEGImages and Annotations"""
    rendered: str | None = None
    """instead of images: the demo dataset whose auxiliary pictures these are"""

    def __post_init__(self) -> None:
        """Raise ValueError unless the images come from exactly one place."""
        if (self.images is None) == (self.rendered is None):
            raise ValueError("give either 'images', a folder, or 'rendered', a demo dataset")


@dataclass(frozen=True)
class Ensemble:
    """A row of the table that averages the softmax outputs of others."""

    of: Annotated[tuple[str, ...], Field(min_length=2), Different]
    """runs as method/variant (a method's name alone: its default)"""
    temperature: Literal["likeliest", "trained"] = "likeliest"
    """of each member's softmax: the likeliest on the validation classes, or that of its training"""
    order: Literal["average first", "rebalance first"] = "average first"
    """of what is rebalanced: the average, or each member before the average (crafting, figure 6)"""
    rebalancing: Rebalancings = ("none",)
    """rows of the table, one a kind; oracle knows which images are of unseen classes"""


@dataclass(frozen=True)
class Compute:
    """Where and how jobs run; changing it reruns nothing, but for an extractor's ``dtype`` other
    than the default, which counts where a GPU may compute.
    """

    device: Device = "auto"
    """auto takes a GPU where there is one"""
    compile: bool = False
    """torch.compile the loss"""
    checkpoint_seconds: NonNegativeFloat = 60.0
    """seconds between resumable checkpoints"""
    threads: Threads = 2
    """threads of a training job"""
    image_threads: Threads = 8
    """threads and reading processes of a training from images"""
    extract_threads: Threads = 8
    """threads and decoding processes of an extraction"""


@dataclass(frozen=True)
class RunSection:
    """What a method's section, or one of its variants, may say besides the method's Config."""

    input: InputKind | None = None
    """what the method reads, where it can read several; default the first of its INPUT"""
    extractor: str | None = None
    """instead of the dataset's first that fits; of a method that reads images, its network"""
    semantics: Text | None = None
    """instead of the dataset's"""
    normalisation: Normalisation | None = None
    """instead of the dataset's"""
    words: str | None = None
    """instead of the dataset's"""
    precision: Literal["float32", "bfloat16"] = "float32"
    """bfloat16 = autocast while training"""
    selection: Literal["last", "validation"] = "last"
    """the last epoch, or what does best on the validation classes"""
    criterion: Literal["T1", "H"] = "H"
    """figure by which the validation classes choose"""
    choose: Mapping[str, Candidates] = field(default_factory=dict)
    """with selection: validation, values to try by setting"""
    track: Literal["none", "test"] = "none"
    """test = measure the test images after each epoch; a row of its own for the best on them"""
    rebalancing: Rebalancings = ("none",)
    """rows of the table, one a kind; oracle knows which images are of unseen classes"""
    only_on: Annotated[tuple[str, ...], OneOrMore, Different] | None = None
    """datasets that have the row, where not all have it"""


@dataclass(frozen=True)
class Variants:
    """What else a method's section may say."""

    variants: Annotated[Mapping[VariantName, Others], Apart] = field(default_factory=dict)
    """further rows of the table by name; each changes some of the method's settings"""


@dataclass(frozen=True)
class Configuration:
    """The configuration without the sections of methods."""

    methods: Annotated[tuple[str, ...], OneOrMore, Different]
    """which methods to run; a name is a file in zslpipe/methods"""
    datasets: Annotated[Mapping[DatasetName, Dataset], OneOrMore, Apart]
    """datasets by name"""
    extractors: Annotated[Mapping[ExtractorName, Extractor], Apart]
    """extractors by name"""
    data_root: Text = "data"
    """folder that all other file names are relative to; ~ and $VARIABLES are looked up"""
    seeds: Annotated[tuple[Seed, ...], OneOrMore, Different] = (0,)
    """one training per seed; tables show mean and spread"""
    words: Annotated[Mapping[Name, Mapping[str, Any]], Apart] = field(default_factory=dict)
    """sources of word vectors by name"""
    irrelevant: Annotated[Mapping[Name, Irrelevant], Apart] = field(default_factory=dict)
    """sets of task-irrelevant images by name"""
    ensembles: Annotated[Mapping[EnsembleName, Ensemble], Apart] = field(default_factory=dict)
    """rows of the table that average the softmax outputs of others"""
    rebalancing: Mapping[RebalancingWithSettings, Others] = field(default_factory=dict)
    """settings of the kinds of rebalancing"""
    studies: Annotated[Mapping[EnsembleName, Others], Apart] = field(default_factory=dict)
    """curves and tables of one's own by name, and changes of those in workflow/studies"""
    compute: Compute = field(default_factory=Compute)
    """where and how jobs run; changing it reruns nothing"""
