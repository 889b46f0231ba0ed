#!/usr/bin/env python3
"""tsa.py FOLDER - a time-stamping authority (RFC 3161) for tests: makes its certificates in FOLDER with openssl, answers on a free port of this machine,
which it prints, and ends when its standard input does."""
import http.server, subprocess, sys, threading

folder = sys.argv[1]
CONFIG = """
[req]
distinguished_name = name
prompt = no
[name]
O = Tests
CN = Tests Root
[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[tsa]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[stamps]
signer_digest = sha256
digests = sha256, sha384, sha512
default_policy = 1.2.3.4.1
serial = serial
accuracy = secs:1
ess_cert_id_alg = sha256
"""


def openssl(*arguments, **more):
    return subprocess.run(("openssl",) + arguments, check=True, capture_output=True, cwd=folder, **more).stdout


def make():
    with open(folder + "/tsa.cnf", "w") as f:
        f.write(CONFIG)
    with open(folder + "/serial", "w") as f:
        f.write("01\n")
    for who in ("root", "tsa"):
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", f"tsa-{who}.key")
    openssl("req", "-x509", "-config", "tsa.cnf", "-extensions", "root", "-key", "tsa-root.key", "-days", "30", "-out", "tsa-root.pem")
    openssl("req", "-new", "-config", "tsa.cnf", "-subj", "/O=Tests/CN=Tests TSA", "-key", "tsa-tsa.key", "-out", "tsa.csr")
    openssl("x509", "-req", "-in", "tsa.csr", "-CA", "tsa-root.pem", "-CAkey", "tsa-root.key", "-CAcreateserial", "-days", "20", "-sha256",
            "-extfile", "tsa.cnf", "-extensions", "tsa", "-out", "tsa.pem")


class Answer(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        with open(folder + "/query.tsq", "wb") as f:
            f.write(self.rfile.read(int(self.headers["Content-Length"])))
        reply = openssl("ts", "-reply", "-config", "tsa.cnf", "-section", "stamps", "-queryfile", "query.tsq", "-inkey", "tsa-tsa.key", "-signer", "tsa.pem",
                        "-chain", "tsa-root.pem")
        self.send_response(200)
        self.send_header("Content-Type", "application/timestamp-reply")
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, *_):
        pass


make()
server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
print(server.server_port, flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
