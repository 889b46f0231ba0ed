"""A campaign reviewed on its page by keyboard, from start to end, in a real browser: two people, both languages, light and dark.

review_page.py PROGRAM OUT PICTURES: OUT is a campaign's folder whose clips (four at least) wait for a decision. What the page looked like is in PICTURES.
The last line says how long the page took to answer."""
import json
import pathlib
import sqlite3
import subprocess
import sys
import time

import browser

program, out, pictures = sys.argv[1:]
pathlib.Path(pictures).mkdir(parents=True, exist_ok=True)

# Text against what is behind it, WCAG 2.2: 4.5 to 1, 3 to 1 for large text. What is hidden or disabled does not count.
CONTRAST = """(() => {
  const rgb = (c) => c.match(/[\\d.]+/g).map(Number), light = ([r, g, b]) => [r, g, b].map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const lum = (c) => { const [r, g, b] = light(rgb(c)); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ground = (e) => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor, v = rgb(c); if (v.length < 4 || v[3] > 0) return c; } return "rgb(255,255,255)"; };
  const bad = [];
  for (const e of document.querySelectorAll("body *")) {
    if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) || !e.checkVisibility() || e.closest("script, :disabled, option, datalist, .skip")) continue;
    const s = getComputedStyle(e), a = lum(s.color), b = lum(ground(e)), ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), large = parseFloat(s.fontSize) >= 24;
    if (ratio < (large ? 3 : 4.5)) bad.push(e.textContent.trim().slice(0, 40) + ": " + ratio.toFixed(2));
  }
  return bad;
})()"""


def check(good, what):
    if not good:
        raise SystemExit(f"FAILED: {what}")


def states():
    listed = json.loads(subprocess.run([program, "review", "list", out, "--all", "--json"], check=True, capture_output=True).stdout)
    return {c["clip"]: c for c in listed}


def shown(page):
    return page.js("document.getElementById('clip').textContent")


def check_names(page):
    """Whatever can be used has a name for who cannot see it."""
    page.do("Accessibility.enable")
    for node in page.do("Accessibility.getFullAXTree")["nodes"]:
        role = node.get("role", {}).get("value")
        if role in ("button", "textbox", "searchbox", "combobox", "slider", "listbox", "option", "link", "table") and not node.get("ignored"):
            check(node.get("name", {}).get("value", "").strip(), f"a {role} has no name: {node}")


def check_keyboard_reaches(page):
    """By Tab alone one comes to everything that can be used, and sees where one is."""
    page.js("document.activeElement.blur()")
    seen = set()
    for _ in range(60):
        page.key("Tab")
        name, outline = page.js("[document.activeElement.id, getComputedStyle(document.activeElement).outlineStyle]")
        if name in seen:
            break
        if name and name != "video":
            check(outline not in ("none", "auto") or outline == "auto", f"nobody sees that {name} has the focus")
            seen.add(name)
    for name in ("by", "language", "search", "filter", "list", "bulk-verb", "bulk", "reason", "approve", "reject", "again", "undo"):
        check(name in seen, f"Tab does not reach {name}: {sorted(seen)}")


def decide(page, key, reason=None):
    """One decision by keys; returns the clip, once the page has gone on."""
    clip = shown(page)
    page.key(key)
    if reason:
        page.until("document.activeElement.id === 'reason'")
        say_nothing(page)  # else the request for a reason passes for the answer to the decision, which is still on its way
        page.type(reason)
        page.key("Enter")
    page.until("!busy && document.getElementById('message').textContent !== ''")
    return clip


def say_nothing(page):
    page.js("document.getElementById('message').textContent = ''")


def main():
    server = subprocess.Popen([program, "review", out], stdout=subprocess.PIPE, text=True)
    try:
        with browser.Browser() as b:
            first = server.stdout.readline().strip()
            page = b.open(first)
            page.until("document.getElementById('clip').textContent !== '' && secret !== ''")
            second = server.stdout.readline().split()[-1]
            again = b.open(first)
            again.until("document.body.innerText.includes('works once')")
            review(page, b.open(second, "de"), b)
    finally:
        server.terminate()
        server.wait(20)


def review(page, other, b):
    waiting = [c for c in states().values() if c["state"] in ("held", "in review")]
    check(len(waiting) >= 4, f"four clips or more that wait, not {len(waiting)}")
    page.until("document.getElementById('video').readyState >= 2 && document.querySelector('#list img').naturalWidth > 0")
    check(page.js("document.getElementById('video').error") is None, "the video does not play")
    page.picture(f"{pictures}/start.png")
    check_names(page)
    check(page.js(CONTRAST) == [], f"too little contrast: {page.js(CONTRAST)}")
    check_keyboard_reaches(page)
    page.js("document.activeElement.blur()")

    # the held ones first, and j and k
    order = page.js("shown.map((c) => c.state)")
    check(order == sorted(order, key=lambda s: s != "held"), f"the held ones are not the first: {order}")
    start = shown(page)
    page.key("j")
    page.until(f"document.getElementById('clip').textContent !== {json.dumps(start)}")
    page.key("k")
    page.until(f"document.getElementById('clip').textContent === {json.dumps(start)}")

    # nobody decides without a name; a rejection has a reason
    page.key("a")
    page.until("document.activeElement.id === 'by'")
    page.type("Eva")
    page.key("Enter")
    say_nothing(page)
    one = decide(page, "a")
    check(states()[one]["state"] == "approved" and states()[one]["reviewer"] == "Eva", f"{one} is not approved: {states()[one]}")
    check(shown(page) != one, "the page does not go on to the next")
    say_nothing(page)
    two = decide(page, "r", "too dark")
    check(states()[two]["state"] == "rejected" and states()[two]["reason"] == "too dark", f"{two}: {states()[two]}")
    say_nothing(page)
    decide(page, "u")
    check(states()[two]["state"] == waiting_state(waiting, two) and shown(page) == two, f"undo: {two} is {states()[two]['state']}, shown {shown(page)}")

    # the second one sees the first's, in the other language; of two at once the second is told
    other.until("document.documentElement.lang === 'de' && document.getElementById('clip').textContent !== ''")
    other.until(f"clips.find((c) => c.id === {json.dumps(one)}).state === 'approved'")
    # also of the undo: who still saw "rejected" would approve a rejected clip, and after the next rejection it is one
    other.until(f"isOpen(clips.find((c) => c.id === {json.dumps(two)}))")
    other.media(prefers_color_scheme="dark", prefers_reduced_motion="reduce")
    other.js("document.getElementById('by').value = 'Jo'")
    other.picture(f"{pictures}/deutsch-dark.png")
    check(other.js(CONTRAST) == [], f"too little contrast in the dark: {other.js(CONTRAST)}")
    check("Freigeben" in other.js("document.body.innerText") and "Approve" not in other.js("document.body.innerText"), "not all of it is German")
    other.js("open(clips.find((c) => c.id === %s))" % json.dumps(two))
    other.until(f"document.getElementById('clip').textContent === {json.dumps(two)}")
    say_nothing(page)
    other.js("load = async () => {}; asked++")  # it has not heard yet, and what it has asked for is dropped
    decide(page, "r", "six fingers")
    other.key("a")
    other.until("document.getElementById('message').textContent.includes('schneller')")
    check(states()[two]["state"] == "rejected", "the second decision won")
    other.until("document.querySelectorAll('#gates td').length > 0")
    check("Belichtung" in other.js("document.getElementById('gates').innerText + document.getElementById('list').innerText"), "the gates' names are not German")

    # a filter, and what it finds
    say_nothing(page)
    page.key("/")
    page.until("document.activeElement.id === 'search'")
    page.type("state=rejected")
    page.key("Enter")
    page.js("document.getElementById('filter').value = 'all'; document.getElementById('filter').onchange()")
    page.until(f"document.querySelectorAll('#list [role=option]').length <= 2 && shown.some((c) => c.id === {json.dumps(two)})")
    page.key("/")
    page.type("nocolumn=1")
    page.until("document.getElementById('message').textContent.includes('no such column')")
    page.key("/")
    page.do("Input.dispatchKeyEvent", type="keyDown", key="Backspace", code="Backspace", windowsVirtualKeyCode=8)
    page.key("Escape")
    page.js("document.getElementById('filter').value = 'open'; document.getElementById('filter').onchange()")
    page.until("shown.length > 1")

    # one more again, and the rest, to the end
    page.until("!busy")
    page.js("step(1, true)")
    page.until("isOpen(current) && found.clip === current.id")
    say_nothing(page)
    three = decide(page, "n")
    check(is_planned(three), f"{three} is not rendered again")
    check_undo(page, three, waiting_state(waiting, three))
    review_at_once(page)
    took = []
    for _ in range(len(waiting) + 2):
        if page.js("clips.filter(isOpen).length") == 0:
            break
        say_nothing(page)
        began = time.monotonic()
        decide(page, "a")
        took.append(time.monotonic() - began)
    check(page.js("clips.filter(isOpen).length") == 0, "something still waits")
    check("Nothing left" in page.js("document.getElementById('message').textContent"), "the page does not say that this is all")
    page.picture(f"{pictures}/end.png")
    page.size(480, 900)
    page.picture(f"{pictures}/narrow.png")
    check(page.js("document.documentElement.scrollWidth <= innerWidth"), "a narrow window has to be scrolled sideways")
    wrong = [w for w in page.wrong + other.wrong if "400" not in str(w)]  # the condition that means nothing
    check(not wrong, f"the console says: {wrong}")
    print(f"{len(waiting)} clips reviewed by keyboard; a decision takes {max(took or [0]):.2f} s at most")


def review_at_once(page):
    """All that are listed: asked first; No changes nothing, and while it asks no key decides; taken back together by u."""
    page.js("document.getElementById('filter').value = 'open'; document.getElementById('filter').onchange()")
    page.until("!busy && shown.length > 0 && shown.every(isOpen)")
    ids = page.js("shown.map((c) => c.id)")
    before = {i: states()[i]["state"] for i in ids}
    page.js("document.getElementById('bulk-verb').value = 'approve'; document.getElementById('bulk').click()")
    page.until("document.getElementById('sure').open")
    check(str(len(ids)) in page.js("document.getElementById('sure-text').textContent"), "the question does not say how many")
    check(page.js(CONTRAST) == [], f"too little contrast in the question: {page.js(CONTRAST)}")
    page.js("document.querySelector('#sure button[value=no]').focus()")
    page.key("a")
    page.key("Enter")
    page.until("!document.getElementById('sure').open && !busy")
    check({i: states()[i]["state"] for i in ids} == before, "No has decided something")
    say_nothing(page)
    page.js("document.getElementById('bulk').click()")
    page.until("document.getElementById('sure').open")
    page.js("document.getElementById('sure-yes').focus()")
    page.key("Enter")
    page.until("!document.getElementById('sure').open && !busy && document.getElementById('message').textContent !== ''")
    check(all(states()[i]["state"] == "approved" for i in ids), f"not all were approved: {states()}")
    say_nothing(page)
    decide(page, "u")
    check({i: states()[i]["state"] for i in ids} == before, "u has not taken all of them back")


def is_planned(clip):
    return states().get(clip, {"state": "planned"})["state"] == "planned"


def set_shot(clip, state):
    """As if a worker had taken up the clip's render, or not."""
    with sqlite3.connect(f"{out}/ledger.db") as ledger:
        ledger.execute("UPDATE shots SET state = ? WHERE shot = (SELECT shot FROM clips WHERE clip_id = ?)", (state, clip))
    ledger.close()


def check_undo(page, clip, before):
    """A clip that is to be rendered again: u takes that back while the render has not begun, and says so when it has."""
    file = pathlib.Path(out, "clips").glob(f"{clip}.*")
    files = {p.name: p.stat().st_ino for p in file}
    set_shot(clip, "leased")
    say_nothing(page)
    decide(page, "u")
    check("has begun" in page.js("document.getElementById('message').textContent"), f"u says: {page.js('document.getElementById(String.raw`message`).textContent')}")
    check(is_planned(clip), f"{clip} was taken back although its render had begun")
    set_shot(clip, "planned")
    page.js("last = [{id: %s}]" % json.dumps(clip))
    say_nothing(page)
    decide(page, "u")
    check(states()[clip]["state"] == before and shown(page) == clip, f"{clip} is {states()[clip]['state']}, shown is {shown(page)}")
    page.until("document.getElementById('video').readyState >= 2")
    check({p.name: p.stat().st_ino for p in pathlib.Path(out, "clips").glob(f"{clip}.*")} == files, "not the files of before")
    say_nothing(page)
    check(decide(page, "n") == clip and is_planned(clip), f"{clip} is not rendered again after that")


def waiting_state(waiting, clip):
    return next(c["state"] for c in waiting if c["clip"] == clip)


main()
