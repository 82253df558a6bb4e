import socket

import pytest

from camid.runtime.training.tensorflow_cluster import _free_address


def test_a_worker_s_port_stays_its_own_until_its_server_listens_there():
    port = int(_free_address().rpartition(":")[2])
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("", port))
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # as TF_GRPC_REUSE_PORT does
        server.bind(("", port))
        server.listen()
