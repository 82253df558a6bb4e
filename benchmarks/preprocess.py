"""Preprocessing on Ray against the same chunks made one after the other in this process."""

import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from camid.chunking import make_chunk
from camid.config import load_config
from camid.folder import Folder
from camid.plan import chunks_of, planned
from camid.runtime.ingest import preprocess
from camid.runtime.session import session
from camid.runtime.simulation import simulate
from camid.sources import find_files, read_headers

SIZE = (1536, 1024)
SETTINGS = ["num_devices=8", "num_background=16", "num_foreground=0", f"sizes=[{list(SIZE)}]"]


def main() -> None:
    config = load_config(settings=[f"simulate.{setting}" for setting in SETTINGS])
    with tempfile.TemporaryDirectory() as place, session():
        root = Path(place)
        paths = replace(config.paths, data=str(root / "data"), store=str(root / "store"))
        config = replace(config, paths=paths)
        simulate(Folder(config.paths.data), config.simulate, seed=config.seed)
        preprocess(config)  # workers start and load their modules here
        started = time.perf_counter()
        done = preprocess(config, fresh=True)
        on_ray = time.perf_counter() - started
        files = find_files(config.paths.data)
        records = list(read_headers(files, min_side=256, max_megapixels=250))
        plan = planned(records, strips=config.strips, chunks=config.chunks, seed=config.seed)
        started = time.perf_counter()
        for chunk in chunks_of(plan):
            make_chunk(chunk, store=Folder(str(root / "plain")), config=config)
        alone = time.perf_counter() - started
    cores = os.cpu_count()
    megapixels = done.num_images * SIZE[0] * SIZE[1] / 1e6
    print(f"one process        {megapixels / alone:6.2f} megapixels/s")
    print(f"Ray on {cores} processors {megapixels / on_ray:6.2f} megapixels/s, ", end="")
    print(f"{alone / on_ray:.2f} times as fast")


if __name__ == "__main__":
    main()
