"""Names of the files and folders that pipelines write into an output folder."""

from camid.io.digested import DIGESTS

CONFIG = "config.yaml"
INPUTS = "inputs.json"
DATA = "data.json"
STAGES = "stages.csv"
LOGBOOK = "mlflow.json"

RESULTS = "results.json"
TABLE = "results.csv"
SECONDS = "seconds.csv"
"""Seconds of each method for a comparison; beside the results, which are the same each run."""
LIST = "comparisons.parquet"
SCORES = "scores.parquet"
DIFFERENCES = "differences.json"
EVIDENCE = "evidence"

DEVICES = "devices.csv"
LEFT_OUT = "left_out.csv"
GROUPS = "groups.csv"
BY_DEVICE = "by_device.csv"
BY_MODELS = "by_models.csv"

TRAINING = "training"
CHECKPOINT = f"{TRAINING}/checkpoint.npz"
HISTORY = "history.csv"
SIAMESE = "siamese.keras"
PAIRNET = "own-pairnet.keras"
"""A pair network that the user trained: camid's own is called ``pairnet``."""
CNN = "cnn.keras"
EMBEDDING = "embedding"
ANSWERS = "answers"

TRIALS = "trials"
TRIALS_TABLE = "trials.csv"
WINNER = "winner.yaml"
SEARCH = "search.json"

REPORT = "report.html"
FACTS = "report.json"
PATTERNS = "patterns"
FIGURES = "figures"
PICTURES = {
    name: f"{FIGURES}/{name}.png"
    for name in (
        *("roc", "det", "histograms", "tippett", "matrix", "patterns"),
        *("learning", "differences", "confusion", "reliability", "open_set", "trials"),
    )
}
TRIALS_PICTURE = PICTURES["trials"]
ROC_POINTS, TIPPETT_POINTS = f"{FIGURES}/roc.csv", f"{FIGURES}/tippett.csv"

PARTS = (
    *(CONFIG, INPUTS, DATA, STAGES, LOGBOOK, RESULTS, TABLE, LIST, SCORES, DIFFERENCES, EVIDENCE),
    *(DEVICES, LEFT_OUT, GROUPS, BY_DEVICE, BY_MODELS, TRAINING, HISTORY, SIAMESE, CNN),
    *(PAIRNET, EMBEDDING, ANSWERS, TRIALS, TRIALS_TABLE, WINNER, SEARCH, REPORT, FACTS, PATTERNS),
    *(FIGURES, SECONDS, DIGESTS),
)
"""All files and folders of an output folder, which ``fresh`` deletes."""
