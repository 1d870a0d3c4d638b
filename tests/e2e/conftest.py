"""The browser tests of a module share one browser and one running hub."""

from __future__ import annotations

from tests.hub_browser import browser as browser
from tests.hub_browser import hub as hub
from tests.hub_browser import tab as tab
