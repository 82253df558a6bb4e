"""What MLflow costs a training: requests a step, and seconds a run with one and with 16 at once.

The server is real, on this machine, over a sqlite file. A training here has 300 steps, a row of
figures each, and validates every 50th, as the networks do; its time without MLflow is nothing.
"""

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from urllib.request import urlopen

STEPS, EVERY, PORT = 300, 50, 5077
ADDRESS = f"http://127.0.0.1:{PORT}"


def written(folder: str) -> tuple[int, float, float]:
    """Write a training's curves; return the requests, and seconds to begin and to write."""
    os.environ["MLFLOW_TRACKING_URI"] = ADDRESS
    import requests

    from camid.config import Config
    from camid.io.folder import Folder
    from camid.runtime.tracking.client import open_tracking
    from camid.runtime.tracking.runs import begin, training_curves

    count = 0
    sent = requests.Session.request

    def counted(*arguments, **options):
        nonlocal count
        count += 1
        return sent(*arguments, **options)

    open_tracking()  # libraries are loaded
    requests.Session.request = counted
    started = time.perf_counter()
    begin(Folder(folder), Config(), pipeline="train_siamese")
    curves = training_curves(Folder(folder), "siamese", Config())
    begun = time.perf_counter()
    for step in range(1, STEPS + 1):
        row = {"step": step, "loss": 0.5, "pairs_per_second": 80.0}
        curves.add(
            row | ({"validation_auc": 0.9, "validation_eer": 0.1} if step % EVERY == 0 else {})
        )
    assert curves.flush()
    return count, begun - started, time.perf_counter() - begun


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
        command += ["--port", str(PORT), "--backend-store-uri", f"sqlite:///{place}/runs.db"]
        with Path(place, "log").open("wb") as log:
            server = subprocess.Popen(
                [*command, "--workers", "1"], stdout=log, stderr=log, cwd=place
            )
        try:
            while True:
                try:
                    urlopen(f"{ADDRESS}/health").close()
                    break
                except OSError:
                    time.sleep(0.2)
            for number in (1, 16):
                folders = [f"{place}/{number}-{one}" for one in range(number)]
                with ProcessPoolExecutor(number, mp_context=get_context("spawn")) as pool:
                    found = list(pool.map(written, folders))
                counts, begun, wrote = map(list, zip(*found, strict=True))
                print(
                    f"{number:2d} at once: {max(counts) / STEPS:.3f} requests a step "
                    f"({max(counts)} a training of {STEPS}); at most {max(begun):.2f} s to begin, "
                    f"{max(wrote):.2f} s to write, {max(wrote) / STEPS * 1000:.1f} ms a step"
                )
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
