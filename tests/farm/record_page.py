"""The page of records, and that of an MLPerf run, in a real browser: every drawing is there and inside its frame, and nothing has to be scrolled sideways.

record_page.py PAGE MLPERF PICTURES: PAGE is of three records of the same work and one of another, of which the last has roofline and splits."""
import pathlib
import sys

import browser

record, mlperf, pictures = sys.argv[1:]
INSIDE = """[...document.querySelectorAll('svg')].every((s) => { const all = s.getBoundingClientRect();
  return [...s.querySelectorAll('rect, circle, polyline, text')].every((e) => { const r = e.getBoundingClientRect();
    return r.left >= all.left - 1 && r.right <= all.right + 1 && r.top >= all.top - 1 && r.bottom <= all.bottom + 1 }) })"""


def check(good, what):
    if not good:
        raise SystemExit(f"FAILED: {what}")


with browser.Browser() as b:
    for name, file, headings, drawings in (
            ("record", record, ["A clip of a render of its own", "How long leases take", "Scaling", "Roofline", "History", "Seconds", "Megabytes", "Machine", "Clips"], 5),
            ("mlperf", mlperf, ["How long samples take", "What a sample's time goes into", "Configuration"], 2)):
        page = b.open(pathlib.Path(file).resolve().as_uri())
        page.until("document.readyState === 'complete'", 60)
        titles = page.js("[...document.querySelectorAll('h2')].map((h) => h.textContent)")
        check(titles[:len(headings)] == headings, f"{name}: the order is {titles}")
        check(page.js("document.querySelectorAll('svg').length") == drawings, f"{name}: not {drawings} drawings")
        check(page.js("!document.querySelector('script, link, img') && !document.documentElement.outerHTML.includes('NaN')"), f"{name}: more than text and drawings")
        grey = page.js("new Set([...document.querySelectorAll('tr > th:only-of-type')].map((th) => getComputedStyle(th).color)).size")
        check(grey < 2, f"{name}: the first figure of a table looks like a heading")
        for width in (1200, 420):
            page.size(width, 1600)
            page.picture(f"{pictures}/{name}-{width}.png")
            check(page.js("document.documentElement.scrollWidth <= innerWidth"), f"{name}: {width} pixels wide, the page has to be scrolled sideways")
            check(page.js(INSIDE), f"{name}: {width} pixels wide, a part of a drawing lies outside of it")
        check(not page.wrong, f"the console says: {page.wrong}")
    page = b.open(pathlib.Path(record).resolve().as_uri())
    page.until("document.readyState === 'complete'", 60)
    check("3 records of the same work" in page.js("document.body.textContent"), "the record of other work is not left out of the history")
    check("<b>" in page.js("document.body.textContent"), "the name of a file is no text")
    print("both pages show everything that was measured")
