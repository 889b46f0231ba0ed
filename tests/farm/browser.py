"""A Chromium without a window, driven over its DevTools protocol: a small client of the standard library alone."""
import base64
import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import tempfile
import time
import urllib.request


def find():
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if shutil.which(name):
            return shutil.which(name)
    return None


class Socket:
    """A WebSocket of this machine: text frames, masked as a client's must be."""

    def __init__(self, url):
        host, path = url.removeprefix("ws://").split("/", 1)
        name, port = host.split(":")
        self.s = socket.create_connection((name, int(port)), 30)
        key = base64.b64encode(os.urandom(16)).decode()
        self.s.sendall((f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n").encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.s.recv(1)
        assert b" 101 " in head, head

    def send(self, text):
        data, mask = text.encode(), os.urandom(4)
        n = len(data)
        size = bytes([0x80 | n]) if n < 126 else struct.pack("!BH", 0xFE, n) if n < 65536 else struct.pack("!BQ", 0xFF, n)
        self.s.sendall(b"\x81" + size + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data)))

    def take(self, n):
        data = b""
        while len(data) < n:
            piece = self.s.recv(n - len(data))
            if not piece:
                raise EOFError("the browser closed the connection")
            data += piece
        return data

    def receive(self):
        whole = b""
        while True:
            first, size = self.take(2)
            n = size & 0x7F
            n = struct.unpack("!H", self.take(2))[0] if n == 126 else struct.unpack("!Q", self.take(8))[0] if n == 127 else n
            data = self.take(n)
            if first & 0x0F in (0, 1):
                whole += data
                if first & 0x80:
                    return whole.decode()


class Page:
    def __init__(self, url):
        self.socket, self.id, self.wrong = Socket(url), 0, []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.do(domain + ".enable")

    def do(self, method, **params):
        self.id += 1
        self.socket.send(json.dumps({"id": self.id, "method": method, "params": params}))
        while True:
            m = json.loads(self.socket.receive())
            if m.get("id") == self.id:
                if "error" in m:
                    raise RuntimeError(f"{method}: {m['error']}")
                return m.get("result", {})
            self.note(m)

    def note(self, m):
        """What the page's console would show in red."""
        if m.get("method") == "Runtime.exceptionThrown":
            self.wrong.append(m["params"]["exceptionDetails"])
        if m.get("method") == "Log.entryAdded" and m["params"]["entry"]["level"] == "error":
            self.wrong.append(m["params"]["entry"]["text"] + " " + m["params"]["entry"].get("url", ""))

    def js(self, text):
        r = self.do("Runtime.evaluate", expression=text, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in r:
            raise RuntimeError(f"{text}: {r['exceptionDetails']}")
        return r["result"].get("value")

    def holds(self, text):
        """A page that is not there yet knows no answer."""
        try:
            return self.js(text)
        except RuntimeError:
            return False

    def until(self, text, seconds=15):
        end = time.monotonic() + seconds
        while not self.holds(text):
            if time.monotonic() > end:
                raise TimeoutError(f"not within {seconds} s: {text}\nthe page says: {self.js('document.body.innerText')[:1500]}")
            time.sleep(0.02)

    def key(self, key, **more):
        named = {"Enter": ("Enter", 13, "\r"), "Escape": ("Escape", 27, ""), "Tab": ("Tab", 9, ""), " ": ("Space", 32, " ")}
        code, number, text = named.get(key, ("Key" + key.upper(), ord(key.upper()[0]), key))
        for kind in ("keyDown", "keyUp"):
            self.do("Input.dispatchKeyEvent", type=kind, key=key, code=code, windowsVirtualKeyCode=number,
                    **({"text": text} if text and kind == "keyDown" else {}), **more)

    def type(self, text):
        self.do("Input.insertText", text=text)

    def picture(self, path):
        pathlib.Path(path).write_bytes(base64.b64decode(self.do("Page.captureScreenshot", format="png")["data"]))

    def size(self, width, height):
        self.do("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def media(self, **features):
        self.do("Emulation.setEmulatedMedia",
                features=[{"name": k.replace("_", "-"), "value": v} for k, v in features.items()])


class Browser:
    """`with Browser() as b: page = b.open(url)`; each page in a context of its own, with its own cookies."""

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="browser-")
        self.process = subprocess.Popen(
            [find(), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--mute-audio",
             "--no-first-run", "--remote-debugging-port=0", "--user-data-dir=" + self.folder, "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        where = pathlib.Path(self.folder, "DevToolsActivePort")
        end = time.monotonic() + 60
        while not where.exists() or not where.read_text().strip():
            assert self.process.poll() is None and time.monotonic() < end, "Chromium does not start"
            time.sleep(0.05)
        port, path = where.read_text().split()
        self.port, self.root = port, Page.__new__(Page)
        self.root.socket, self.root.id, self.root.wrong = Socket(f"ws://127.0.0.1:{port}{path}"), 0, []
        return self

    def open(self, url, language="en"):
        context = self.root.do("Target.createBrowserContext")["browserContextId"]
        target = self.root.do("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        listed = json.load(urllib.request.urlopen(f"http://127.0.0.1:{self.port}/json/list", timeout=30))
        page = Page(next(t["webSocketDebuggerUrl"] for t in listed if t["id"] == target))
        agent = page.js("navigator.userAgent")
        page.do("Emulation.setUserAgentOverride", userAgent=agent, acceptLanguage=language)
        page.size(1400, 900)
        page.do("Page.navigate", url=url)
        return page

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)
