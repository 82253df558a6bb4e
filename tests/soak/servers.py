"""Servers on this machine: MLflow's, and PostgreSQL under it."""

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

DEBIAN = "/usr/lib/postgresql"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class MlflowServer:
    """MLflow's tracking server on a port of its own, that can be killed and started again."""

    def __init__(self, folder: Path, *, database: str = "") -> None:
        self.folder, self.port = folder, free_port()
        self.database = database or f"sqlite:///{folder}/server.db"
        self.address = f"http://127.0.0.1:{self.port}"

    def start(self, *, workers: int = 1) -> None:
        command = [
            *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"),
            *("--port", str(self.port), "--backend-store-uri", self.database),
            *("--workers", str(workers)),
            *("--default-artifact-root", str(self.folder / "artifacts")),
        ]
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self.folder, start_new_session=True
            )
        for _ in range(600):
            try:
                with urlopen(f"{self.address}/health"):
                    return
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.2)
        raise TimeoutError((self.folder / "server.log").read_text())

    def kill(self) -> None:
        os.killpg(self.process.pid, 9)
        self.process.wait()


@contextmanager
def postgres() -> Iterator[str]:
    """A PostgreSQL of its own on this machine; yield the address of an empty database."""
    found = sorted(Path(DEBIAN).glob("*/bin"))
    programs = found[-1] if found else None
    if programs is None:
        programs = Path(shutil.which("postgres") or "/absent").parent
    if not (programs / "initdb").exists():
        missing("PostgreSQL", "postgresql")
    folder, port = Path(tempfile.mkdtemp(prefix="camid-postgres-")), free_port()
    user: list[str] = []
    if os.getuid() == 0:  # whom PostgreSQL does not run as
        shutil.chown(folder, "postgres", pwd.getpwnam("postgres").pw_gid)
        user = ["runuser", "-u", "postgres", "--"]
    data = str(folder / "data")
    made = [*user, str(programs / "initdb"), "-D", data, "-U", "camid", "-A", "trust", "-N"]
    subprocess.run(made, check=True, stdout=subprocess.DEVNULL, cwd=folder)
    control = [*user, str(programs / "pg_ctl"), "-D", data, "-w", "-l", str(folder / "log")]
    options = f"-c listen_addresses=127.0.0.1 -p {port} -k {folder} -c fsync=off"
    subprocess.run([*control, "-o", options, "start"], check=True, stdout=subprocess.DEVNULL)
    try:
        yield f"postgresql://camid@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=True, stdout=subprocess.DEVNULL)
        shutil.rmtree(folder)


def missing(program: str, package: str) -> None:
    """Fail in CI, and skip elsewhere, where a program is not there."""
    words = f"{program} is not installed: Debian's package {package}"
    if os.environ.get("CI"):
        pytest.fail(words)
    pytest.skip(words)
