"""The stages on which the contracts are played: each port's fake and its real adapter."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import stamina

from strike_adapters.render import RenderFieldWork
from strike_adapters.twilio.accounts import WebhookUrls
from strike_adapters.twilio.telephone import TwilioTelephone
from strike_mock.testing import ScriptedStrike
from tests.contracts.mocks import running_mock
from tests.contracts.stages import (
    Accounts,
    Breakdown,
    FakeFieldWorkStage,
    FakeTelephoneStage,
    FieldWorkStage,
    Instances,
    OrderFault,
    RenderStage,
    TelephoneStage,
    TwilioStage,
)

HOLD = '<Response><Pause length="600"/></Response>'


@pytest.fixture(params=["FakeFieldWork", "RenderFieldWork"])
def field_work_stage(request: pytest.FixtureRequest) -> Iterator[FieldWorkStage]:
    if request.param == "FakeFieldWork":
        yield FakeFieldWorkStage()
        return
    fault = Breakdown()
    with (
        stamina.set_testing(True, attempts=3),
        running_mock([fault]) as mock,
        RenderFieldWork(Instances.at(mock.url)) as field_work,
    ):
        yield RenderStage(field_work, mock, fault)


@pytest.fixture(params=["FakeTelephone", "TwilioTelephone"])
def telephone_stage(request: pytest.FixtureRequest) -> Iterator[TelephoneStage]:
    if request.param == "FakeTelephone":
        yield FakeTelephoneStage()
        return
    fault = OrderFault()
    with running_mock([fault], courier=ScriptedStrike(lambda letter: HOLD)) as mock:
        urls = WebhookUrls("https://strike.example")
        telephone = TwilioTelephone(Accounts(), urls, base_url=mock.url)
        yield TwilioStage(telephone, mock, fault)
        telephone.close()
