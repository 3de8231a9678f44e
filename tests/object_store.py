"""An object store on this machine: moto's S3 over HTTP, which counts requests and can refuse them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

Refuse = Callable[[str, str], tuple[str, bytes] | None]
"""Function of a request's method and path that answers in the place of the store, or None."""


@dataclass
class ObjectStore:
    """A store that listens; `requests` are the methods and paths of all requests so far."""

    requests: list[tuple[str, str]] = field(default_factory=list)
    refuse: Refuse = lambda method, path: None
    address: str = ""

    def answers(self, app: Any) -> Any:
        """Return an application that counts what it is asked, and passes it on."""

        def asked(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
            method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
            self.requests.append((method, path + "?" * bool(environ.get("QUERY_STRING"))))
            refused = self.refuse(method, path)
            if refused is None:
                return app(environ, start)  # type: ignore[no-any-return]
            status, body = refused
            start(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
            return [body]

        return asked

    def reading(self, of: str) -> int:
        """Return the number of objects of a name that were read so far."""
        return sum(method == "GET" and of in path for method, path in self.requests)

    def put(self, name: str, data: bytes) -> None:
        """Put an object into the bucket, without a request."""
        _kept().put_object("lab", name, data)

    @property
    def variables(self) -> dict[str, str]:
        """Variables with which programs find this store, and nobody else's."""
        return {
            "AWS_ENDPOINT_URL": self.address,
            "AWS_ACCESS_KEY_ID": "AKIATESTINGTESTING00",
            "AWS_SECRET_ACCESS_KEY": "secretsecretsecretsecretsecretsecretsecr",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": "/nowhere/config",
            "AWS_SHARED_CREDENTIALS_FILE": "/nowhere/credentials",
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
        }


def error(code: str) -> bytes:
    """Return an error as S3 says it."""
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>".encode()


def _kept() -> Any:
    """What moto keeps, in this process, for whichever server."""
    from moto.core import DEFAULT_ACCOUNT_ID
    from moto.s3.models import s3_backends

    return s3_backends[DEFAULT_ACCOUNT_ID]["aws"]


@contextmanager
def listening() -> Iterator[ObjectStore]:
    """Start a store, with a bucket called ``lab``."""
    server = pytest.importorskip("moto.server", reason="moto's server is not installed")
    serving = pytest.importorskip("werkzeug.serving")
    s3fs = pytest.importorskip("s3fs", reason="s3fs is not installed")
    import boto3

    s3fs.S3FileSystem.clear_instance_cache()  # of a store that listened before

    _kept().reset()
    store = ObjectStore()
    app = server.DomainDispatcherApplication(server.create_backend_app)
    with pytest.MonkeyPatch.context() as patched:
        logging.getLogger("werkzeug").setLevel(logging.WARNING)
        running = serving.make_server("127.0.0.1", 0, store.answers(app), threaded=True)
        store.address = f"http://127.0.0.1:{running.server_port}"
        for name, value in store.variables.items():
            patched.setenv(name, value)
        threading.Thread(target=running.serve_forever, daemon=True).start()
        try:
            boto3.client("s3").create_bucket(Bucket="lab")
            yield store
        finally:
            running.shutdown()
