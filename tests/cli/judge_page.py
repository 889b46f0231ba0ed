"""A recording judged on its page: by requests as a program would send them, or (--browser) in Chromium.

judge_page.py PROGRAM ID RECORDING CODE [--browser PICTURE]: starts `cameo verify ID --page`, tries what must be refused, then types a wrong
code and the right one. The program's store is $REELWRIGHT_TRUST."""
import http.client
import json
import pathlib
import re
import socket
import subprocess
import sys

program, who, recording, code = sys.argv[1:5]
STRANGERS = 300  # more than the page's connections


def check(good, what):
    if not good:
        raise SystemExit(f"FAILED: {what}")


def start(*more):
    p = subprocess.Popen([program, "cameo", "verify", who, "--recording", recording, "--page", *more], stdout=subprocess.PIPE, text=True)
    while not (line := p.stdout.readline()).startswith("http://"):
        check(line, "no address was printed")
    return p, line.strip()


def end(p, status, says=""):
    rest = p.communicate(timeout=60)[0]
    check(p.returncode == status and says in rest, f"status {p.returncode}, expected {status}: {rest}")


def half_request(host):
    s = socket.create_connection(host.split(":"), timeout=30)
    s.sendall(b"GET / HTTP/1.1\r\n")
    return s


class Visitor:
    def __init__(self, address):
        self.host, self.token = re.fullmatch(r"http://([^/]+)/(\?token=\w+)", address).groups()
        self.cookie = self.secret = ""

    def ask(self, method, url, body=None, **headers):
        c = http.client.HTTPConnection(self.host, timeout=30)
        c.request(method, url, None if body is None else json.dumps(body), {"Cookie": self.cookie, **{k.replace("_", "-"): v for k, v in headers.items()}})
        answer = c.getresponse()
        self.headers, data = answer.headers, answer.read()
        c.close()
        return answer.status, data

    def enter(self):
        check(self.ask("GET", "/" + self.token)[0] == 303, "the address does not open")
        self.cookie = self.headers["Set-Cookie"].split(";")[0]
        check(all(w in self.headers["Set-Cookie"] for w in ("HttpOnly", "SameSite=Strict")), "the cookie lacks its rules")
        page = self.ask("GET", "/")[1].decode()
        self.secret = re.search(r'data-secret="(\w+)"', page)[1]
        return page

    def decide(self, good, heard, by="Rita", **headers):
        status, data = self.ask("POST", "/decide", {"by": by, "heard": heard, "good": good}, **{"X_Page": self.secret, **headers})
        return status, json.loads(data) if status == 200 else data.decode()


def by_requests():
    p, address = start()
    v = Visitor(address)
    for url in ("/", "/recording", "/face"):
        check(v.ask("GET", url)[0] == 403, f"{url} is shown to who has no session")
    check(v.ask("GET", "/?token=0")[0] == 403, "a wrong token opens")
    check(v.ask("GET", "/" + v.token, Host="evil.example")[0] == 403, "another name leads here")
    page = v.enter()
    check(Visitor(address).ask("GET", "/" + v.token)[0] == 403, "the address works twice")
    check(code not in page and " ".join(code) not in page, "the page says the code")
    check("My code is _ _ _ _ _ _." in page and "Mein Code ist" in page, "the sentences are not shown")
    check("default-src 'none'" in v.headers["Content-Security-Policy"] and v.headers["Cache-Control"] == "no-store", "headers")
    whole = pathlib.Path(recording).read_bytes()
    check(v.ask("GET", "/recording") == (200, whole), "the recording is not what was given")
    check(v.ask("GET", "/recording", Range="bytes=5-9") == (206, whole[5:10]), "a range of it")
    check(v.ask("GET", "/recording", Range="bytes=-9")[1] == whole, "a range that is none of ours")
    check(v.ask("GET", "/recording", Range=f"bytes={len(whole)}-")[0] == 416, "a range behind its end")
    check(v.headers["Content-Range"] == f"bytes */{len(whole)}", "the answer does not say where it ends")
    check(v.ask("GET", "/face")[1].startswith(b"\x89PNG"), "the face")
    check(v.ask("GET", "/../key")[0] == 404, "another file")
    check(v.decide(True, code, X_Page="no")[0] == 403, "a verdict without the page's secret")
    check(v.decide(True, code, Origin="http://evil.example")[0] == 403, "a verdict from another site")
    check(v.decide(True, code, by=" ")[0] == 400 and v.decide(True, "")[0] == 400, "a verdict without a name or a code")
    status, why = v.decide(True, code, by="Ri\x1bta")
    check(status == 400 and "control characters" in why and "--by" not in why, f"a name with control characters: {why}")
    strangers = [half_request(v.host) for _ in range(STRANGERS)]
    check(v.ask("GET", "/recording")[0] == 200, "strangers that say nothing keep the judge out")
    for s in strangers:
        s.close()
    check(v.ask("POST", "/decide", [], X_Page=v.secret)[0] == 400, "a verdict that is none")
    status, answer = v.decide(True, "0" + code)
    check(status == 200 and not answer["verified"] and not answer["over"] and "4 attempts are left" in answer["message"], f"a wrong code: {answer}")
    status, answer = v.decide(True, " ".join(code))
    check(status == 200 and answer["verified"] and answer["over"], f"the right code: {answer}")
    end(p, 0, f"cameo {who} is verified by Rita")


def in_browser(picture):
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "farm"))
    import browser
    if not browser.find():
        print("not looked at in a browser: there is no Chromium here (apt install chromium)")
        return False
    p, address = start("--by", "Rita")
    with browser.Browser() as b:
        page = b.open(address)
        page.until("document.getElementById('recording')?.readyState >= 2 && document.getElementById('face').naturalWidth > 0")
        check(page.js("document.getElementById('by').value") == "Rita", "the name is not there")
        page.js("document.getElementById('accept').click()")
        page.until("document.getElementById('said').textContent.includes('the code')")
        page.js("document.getElementById('heard').focus()")
        page.type("000 000 0")
        page.key("Enter")
        page.until("document.getElementById('said').textContent.includes('not the passcode')")
        page.js("document.getElementById('heard').value = ''; document.getElementById('heard').focus()")
        page.type(code)
        page.picture(picture)
        check(not page.wrong, f"the console says {page.wrong}")
        page.key("Enter")
        page.until("document.getElementById('said').textContent.includes('Verified')")
    end(p, 0, f"cameo {who} is verified by Rita")
    return True


def reject():
    p, address = start()
    v = Visitor(address)
    v.enter()
    status, answer = v.decide(False, "")
    check(status == 200 and answer["over"] and not answer["verified"] and "not accepted" in answer["message"], f"a no: {answer}")
    end(p, 2)


if sys.argv[5:6] == ["--browser"]:
    in_browser(sys.argv[6])
elif sys.argv[5:6] == ["--reject"]:
    reject()
else:
    by_requests()
