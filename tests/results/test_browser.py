"""The page of a run in headless Chromium: it requests nothing, filters, opens examples, and has a dark mode."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as PILImage

from tests.support.browsers import Visit, chromium
from tests.support.runs import HOSTILE, image, write_run
from vqttt.results import report

EXAMPLES, PER_PAGE = 32, 24


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report.write_html(write_run(tmp_path_factory.mktemp("run")))


@pytest.fixture
def visit(browser: Any, page: Path) -> Iterator[Visit]:
    opened = Visit(browser, page)
    yield opened
    opened.page.close()


@pytest.fixture(scope="module")
def shared(browser: Any, page: Path) -> Iterator[Callable[[int], Visit]]:
    """Visits that tests share, by the width of their screens; each test leaves them as if nothing were chosen."""
    opened = dict[int, Visit]()

    def of_width(width: int) -> Visit:
        if width not in opened:
            opened[width] = Visit(browser, page, width=width)
        return opened[width]

    yield of_width
    for visit in opened.values():
        visit.page.close()


def test_the_page_logs_nothing_and_requests_nothing(visit: Visit, page: Path) -> None:
    visit.page.mouse.wheel(0, 100_000)
    visit.page.locator(".card").first.click()
    visit.page.wait_for_timeout(200)
    assert visit.messages == []
    assert visit.requests[0] == page.as_uri()
    assert all(url.startswith("data:image/") for url in visit.requests[1:])


def test_files_outside_the_page_are_refused(visit: Visit, page: Path) -> None:
    PILImage.new("RGB", (8, 8)).save(page.parent / "other.png")
    load = "url => new Promise(done => Object.assign(new Image(), {onload: () => done('loaded'),"
    load += " onerror: () => done('refused'), src: url}))"
    assert visit.page.evaluate(load, (page.parent / "other.png").as_uri()) == "refused"
    assert visit.page.evaluate(load, image(0)) == "loaded"
    assert any("Content Security Policy" in message for message in visit.messages)


def test_cards_are_counted_and_shown_in_pages(visit: Visit) -> None:
    assert visit.page.locator(".card").count() == PER_PAGE
    assert visit.texts("#shown") == [f"{EXAMPLES} examples"]
    visit.page.click("#more")
    assert visit.page.locator(".card").count() == EXAMPLES
    assert not visit.page.locator("#more").is_visible()


@pytest.mark.parametrize(
    ("field", "value", "left"),
    [
        ("flip", "helped", 8),
        ("task", "digits", 16),
        ("degradation", "fog", 16),
        ("severity", "3", 16),
        ("method", "vq-ttt", 16),
    ],
)
def test_filters(shared: Callable[[int], Visit], field: str, value: str, left: int) -> None:
    visit = shared(1200)
    assert visit.page.locator(".card").count() == PER_PAGE
    visit.page.select_option(f"[name={field}]", value)
    data = visit.page.evaluate("JSON.parse(document.getElementById('examples').textContent)")
    places = [" · ".join(text.splitlines()) for text in visit.texts(".card")]
    wanted = data["flips"][value] if field == "flip" else f" {value}" if field == "severity" else value
    assert len(places) == left == sum(str(example[field]) == value for example in data["examples"])
    assert all(wanted in place for place in places)
    visit.page.select_option(f"[name={field}]", "")
    assert visit.page.locator(".card").count() == PER_PAGE


def test_search_and_filters_together(shared: Callable[[int], Visit]) -> None:
    visit = shared(1200)
    visit.page.fill("[type=search]", "CIRCLE gaussian")
    assert visit.texts("#shown") == [f"8 of {EXAMPLES} examples"]
    assert all("circle" in text and "gaussian noise" in text for text in visit.texts(".card"))
    visit.page.select_option("[name=task]", "digits")
    assert visit.page.locator(".card").count() == 4
    visit.page.fill("[type=search]", "no such thing")
    assert visit.page.locator(".card").count() == 0
    visit.page.fill("[type=search]", "")
    visit.page.select_option("[name=task]", "")
    assert visit.page.locator(".card").count() == PER_PAGE


def test_the_large_view_shows_images_kernel_and_answers(visit: Visit) -> None:
    visit.page.select_option("[name=flip]", "corrective")
    visit.page.locator(".card").first.focus()
    visit.page.keyboard.press("Enter")
    assert visit.page.locator("dialog[open]").count() == 1
    assert visit.texts("dialog .trio figcaption") == ["clean", "degraded", "as tuned: through its kernel"]
    assert visit.page.locator("dialog .kernel svg").count() == 2
    assert visit.page.locator("dialog .kernel rect").count() > 9
    shown = visit.texts("dialog .comparison > span")
    assert shown[:6] == ["", "before tuning", "after tuning", "answer", HOSTILE, "square"]
    assert shown[6] == "confidence" and 0 < float(shown[7]) <= 1
    widths = visit.page.evaluate("[...document.querySelectorAll('dialog img')].map(image => image.naturalWidth)")
    assert widths == [128] * 3


def test_keys_move_between_examples_and_close(visit: Visit) -> None:
    visit.page.locator(".card").first.click()
    first = visit.texts("dialog .where")
    visit.page.keyboard.press("ArrowRight")
    second = visit.texts("dialog .where")
    assert first != second and second[0].startswith(f"2 of {EXAMPLES}")
    visit.page.keyboard.press("ArrowLeft")
    assert visit.texts("dialog .where") == first
    visit.page.get_by_label("next").click()
    visit.page.keyboard.press("Enter")  # the same button keeps the focus
    assert visit.texts("dialog .where")[0].startswith("3 of")
    visit.page.keyboard.press("Escape")
    assert visit.page.locator("dialog[open]").count() == 0


def test_an_address_opens_its_example(browser: Any, page: Path, visit: Visit) -> None:
    visit.page.locator(".card").nth(5).click()
    fragment = visit.page.evaluate("location.hash")
    assert fragment.startswith("#image-")
    again = Visit(browser, page, fragment=fragment)
    assert again.texts("dialog[open] .where") == visit.texts("dialog .where")
    again.page.close()


def test_hostile_text_is_shown_as_text(visit: Visit) -> None:
    assert HOSTILE in visit.page.locator(".card").first.inner_text()
    visit.page.locator(".card").first.click()
    assert visit.texts("dialog .full-question") == [HOSTILE]
    assert visit.page.evaluate("document.scripts.length") == 2
    assert visit.messages == []


@pytest.mark.parametrize("width", [390, 820, 1200])
def test_the_page_is_no_wider_than_its_screen(shared: Callable[[int], Visit], width: int) -> None:
    visit = shared(width)
    for detail in range(visit.page.locator("details").count()):
        visit.page.evaluate(f"document.querySelectorAll('details')[{detail}].open = true")
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
    visit.page.locator(".card").first.click()
    assert 0 < visit.page.evaluate("document.querySelector('dialog').getBoundingClientRect().width") <= width
    visit.page.keyboard.press("Escape")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_dark_mode_follows_the_system_and_the_button(browser: Any, page: Path, scheme: str) -> None:
    visit = Visit(browser, page, scheme=scheme)
    background = (
        "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number).reduce((a, b) => a + b) > 380"
    )
    ink = "getComputedStyle(document.querySelector('.panels svg text')).fill.match(/\\d+/g).map(Number)[0] > 127"
    assert visit.page.evaluate(background) == (scheme == "light")
    assert visit.page.evaluate(ink) == (scheme == "dark")
    visit.page.click("#theme")
    assert visit.page.evaluate(background) == (scheme == "dark")
    assert visit.page.evaluate(ink) == (scheme == "light")
    visit.page.close()


CELLS = "#cells table.sortable"


def column(visit: Visit, number: int) -> list[str]:
    return visit.texts(f"{CELLS} tbody td:nth-child({number})")


def test_a_click_or_a_key_on_a_heading_sorts_by_its_column(shared: Callable[[int], Visit]) -> None:
    visit = shared(1200)
    visit.page.evaluate("document.querySelector('#cells details').open = true")
    headings = [text.strip() for text in visit.texts(f"{CELLS} th")]
    number = headings.index("gain") + 1
    heading = visit.page.locator(f"{CELLS} th:nth-child({number})")
    before, rows = column(visit, number), visit.texts(f"{CELLS} tbody tr")
    assert heading.get_attribute("aria-sort") is None
    heading.locator("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    values = [float(text.split()[0].replace("−", "-")) for text in column(visit, number)]
    assert values == sorted(values) and values != sorted(values, reverse=True)
    visit.page.keyboard.press("Enter")  # the button keeps the focus
    assert heading.get_attribute("aria-sort") == "descending"
    values = [float(text.split()[0].replace("−", "-")) for text in column(visit, number)]
    assert values == sorted(values, reverse=True)
    assert sorted(visit.texts(f"{CELLS} tbody tr")) == sorted(rows)
    visit.page.keyboard.press("Space")
    assert heading.get_attribute("aria-sort") is None and column(visit, number) == before
    assert visit.messages == []


def test_one_column_is_sorted_at_a_time_and_words_by_letters(visit: Visit) -> None:
    visit.page.evaluate("document.querySelector('#cells details').open = true")
    visit.page.click(f"{CELLS} th:nth-child(5) button")
    visit.page.click(f"{CELLS} th:nth-child(2) button")
    assert visit.page.locator(f"{CELLS} th[aria-sort]").count() == 1
    assert column(visit, 2) == sorted(column(visit, 2))


def test_the_gain_is_in_view_on_a_phone(shared: Callable[[int], Visit]) -> None:
    visit = shared(390)
    visit.page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    heads = visit.page.locator("th.lead")
    assert heads.count() > 3
    for number in range(heads.count()):
        box = heads.nth(number).bounding_box()
        assert box is None or (box["x"] >= 0 and box["x"] + box["width"] <= 390), heads.nth(number).inner_text()


def test_numbers_of_heat_maps_fit_their_cells(shared: Callable[[int], Visit]) -> None:
    fits = """cell => {
        const before = cell.innerHTML;
        cell.innerHTML = '<b>−100.0</b>';
        const fits = cell.scrollWidth <= cell.clientWidth;
        cell.innerHTML = before;
        return fits;
    }"""
    for width in (390, 1200):
        assert shared(width).page.locator("#heat .heat td").first.evaluate(fits), width


def test_without_scripts_there_are_a_few_examples(browser: Any, page: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    opened = context.new_page()
    opened.goto(page.as_uri())
    assert opened.locator("noscript .card, .card").count() == 6
    assert opened.locator("table.sortable th").count() > 0 and opened.locator("table.sortable th button").count() == 0
    context.close()
