"""Headless Chromium for tests; Debian's packages chromium and chromium-driver are needed."""

import contextlib
import shutil
from pathlib import Path

from selenium.webdriver import Chrome, ChromeOptions, ChromeService

OPTIONS = (
    "--headless",
    "--no-sandbox",  # needed wherever the tests run as root; the pages are our own
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SCREENSHOTS = Path(__file__).parents[1] / "screenshots"


def program(name):
    path = shutil.which(name)
    assert path, f"{name} is missing: apt-get install chromium chromium-driver"
    return path


@contextlib.contextmanager
def started(profile, *more_options):
    """A driver of Chromium with a new profile in a directory, and more of its options."""
    options = ChromeOptions()
    options.binary_location = program("chromium")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for option in (*OPTIONS, f"--user-data-dir={profile}", *more_options):
        options.add_argument(option)
    driver = Chrome(options=options, service=ChromeService(program("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()
