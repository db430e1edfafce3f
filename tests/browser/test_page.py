"""
The report's page in a real browser: on a phone and on a desk, by day and by night.
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from analysis.folders import PAGE_SUFFIX, REFERENCE, REPORT, RESULTS
from analysis.formatting import table
from analysis.report.page import page

if TYPE_CHECKING:
    from pathlib import Path

    from selenium.webdriver import Chrome

COMMITTED = (RESULTS / REFERENCE / REPORT).with_suffix(PAGE_SUFFIX)

PHONE, DESK = (360, 800), (1280, 900)
SCREENS = {"phone": PHONE, "desk": DESK}
LIGHT, DARK = "light", "dark"

SLICE_PX = 8000
"""The height of a screenshot: Chromium draws no more than some 16000 pixels at once."""

SORT_ALL = """
return [...document.querySelectorAll("th.number button")].map((button) => {
  const header = button.closest("th");
  const rows = header.closest("table").tBodies[0].rows;
  const column = () => [...rows].map((row) => row.cells[header.cellIndex].textContent);
  const press = () => {
    button.click();
    return [header.getAttribute("aria-sort"), column()];
  };
  return { before: column(), presses: [press(), press(), press()] };
});
"""


def show(browser: Chrome, path: Path, screen: tuple[int, int] = DESK, scheme: str = LIGHT) -> None:
    """
    Open a page on a screen of this width and height in pixels, in a colour scheme.
    """
    width, height = screen
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": screen == PHONE}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    for log in ("browser", "performance"):
        browser.get_log(log)
    browser.get(path.as_uri())


def script(browser: Chrome, text: str) -> Any:  # noqa: ANN401 - what the script returns
    """
    The value of a script in the page.
    """
    return browser.execute_script(text)


def requests(browser: Chrome, path: Path) -> list[str]:
    """
    What the page at the path has asked for since it was opened.
    """
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
        and event["params"]["documentURL"] == path.as_uri()
    ]


def sideways_px(browser: Chrome) -> int:
    """
    How far the page itself can be scrolled sideways.
    """
    wider: int = script(
        browser,
        "return document.scrollingElement.scrollWidth - document.documentElement.clientWidth",
    )
    return wider


def numbers(texts: list[str]) -> list[float]:
    """
    The first number of each cell that has one.
    """
    found = (re.search(r"[-+]?\d+(\.\d+)?", text) for text in texts)
    return [float(match[0]) for match in found if match]


def take_screenshots(browser: Chrome, directory: Path, width: int) -> list[Path]:
    """
    The whole page from top to bottom, in pictures of a manageable height.
    """
    height: int = script(browser, "return document.scrollingElement.scrollHeight")
    taken: list[Path] = []
    for top in range(0, height, SLICE_PX):
        tall = min(SLICE_PX, height - top)
        clip = {"x": 0, "y": top, "width": width, "height": tall, "scale": 1}
        options = {"captureBeyondViewport": True, "optimizeForSpeed": True, "clip": clip}
        picture = browser.execute_cdp_cmd("Page.captureScreenshot", options)
        path = directory / f"{len(taken):02d}.png"
        path.write_bytes(base64.b64decode(picture["data"]))
        taken.append(path)
    return taken


@pytest.mark.parametrize("scheme", [LIGHT, DARK])
@pytest.mark.parametrize("screen", SCREENS.values(), ids=SCREENS)
def test_it_is_whole_and_fits_the_screen(
    browser: Chrome, tmp_path: Path, screen: tuple[int, int], scheme: str
) -> None:
    """
    No complaint, no request, nothing sideways, every drawing there; screenshots to look at.
    """
    show(browser, COMMITTED, screen, scheme)
    assert browser.get_log("browser") == []
    others = [url for url in requests(browser, COMMITTED) if not url.startswith("data:")]
    assert others == [COMMITTED.as_uri()]
    assert sideways_px(browser) == 0
    drawn = script(
        browser,
        "return [...document.images].map((image) => "
        "[image.naturalWidth, image.getBoundingClientRect().width, image.alt.length])",
    )
    assert len(drawn) == len(list(COMMITTED.parent.glob("figures/*.svg")))
    assert all(min(sizes) > 0 for sizes in drawn)
    (red, green, blue, *_) = numbers_of_colour(browser, "backgroundColor")
    assert (min(red, green, blue) > 128) is (scheme == LIGHT)
    pictures = take_screenshots(browser, tmp_path, screen[0])
    assert pictures[0].stat().st_size > 10_000


def numbers_of_colour(browser: Chrome, name: str) -> list[float]:
    """
    Red, green and blue of a colour of the page.
    """
    colour: str = script(browser, f"return getComputedStyle(document.body).{name}")
    return [float(number) for number in re.findall(r"[\d.]+", colour)]


@pytest.mark.parametrize("screen", SCREENS.values(), ids=SCREENS)
def test_the_contents_lead_to_every_section(browser: Chrome, screen: tuple[int, int]) -> None:
    """
    Each link to its own heading, which then stands at the top, and not below the contents.
    """
    show(browser, COMMITTED, screen)
    ends = script(
        browser,
        "return [...document.querySelectorAll('nav a')].map((link) => "
        "[link.textContent, document.getElementById(link.hash.slice(1))?.textContent])",
    )
    assert len(ends) > 20
    assert [end for end in ends if end[0] != end[1]] == []
    headings = browser.find_elements(By.CSS_SELECTOR, "h2, h3")
    assert [heading.text for heading in headings] == [text for text, _ in ends]
    contents = browser.find_element(By.TAG_NAME, "details")
    assert (contents.get_attribute("open") is None) is (screen == PHONE)
    if screen == PHONE:
        contents.find_element(By.TAG_NAME, "summary").click()
    link = contents.find_elements(By.TAG_NAME, "a")[5]
    name = str(link.get_attribute("hash"))[1:]
    link.click()
    top = script(browser, f"return document.getElementById({name!r}).getBoundingClientRect().top")
    bar = script(
        browser,
        "const bar = document.querySelector('nav').getBoundingClientRect();"
        "return bar.width < innerWidth ? 0 : bar.bottom",
    )
    assert bar <= top < screen[1] / 2
    current = browser.find_element(By.CSS_SELECTOR, "nav a[aria-current]")
    assert current.get_attribute("hash") == f"#{name}"


def test_a_click_on_a_header_sorts_by_it(browser: Chrome) -> None:
    """
    By the first number of a cell: up, down, and again as the report has it.
    """
    show(browser, COMMITTED)
    columns = script(browser, SORT_ALL)
    assert len(columns) > 50
    for column in columns:
        (rising, upwards), (falling, downwards), (neither, again) = column["presses"]
        assert (rising, falling, neither) == ("ascending", "descending", None)
        before = sorted(numbers(column["before"]))
        assert numbers(upwards) == before
        assert numbers(downwards) == before[::-1]
        assert again == column["before"]
        # What has no number comes last both times.
        for texts in (upwards, downwards):
            assert numbers(texts[: len(before)]) == numbers(texts)


def test_a_sorted_table_says_so_to_those_who_press_keys(browser: Chrome, tmp_path: Path) -> None:
    """
    The header is a button; one column at a time is the sorted one; numbers in names count as such.
    """
    rows = [["cpus-10", "+2.5 % [+1, +4]"], ["cpus-2", "–"], ["bare", "-7.1 % [-9, -5]"]]
    path = tmp_path / "report.html"
    path.write_text(page(table(["Variant", "Difference"], rows), {}), encoding="utf-8")
    show(browser, path)
    names, differences = browser.find_elements(By.CSS_SELECTOR, "thead button")
    for button, key, order in (
        (differences, Keys.ENTER, ["bare", "cpus-10", "cpus-2"]),
        (differences, Keys.SPACE, ["cpus-10", "bare", "cpus-2"]),
        (names, Keys.ENTER, ["bare", "cpus-2", "cpus-10"]),
    ):
        button.send_keys(key)
        (marked,) = browser.find_elements(By.CSS_SELECTOR, "[aria-sort]")
        assert marked.text == button.text
        assert [each.text for each in browser.find_elements(By.CSS_SELECTOR, "tbody th")] == order


@pytest.mark.parametrize("screen", SCREENS.values(), ids=SCREENS)
def test_hostile_records_neither_run_nor_widen_the_page(
    browser: Chrome, tmp_path: Path, screen: tuple[int, int]
) -> None:
    """
    An error text is whatever a program printed; it is shown, and does nothing.
    """
    attack = "<script>document.title = 'run'</script><img src=x onerror=\"document.title='run'\">"
    image = "![dot](http://198.18.0.1/dot.png)"
    long = "x" * 400
    cells = f"| {attack} {long} | {image} `{long}` | {' '.join([long] * 3)} | 1 |"
    reasons = f"| Reason | Image | Words | Trial |\n|:--|:--|:--|:--|\n{cells}\n{cells}\n"
    text = f"# Title {long}\n\n## {long}\n\n{attack} {image} {long}\n\n{attack}\n\n{reasons}"
    path = tmp_path / "report.html"
    path.write_text(page(text, {}), encoding="utf-8")
    show(browser, path, screen)
    assert browser.get_log("browser") == []
    assert requests(browser, path) == [path.as_uri()]
    assert browser.title.startswith("Title x")
    assert attack in browser.find_element(By.TAG_NAME, "main").text
    assert sideways_px(browser) == 0
