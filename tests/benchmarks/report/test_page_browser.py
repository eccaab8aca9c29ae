"""The page in headless Chromium: silent, readable on a phone, sorted and opened by a press.

Debian's `chromium` and `chromium-driver`, driven by Selenium, never what Selenium would download.
`MIXNET_BROWSER=required` turns the skip where there is no browser into a failure.
"""

import json
import os
import shutil

import pytest

from benchmarks.report import page

PHONE, DESKTOP = (390, 844), (1280, 900)
UNFOLD = "for (const fold of document.querySelectorAll('main details')) fold.open = true"
NUMBER = 'button[data-group="table1/usps/kmeans/raw"][data-measure="purity"]'


def lacking(what):
    words = f"no {what} here: the page is not checked (Debian: chromium, chromium-driver; selenium)"
    if os.environ.get("MIXNET_BROWSER") == "required":
        pytest.fail(words)
    pytest.skip(words)


def tools():
    """Paths of the browser and of its driver, and the module that drives them."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    driver = shutil.which("chromedriver")
    try:
        from selenium import webdriver
    except ImportError:
        webdriver = None
    for found, what in ((browser, "chromium"), (driver, "chromedriver"), (webdriver, "selenium")):
        if not found:
            lacking(what)
    return browser, driver, webdriver


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    binary, driver, webdriver = tools()
    home = tmp_path_factory.mktemp("home")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for word in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--no-first-run",
        "--disable-sync",
        f"--user-data-dir={home / 'profile'}",
    ):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(executable_path=driver, env={**os.environ, "HOME": str(home)})
    chromium = webdriver.Chrome(options=options, service=service)
    yield chromium
    chromium.quit()


@pytest.fixture
def opened(browser, full_shelf, monkeypatch):
    """Open the page of the full shelf at a size, all folds open or none; returns the browser."""
    full_shelf.use(monkeypatch)
    path = full_shelf.results / "report.html"
    if not path.exists():
        page.write(full_shelf.store, path)

    def open_at(size, unfolded=True):
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size == PHONE},
        )
        for log in ("browser", "performance"):
            browser.get_log(log)
        browser.get(path.as_uri())
        if unfolded:
            browser.execute_script(UNFOLD)
        return browser

    return open_at


def one(browser, selector):
    return browser.find_element("css selector", selector)


def column(browser, table, index):
    return browser.execute_script(
        "return [...document.getElementById(arguments[0]).tBodies[0].rows]"
        ".map(row => row.cells[arguments[1]].dataset.value ?? row.cells[arguments[1]].innerText)",
        table,
        index,
    )


def heads(browser, table):
    return browser.execute_script(
        "return [...document.getElementById(arguments[0]).tHead.rows[0].cells]"
        ".map(cell => cell.innerText.trim())",
        table,
    )


def test_a_browser_that_is_missing_is_never_passed_over_unseen(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setenv("MIXNET_BROWSER", "required")
    with pytest.raises(pytest.fail.Exception, match="no chromium here"):
        tools()
    monkeypatch.delenv("MIXNET_BROWSER")
    with pytest.raises(pytest.skip.Exception, match="no chromium here"):
        tools()


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_nothing_is_said_on_the_console_and_nothing_is_fetched(opened, size):
    browser = opened(size)
    one(browser, NUMBER).click()
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = {
        event["params"]["request"]["url"].split(",")[0]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    }
    assert any(url.startswith("file://") for url in asked)  # the log does see requests
    assert not [url for url in asked if not url.startswith(("file://", "data:"))]
    assert not [e for e in events if e["method"] == "Network.loadingFailed"]
    assert browser.execute_script("return window.pwned") is None  # labels, reasons and attempts try


def test_it_reads_on_a_phone(opened):
    browser = opened(PHONE)

    def width():
        return browser.execute_script(
            "return Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)"
        )

    assert width() == PHONE[0]
    sizes = browser.execute_script(
        "return [...document.querySelectorAll('main p, main td, main tbody th, main li')]"
        ".filter(e => e.offsetWidth).map(e => parseFloat(getComputedStyle(e).fontSize))"
    )
    assert len(sizes) > 100 and min(sizes) >= 12
    one(browser, NUMBER).click()
    browser.execute_script(
        "for (const d of document.querySelectorAll('dialog details')) d.open = true"
    )
    assert width() == PHONE[0]
    dialog = one(browser, "#records").rect
    assert dialog["x"] >= 0 and dialog["x"] + dialog["width"] <= PHONE[0]
    body = one(browser, "#records-body")
    assert browser.execute_script(
        "return arguments[0].scrollWidth <= arguments[0].clientWidth", body
    )
    image = one(browser, "figure img")
    assert browser.execute_script("return arguments[0].naturalWidth", image) == 8  # it is decoded


def test_a_press_on_a_head_sorts_numbers_as_numbers(opened):
    browser = opened(DESKTOP)
    table = "table1-measures"
    before, index = column(browser, table, 0), heads(browser, table).index("Seconds")
    values = [float(value) for value in column(browser, table, index)]
    assert sorted(values) != sorted(values, key=str)  # text would be sorted otherwise
    head = browser.find_elements("css selector", f"#{table} thead th")[index]
    for direction in ("ascending", "descending"):
        head.find_element("css selector", "button").click()
        assert head.get_attribute("aria-sort") == direction
        assert [float(value) for value in column(browser, table, index)] == sorted(
            values, reverse=direction == "descending"
        )
    assert column(browser, table, 0) != before
    method = browser.find_elements("css selector", f"#{table} thead th")[0]
    method.find_element("css selector", "button").click()
    assert column(browser, table, 0) == sorted(before)
    assert head.get_attribute("aria-sort") is None


def test_negative_numbers_sort_and_empty_ones_stay_last(opened):
    browser = opened(DESKTOP)
    index = heads(browser, "chosen-measures").index("Negative")
    head = browser.find_elements("css selector", "#chosen-measures thead th button")[index]
    for sign in (1, -1):
        head.click()
        values = [float(value) for value in column(browser, "chosen-measures", index)]
        assert len(values) == 2 and max(values) < 0
        assert sign * values[0] < sign * values[1]
    index = heads(browser, "table1-beside").index("Difference")
    head = browser.find_elements("css selector", "#table1-beside thead th")[index]
    for _ in range(2):
        head.find_element("css selector", "button").click()
        assert column(browser, "table1-beside", index)[-1] == "–"  # a single run has none


def test_a_number_opens_its_records_with_the_command(opened):
    browser = opened(DESKTOP)
    dialog = one(browser, "#records")
    assert not dialog.is_displayed()
    number = one(browser, NUMBER)
    words = number.text
    number.click()
    assert dialog.is_displayed()
    assert one(browser, "#records-title").text == "USPS & co · k-means · raw features"
    assert one(browser, "#records-number").text == f"Purity: {words}"
    assert "mixnet run table1 --datasets usps --methods kmeans --seeds 0-2" in dialog.text
    records = dialog.find_elements("css selector", "details")
    assert len(records) == 3
    records[1].find_element("css selector", "summary").click()
    for part in (
        "mixnet run table1 --datasets usps --methods kmeans --seeds 1 --results again",
        "records/usps/kmeans/",
        "-1.json",
        "c0ffee",
        "torch 2.13.0",
        "Linux",
        "done",
    ):
        assert part in records[1].text
    values = [float(value.text) for value in dialog.find_elements("css selector", ".value")]
    assert sum(values) / 3 == pytest.approx(float(words.split(" ")[0]), abs=0.051)
    one(browser, "#records-close").click()
    assert not dialog.is_displayed()


def test_a_group_of_cells_opens_and_says_why_one_failed(opened):
    browser = opened(DESKTOP)
    one(browser, 'button.cells[data-group="table1/coil20/ldmgi/raw"]').click()
    records = browser.find_elements("css selector", "#records details")
    assert [r.find_element("css selector", ".state").text for r in records] == [
        "failed",
        "stale",
        "missing",
    ]
    for record, why in zip(
        records,
        ("ValueError: <script>window.pwned", "code changed: nowhere", "never run"),
        strict=True,
    ):
        record.find_element("css selector", "summary").click()
        assert why in record.text


def test_all_of_it_works_from_the_keyboard(opened):
    from selenium.webdriver.common.keys import Keys

    browser = opened(DESKTOP)
    summary = one(browser, "details.grid summary")
    for shut in (True, False):
        summary.send_keys(Keys.ENTER)
        assert (summary.find_element("xpath", "..").get_attribute("open") is None) == shut
    table = "table1-measures"
    index = heads(browser, table).index("Purity")
    button = browser.find_elements("css selector", f"#{table} thead th button")[index]
    button.send_keys(Keys.SPACE)
    values = [float(value) for value in column(browser, table, index)]
    assert values == sorted(values)
    number, dialog = one(browser, NUMBER), one(browser, "#records")
    number.send_keys(Keys.ENTER)
    assert dialog.is_displayed()
    inside = "return document.getElementById('records').contains(document.activeElement)"
    assert browser.execute_script(inside)
    browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not dialog.is_displayed()
    assert browser.switch_to.active_element == number


def test_it_is_short_until_it_is_unfolded(opened):
    browser = opened(DESKTOP, unfolded=False)
    height = "return document.documentElement.scrollHeight"
    folded = browser.execute_script(height)
    assert folded < 15 * DESKTOP[1]
    first = browser.execute_script(
        "return [...document.querySelectorAll('main > section')].map(section => section.id)"
    )
    assert first[:2] == ["claims", "suite-table1"] and first[-1] == "status"
    assert one(browser, NUMBER).is_displayed()  # Table 1 itself is not folded
    assert not one(browser, "#table1-measures").is_displayed()
    browser.execute_script(UNFOLD)
    assert browser.execute_script(height) > folded + DESKTOP[1]


def test_a_link_unfolds_what_it_leads_to(opened):
    browser = opened(DESKTOP, unfolded=False)
    assert not one(browser, "#choices-table").is_displayed()
    one(browser, 'nav a[href="#choices"]').click()
    assert one(browser, "#choices-table").is_displayed()
    note = one(browser, "#suite-table1 sup a")
    target = note.get_attribute("href").partition("#")[2]
    assert not browser.find_element("id", target).is_displayed()
    browser.execute_script("arguments[0].click()", note)  # a head that stays may cover it
    assert browser.find_element("id", target).is_displayed()


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_records_are_found_by_words(opened, size):
    browser = opened(size, unfolded=False)
    field, said = one(browser, "#find"), one(browser, 'output[for="find"]')
    field.send_keys("USPS means table1/")  # in any order, whatever the case
    assert said.text.startswith("2 of ")
    found = browser.find_elements("css selector", "#found button")
    titles = [button.text.partition("Table 1")[0].strip() for button in found]
    raw = "USPS & co · k-means · raw features"
    assert sorted(titles) == ["USPS & co · k-means · codes", raw]
    found[titles.index(raw)].click()
    assert one(browser, "#records-title").text == raw
    assert len(browser.find_elements("css selector", "#records details")) == 3
    one(browser, "#records-close").click()
    for words, count in (("stale", "1 of "), ("no such record", "0 of "), ("c0ffee", "")):
        field.clear()
        field.send_keys(words)
        assert said.text.startswith(count)
    assert "12 shown" in said.text  # of the many
    assert len(browser.find_elements("css selector", "#found button")) == 12
    assert browser.execute_script("return document.documentElement.scrollWidth") <= size[0]
    field.clear()
    field.send_keys(" ")
    assert said.text == "" and not browser.find_elements("css selector", "#found button")


def test_a_press_shows_a_picture_in_full(opened):
    browser = opened(DESKTOP, unfolded=False)
    picture = one(browser, "#suite-table1 button.picture")
    for pressed in ("true", "false"):
        picture.click()
        assert picture.get_attribute("aria-pressed") == pressed


def test_rows_are_filtered(opened):
    browser = opened(DESKTOP)
    field = one(browser, "#choices-filter")
    field.send_keys("no such words")
    assert one(browser, 'output[for="choices-filter"]').text.startswith("0 of ")
    field.clear()
    field.send_keys("width")
    visible = browser.find_elements("css selector", "#choices-table tbody tr:not([hidden])")
    assert visible and all("width" in row.text for row in visible)
