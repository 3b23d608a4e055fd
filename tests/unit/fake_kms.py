"""AWS KMS as far as two of its operations go, over HTTP on this machine."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any, NamedTuple

import pytest


class Wrapped(NamedTuple):
    key_arn: str
    context: dict[str, str]
    plaintext: str


class FakeKms(ThreadingHTTPServer):
    """Keeps what it encrypts. `error` (status and code) is its answer to everything if set."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.error: tuple[int, str] | None = None
        self.empty = False
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self._wrapped: dict[str, Wrapped] = {}
        self._lock = Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def asked(self, operation: str) -> int:
        return sum(asked == operation for asked, _ in self.requests)

    def answer(self, operation: str, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        with self._lock:
            self.requests.append((operation, request))
            if self.error is not None:
                status, code = self.error
                return status, refusal(code, f"Not with {json.dumps(request)}")
            if self.empty:
                return 200, {}
            return getattr(self, f"_{operation.lower()}")(request)  # type: ignore[no-any-return]

    def _encrypt(self, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        blob = base64.b64encode(os.urandom(152)).decode()
        self._wrapped[blob] = Wrapped(
            request["KeyId"], request["EncryptionContext"], request["Plaintext"]
        )
        return 200, {"CiphertextBlob": blob, "KeyId": request["KeyId"]}

    def _decrypt(self, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        wrapped = self._wrapped.get(request["CiphertextBlob"])
        if wrapped is None or wrapped.context != request["EncryptionContext"]:
            return 400, refusal("InvalidCiphertextException")
        if wrapped.key_arn != request["KeyId"]:
            return 400, refusal("IncorrectKeyException")
        return 200, {"Plaintext": wrapped.plaintext, "KeyId": wrapped.key_arn}


class Handler(BaseHTTPRequestHandler):
    server: FakeKms

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        operation = self.headers["X-Amz-Target"].removeprefix("TrentService.")
        status, answer = self.server.answer(operation, request)
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def refusal(code: str, message: str = "") -> dict[str, Any]:
    return {"__type": code, "message": message}


def be_nobody_at_aws(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Credentials of nobody, and nothing of this machine's own configuration."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        patch.delenv(name)
    patch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
    patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    patch.setenv("AWS_CONFIG_FILE", str(folder / "config"))
    patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "credentials"))
    patch.setenv("NO_PROXY", "*")


@contextmanager
def running_kms() -> Iterator[FakeKms]:
    with FakeKms() as kms:
        serving = Thread(target=kms.serve_forever, args=(0.01,))
        serving.start()
        try:
            yield kms
        finally:
            kms.shutdown()
            serving.join()
