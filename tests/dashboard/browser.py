"""A real browser without a window, which talks to nobody but the page it is shown."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from selenium import webdriver
from selenium.common.exceptions import JavascriptException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--hide-scrollbars",
)

TEXT = """
// Also what Bokeh puts in shadow trees, which innerText leaves out; but nothing that is hidden.
const parts = [];
(function read(node) {
  if (node.nodeType === Node.ELEMENT_NODE) {
    const style = getComputedStyle(node);
    if (style.display === "none" || style.visibility === "hidden") { return; }
  }
  if (node.shadowRoot) { read(node.shadowRoot); }
  for (const child of node.childNodes) {
    if (child.nodeType === Node.TEXT_NODE) { parts.push(child.textContent); }
    else if (!["STYLE", "SCRIPT"].includes(child.nodeName)) { read(child); }
  }
})(document.body);
return parts.map((part) => part.trim()).filter(Boolean).join(" ");
"""
CHOICE = 'Bokeh.documents[0].roots().find((root) => root.name === "choice")'
COLUMN = """
const [name, column] = arguments;
for (const root of Bokeh.documents[0].roots()) {
  if (root.name === name) { return Array.from(root.renderers[0].data_source.get(column)); }
}
return null;
"""


class Browser:
    """What a person would see of a page."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, address: str, *, dark: bool = False) -> None:
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.driver.get("about:blank")
        self.errors()  # of the page before, whose server may be gone
        self.driver.get(address)

    def text(self) -> str:
        """All words that are shown."""
        return str(self.driver.execute_script(TEXT))

    def choices(self) -> list[Any]:
        """The fits to choose among."""
        return list(self.driver.execute_script(f"return {CHOICE}.options"))

    def choose(self, number: int) -> None:
        """One of them."""
        chosen = f"const choice = {CHOICE}; choice.value = choice.options[arguments[0]][0]"
        self.driver.execute_script(chosen, number)

    def follow(self, words: str) -> None:
        """Click on a link."""
        self.driver.find_element("link text", words).click()

    def boxes(self, selector: str) -> list[dict[str, float]]:
        """Where things are on the page."""
        script = (
            "return [...document.querySelectorAll(arguments[0])].map("
            "(each) => each.getBoundingClientRect().toJSON())"
        )
        return list(self.driver.execute_script(script, selector))

    def overflow(self) -> int:
        """How much wider than the window the page is."""
        wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(self.driver.execute_script(wide))

    def column(self, panel: str, name: str) -> list[Any]:
        """What a panel of the page draws."""
        return list(self.driver.execute_script(COLUMN, panel, name) or ())

    def until(self, seen: Callable[[], object], seconds: float = 120) -> None:
        """Wait for something to be seen."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                if seen():
                    return
            except JavascriptException:  # the page is not that far yet
                pass
            assert time.monotonic() < deadline, self.text()
            time.sleep(0.1)

    def errors(self) -> list[str]:
        """Of the page's scripts and requests since this was last asked; empty plots only warn."""
        told = self.driver.get_log("browser")
        return [each["message"] for each in told if each["level"] == "SEVERE"]

    def picture(self, path: Any, width: int, height: int | None = None) -> None:
        """The page as PNG, as high as it is unless that is given."""
        self.resize(width, height or 800)
        if height is None:
            whole = "return document.documentElement.scrollHeight"
            self.resize(width, self.driver.execute_script(whole))
        self.driver.save_screenshot(str(path))

    def resize(self, width: int, height: int) -> None:
        """The window's inside."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        time.sleep(1.0)  # Bokeh lays out anew


@contextmanager
def browser() -> Iterator[Browser]:
    """Chromium with a profile of its own, gone with it."""
    profile = tempfile.mkdtemp()
    options = Options()
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = Service(shutil.which("chromedriver"))
    driver = webdriver.Chrome(service=service, options=options)
    try:
        yield Browser(driver)
    finally:
        driver.quit()
        shutil.rmtree(profile, ignore_errors=True)
