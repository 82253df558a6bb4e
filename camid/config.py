"""The configuration: one frozen tree of typed sections with a default for every field.

A YAML file states only differences, ``--set section.field=value`` overrides it, and a mistake is a
``ValueError`` of one sentence that names the nearest field.
"""

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
)
from pydantic.dataclasses import dataclass

from camid.io.folder import Folder
from camid.io.yaml_text import yaml_values

STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

Positive = Annotated[int, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]
PositiveFloat = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]


def _rising(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] > ends[1]:
        raise ValueError(f"a range goes from low to high, got {list(ends)}")
    return ends


def _number_or_range(number: int | tuple[int, int]) -> int | tuple[int, int]:
    low, high = (number, number) if isinstance(number, int) else number
    if not 1 <= low <= high:
        raise ValueError(f"expected a positive number, or a range from low to high, got {number}")
    return number


def _ascending(numbers: tuple[int, ...]) -> tuple[int, ...]:
    if not numbers or sorted(set(numbers)) != list(numbers):
        raise ValueError(f"expected numbers that rise, got {list(numbers)}")
    return numbers


def _zero_or_wide(size: int) -> int:
    if size and size < 16:
        raise ValueError(f"expected at least 16 px, or 0 for whole strips, got {size}")
    return size


def _odd(size: int) -> int:
    if size % 2 == 0:
        raise ValueError(f"a window around a pixel has an odd size, got {size}")
    return size


def _share_or_any(value: object) -> object:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if value != "any" and not (is_number and 0 <= value <= 1):  # type: ignore[operator]
        raise ValueError(f"expected a share from 0 to 1, or 'any', got {value!r}")
    return value


SameModel = Annotated[float | Literal["any"], BeforeValidator(_share_or_any)]
"""A share of negatives, or ``any``."""
NumImages = Annotated[int | tuple[int, int], AfterValidator(_number_or_range)]
"""A number of images, or the range that the number is drawn from."""
Side = Annotated[int, Field(ge=64, le=16384, multiple_of=2)]
ArtefactName = Literal[
    "watermark",
    "date",
    "stamp",
    "frame",
    "letterbox",
    "dither",
    "grain",
    "noise",
    "mirrored",
    "stretched",
    "turned",
    "hdr",
]
"""Of :data:`camid.dataset.simulate.artefacts.ARTEFACTS`."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Paths:
    """Paths or addresses of inputs and outputs; if empty they are set under ``$CAMID_HOME``."""

    data: str = ""
    """Folder of photographs, or a table (CSV, parquet) of them."""
    store: str = ""
    """The strip store."""
    residuals: str = ""
    """For a classifier of pixels: the store of the same strips' residuals, for other methods."""
    out: str = ""
    """Folder of the pipeline's results, figures and resolved configuration."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Simulate:
    """Synthetic cameras; the defaults are the demo's phones."""

    num_devices: Positive = 30
    num_models: Positive = 12
    """Devices are dealt to models in turn, so several share a model."""
    num_background: Count = 20
    num_foreground: Count = 16
    sizes: Annotated[tuple[tuple[Side, Side], ...], Field(min_length=1)] = (
        (768, 512),
        (768, 576),
        (912, 512),
    )
    """Width and height of the sensors, dealt to models in turn."""
    portraits: Share = 0.2
    """Share of foregrounds in portrait format."""
    pattern_strength: PositiveFloat = 0.004
    """Standard deviation of a photosite's sensitivity around 1, of the median model.

    With 0.007 single photographs correlate as those of real cameras do; the demo's phones are
    weaker, as they are enrolled from walls.
    """
    pattern_spread: Annotated[float, Field(ge=0, le=3)] = 0.65
    """Standard deviation of the models' strengths, as natural logarithms; the strongest are cut."""
    kinship: Annotated[tuple[Share, Share], AfterValidator(_rising)] = (0.1, 0.5)
    """Range of the strength of models' patterns, relative to that of a device's own."""
    quality: Annotated[int, Field(ge=50, le=100)] = 98
    """JPEG quality of the best model; models have up to 22 points less, most of them few."""
    cameras: Literal["phones", "any"] = "phones"
    """Which models are drawn: small phones, or cameras of any kind.

    ``any`` has larger and cleaner sensors too, blurred and sharp lenses, no or strong noise
    reduction, files that were reduced in the camera, and colour that JPEG keeps whole.
    """
    artefacts: tuple[ArtefactName, ...] = ()
    """What is done to every photograph after it was taken, in this order, as applications do."""
    received: Share = 0.0
    """Share of each device's foregrounds that the next device took, and that a messenger sent."""
    write_patterns: bool = False
    """Also write each device's planted pattern, beside the folder: ``<folder>-patterns``."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Images:
    """Which photographs are read."""

    reader: Literal[
        "auto", "socrates", "vision", "fodb", "dresden", "daxing", "folders", "table"
    ] = "auto"
    """Source of a file's device: a data set's file names, folders, or a table."""
    max_megapixels: PositiveFloat = 250.0
    """Larger images are rejected before they are decoded."""
    elsewhere: bool = False
    """Whether a table may name photographs outside its own folder, wherever it says they are."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Strips:
    """Geometry of the strips."""

    size: Annotated[int, Field(ge=32, le=4096, multiple_of=16)] = 256
    layout: Literal["grid", "centre"] = "grid"
    """As many strips as fit from the top left, or one in the middle of the image."""
    prepare: Literal["crop", "resize"] = "crop"
    """Whether strips are cut out of an image, or all of it is made as small as one strip.

    Resizing removes most of a sensor's pattern; the study does not state its choice.
    """


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Residual:
    """How residuals are made and stored."""

    filter: Literal["lukas", "wiener", "gaussian", "report2021", "none"] = "lukas"
    """``none`` stores the pixels themselves."""
    sigma: PositiveFloat = 5.0
    """Standard deviation of the noise that ``lukas`` and ``wiener`` remove, grey levels."""
    wavelet: str = "db4"
    """PyWavelets' name, of ``lukas`` and of Li's enhancer; ``db4`` has eight taps."""
    levels: Positive = 4
    """Levels of the wavelet transform."""
    window: Annotated[int, Field(ge=3, le=99), AfterValidator(_odd)] = 3
    """Pixels per side of the window of ``wiener``'s means and variances."""
    blur: Annotated[float, Field(gt=0, le=99)] = 1.0
    """Standard deviation of the blur that ``gaussian`` removes, pixels."""
    extent: Literal["image", "strip"] = "image"
    """Denoise whole images and cut them, or cut first as the study did."""
    step: PositiveFloat = 0.125
    """Grey levels per unit of the stored int8 residual."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Chunks:
    """How images are grouped in the store's files."""

    max_images: Positive = 16
    max_mebibytes: Positive = 1024
    """Mebibytes of samples in a chunk before compression."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Enrolment:
    """Which images make a device's reference pattern; every other image is a query."""

    num_background: Positive = 50
    """Background images a pattern is made from, where a device has as many."""
    min_background: Positive = 10
    """A device with fewer gives a seeded half of all its images instead."""
    provenance: tuple[str, ...] = ()
    """Only images of these provenances enrol, such as ``[original]``; empty for all."""
    query_provenance: tuple[str, ...] = ()
    """Only images of these provenances are queries; empty for all."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Splits:
    """How devices and scenes are dealt to training, validation and test, and what takes part."""

    test: Share = 0.4
    """Share of the devices that the split ``seeded`` tests, at least two; of shared scenes too."""
    validation: Share = 0.15
    """Share of the devices that validate; the rest trains."""
    whole_models: bool = True
    """Devices of one model stay in one part, so that a tested model is new to the networks."""
    scene_disjoint: bool = True
    """Scenes that several devices share are dealt too: none is trained on and tested on."""
    provenance: tuple[str, ...] = ()
    """Only images of these provenances take part, such as ``[original]``; empty for all."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Enhancer:
    """Li's enhancer of second sides' residuals (Li 2010, doi:10.1109/TIFS.2010.2046268).

    The method ``li`` has all settings, ``li-1`` to ``li-4`` have models of their own.
    """

    model: Annotated[int, Field(ge=1, le=5)] = 5
    alpha: PositiveFloat = 7.0
    domain: Literal["wavelet", "spatial"] = "wavelet"
    zero: Literal["plus", "zero"] = "plus"
    """The value at a coefficient of exactly 0 where the formula gives +1."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Pairs:
    """How pairs are drawn from a store; half of them are positive."""

    num_images: tuple[NumImages, NumImages] = (4, 4)
    """Images of the first side and of the second; each side's are of one chunk.

    A range, such as ``[[1, 8], [1, 8]]``, has each step draw its own.
    """
    per_row_group: Positive = 4
    """Most pairs of a step that are made of one read of a row group."""
    crop_size: Annotated[int, Field(ge=16, le=4096)] = 128
    """Pixels per side of the window that a pair's strips are cut to, at one place in all."""
    negatives: Literal["same-position", "any-position"] = "same-position"
    """Whether the sides of a negative pair lie at one position, as a positive pair's do."""
    same_model: SameModel = "any"
    """As ``comparisons.same_model``."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Siamese:
    """The network of pairs; ``camid/comparison/networks/siamese.py`` has its layers."""

    extractor: Literal["report", "report-code", "residual", "small"] = "small"
    """Feature extractor of a side; the first two are the study's text and its notebooks."""
    width: PositiveFloat = 1.0
    """Factor on the numbers of channels."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of features that training leaves out; the study's notebooks have 0.3."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class PairNet:
    """The network of images' residuals and intensity.

    ``camid/comparison/networks/pairnet.py`` has its parts.
    """

    filters: Positive = 16
    """Linear filters 7×7 of the residual."""
    channels: Positive = 48
    """Channels of the convolutions that weigh the filters' outputs."""
    blocks: Count = 3
    """Pairs of convolutions 3×3, on cells of 4×4 pixels."""
    planes: Positive = 4
    """Weighted sums of the filters that the two sides are compared by."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Patches:
    """How patches are cut from a store's strips, side by side, for a classifier."""

    size: Annotated[int, Field(ge=0, le=4096, multiple_of=8), AfterValidator(_zero_or_wide)] = 32
    """Pixels per side; 0 for whole strips."""
    per_strip: Positive = 8
    """Most patches of a step that are cut from one strip."""
    per_image: Positive = 400
    """Most patches that an image is judged by, spread over its strips."""
    validation_images: Positive = 256
    """Most images that validate while a network is trained."""
    validation_per_image: Positive = 64
    """Most patches of each validation image."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Classifier:
    """The network of patches that tells known devices apart, and its training images.

    ``camid/comparison/networks/classifier.py`` has its layers.
    """

    network: Literal["ghosh2021", "freire2019", "deep"] = "deep"
    width: PositiveFloat = 1.0
    """Factor on the numbers of channels."""
    num_devices: Count = 15
    """Number of devices to tell apart, drawn by the seed, or all if there are fewer; 0 for all."""
    devices: tuple[str, ...] = ()
    """Names of the devices, if they are not drawn."""
    test: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """Share of each device's images that is tested."""
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share that validates; the rest trains."""
    unknown_images: Count = 20
    """Images of every other device that are tested too, to count false acceptances."""
    accepted: Annotated[float, Field(gt=0, lt=1)] = 0.95
    """Share of the validation's images that are above the threshold for unknown devices."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Training:
    """How a network is trained, in steps; on one worker or on many the steps are the same."""

    num_steps: Positive = 2000
    batch_size: Positive = 64
    """Pairs or patches of a step, on all workers together."""
    micro_batches: Positive = 8
    """Parts of a step that are drawn apart and dealt to the workers: at least as many."""
    optimiser: Literal["adam", "adamw", "sgd"] = "adam"
    learning_rate: PositiveFloat = 1e-3
    schedule: Literal["constant", "cosine"] = "cosine"
    """Schedule of the learning rate after the warm-up; ``cosine`` ends at a hundredth of it."""
    warmup_steps: Count = 100
    """Steps in which the learning rate rises from 0."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Weight decay of ``adamw``."""
    clip_norm: Annotated[float, Field(ge=0)] = 1.0
    """Largest norm of all gradients together; 0 for any."""
    precision: Literal["float32", "mixed_bfloat16"] = "float32"
    """Precision of the layers; weights and losses are always float32."""
    validate_every: Positive = 200
    """Steps between validations, each with a checkpoint."""
    checkpoint_minutes: PositiveFloat = 10.0
    """Minutes after which a checkpoint is written between validations."""
    validation_pairs: Positive = 512
    """Pairs of the validation's list, drawn once."""
    patience: Count = 0
    """Validations without improvement after which training stops; 0 for never."""
    num_workers: Positive = 1
    min_workers: Count = 0
    """Fewest workers with which training goes on; 0 waits for all of them."""
    use_gpu: bool = False
    """Whether each worker has a GPU."""
    worker_cpus: Annotated[float, Field(ge=0)] = 0.0
    """Processors of a worker; 0 for as many as each can have beside its feed workers."""
    feed_workers: Count = 0
    """Processes that draw and read a worker's batches, on any machine of the cluster.

    0 for as many as keep the worker from waiting, one for each of its processors but one at most.
    """
    feed_cpus: PositiveFloat = 0.25
    """Processors of each feed worker."""
    prefetch: Positive = 4
    """Steps that each feed worker reads ahead."""
    placement: Literal["pack", "spread", "strict-pack", "strict-spread"] = "pack"
    """Whether workers share a machine or have one each; ``strict`` waits until it is possible."""
    max_failures: Count = 3
    """Deaths of workers that training outlives, each time from the last checkpoint.

    Machines that a cloud takes away, which Ray hears of, do not count.
    """

    @property
    def least_readers(self) -> int:
        """Processes with which a worker's batches begin to be read."""
        return max(1, self.feed_workers)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Search:
    """A search for the configuration that a network trains best with: trials, a training each."""

    space: dict[str, dict[str, dict[str, list[Any] | None] | None]] = Field(default_factory=dict)
    """What trials draw: a sampler of Ray Tune and its arguments, by section and field.

    Such as ``{training: {learning_rate: {loguniform: [1e-4, 1e-2]}}}``; null draws nothing.
    """
    num_trials: Positive = 16
    algorithm: Literal["random", "optuna"] = "random"
    """``random`` draws each trial by seed and number; ``optuna`` by the trials before it."""
    scheduler: Literal["asha", "none"] = "asha"
    """``asha`` stops the worse part of the trials at ever later steps (successive halving)."""
    grace_steps: Positive = 100
    """Steps that every trial takes."""
    reduction: Annotated[float, Field(gt=1)] = 3.0
    """At each halt one trial in this many goes on, to this many times the steps."""
    num_concurrent: Count = 0
    """Trials at once; 0 for as many as there is room for, with one processor per worker."""
    max_failures: Count = 2
    """Deaths of a trial's own process that it outlives, each time from its last checkpoint."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Comparisons:
    """How the list that every method is judged on is drawn; half of it is positive."""

    num_images: tuple[Positive, Positive] = (4, 4)
    """Images of the first side and of the second; all of a side are of one kind and pixel size."""
    num_pairs: Positive = 1000
    crop_size: Annotated[int, Field(ge=0, le=4096), AfterValidator(_zero_or_wide)] = 128
    """Pixels per side of the windows that are compared; 0 for whole strips."""
    num_crops: Annotated[tuple[Positive, ...], AfterValidator(_ascending)] = (1, 10, 40)
    """Numbers of crops that are judged; a comparison has the last of them, or all there are."""
    same_model: SameModel = 0.5
    """Share of a device's negatives that are against others of its model, if there are any.

    All other negatives are against devices of other models, where there are any. ``any`` draws
    every other device alike, whatever its model.
    """


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Metrics:
    """How scores are judged."""

    single_threshold_fpr: Annotated[float, Field(gt=0, lt=1)] = 1e-3
    """False-accept rate of the study's single-threshold figures."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Evaluate:
    """What is compared, and by which methods."""

    comparisons: str = "drawn"
    """``drawn`` by the section ``comparisons``, ``gallery``, or a saved list: path or address.

    A gallery compares every query with every enrolled device, as the baselines do: whole strips,
    or, as ``gallery-crops``, crops of the size and number that ``comparisons`` says.
    """
    methods: tuple[str, ...] = ("lukas", "li", "classical", "pairnet")
    """Names of methods, or ``[all]``."""
    networks: tuple[str, ...] = ()
    """Trained networks (``….keras``) that are judged beside the methods; paths or addresses.

    Or by their names in MLflow's registry, such as ``models:/siamese@best``.
    """
    fused: tuple[str, ...] = ("classical", "pairnet")
    """Methods that are also judged together, as ``fused``, where all of them are judged.

    Networks go by their files' names. The fusion of two sides' scores is fitted on other devices
    of the list. ``[]`` fuses nothing.
    """


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Config:
    """All settings of a pipeline."""

    seed: Count = 1
    split: str = "all"
    """The split whose test devices are used: ``all``, ``seeded``, a named split or a YAML file."""
    paths: Paths = Paths()
    simulate: Simulate = Simulate()
    images: Images = Images()
    strips: Strips = Strips()
    residual: Residual = Residual()
    chunks: Chunks = Chunks()
    splits: Splits = Splits()
    enrolment: Enrolment = Enrolment()
    enhancer: Enhancer = Enhancer()
    pairs: Pairs = Pairs()
    siamese: Siamese = Siamese()
    pairnet: PairNet = PairNet()
    patches: Patches = Patches()
    classifier: Classifier = Classifier()
    training: Training = Training()
    search: Search = Search()
    comparisons: Comparisons = Comparisons()
    evaluate: Evaluate = Evaluate()
    metrics: Metrics = Metrics()


def load_config(
    file: str | None = None,
    *,
    settings: Sequence[str] = (),
    defaults: Sequence[str] = (),
) -> Config:
    """Return the defaults changed by a YAML file and settings.

    Parameters
    ----------
    file
        Path or address of a YAML file that states differences; ``None`` for none.
    settings
        ``section.field=value`` strings, applied in order after the file; values are YAML.
    defaults
        ``section.field=value`` strings for fields that neither file nor settings state.

    Raises
    ------
    ValueError
        For an unreadable file, an unknown field or a value of the wrong type or range.
    """
    tree: dict[str, Any] = {}
    _set(tree, defaults)
    if file is not None:
        _merge(tree, _yaml_file(file))
        _checked(tree, source=file)
    _set(tree, settings)
    return _checked(tree, source="the configuration")


def changed(config: Config, changes: Mapping[str, Any], *, source: str) -> Config:
    """Return a configuration with a tree of changes applied.

    Raises
    ------
    ValueError
        For an unknown field or a value of the wrong type or range, after ``source``.
    """
    tree = config_tree(config)
    _merge(tree, changes)
    return _checked(tree, source=source)


def config_tree(config: object) -> dict[str, Any]:
    """Return a configuration, or a section of it, as nested dictionaries."""
    tree: dict[str, Any] = TypeAdapter(type(config)).dump_python(config, mode="json")
    return tree


def config_yaml(config: Config) -> str:
    """Return the whole configuration as YAML that :func:`load_config` reads back."""
    return yaml.safe_dump(config_tree(config), sort_keys=False)


def differences(old: Mapping[str, Any], new: Mapping[str, Any], *, prefix: str = "") -> list[str]:
    """Return ``section.field: old, now new`` for every leaf in which two trees differ."""
    changes: list[str] = []
    for key in [*old, *(key for key in new if key not in old)]:
        before, after = old.get(key), new.get(key)
        name = f"{prefix}{key}"
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            changes += differences(before, after, prefix=f"{name}.")
        elif before != after:
            changes.append(f"{name} was {before!r}, now {after!r}")
    return changes


def _set(tree: dict[str, Any], settings: Sequence[str]) -> None:
    """Merge ``section.field=value`` strings into a tree, in order."""
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or not name.strip():
            raise ValueError(f"expected --set section.field=value, got {setting!r}")
        value = _yaml(text, source=f"--set {setting}")
        for part in reversed(name.strip().split(".")):
            value = {part: value}
        _merge(tree, value)
        _checked(tree, source=f"--set {setting}")


def _yaml(text: str, *, source: str) -> Any:
    try:
        return yaml_values(text)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None


def _yaml_file(file: str) -> dict[str, Any]:
    try:
        text = Folder(file).read().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{file}: cannot read the configuration: {error}") from None
    tree = _yaml(text, source=file)
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ValueError(f"{file}: expected sections and fields, got {type(tree).__name__}")
    return tree


def _merge(tree: dict[str, Any], changes: Mapping[str, Any]) -> None:
    for key, value in changes.items():
        if isinstance(value, Mapping) and isinstance(tree.get(key), dict):
            _merge(tree[key], value)
        else:
            tree[key] = dict(value) if isinstance(value, Mapping) else value


def _checked(tree: dict[str, Any], *, source: str) -> Config:
    try:
        return TypeAdapter(Config).validate_json(json.dumps(tree, default=str))
    except ValidationError as error:
        raise ValueError(f"{source}: {_sentence(error.errors()[0])}") from None


def _sentence(error: Mapping[str, Any]) -> str:
    path = [str(part) for part in error["loc"]]
    name = ".".join(path)
    if error["type"] in {"extra_forbidden", "unexpected_keyword_argument"}:
        known = _names(path[:-1])
        matches = difflib.get_close_matches(path[-1], known, n=1)
        suggestions = _anywhere(path[-1])
        if matches and not any(suggestion.endswith(f".{path[-1]}") for suggestion in suggestions):
            suggestions = [".".join([*path[:-1], *matches])]
        hint = (
            f"did you mean {suggestions[0]!r}?" if suggestions else f"there are {', '.join(known)}"
        )
        return f"no field {name!r}; {hint}"
    return f"{name} = {error['input']!r}: {error['msg'][0].lower()}{error['msg'][1:]}"


def _names(path: Sequence[str]) -> list[str]:
    section: Any = Config()
    for part in path:
        section = getattr(section, part)
    return [field.name for field in fields(section)]


def _anywhere(name: str) -> list[str]:
    """Return the full names of fields called like ``name`` in any section."""
    config = config_tree(Config())
    leaves = {
        f"{section}.{field}": field
        for section, values in config.items()
        if isinstance(values, dict)
        for field in values
    }
    nearest = difflib.get_close_matches(name, leaves.values(), n=1)
    return [full for full, leaf in leaves.items() if nearest and leaf == nearest[0]]
