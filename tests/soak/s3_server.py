"""moto's S3 on loopback, as strict as a real one where moto is not: ``s3_server.py PORT``."""

import sys
from collections import Counter
from urllib.parse import parse_qs

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple
from werkzeug.wrappers import Response

KEY = "test"
TORN = "torn"
"""Uploads of keys with this word fail at their second part."""
STUMBLES = Counter[str]()
"""Requests that fail yet, by how: ``PUT /stumble?503=4`` sets four of them."""
HOW = {"503": "SlowDown", "500": "InternalError", "429": "TooManyRequestsException"}
HOW |= {"403": "ExpiredToken"}

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


def stumbling(how, environ, start_response):
    """Answer a request as a server does that fails: with a status, half an answer, or nothing."""
    if how in HOW:
        text = f"<?xml version='1.0'?><Error><Code>{HOW[how]}</Code><Message>No.</Message></Error>"
        answer = Response(text, status=int(how), mimetype="application/xml")
        return answer(environ, start_response)
    if how == "half":
        answer = Response.from_app(moto, environ)
        length = len(answer.data)
        half = Response(answer.data[: length // 2], status=answer.status_code)
        for name, value in answer.headers:
            half.headers[name] = value
        half.headers["Content-Length"] = str(length)
        half.automatically_set_content_length = False
        return half(environ, start_response)
    environ["werkzeug.socket"].close()
    raise ConnectionResetError


def strict(environ, start_response):
    """Answer one request."""
    if environ["PATH_INFO"] == "/stumble":
        STUMBLES.update({how: int(n) for how, (n,) in parse_qs(environ["QUERY_STRING"]).items()})
        return Response(status=200)(environ, start_response)
    for how in [how for how, count in STUMBLES.items() if count > 0]:
        if environ["REQUEST_METHOD"] == "GET" and "/photo" in environ["PATH_INFO"]:
            STUMBLES[how] -= 1
            return stumbling(how, environ, start_response)
    if code := refusal(environ):
        text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>No.</Message></Error>"
        return Response(text, status=403, mimetype="application/xml")(environ, start_response)
    return moto(environ, start_response)


if __name__ == "__main__":
    run_simple("127.0.0.1", int(sys.argv[1]), strict, threaded=True)
