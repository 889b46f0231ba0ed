"""The review page with ten thousand clips and two reviewers at once: review_many.py PROGRAM OUT. Says how long each kind of answer takes, and fails beyond
half a second; and when of the reviewers' decisions one is lost, doubled or overwritten."""
import http.client
import json
import subprocess
import sys
import threading
import time
import urllib.parse

program, out = sys.argv[1:]
MOST_S = 0.5


def check(good, what):
    if not good:
        raise SystemExit(f"FAILED: {what}")


class Reviewer:
    def __init__(self, address, by):
        url = urllib.parse.urlparse(address)
        self.port, self.by, self.took = url.port, by, {}
        r = self.ask("GET", "/?" + url.query)
        check(r[0] == 303, f"the address does not let in: {r}")
        self.cookie = r[2].split(";")[0]
        self.secret = self.get("/clips.json")["secret"]

    def ask(self, method, path, body=None, headers=None):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        began = time.monotonic()
        c.request(method, path, body, headers or {})
        r = c.getresponse()
        data = r.read()
        self.took.setdefault(path.split("?")[0], []).append(time.monotonic() - began)
        return r.status, data, r.getheader("Set-Cookie")

    def get(self, path):
        status, data, _ = self.ask("GET", path, headers={"Cookie": self.cookie})
        check(status in (200, 204), f"{path}: {status} {data[:200]}")
        return json.loads(data) if data and path.split("?")[0].endswith("json") else data

    def decide(self, verb, clips, reason=""):
        body = json.dumps({"verb": verb, "by": self.by, "reason": reason, "clips": [c[0] for c in clips],
                           "seen": [f"{c[1]} {c[2]}" for c in clips]})
        status, data, _ = self.ask("POST", "/decide", body, {"Cookie": self.cookie, "X-Review": self.secret})
        check(status == 200, f"{verb}: {status} {data[:300]}")
        return json.loads(data)["answers"]


def main(server):
    eva = Reviewer(server.stdout.readline().strip(), "eva")
    jo = Reviewer(server.stdout.readline().split()[-1], "jo")
    all_of_it = eva.get("/clips.json")
    clips = all_of_it["clips"]
    count = len(clips)
    check(clips[0][1] == "held" and clips[count - 1][1] == "in review", "the held ones are not the first")
    check(eva.get("/clips.json?seen=" + all_of_it["version"]) == b"", "what is not new is sent again")
    held = eva.get("/clips.json?where=gate%3Dflicker")["clips"]
    check(len(held) == count // 100, f"{len(held)} are held by the gate")
    found = eva.get("/clips.json?text=" + urllib.parse.quote("jürgen, \\\"77\\\""))["clips"]
    check(len(found) == 1, f"the search finds {len(found)}")
    for clip in clips[::count // 50]:
        eva.get("/clip.json?id=" + clip[0])
        eva.get("/file?what=thumbnail&id=" + clip[0])
        eva.get("/file?what=video&id=" + clip[0])
    # both at the same clips, at the same time: each is decided by one of them, and the other is told
    both, answers = clips[:20], {}

    def work(who, verb):
        answers[who.by] = [who.decide(verb, [c], "flickers")[c[0]] for c in both]

    threads = [threading.Thread(target=work, args=a) for a in ((eva, "approve"), (jo, "reject"))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    now = {c[0]: c[1] for c in jo.get("/clips.json")["clips"]}
    for i, clip in enumerate(both):
        one, two = answers["eva"][i], answers["jo"][i]
        check(sorted((one, two)) == ["done", "other"], f"{clip[0]}: eva {one}, jo {two}")
        check(now[clip[0]] == ("approved" if one == "done" else "rejected"), f"{clip[0]}: {now[clip[0]]}, eva {one}, jo {two}")
    single = max(eva.took["/decide"] + jo.took["/decide"])
    # all the rest at once
    rest = [c for c in jo.get("/clips.json")["clips"] if c[1] in ("held", "in review")]
    began = time.monotonic()
    done = jo.decide("approve", rest)
    bulk = time.monotonic() - began
    check(set(done.values()) == {"done"} and len(done) == len(rest), "not all of the rest were approved")
    check(jo.get("/clips.json")["open"] == 0, "something is still open")
    for path in ("/clips.json", "/clip.json", "/file"):
        worst = max(eva.took[path] + jo.took.get(path, []))
        print(f"{path}: {worst:.3f} s at most")
        check(worst < MOST_S, f"{path} takes {worst:.3f} s")
    print(f"/decide: {single:.3f} s at most with two at once; {len(rest)} clips at once: {bulk:.2f} s")
    check(single < 2, f"a decision takes {single:.2f} s")


server = subprocess.Popen([program, "review", out], stdout=subprocess.PIPE, text=True)
try:
    main(server)
finally:
    server.terminate()
    check(server.wait(60) == 0, "the server did not end well")
lines = [json.loads(x) for x in open(out + "/audit.jsonl")]
said = [(x["clip"], x["decision"]) for x in lines if x["what"] == "review"]
check(len(said) == len({d for _, d in said}) == len({c for c, _ in said}), f"{len(said)} words in the chain, not one for each clip")
check(json.loads(subprocess.run([program, "verify", out, "--json"], capture_output=True).stdout)["audit"] == "whole", "the chain is not whole")
listed = json.loads(subprocess.run([program, "review", "list", out, "--all", "--json"], check=True, capture_output=True).stdout)
check(len(listed) == len(said), f"{len(said)} words for {len(listed)} clips")
