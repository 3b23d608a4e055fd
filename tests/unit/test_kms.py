"""A key in AWS KMS does what a key in a file does, and its failures are told apart."""

from __future__ import annotations

import base64
import logging
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from strike_adapters.secrets import (
    KmsClient,
    KmsKey,
    SecretBox,
    SecretError,
    key_id_of,
    kms_client,
)
from strike_adapters.secrets.kms import REMEMBERED_SECONDS
from tests.unit.fake_kms import FakeKms, be_nobody_at_aws, running_kms

ARN = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
OTHER_ARN = ARN[:-1] + "c"
TENANT = UUID("00000000-0000-0000-0000-00000000000a")
PURPOSE = "render.client_secret"
SECRET = "correct horse ü"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    be_nobody_at_aws(monkeypatch, tmp_path)


@pytest.fixture
def kms() -> Iterator[FakeKms]:
    with running_kms() as kms:
        yield kms


@pytest.fixture
def client(aws: None, kms: FakeKms) -> Iterator[KmsClient]:
    client = kms_client(ARN, kms.url)
    yield client
    client.close()


@pytest.fixture
def box(client: KmsClient) -> SecretBox:
    return SecretBox(KmsKey(ARN, client))


@pytest.fixture
def stored(box: SecretBox) -> bytes:
    return box.seal(TENANT, PURPOSE, SECRET)


def assert_fails(code: str, use: Callable[[], object], kms: FakeKms | None = None) -> SecretError:
    """With `code`, and showing neither the secret nor what was sent to KMS."""
    with pytest.raises(SecretError) as error:
        use()
    assert error.value.code == code
    assert error.value.__suppress_context__ or error.value.__context__ is None
    for _, request in kms.requests if kms else ():
        assert all(str(value) not in str(error.value) for value in request.values())
    assert SECRET not in str(error.value)
    return error.value


def test_a_secret_sealed_with_kms_opens_again(
    box: SecretBox, client: KmsClient, stored: bytes
) -> None:
    fresh = SecretBox(KmsKey(ARN, client))
    for one in (box, fresh):
        assert one.open(TENANT, PURPOSE, stored).get_secret_value() == SECRET
    assert stored[0] == 2 and key_id_of(stored) == fresh.key_id and fresh.knows(stored)


def test_kms_is_shown_a_data_key_and_no_secret(box: SecretBox, kms: FakeKms, stored: bytes) -> None:
    ((operation, request),) = kms.requests
    assert operation == "Encrypt" and request["KeyId"] == ARN
    assert len(base64.b64decode(request["Plaintext"])) == 32
    assert base64.b64decode(request["Plaintext"]) not in stored
    bound = b"\x01" + box.key_id + TENANT.bytes + PURPOSE.encode()
    assert request["EncryptionContext"] == {"strike": bound.hex()}


def test_another_tenant_or_purpose_opens_nothing(
    box: SecretBox, kms: FakeKms, stored: bytes
) -> None:
    box.open(TENANT, PURPOSE, stored)  # so that its data key is remembered
    assert_fails("SECRET_UNREADABLE", partial(box.open, uuid4(), PURPOSE, stored), kms)
    assert_fails("SECRET_UNREADABLE", partial(box.open, TENANT, "twilio.token", stored), kms)
    assert_fails("SECRET_UNREADABLE", partial(box.rewrap, uuid4(), PURPOSE, stored), kms)


def test_another_key_opens_nothing(client: KmsClient, kms: FakeKms, stored: bytes) -> None:
    other = KmsKey(OTHER_ARN, client)
    assert_fails("SECRET_UNREADABLE", partial(SecretBox(other).open, TENANT, PURPOSE, stored))
    asked = kms.asked("Decrypt")
    bound = bytes.fromhex(kms.requests[0][1]["EncryptionContext"]["strike"])
    assert_fails("SECRET_UNREADABLE", partial(other.unwrap, stored[11:163], bound), kms)
    assert (asked, kms.asked("Decrypt")) == (0, 1)


def test_a_changed_secret_does_not_open(box: SecretBox, kms: FakeKms, stored: bytes) -> None:
    for place in (0, 1, 9, 10, 11, 100, 170, len(stored) - 1):
        changed = bytearray(stored)
        changed[place] ^= 1
        assert_fails("SECRET_UNREADABLE", partial(box.open, TENANT, PURPOSE, bytes(changed)), kms)


def test_a_wrapped_key_that_kms_cannot_have_made_is_not_sent(
    client: KmsClient, kms: FakeKms
) -> None:
    assert_fails("SECRET_UNREADABLE", lambda: KmsKey(ARN, client).unwrap(bytes(6145), b""))
    assert kms.requests == []


def test_a_server_that_is_down_leaves_the_secret_as_good_as_before(
    aws: None, kms: FakeKms, stored: bytes
) -> None:
    client = kms_client(ARN, "http://127.0.0.1:1")
    box = SecretBox(KmsKey(ARN, client))
    error = assert_fails("KEY_UNAVAILABLE", partial(box.open, TENANT, PURPOSE, stored), kms)
    assert "EndpointConnectionError" in str(error)
    client.close()


@pytest.mark.parametrize(
    ("status", "code", "requests"),
    [
        (400, "AccessDeniedException", 1),
        (400, "DisabledException", 1),
        (400, "NotFoundException", 1),
        (400, "KMSInvalidStateException", 1),
        (500, "KMSInternalException", 3),
    ],
)
def test_a_refusal_is_not_taken_for_a_wrong_secret(
    box: SecretBox, kms: FakeKms, stored: bytes, status: int, code: str, requests: int
) -> None:
    kms.error = (status, code)
    error = assert_fails("KEY_UNAVAILABLE", partial(box.open, TENANT, PURPOSE, stored), kms)
    assert code in str(error) and kms.asked("Decrypt") == requests
    kms.error = None
    assert box.open(TENANT, PURPOSE, stored).get_secret_value() == SECRET


def test_nothing_is_sealed_without_permission(box: SecretBox, kms: FakeKms) -> None:
    kms.error = (400, "AccessDeniedException")
    assert_fails("KEY_UNAVAILABLE", partial(box.seal, TENANT, PURPOSE, SECRET), kms)


def test_an_answer_without_a_key_is_no_answer(box: SecretBox, kms: FakeKms, stored: bytes) -> None:
    kms.empty = True
    assert_fails("KEY_UNAVAILABLE", partial(box.open, TENANT, PURPOSE, stored), kms)


def test_a_wrong_request_does_not_show_what_was_in_it(client: KmsClient) -> None:
    key = KmsKey(ARN, client)
    wrong: object = [SECRET]
    assert_fails("KEY_UNAVAILABLE", lambda: key.wrap(wrong, b""))  # type: ignore[arg-type]


def test_no_credentials_are_told_as_such(
    aws: None, kms: FakeKms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    key = KmsKey(ARN, kms_client(ARN, kms.url))
    error = assert_fails("KEY_UNAVAILABLE", lambda: key.wrap(bytes(32), b""))
    assert "NoCredentialsError" in str(error) and kms.requests == []


# Remembered data keys ----------------------------------------------------------------------


def test_many_opens_ask_kms_once(box: SecretBox, kms: FakeKms, stored: bytes) -> None:
    for _ in range(20):
        box.open(TENANT, PURPOSE, stored)
    assert kms.asked("Decrypt") == 1


def test_threads_share_what_is_remembered(box: SecretBox, kms: FakeKms, stored: bytes) -> None:
    box.open(TENANT, PURPOSE, stored)
    with ThreadPoolExecutor(8) as threads:
        opened = list(threads.map(lambda _: box.open(TENANT, PURPOSE, stored), range(100)))
    assert {one.get_secret_value() for one in opened} == {SECRET}
    assert kms.asked("Decrypt") == 1


def test_a_data_key_is_forgotten_in_time(client: KmsClient, kms: FakeKms, stored: bytes) -> None:
    now = [0.0]
    box = SecretBox(KmsKey(ARN, client, clock=lambda: now[0]))
    for now[0] in (0.0, REMEMBERED_SECONDS - 1, REMEMBERED_SECONDS + 1):
        box.open(TENANT, PURPOSE, stored)
    assert kms.asked("Decrypt") == 2
    now[0] *= 2
    kms.error = (400, "AccessDeniedException")
    assert_fails("KEY_UNAVAILABLE", partial(box.open, TENANT, PURPOSE, stored), kms)


# From one kind of key to another -------------------------------------------------------------


def test_a_secret_moves_from_a_file_to_kms_and_back(client: KmsClient, kms: FakeKms) -> None:
    file_key, kms_key = os.urandom(32), KmsKey(ARN, client)
    stored = SecretBox(file_key).seal(TENANT, PURPOSE, SECRET)
    moved = SecretBox(kms_key, previous=[file_key]).rewrap(TENANT, PURPOSE, stored)
    back = SecretBox(file_key, previous=[kms_key]).rewrap(TENANT, PURPOSE, moved)
    assert [stored[0], moved[0], back[0]] == [1, 2, 1]
    assert stored[69:] == moved[11 + 152 :] == back[69:]
    assert SecretBox(kms_key).open(TENANT, PURPOSE, moved).get_secret_value() == SECRET
    assert SecretBox(file_key).open(TENANT, PURPOSE, back).get_secret_value() == SECRET


def test_while_keys_change_both_open(client: KmsClient, stored: bytes) -> None:
    file_key = os.urandom(32)
    box = SecretBox(file_key, previous=[KmsKey(ARN, client)])
    old = SecretBox(file_key).seal(TENANT, PURPOSE, SECRET)
    for one in (old, stored):
        assert box.open(TENANT, PURPOSE, one).get_secret_value() == SECRET


def test_a_key_of_kms_has_the_same_id_everywhere(client: KmsClient) -> None:
    assert len(KmsKey(ARN, client).id) == 8
    assert KmsKey(ARN, client).id == KmsKey(ARN, client).id != KmsKey(OTHER_ARN, client).id


# The client ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arn",
    [
        "",
        "1234abcd-12ab-34cd-56ef-1234567890ab",
        ARN.replace("key/", "alias/"),
        ARN.replace(":kms:", ":s3:"),
        ARN.replace("eu-central-1", ""),
        ARN + "\n",
    ],
)
def test_what_is_not_the_arn_of_a_key_is_refused(client: KmsClient, arn: str) -> None:
    assert_fails("KEY_INVALID", lambda: kms_client(arn))
    assert_fails("KEY_INVALID", lambda: KmsKey(arn, client))


def test_the_region_is_that_of_the_key(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    client = kms_client(ARN)
    assert client.meta.endpoint_url == "https://kms.eu-central-1.amazonaws.com"  # type: ignore[attr-defined]


def test_without_boto3_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "boto3"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "boto3", None)
    error = assert_fails("KEY_INVALID", lambda: kms_client(ARN))
    assert "pip install 'osprey-strike[kms]'" in str(error)


def test_an_endpoint_that_is_no_url_is_refused(aws: None) -> None:
    assert_fails("KEY_INVALID", lambda: kms_client(ARN, "not a url"))


def test_an_aws_profile_that_is_not_there_is_told(
    aws: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert "ProfileNotFound" in str(assert_fails("KEY_UNAVAILABLE", lambda: kms_client(ARN)))


def test_no_data_key_is_logged_at_any_level(
    box: SecretBox, kms: FakeKms, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        box.open(TENANT, PURPOSE, box.seal(TENANT, PURPOSE, SECRET))
    assert kms.asked("Decrypt") == 1
    assert kms.requests[0][1]["Plaintext"] not in caplog.text
