"""The clip that was rendered again, laid over its earlier version and over the pilot: review_compare.py PROGRAM OUT PICTURES."""
import subprocess
import sys

import browser

program, out, pictures = sys.argv[1:]


def check(good, what):
    if not good:
        raise SystemExit(f"FAILED: {what}")


def main(page):
    page.until("found !== null && secret !== '' && document.getElementById('video').readyState >= 2")
    check(page.js("found.earlier"), "there is no earlier version of what was rendered again")
    page.key("c")
    page.until("document.getElementById('other').readyState >= 2 && !document.getElementById('wipe-label').hidden")
    check(page.js("document.getElementById('compare').value") == "earlier", "c does not compare with the earlier version")
    page.js("document.getElementById('wipe').focus()")
    before = page.js("getComputedStyle(document.getElementById('other')).clipPath")
    for _ in range(20):
        page.do("Input.dispatchKeyEvent", type="keyDown", key="ArrowLeft", code="ArrowLeft", windowsVirtualKeyCode=37)
    page.until(f"getComputedStyle(document.getElementById('other')).clipPath !== {before!r}")
    page.js("document.activeElement.blur(); document.getElementById('video').pause(); document.getElementById('video').currentTime = 0.5")
    page.until("Math.abs(document.getElementById('other').currentTime - 0.5) < 0.1")
    page.picture(f"{pictures}/compare.png")
    page.key("c")
    page.until("document.getElementById('compare').value.startsWith('pilot:')")
    page.until("document.getElementById('other').readyState >= 2")
    page.key("c")
    page.until("document.getElementById('other').hidden")
    page.js("document.getElementById('by').value = 'Eva'")
    page.key("a")
    page.until("!busy && document.getElementById('message').textContent.includes('1 approved')")
    check(not page.wrong, f"the console says: {page.wrong}")


server = subprocess.Popen([program, "review", out], stdout=subprocess.PIPE, text=True)
try:
    with browser.Browser() as b:
        main(b.open(server.stdout.readline().strip()))
finally:
    server.terminate()
    server.wait(20)
