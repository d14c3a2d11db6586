"""What a configuration may say, section by section: every key with its type, range, default and
meaning.

The sections of methods (``dazle: ...``) hold besides :class:`RunSection` the fields of the method's
own ``Config``; a dataset's ``source`` and ``words`` are checked against the Settings of those who
read them (:mod:`zslpipe.study.declarations`), ``rebalancing`` against its kinds
(:mod:`zslpipe.scores.kinds`). The schema for editors is written from this file
(:mod:`zslpipe.study.schema`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveInt

from zslpipe.machine.ranges import Alignment, Device, FileName, OneOrMore, Seed, Storage, Threads
from zslpipe.study.section_types import (
    Apart,
    Candidates,
    DatasetName,
    Different,
    EnsembleName,
    ExtractorName,
    InputKind,
    Name,
    Normalisation,
    Others,
    Rebalancings,
    RebalancingWithSettings,
    Semantics,
    Text,
    VariantName,
)


@dataclass(frozen=True)
class Dataset:
    """One dataset: who reads it, from which files, and what its rows of the table are made of."""

    adapter: Text
    """a file in zslpipe/datasets/adapters"""
    extractors: Annotated[tuple[str, ...], OneOrMore, Different]
    """extractors of this dataset; a method takes the first that fits its INPUT, or the only one if
    it is a transformer"""
    source: Others = field(default_factory=dict)
    """the adapter's own settings"""
    methods: Annotated[tuple[str, ...], Different] | None = None
    """only these of the methods; default all"""
    words: str | None = None
    """which source of word vectors"""
    semantics: Semantics = "att"
    """kind of class vectors: att, original_att, sent_att ..., or {text: NAME} of texts"""
    normalisation: Normalisation = "unit"
    """of the class vectors"""
    irrelevant: str | None = None
    """which set of task-irrelevant images; needed by the rebalancing 'discriminator'"""
    settings_of: str | None = None
    """start from the settings that each paper publishes for this dataset"""
    removed_attributes: Annotated[tuple[Text, ...], Different] = ()
    """by name, what Grad-CAM takes away from a crafted network's rules; default two a class"""
    confused_class: Text | None = None
    """unseen class that the figure of confusions is about; default that of the median confusion"""


@dataclass(frozen=True)
class Extractor:
    """A network over images at one size, and the grid of regions that it is cut to."""

    backbone: Text
    """demo, demo_pair, a torchvision classifier, timm/NAME; stored = the dataset's pooled ones"""
    size: Annotated[int, Field(ge=32, le=4096)]
    """pixels a side"""
    grid: PositiveInt
    """regions a side"""
    weights: FileName | None = None
    """a .pt file, the library's name of weights, or random; the demo trains its own"""
    layer: Text | None = None
    """node of the network; default its last convolutional map"""
    pooled: Literal["mean", "class_token", "head"] = "mean"
    """what describes the whole image: the mean over its regions, a timm network's class token, or
    what it gives with its head (of CLIP's the space of images and texts)"""
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
    """A row of the table made of others, runs or imported: the mean of their softmax outputs
    (``of``), or two experts joined (``seen`` and ``unseen``), as COSMO has them.
    """

    of: Annotated[tuple[str, ...], Different] = ()
    """two or more as method/variant (a name alone: its default), to be averaged"""
    seen: Text | None = None
    """instead: the expert that says which seen class an image is of"""
    unseen: Text | None = None
    """and the one that says which unseen class; the rebalancing 'cosmo' is the gate between both"""
    temperature: Literal["likeliest", "trained"] = "likeliest"
    """of each member's softmax: the likeliest on the validation classes, or that of its training"""
    order: Literal["average first", "rebalance first"] = "average first"
    """of what is rebalanced: the average, or each member before the average (crafting, figure 6)"""
    rebalancing: Rebalancings = ("none",)
    """rows of the table, one a kind; oracle knows which images are of unseen classes"""

    def __post_init__(self) -> None:
        """Raise ValueError unless there are members of one kind, and experts are not treated as
        members of an average are.
        """
        experts = self.seen is not None and self.unseen is not None
        if bool(self.of) == experts or (self.seen is None) != (self.unseen is None):
            raise ValueError("give either 'of', to be averaged, or the experts 'seen' and 'unseen'")
        if self.of and len(self.of) < 2:
            raise ValueError(f"of {len(self.of)} result is no ensemble; give two or more in 'of'")
        if experts and self.order == "rebalance first":
            raise ValueError("of experts is rebalanced as a whole; leave 'order' out")
        if experts and "discriminator" in self.rebalancing:
            raise ValueError("of experts has no 'discriminator'; their gate is 'cosmo'")


@dataclass(frozen=True)
class Imported:
    """A row of the table made of somebody else's scores: files of the layouts that
    docs/importing-scores.md describes, by dataset. ``{seed}`` in a name stands for the seed; a name
    without it is one file, of the first seed.
    """

    scores: Annotated[Mapping[str, FileName], OneOrMore]
    """by dataset, the file with scores of its test images"""
    unit: Literal["logits", "log-probabilities", "probabilities"] | None = None
    """what a score is (cosines and other compatibilities are logits); default what a file says"""
    validation: Mapping[str, FileName] = field(default_factory=dict)
    """by dataset, scores of its validation problem; what is chosen on these needs them"""
    irrelevant: Mapping[str, FileName] = field(default_factory=dict)
    """by dataset, scores of its task-irrelevant images, which the discriminator needs"""
    extractor: str = ""
    """what the method looks at, as tables say it"""
    semantics: str = ""
    """which class vectors it knows, as tables say it"""
    words: str = ""
    """whose word vectors, as tables say it"""
    selection: str = ""
    """what chose its epoch or settings, as tables say it"""
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
    """threads and decoding processes of an extraction; under SLURM of each of its tasks"""
    extract_tasks: Threads = 1
    """processes of an extraction, one a GPU, on this machine or by srun on several"""
    extract_alignment: Alignment = 4096
    """bytes that the parts of a feature file begin at multiples of; 1048576 for Lustre"""
    storage: Storage = "hdf5"
    """where extractions put features: in the HDF5 file, or a zarr store beside it; both are read"""


@dataclass(frozen=True)
class RunSection:
    """What a method's section, or one of its variants, may say besides the method's Config."""

    input: InputKind | None = None
    """what the method reads, where it can read several; default the first of its INPUT"""
    extractor: str | None = None
    """instead of the dataset's first that fits; of a method that reads images, its network"""
    semantics: Semantics | None = None
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
    by_dataset: Mapping[str, Others] = field(default_factory=dict)
    """settings on some datasets by their name, of all rows; a variant's own go before them"""


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
    texts: Annotated[Mapping[Name, Mapping[str, Any]], Apart] = field(default_factory=dict)
    """texts of classes by name, of which a text encoder makes class vectors"""
    irrelevant: Annotated[Mapping[Name, Irrelevant], Apart] = field(default_factory=dict)
    """sets of task-irrelevant images by name"""
    ensembles: Annotated[Mapping[EnsembleName, Ensemble], Apart] = field(default_factory=dict)
    """rows of the table that average the softmax outputs of others"""
    imported: Annotated[Mapping[EnsembleName, Imported], Apart] = field(default_factory=dict)
    """rows of the table made of somebody else's scores"""
    rebalancing: Mapping[RebalancingWithSettings, Others] = field(default_factory=dict)
    """settings of the kinds of rebalancing"""
    studies: Annotated[Mapping[EnsembleName, Others], Apart] = field(default_factory=dict)
    """curves and tables of one's own by name, and changes of those in workflow/studies"""
    compute: Compute = field(default_factory=Compute)
    """where and how jobs run; changing it reruns nothing"""
