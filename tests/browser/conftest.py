"""
One Chromium for all tests, cut off from every network.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

from experiments.machines.host_packages import Need, ensure

if TYPE_CHECKING:
    from collections.abc import Iterator

TO_BROWSE = (
    Need("/usr/bin/chromium", "chromium", "to look at report.html"),
    # It is built with the browser, so that the two always understand each other.
    Need("/usr/bin/chromedriver", "chromium-driver", "to steer the browser"),
)

NO_PROXY_LISTENS = "--proxy-server=http://127.0.0.1:9"
"""All that is not a file goes to the discard port, and so nowhere."""

TIMEOUT_S = 30


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """
    Chromium with a profile of its own. Where it cannot be installed, that is an error.
    """
    ensure(TO_BROWSE)
    options = ChromeOptions()
    options.binary_location = TO_BROWSE[0].wanted
    profile = tmp_path_factory.mktemp("profile")
    for argument in (
        "--headless=new",
        f"--user-data-dir={profile}",
        NO_PROXY_LISTENS,
        "--proxy-bypass-list=<-loopback>",
        # Containers have little shared memory.
        "--disable-dev-shm-usage",
    ):
        options.add_argument(argument)
    if os.geteuid() == 0:
        # Chromium refuses to be root inside its sandbox. It loads nothing but the tests' pages.
        options.add_argument("--no-sandbox")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with Chrome(options=options, service=Service(TO_BROWSE[1].wanted)) as chrome:
        chrome.set_page_load_timeout(TIMEOUT_S)
        chrome.set_script_timeout(TIMEOUT_S)
        yield chrome
