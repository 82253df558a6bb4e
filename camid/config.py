"""The configuration: one frozen tree of typed sections with a default for every field.

A YAML file states only differences, ``--set section.field=value`` overrides it, and a mistake is a
``ValueError`` of one sentence that names the nearest field.
"""

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from camid.io.folder import Folder

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


NumImages = Annotated[int | tuple[int, int], AfterValidator(_number_or_range)]
"""A number of images, or the range that one is drawn from."""
Side = Annotated[int, Field(ge=64, le=16384, multiple_of=2)]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Paths:
    """Where things lie: paths or addresses; an empty one is filled in under ``$CAMID_HOME``."""

    data: str = ""
    """Folder of photographs, or a table (CSV, parquet) of them."""
    store: str = ""
    """The strip store."""
    residuals: str = ""
    """For a classifier of pixels: the store of the same strips' residuals, for other methods."""
    out: str = ""
    """What the pipeline writes: results, figures and its resolved configuration."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Simulate:
    """Synthetic cameras; the defaults are the demo's phones."""

    num_devices: Positive = 30
    num_models: Positive = 12
    """Devices are dealt to models in turn, so several share one."""
    num_background: Count = 20
    num_foreground: Count = 16
    sizes: Annotated[tuple[tuple[Side, Side], ...], Field(min_length=1)] = (
        (768, 512),
        (768, 576),
        (912, 512),
    )
    """Width and height of the sensors, dealt to models in turn."""
    portraits: Share = 0.2
    """Share of foregrounds that are taken upright."""
    pattern_strength: PositiveFloat = 0.004
    """Standard deviation of a photosite's sensitivity around 1, of the median model.

    With 0.007 single photographs correlate as those of real cameras do; the demo's phones are
    weaker, as they are enrolled from walls.
    """
    pattern_spread: Annotated[float, Field(ge=0, le=3)] = 0.65
    """Standard deviation of the models' strengths, as natural logarithms; the strongest are cut."""
    kinship: Annotated[tuple[Share, Share], AfterValidator(_rising)] = (0.1, 0.5)
    """Range of what devices of one model share, relative to their pattern's strength."""
    quality: Annotated[int, Field(ge=50, le=100)] = 98
    """JPEG quality of the best model; models have up to 22 points less, most of them few."""
    cameras: Literal["phones", "any"] = "phones"
    """Which models are drawn: small phones, or whatever takes photographs.

    ``any`` has larger and cleaner sensors too, blurred and sharp lenses, no noise reduction or a
    strong one, files that were reduced in the camera, and colour that JPEG keeps whole.
    """
    write_patterns: bool = False
    """Also write each device's planted pattern, beside the folder: ``<folder>-patterns``."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Images:
    """Which photographs are read."""

    reader: Literal[
        "auto", "socrates", "vision", "fodb", "dresden", "daxing", "folders", "table"
    ] = "auto"
    """How files tell their device: as a data set names them, by folders, or by a table."""
    max_megapixels: PositiveFloat = 250.0
    """Larger images are rejected before they are decoded."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Strips:
    """Geometry of the strips."""

    size: Annotated[int, Field(ge=32, le=4096, multiple_of=16)] = 256
    layout: Literal["grid", "centre"] = "grid"
    """As many as fit from the top left, or one in the middle of the image."""
    prepare: Literal["crop", "resize"] = "crop"
    """Whether strips are cut out of an image, or all of it is made as small as one strip.

    Resizing takes most of a sensor's pattern away; the study does not say which it did.
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
    """Of the wavelet's transform."""
    window: Annotated[int, Field(ge=3, le=99), AfterValidator(_odd)] = 3
    """Pixels a side of the surroundings from which ``wiener`` takes its means and variances."""
    blur: Annotated[float, Field(gt=0, le=99)] = 1.0
    """Standard deviation of the blur that ``gaussian`` takes away, pixels."""
    extent: Literal["image", "strip"] = "image"
    """Denoise whole images and cut them, or cut first as the study did."""
    step: PositiveFloat = 0.125
    """Grey levels a unit of the stored int8 residual."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Chunks:
    """How images are grouped in the store's files."""

    max_images: Positive = 16
    max_mebibytes: Positive = 1024
    """Samples in one chunk before compression."""


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
    """Devices of one model stay in one part, so that a tested model is new to what was trained."""
    scene_disjoint: bool = True
    """Scenes that several devices share are dealt too: none is trained on and tested on."""
    provenance: tuple[str, ...] = ()
    """Only images of these provenances take part, such as ``[original]``; empty for all."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Enhancer:
    """Li's enhancer of second sides' residuals (Li 2010, doi:10.1109/TIFS.2010.2046268).

    The method ``li`` has all of this, ``li-1`` to ``li-4`` have models of their own.
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
    """Images of the first side and of the second; all are of one chunk a side.

    A range, such as ``[[1, 8], [1, 8]]``, has each step draw its own.
    """
    per_row_group: Positive = 4
    """Pairs of one step that are made of one read of a row group, at most."""
    crop_size: Annotated[int, Field(ge=16, le=4096)] = 128
    """Pixels a side of the window that a pair's strips are cut to, at one place in all of them."""
    negatives: Literal["same-position", "any-position"] = "same-position"
    """Whether the sides of a negative pair lie at one position, as those of a positive do."""
    same_model: Literal["any"] | Share = "any"
    """As ``comparisons.same_model``."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Siamese:
    """The network of pairs; ``camid/comparison/networks/siamese.py`` has its layers."""

    extractor: Literal["report", "report-code", "residual", "small"] = "small"
    """What makes features of a side; the first two are the study's text and its notebooks."""
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
    """Of the convolutions that weigh their outputs."""
    blocks: Count = 3
    """Pairs of convolutions 3×3, on cells of 4×4 pixels."""
    planes: Positive = 4
    """Weighted sums of the filters that the two sides are compared by."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Patches:
    """How patches are cut from a store's strips, side by side, for a classifier."""

    size: Annotated[int, Field(ge=0, le=4096, multiple_of=8), AfterValidator(_zero_or_wide)] = 32
    """Pixels a side; 0 for whole strips."""
    per_strip: Positive = 8
    """Patches of one step that are cut from one strip, at most."""
    per_image: Positive = 400
    """Patches that an image is judged by, at most; they are spread over its strips."""
    validation_images: Positive = 256
    """Images that validate while a network is trained, at most."""
    validation_per_image: Positive = 64
    """Patches of each of them, at most."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Classifier:
    """The network of patches that tells some devices apart, and the images it learns from.

    ``camid/comparison/networks/classifier.py`` has its layers.
    """

    network: Literal["ghosh2021", "freire2019", "deep"] = "deep"
    width: PositiveFloat = 1.0
    """Factor on the numbers of channels."""
    num_devices: Count = 15
    """Devices that are told apart, drawn by the seed, or all there are; 0 for all."""
    devices: tuple[str, ...] = ()
    """Their names, where they are not drawn."""
    test: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """Share of each device's images that is tested."""
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share that validates; the rest trains."""
    unknown_images: Count = 20
    """Images of every other device that are asked too: how many of them are taken for one's?"""
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
    """Of the learning rate after the warm-up; ``cosine`` ends at a hundredth of it."""
    warmup_steps: Count = 100
    """Steps in which the learning rate rises from 0."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Of ``adamw``."""
    clip_norm: Annotated[float, Field(ge=0)] = 1.0
    """Largest norm of all gradients together; 0 for any."""
    precision: Literal["float32", "mixed_bfloat16"] = "float32"
    """Of the layers; weights and losses are always float32."""
    validate_every: Positive = 200
    """Steps between validations, each with a checkpoint."""
    validation_pairs: Positive = 512
    """Pairs of the validation's list, drawn once."""
    patience: Count = 0
    """Validations without a better one after which training stops; 0 for no such stop."""
    num_workers: Positive = 1
    min_workers: Count = 0
    """Training goes on with fewer workers, but at least so many; 0 waits for all of them."""
    use_gpu: bool = False
    """A GPU a worker."""
    worker_cpus: Annotated[float, Field(ge=0)] = 0.0
    """Processors of a worker; 0 for as many as each can have with what reads for it."""
    feed_workers: Positive = 1
    """Processes that draw and read batches, on any machine of the cluster."""
    feed_cpus: PositiveFloat = 0.25
    """Processors that a worker takes for each of them."""
    prefetch: Positive = 4
    """Steps that each of them reads ahead."""
    placement: Literal["pack", "spread", "strict-pack", "strict-spread"] = "pack"
    """Whether workers share a machine or have one each; ``strict`` waits until that can be."""
    max_failures: Count = 3
    """Deaths of workers that training outlives, each time from the last checkpoint."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Search:
    """A search for the configuration that a network trains best with: trials, a training each."""

    space: dict[str, dict[str, dict[str, list[Any] | None] | None]] = Field(default_factory=dict)
    """What trials draw: a sampler of Ray Tune and its arguments, by section and field.

    Such as ``{training: {learning_rate: {loguniform: [1e-4, 1e-2]}}}``; null draws nothing.
    """
    num_trials: Positive = 16
    algorithm: Literal["random", "optuna"] = "random"
    """``random`` draws each trial by the seed and its number; ``optuna`` by those before it."""
    scheduler: Literal["asha", "none"] = "asha"
    """``asha`` stops the worse part of the trials at ever later steps (successive halving)."""
    grace_steps: Positive = 100
    """Steps that every trial takes."""
    reduction: Annotated[float, Field(gt=1)] = 3.0
    """At each halt one trial of so many goes on, to so many times the steps."""
    num_concurrent: Count = 0
    """Trials at once; 0 for as many as there is place for, with a processor a worker."""
    max_failures: Count = 2
    """Deaths of a trial's own process that it outlives, each time from its last checkpoint."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Comparisons:
    """How the list is drawn that every method is judged on; half of it is positive."""

    num_images: tuple[Positive, Positive] = (4, 4)
    """Images of the first side and of the second; all of a side are of one kind and pixel size."""
    num_pairs: Positive = 1000
    crop_size: Annotated[int, Field(ge=0, le=4096), AfterValidator(_zero_or_wide)] = 128
    """Pixels a side of the windows that are compared; 0 for whole strips."""
    num_crops: Annotated[tuple[Positive, ...], AfterValidator(_ascending)] = (1, 10, 40)
    """Numbers of crops that are judged; a comparison has the last of them, or all there are."""
    same_model: Literal["any"] | Share = 0.5
    """Share of the negatives of a device that has others of its model which are against these.

    All its other negatives are against devices of other models, where there are any. ``any`` draws
    every other device alike, whatever its model.
    """


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Metrics:
    """How scores are judged."""

    single_threshold_fpr: Annotated[float, Field(gt=0, lt=1)] = 1e-3
    """False-accept rate at which the study's single-threshold figures are taken."""


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
    """Trained networks (``….keras``) that are judged beside them; paths or addresses.

    Or by their names in MLflow's registry, such as ``models:/siamese@best``.
    """
    fused: tuple[str, ...] = ("classical", "pairnet")
    """Methods that are also judged together, as ``fused``, where all of them are judged.

    Networks go by their files' names. What fuses two sides' scores was fitted on other devices of
    the list than theirs. ``[]`` fuses nothing.
    """


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Config:
    """Everything a pipeline can be told."""

    seed: Count = 1
    split: str = "all"
    """Whose test devices are used: ``all``, ``seeded``, a named split, or a YAML file of one."""
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


class _Loader(yaml.SafeLoader):
    """YAML 1.1 with the floats people write: PyYAML alone reads ``1e-4`` as text."""


_Loader.yaml_implicit_resolvers = {
    first: [pair for pair in resolvers if pair[0] != "tag:yaml.org,2002:float"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)([eE][-+]?\d+)?$"),
    list("-+0123456789."),
)


def load_config(
    file: str | None = None,
    *,
    settings: Sequence[str] = (),
    defaults: Sequence[str] = (),
) -> Config:
    """Return the configuration that a YAML file and settings make of the defaults.

    Parameters
    ----------
    file
        Path or address of a YAML file that states differences; ``None`` for none.
    settings
        ``section.field=value`` strings, applied in order after the file; values are YAML.
    defaults
        Such strings for what neither file nor settings state.

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
    """Return a configuration with what a tree of changes states.

    Raises
    ------
    ValueError
        For an unknown field or a value of the wrong type or range, after ``source``.
    """
    tree = config_tree(config)
    _merge(tree, changes)
    return _checked(tree, source=source)


def config_tree(config: object) -> dict[str, Any]:
    """Return a configuration, or a section of one, as nested dictionaries."""
    tree: dict[str, Any] = TypeAdapter(type(config)).dump_python(config, mode="json")
    return tree


def config_yaml(config: Config) -> str:
    """Return the whole configuration as YAML that :func:`load_config` reads back."""
    return yaml.safe_dump(config_tree(config), sort_keys=False)


def differences(old: Mapping[str, Any], new: Mapping[str, Any], *, prefix: str = "") -> list[str]:
    """Return ``section.field: old, now new`` for every leaf in which two trees differ."""
    found: list[str] = []
    for key in [*old, *(key for key in new if key not in old)]:
        before, after = old.get(key), new.get(key)
        name = f"{prefix}{key}"
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found += differences(before, after, prefix=f"{name}.")
        elif before != after:
            found.append(f"{name} was {before!r}, now {after!r}")
    return found


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
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise ValueError(f"{source}: not YAML: {' '.join(str(error).split())}") from None


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
    where = [str(part) for part in error["loc"]]
    name = ".".join(where)
    if error["type"] in {"extra_forbidden", "unexpected_keyword_argument"}:
        known = _names(where[:-1])
        here = difflib.get_close_matches(where[-1], known, n=1)
        there = _anywhere(where[-1])
        if here and not any(full.endswith(f".{where[-1]}") for full in there):
            there = [".".join([*where[:-1], *here])]
        hint = f"did you mean {there[0]!r}?" if there else f"there are {', '.join(known)}"
        return f"no field {name!r}; {hint}"
    return f"{name} = {error['input']!r}: {error['msg'][0].lower()}{error['msg'][1:]}"


def _names(where: Sequence[str]) -> list[str]:
    section: Any = Config()
    for part in where:
        section = getattr(section, part)
    return [field.name for field in fields(section)]


def _anywhere(name: str) -> list[str]:
    """Return the full names of fields called like ``name`` in any section."""
    config = config_tree(Config())
    leaves = {f"{s}.{f}": f for s, v in config.items() if isinstance(v, dict) for f in v}
    near = difflib.get_close_matches(name, leaves.values(), n=1)
    return [full for full, leaf in leaves.items() if near and leaf == near[0]]
