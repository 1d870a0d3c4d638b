"""What all tests share: Hypothesis without deadlines, and without chance where CI must be repeatable."""

from __future__ import annotations

import logging
import os

import pytest
from hypothesis import settings

# A shared machine stalls for seconds: a deadline would measure the neighbors.
settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

# Tables are as wide as the terminal: of what is told of them nothing may be cut.
os.environ["COLUMNS"] = "200"

OWN = ("actions", "components", "deploy", "desk", "hub", "learning", "shop", "webchat")


@pytest.fixture
def caplog(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Hear our own loggers, whatever other tests' libraries did to logging: some switch off all that there are."""
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in OWN:
            logger = logging.getLogger(name)
            logger.disabled, logger.propagate = False, True
    return caplog
