"""moto's S3 on loopback, as strict as a real one where moto is not: ``s3_server.py PORT``."""

import sys
from urllib.parse import parse_qs

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple
from werkzeug.wrappers import Response

KEY = "test"
TORN = "torn"
"""Uploads of keys with this word fail at their second part."""

moto = DomainDispatcherApplication(create_backend_app)


def refusal(environ) -> str:
    """Return the S3 error code that a request is answered with; empty if moto may answer it."""
    signed = environ.get("HTTP_AUTHORIZATION", "")
    if not signed:
        return "AccessDenied"
    if f"Credential={KEY}/" not in signed:
        return "InvalidAccessKeyId"
    part = parse_qs(environ["QUERY_STRING"]).get("partNumber")
    return "AccessDenied" if part == ["2"] and TORN in environ["PATH_INFO"] else ""


def strict(environ, start_response):
    """Answer one request."""
    if code := refusal(environ):
        text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>No.</Message></Error>"
        return Response(text, status=403, mimetype="application/xml")(environ, start_response)
    return moto(environ, start_response)


if __name__ == "__main__":
    run_simple("127.0.0.1", int(sys.argv[1]), strict, threaded=True)
