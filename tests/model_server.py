"""A server on this machine that takes JSON as OpenAI's API does, with the faults that a test asks for."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        with server.lock:
            server.asked.append((self.path, dict(self.headers), body))
            server.times.append(time.monotonic())
            fault = server.faults.pop(0) if server.faults else None
            server.running += 1
            server.most_at_once = max(server.most_at_once, server.running)
        try:
            time.sleep(server.pause)
            self.answer(body, fault)
        finally:
            with server.lock:
                server.running -= 1

    def answer(self, body, fault):
        if isinstance(fault, tuple):  # status, headers, text
            self.send(*fault)
        elif fault in ("half", "drip"):
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            for _ in range(8 if fault == "drip" else 1):
                self.wfile.write(b" " if fault == "drip" else b'{"data": [')
                time.sleep(0.1 if fault == "drip" else 0)
            self.close_connection = True
        else:
            self.send(200, {}, json.dumps(self.server.reply(body, fault)))

    def send(self, status, headers, text):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(text.encode()))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *args):
        pass


class ModelServer(ThreadingHTTPServer):
    """`reply(body, fault)` of a kind of server is what it answers; a fault is None, or one of its own."""

    daemon_threads, block_on_close = True, False
    request_queue_size = 64

    def __init__(self, *faults, pause=0.0):
        """`faults` are given one a request, in order; then it answers as it should."""
        super().__init__(("127.0.0.1", 0), Handler)
        self.faults, self.pause, self.lock = list(faults), pause, threading.Lock()
        self.asked, self.times, self.running, self.most_at_once = [], [], 0, 0
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def handle_error(self, *args):
        """The client hanging up is what is tested."""

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}/v1"
