"""The file system of an address: its client, its errors in a sentence, its uploads."""

import io
import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, unquote

import pyarrow as pa
import pyarrow.fs as pafs

from camid.io.escaping import one_line
from camid.io.secrets import has_secret, redacted

if TYPE_CHECKING:
    from tenacity import RetryCallState

BUCKETS = {"s3", "gs", "gcs"}
"""Schemes of object stores: one client per bucket, and no folders but in names."""

URI_CHARACTERS = "%:/@+~!$&'()*,;=[]"

T = TypeVar("T")


class OverloadedError(ConnectionError):
    """A server that answers, and fails or asks for patience."""


class CredentialsError(PermissionError, ConnectionError):
    """A server that refuses who asks, whatever is asked for."""


UNREACHED_SECONDS, OVERLOADED_SECONDS = 6.0, 90.0
"""Seconds in which what a server does not answer, or answers with a failure, is asked again."""
LONGEST_PAUSE = 15.0
"""Seconds between two attempts at most; they grow from half a second, and no two are equal."""
CREDENTIALS = (
    *("INVALID_ACCESS_KEY_ID", "INVALID_CLIENT_TOKEN_ID", "UNRECOGNIZED_CLIENT", "EXPIRED_TOKEN"),
    *("SIGNATURE_DOES_NOT_MATCH", "MISSING_AUTHENTICATION_TOKEN", "REQUEST_EXPIRED"),
)
REFUSES = (
    "its server refuses access; see AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or AWS_PROFILE"
)
ANSWERS: tuple[tuple[str, type[OSError], str], ...] = (
    (
        "NETWORK_CONNECTION|curlCode: [0-9]+",
        ConnectionError,
        "its server cannot be reached; see the network and AWS_ENDPOINT_URL",
    ),
    (
        "SLOW_DOWN|SERVICE_UNAVAILABLE|INTERNAL_FAILURE|THROTTLING|REQUEST_TIMEOUT"
        "|HTTP status (?:5..|429|408)",
        OverloadedError,
        "its server fails or is overloaded; run again to go on",
    ),
    ("|".join(CREDENTIALS), CredentialsError, REFUSES),
    ("ACCESS_DENIED", PermissionError, REFUSES),
    (
        "NO_SUCH_BUCKET|Bucket '.*' not found",
        FileNotFoundError,
        "there is no such bucket; make it first or name another",
    ),
)
"""Signs in the AWS SDK's errors, and what they mean for a user."""


def absolute(uri: str) -> str:
    """Return ``uri`` with a local path made absolute; addresses such as ``s3://…`` are kept.

    Characters that an address may not have, a space for example, are quoted.

    Raises
    ------
    ValueError
        If it is empty, or an address that holds a password.
    """
    if not uri:
        raise ValueError("expected a path or an address, got an empty string")
    if "://" in uri:
        _check_without_secret(uri)
        base, mark, query = uri.partition("?")
        base = re.sub("%(?![0-9A-Fa-f]{2})", "%25", base.rstrip("/"))
        return f"{quote(base, safe=URI_CHARACTERS)}{mark}{query}"
    return os.path.abspath(Path(uri).expanduser())  # noqa: PTH100  (links are kept: mounts differ)


@lru_cache(maxsize=1024)
def filesystem_of(uri: str) -> tuple[pafs.FileSystem, str]:
    """Return the file system of an address and the path on it."""
    if "://" not in uri:
        return pafs.LocalFileSystem(), absolute(uri)
    _check_without_secret(uri)
    base, mark, query = uri.partition("?")
    scheme, _, place = base.partition("://")
    if scheme not in BUCKETS:
        filesystem, path = pafs.FileSystem.from_uri(uri)
        return filesystem, path
    bucket, slash, path = place.partition("/")
    filesystem, root = _client(f"{scheme}://{bucket}{mark}{query}")
    return filesystem, f"{root}{slash}{unquote(path)}"


def _check_without_secret(uri: str) -> None:
    if has_secret(uri):
        raise ValueError(
            f"{redacted(uri)}: an address with a password or key, which results would keep; "
            "give it apart: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or "
            "GOOGLE_APPLICATION_CREDENTIALS"
        )


@lru_cache(maxsize=16)
def _client(uri: str) -> tuple[pafs.FileSystem, str]:
    """Return the client of a bucket, costly to make, and the bucket's name."""
    with answered(uri):
        filesystem, bucket = pafs.FileSystem.from_uri(uri)
    return filesystem, bucket


@contextmanager
def answered(address: str) -> Iterator[None]:
    """Turn an object store's error into a sentence: its own words are long and name no address.

    Raises
    ------
    OSError
        ``ConnectionError`` where nobody answers as a server should, ``PermissionError`` where
        access is refused.
    """
    try:
        yield
    except OSError as error:
        if error.errno is not None:
            raise  # the operating system's, which names its file
        for signs, kind, sentence in ANSWERS:
            if sign := re.search(f"(AWS Error )?({signs})", str(error)):
                raise kind(f"{address}: {sentence} ({sign.group()})") from None
        if "://" not in address:
            raise
        raise ConnectionError(f"{address}: its server fails: {one_line(error)}") from None


def patiently(address: str, call: Callable[[], T]) -> T:
    """Return what ``call`` gives, made again while the server of an address fails.

    Pauses grow, and differ between workers. On a mounted file system ``call`` is made once.

    Raises
    ------
    OSError
        As :func:`answered`; ``ConnectionError`` if the server has failed for long.
    """

    def asked() -> T:
        with answered(address):
            return call()

    if "://" not in address:
        return asked()
    from tenacity import Retrying, retry_if_exception, wait_random_exponential

    attempts = Retrying(
        retry=retry_if_exception(_may_pass),
        stop=_is_over,
        wait=wait_random_exponential(0.5, max=LONGEST_PAUSE),
        reraise=True,
    )
    return attempts(asked)


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, ConnectionError) and not isinstance(error, CredentialsError)


def _is_over(state: "RetryCallState") -> bool:
    """Return whether a call has been made again for long enough."""
    error = state.outcome.exception() if state.outcome else None
    limit = OVERLOADED_SECONDS if isinstance(error, OverloadedError) else UNREACHED_SECONDS
    return (state.seconds_since_start or 0.0) > limit


class RemoteFile(io.RawIOBase):
    """An open file of an object store that remembers a failure of its server.

    A reader may take an error for the file's fault, and go on.
    """

    def __init__(self, file: pa.NativeFile, address: str) -> None:
        self._file = file
        self._address = address
        self._failure: OSError | None = None

    def readinto(self, buffer: Any) -> int:
        """Read into ``buffer``; return how many bytes, 0 at the end."""
        place = self._file.tell()

        def read() -> bytes:
            self._file.seek(place)  # where an attempt that failed may have left it elsewhere
            return bytes(self._file.read(len(buffer)))

        try:
            data = patiently(self._address, read)
        except OSError as error:
            self._failure = error
            raise
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place in the file, and return it."""
        return int(self._file.seek(offset, whence))

    def readable(self) -> bool:
        """Return that the file can be read."""
        return True

    def seekable(self) -> bool:
        """Return that the file can be read at any place."""
        return True

    def close(self) -> None:
        """Close the file.

        Raises
        ------
        OSError
            The error of a read that failed, if any did.
        """
        super().close()
        self._file.close()
        failure, self._failure = self._failure, None
        if failure:
            raise failure


def upload(filesystem: pafs.FileSystem, path: str, whole: io.BytesIO, *, address: str) -> None:
    """Send a file to an object store, whose :func:`patiently` asked address errors name.

    Closing a stream, which leaving ``with`` does too, completes its upload whatever came before; so
    no signal may come in between: it goes to the main thread, and this is another.
    """

    def send() -> None:
        with filesystem.open_output_stream(path) as stream:
            stream.write(pa.py_buffer(whole.getbuffer()))

    with ThreadPoolExecutor(1) as thread:
        thread.submit(patiently, address, send).result()
