"""A server of files for the tests of `bittern fetch`, on loopback, that misbehaves as it is told.

    server.py PORT_FILE LOG [CERTIFICATE]

Listens on 127.0.0.1 and 127.0.0.2 on one port, and with a certificate (PEM, with its key) on another one by TLS (both written to PORT_FILE); each request is a line of LOG: "HOST PATH range=... if-range=... token=... at=SECONDS".
What is served lies in memory and is set by POST /set with a JSON object {"/path": {...}, ...}; {"/path": null} forgets one:

    body     the bytes, as text; or size and seed: so many bytes made from the seed
    etag, linked (X-Linked-ETag), linked_size, type, headers {name: value}
    code     the answer's code; codes: [..] one for each request, then the last stays
    location a redirect there ("{other}" is the same server as 127.0.0.2)
    cut      closes the connection after so many bytes of the body, in the first `cuts` requests (all, if absent)
    slow     seconds of pause after each 64 KiB
    stall    sends so many bytes, then nothing
    length   a Content-Length of its own; "none": closes at the end; "chunked": in chunks
    range    "ignore": 200 in any case; "wrong": a Content-Range that begins elsewhere; "total": another total; "refuse": 416
    endless  sends until the other side closes
    extra    so many bytes behind the body
"""
import http.server, json, os, random, ssl, sys, threading, time

files, log_lock, counts = {}, threading.Lock(), {}


def body_of(f):
    if "size" in f:
        return random.Random(f.get("seed", 1)).randbytes(f["size"])
    return f.get("body", "").encode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        files.update(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        counts.clear()
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def note(self):
        line = "%s %s range=%s if-range=%s token=%s at=%.2f" % (
            self.headers.get("Host", "-").split(":")[0], self.path, self.headers.get("Range", "-"), self.headers.get("If-Range", "-"),
            self.headers.get("Authorization", "-").replace(" ", "_"), time.monotonic())
        with log_lock, open(LOG, "a") as out:
            out.write(line + "\n")

    def do_GET(self):
        self.note()
        f = files.get(self.path.split("?")[0])
        count = counts[self.path] = counts.get(self.path, 0) + 1
        self.close_connection = True
        if f is None:
            return self.answer(404, {"Content-Type": "text/plain"}, b"no such file\n")
        codes = f.get("codes", [f.get("code", 200)])
        code = codes[min(count, len(codes)) - 1]
        headers = {"Content-Type": f.get("type", "application/octet-stream"), **f.get("headers", {})}
        for key, name in (("etag", "ETag"), ("linked", "X-Linked-ETag"), ("linked_size", "X-Linked-Size")):
            if key in f:
                headers[name] = str(f[key])
        if "location" in f:
            headers["Location"] = f["location"].replace("{other}", "http://127.0.0.2:%d" % PORT)
        body = body_of(f)
        if code == 200 and "Range" in self.headers and f.get("range") != "ignore" and self.headers.get("If-Range") == f.get("etag"):
            first = int(self.headers["Range"].split("=")[1].split("-")[0])
            if first >= len(body) or f.get("range") == "refuse":
                return self.answer(416, {"Content-Range": "bytes */%d" % len(body)}, b"")
            shift, more = (3 if f.get("range") == "wrong" else 0), (1000 if f.get("range") == "total" else 0)
            headers["Content-Range"] = "bytes %d-%d/%d" % (first + shift, len(body) - 1 + more, len(body) + more)
            code, body = 206, body[first:]
        self.answer(code, headers, body, f, count)

    def answer(self, code, headers, body, f={}, count=1):
        length = f.get("length", len(body))
        self.send_response_only(code)
        for name, value in headers.items():
            self.send_header(name, value)
        if length == "chunked":
            self.send_header("Transfer-Encoding", "chunked")
        elif length != "none" and not f.get("endless"):
            self.send_header("Content-Length", str(length))
        self.send_header("Connection", "close")
        self.end_headers()
        try:
            self.send(body, f, count)
        except OSError:
            pass  # the other side went away

    def send(self, body, f, count):
        if "cut" in f and count <= f.get("cuts", 1 << 30):
            self.wfile.write(body[:f["cut"]])
            return
        if "stall" in f:
            self.wfile.write(body[:f["stall"]])
            self.wfile.flush()
            time.sleep(30)
            return
        while f.get("endless"):
            self.wfile.write(body)
        for at in range(0, len(body), 65536):
            piece = body[at:at + 65536]
            if f.get("length") == "chunked":
                piece = b"%x\r\n%s\r\n" % (len(piece), piece)
            self.wfile.write(piece)
            if "slow" in f:
                self.wfile.flush()
                time.sleep(f["slow"])
        if f.get("length") == "chunked":
            self.wfile.write(b"0\r\n\r\n")
        self.wfile.write(b"x" * f.get("extra", 0))


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_):
        pass


LOG = sys.argv[2]
first = Server(("127.0.0.1", 0), Handler)
PORT = first.server_address[1]
others = [Server(("127.0.0.2", PORT), Handler)]
if len(sys.argv) > 3:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[3])
    others.append(Server(("127.0.0.1", 0), Handler))
    others[1].socket = context.wrap_socket(others[1].socket, server_side=True)
for other in others:
    threading.Thread(target=other.serve_forever, daemon=True).start()
with open(sys.argv[1] + ".new", "w") as out:
    out.write("%d %d" % (PORT, others[-1].server_address[1]))
os.rename(sys.argv[1] + ".new", sys.argv[1])
first.serve_forever()
