"""A stub Postiz and somebody who calls it."""

from collections.abc import Iterator

import pytest

from tests.stubs.postiz import StubPostiz
from tests.stubs.postiz_caller import Caller


@pytest.fixture
def postiz() -> Iterator[StubPostiz]:
    with StubPostiz(organisations=2) as stub:
        yield stub


@pytest.fixture
def caller(postiz: StubPostiz) -> Iterator[Caller]:
    caller = Caller(postiz)
    with caller.client:
        yield caller


@pytest.fixture
def stranger(postiz: StubPostiz) -> Iterator[Caller]:
    caller = Caller(postiz, postiz.organisation(1))
    with caller.client:
        yield caller
