"""A gallery's fingerprints, written on Ray, one task per device."""

from functools import partial

import pyarrow as pa

from camid.comparison.comparison_list import ComparisonList
from camid.comparison.fingerprint_file import (
    FingerprintFile,
    Fingerprints,
    enrolment_digest,
    fingerprint_name,
    write_fingerprint,
)
from camid.dataset.records import ImageRecord, manifest_table
from camid.io.folder import Folder
from camid.runtime.cluster.map_tasks import streamed
from camid.runtime.console import say
from camid.store.store import Store, open_store


def enrol(store: Store, listed: ComparisonList, folder: Folder) -> None:
    """Write the fingerprint of every enrolled device without one of exactly its listed images."""
    missing, devices = [], enrolled_devices(listed)
    digests = {image for side in devices for image in listed.sides[side].images}
    records = store.images().of_sha256(digests)
    for side, device in devices.items():
        images = tuple(records[sha256] for sha256 in listed.sides[side].images)
        if _is_there(folder, device, enrolment_digest(store, images)):
            continue
        missing.append(manifest_table(images))
    work = partial(_enrol_device, store=store.folder.uri, folder=folder.uri)
    for _ in streamed(missing, work, description="enrol", unit="images"):
        pass


def _is_there(folder: Folder, device: str, digest: str) -> bool:
    """Return whether a device's fingerprint is there, whole and of these images."""
    if not folder.exists(fingerprint_name(device)):
        return False
    try:
        with FingerprintFile(folder, device) as file:
            return file.digest == digest
    except ValueError as error:
        say(f"made again: {error}")
        return False


def fingerprints(listed: ComparisonList, folder: Folder) -> Fingerprints:
    """Return the fingerprint files that :func:`enrol` wrote for a gallery; none for others."""
    return Fingerprints(folder, enrolled_devices(listed) if listed.is_gallery else {})


def enrolled_devices(listed: ComparisonList) -> dict[int, str]:
    """Return the device of each first side of a gallery."""
    firsts = sorted({pair.first for pair in listed.comparisons})
    return {side: listed.sides[side].device for side in firsts}


def _enrol_device(table: pa.Table, *, store: str, folder: str) -> pa.Table:
    """Write the fingerprint of the device whose images ``table`` lists; runs on a worker."""
    images = tuple(ImageRecord(**row) for row in table.to_pylist())
    write_fingerprint(Folder(folder), open_store(store), images)
    return table.select(["image_id"])
