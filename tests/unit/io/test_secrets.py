"""Passwords of addresses: refused, and shown nowhere."""

import pytest

from camid.io.filesystems import absolute
from camid.io.folder import Folder
from camid.io.secrets import has_secret, redacted
from camid.runtime.tracking.client import tracking_uri

SECRET = "hunter2/+=@x"
ADDRESSES = (
    "s3://AKIA:hunter2@bucket/photographs",
    "s3://AKIA:hunter2%2F@bucket/photographs?region=eu",
    "s3://AKIA:hun@ter2@bucket/photographs",
    "https://me:hunter2@mlflow.example:5000",
    "postgresql+psycopg2://me:hunter2@host:5432/db?sslmode=require",
    "https://host/a.jpg?X-Amz-Credential=AK&X-Amz-Signature=hunter2",
    "s3://bucket/a?access_key=AK&secret_key=hunter2",
    "gs://bucket/a?token=hunter2",
    "postgresql://host/db?user=me&password=hunter2",
)


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_with_a_password_is_refused_without_showing_it(address, monkeypatch):
    assert has_secret(address)
    for use in (absolute, lambda uri: Folder(uri).exists()):
        with pytest.raises(ValueError, match="give it apart") as refused:
            use(address)
        assert "hunter2" not in str(refused.value)
        assert "ter2" not in str(refused.value)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    with pytest.raises(ValueError, match="MLFLOW_TRACKING_PASSWORD") as refused:
        tracking_uri()
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_text_shows_no_password_of_it(address):
    shown = redacted(f"cannot reach {address}: no answer; see {address}")
    assert "ter2" not in shown
    assert shown.startswith("cannot reach ")
    assert shown.endswith((":***@bucket/photographs", "***")) or "no answer" in shown


@pytest.mark.parametrize(
    "address",
    [
        *("s3://bucket/photographs", "s3://bucket/a:b@c", "gs://bucket/x?endpoint_override=a:9"),
        *("https://host:5000", "https://me@host", "/data/a:b@c/photographs", "sqlite:////a/b.db"),
        "s3://bucket/My photographs/token=1/x.jpg",
    ],
)
def test_other_addresses_stay(address):
    assert not has_secret(address)
    assert redacted(address) == address
