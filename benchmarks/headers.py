"""Cataloguing 10,000 photographs against opening each with Pillow and reading its EXIF."""

import tempfile
import time
from pathlib import Path

from PIL import Image

from camid.config import Simulate
from camid.dataset.simulate import phones
from camid.dataset.sources import find_files, read_headers

NUM_FILES = 10_000


def main() -> None:
    (phone,) = phones(Simulate(num_devices=1, sizes=((1024, 768),)), seed=1)
    data = phone.photograph("foreground", 1)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for number in range(NUM_FILES):
            name = f"Eurecom_{100 + number // 100}_picFG_{number % 100:03d}.jpg"
            (folder / name).write_bytes(data)
        started = time.perf_counter()
        for path in sorted(folder.iterdir()):
            with Image.open(path) as image:
                dict(image.getexif())
        plain = time.perf_counter() - started
        started = time.perf_counter()
        records = list(read_headers(find_files(str(folder)), min_side=256, max_megapixels=250))
        ours = time.perf_counter() - started
    assert all(record.status == "ok" for record in records)
    print(f"plain Pillow   {NUM_FILES / plain:8.0f} files/s")
    print(f"catalogue      {NUM_FILES / ours:8.0f} files/s, {ours / plain:.2f} times the time")


if __name__ == "__main__":
    main()
