"""Pixels of files that take long or crash: decoded in a process of its own, which can be ended."""

import json
import resource
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from functools import cache
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from camid.io.stopping import ends_with_parent

MOST_SECONDS = 120.0
"""Seconds that a file's decoding may take: twenty times those of the largest photograph."""
MOST_MEMORY = 2**33
"""Bytes of address space that the process may have."""
_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
_START += "from camid.io.decoding import _serve; _serve()"


def decoded_apart(
    data: bytes, *, max_megapixels: float, seconds: float = MOST_SECONDS
) -> NDArray[np.uint8]:
    """Return an image file's pixels ``(height, width, 3)``, RGB, decoded by another process.

    The process is kept for the next file, and ends with this one.

    Raises
    ------
    ValueError
        With the reason, if the file cannot be decoded, or not in ``seconds`` and
        :data:`MOST_MEMORY`.
    """
    return _decoder().decoded(data, max_megapixels=max_megapixels, seconds=seconds)


class _Decoder:
    """The other process, begun when it is needed; its files are decoded one after the other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def decoded(self, data: bytes, *, max_megapixels: float, seconds: float) -> NDArray[np.uint8]:
        with self._lock:
            for _ in range(2):  # it may have been killed for another reason than this file
                process, late = self._running(), threading.Event()
                timer = threading.Timer(seconds, _end, (process, late))
                timer.start()
                try:
                    return _exchanged(process, data, max_megapixels)
                except _RefusalError:
                    raise
                except (OSError, EOFError):
                    code = self._ended()
                    if late.is_set():
                        raise ValueError(f"not decoded within {seconds:g} s") from None
                except BaseException:
                    self._ended()  # between two parts of an answer, unless it was one
                    raise
                finally:
                    timer.cancel()
            raise ValueError(f"cannot be decoded: the decoder ended with {code}")

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is not None and self._process.poll() is not None:
            self._ended()
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _START, json.dumps(sys.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        return self._process

    def _ended(self) -> int:
        """End the process; return its code."""
        process = self._process
        assert process is not None
        self._process = None
        process.kill()
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):
                pipe.close()  # type: ignore[union-attr]
        return process.wait()


def _end(process: "subprocess.Popen[bytes]", late: threading.Event) -> None:
    late.set()  # first: who waits for the process sees at once why it has ended
    process.kill()


@cache
def _decoder() -> _Decoder:
    return _Decoder()


def _exchanged(
    process: "subprocess.Popen[bytes]", data: bytes, max_megapixels: float
) -> NDArray[np.uint8]:
    assert process.stdin is not None
    assert process.stdout is not None
    _send(process.stdin, {"bytes": len(data), "max_megapixels": max_megapixels})
    process.stdin.write(data)
    process.stdin.flush()
    answer = _received(process.stdout)
    if "reason" in answer:
        raise _RefusalError(answer["reason"])
    image = np.empty((answer["height"], answer["width"], 3), np.uint8)
    if process.stdout.readinto(image.reshape(-1)) < image.nbytes:  # type: ignore[attr-defined]
        raise EOFError
    return image


class _RefusalError(ValueError):
    """The whole answer of a process that could not decode a file."""


def _send(pipe: IO[bytes], facts: dict[str, Any]) -> None:
    pipe.write(json.dumps(facts).encode() + b"\n")


def _received(pipe: IO[bytes]) -> dict[str, Any]:
    line = pipe.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    facts: dict[str, Any] = json.loads(line)
    return facts


def _serve() -> None:
    """Decode files from standard input until it ends; the other process's part."""
    from camid.io.images import decoded_here

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # its user's Ctrl-C ends who asks
    ends_with_parent(signal.SIGKILL)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # what a library prints is no answer
    while True:
        try:
            asked = _received(source)
        except EOFError:
            return
        data = source.read(asked["bytes"])
        try:
            image = decoded_here(data, max_megapixels=asked["max_megapixels"])
        except (ValueError, MemoryError) as error:
            _send(sink, {"reason": str(error) or "cannot be decoded: out of memory"})
        else:
            _send(sink, {"height": image.shape[0], "width": image.shape[1]})
            sink.write(image.tobytes())
        sink.flush()
