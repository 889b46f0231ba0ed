"""The report in a real browser: what waits and what failed come first, the search finds, a contact sheet plays its clip.

report_page.py OUT PICTURES: of OUT one clip failed, and others wait for a decision."""
import pathlib
import sys

import browser

out, pictures = sys.argv[1:]


def check(good, what):
    if not good:
        raise SystemExit(f"FAILED: {what}")


with browser.Browser() as b:
    page = b.open(pathlib.Path(out, "report", "index.html").resolve().as_uri())
    page.until("document.readyState === 'complete' && !!document.querySelector('a.play')", 60)
    titles = page.js("[...document.querySelectorAll('h2')].map((h) => h.textContent)")
    check(titles[:4] == ["What waits for a decision", "What failed, and why", "Clips", "Every clip"], f"the order is {titles}")
    check("reelwright review " in page.js("document.querySelector('.do').textContent"), "the page does not say how one decides")
    for width in (1200, 420):
        page.size(width, 1600)
        page.picture(f"{pictures}/report-{width}.png")
        check(page.js("document.documentElement.scrollWidth <= innerWidth"), f"{width} pixels wide, the page has to be scrolled sideways")
    cards = page.js("document.querySelectorAll('.card').length")
    page.js("field.value = 'k1'; field.oninput()")
    check(page.js("[...document.querySelectorAll('.card')].filter((c) => c.style.display !== 'none').length") < cards, "the search hides nothing")
    page.js("field.value = ''; field.oninput()")
    page.js("document.querySelector('a.play').click()")
    page.until("document.querySelector('.card video').readyState >= 1 && document.querySelector('.card video').duration > 0", 60)
    check(page.js("document.querySelectorAll('.card a.play').length") == cards - 1, "another contact sheet went")
    check(not page.wrong, f"the console says: {page.wrong}")
    print("the report shows what waits, what failed, and plays")
