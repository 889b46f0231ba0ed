"""The status page of a run that goes on, in a real browser: what it shows, the buttons that pause and resume, how it says that the run is over.

status_page.py PROGRAM OUT ADDRESS GO PICTURES: one clip of OUT has failed, another is held until the file GO is there. What the page looked like is in PICTURES."""
import json
import pathlib
import subprocess
import sys

import browser

program, out, address, go, pictures = sys.argv[1:]
pathlib.Path(pictures).mkdir(parents=True, exist_ok=True)


def check(good, what):
    if not good:
        raise SystemExit(f"FAILED: {what}")


def state():
    return json.loads(subprocess.run([program, "status", out, "--json"], check=True, capture_output=True).stdout)["control"]


def press(page, verb, until):
    """The button does it, the page says so, and by and by has the button that takes it back."""
    page.until(f"!!document.querySelector('button[data-verb={verb}]:not(:disabled)')", 60)
    page.js(f"document.querySelector('button[data-verb={verb}]').click()")
    page.until("document.getElementById('said').textContent.trim() !== ''", 60)
    page.until(f"!!document.querySelector('button[data-verb={until}]')", 60)


with browser.Browser() as b:
    page = b.open(address)
    page.until("document.querySelectorAll('.pictures img').length >= 1", 60)
    page.until("[...document.images].every((i) => i.complete && i.naturalWidth > 0)", 60)
    check("token" not in page.js("location.href"), "the address bar shows the token")
    check("k2" in page.js("document.body.innerText"), "the page does not name the clip that failed")
    check(page.js("[...document.querySelectorAll('ul b')].reduce((sum, n) => sum + Number(n.textContent), 0)") == 6, "the numbers are not all clips")
    for width in (1200, 420):
        page.size(width, 900)
        page.picture(f"{pictures}/status-{width}.png")
        check(page.js("document.documentElement.scrollWidth <= innerWidth"), f"{width} pixels wide, the page has to be scrolled sideways")
    page.size(1200, 900)
    page.js("window.first = document.querySelector('.pictures img')")
    press(page, "pause", "resume")
    check(state() == "paused", f"after Pause the campaign is {state()}")
    check(page.js("[...document.images].find((i) => i.getAttribute('src') === first.getAttribute('src')) === first"), "a picture was loaded again: it blinks")
    press(page, "resume", "pause")
    check(state() != "paused", "after Resume the campaign is still paused")
    check(page.js("document.getElementById('gone').hidden"), "the page says that nobody answers")
    check(not page.wrong, f"the console says: {page.wrong}")

    pathlib.Path(go).touch()
    page.until("!document.getElementById('gone').hidden", 120)
    check(page.js("[...document.querySelectorAll('button')].every((b) => b.disabled)"), "buttons can be pressed after the run")
    check("reelwright status" in page.js("document.getElementById('gone').innerText"), "the page does not say how it is shown again")
    page.picture(f"{pictures}/status-over.png")
    print("the status page shows, pauses, resumes, and says when it is over")
