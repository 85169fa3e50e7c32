"""A server of the chat interface that can do everything wrong; run as `python tests/support/chat_server.py`.

It names the colour with the largest mean in the first image, and prints its URL. A question may order faults: `[500*2]`
fails twice with a status of 500 before it is answered. Other faults are `[429*2]`, `[truncated*1]` (half a JSON body),
`[hang*1]` (no reply for a minute), `[close*1]` (the connection ends in mid-body), `[html*1]` and `[empty*1]` (no
choices); `[slow*50]` takes 50 ms and is answered. The question is the last text of the request.
"""

import argparse
import base64
import io
import json
import re
import sys
import threading
import time
from collections import Counter, deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import numpy as np
from PIL import Image as PILImage

COLORS = ("red", "green", "blue")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    options: argparse.Namespace
    wbufsize = 1 << 16  # a reply in one packet
    failed: ClassVar[Counter[str]] = Counter()
    seen: ClassVar[Counter[str]] = Counter()
    bodies: ClassVar[deque[Any]] = deque(maxlen=50)  # the latest requests
    busy: ClassVar[list[int]] = [0, 0]  # requests at work now, and the most so far
    lock = threading.Lock()

    def log_message(self, *_: Any) -> None: ...

    def send_json(self, status: int, body: dict[str, Any], **headers: str) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(content)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self) -> None:
        if self.path == "/counts":
            self.send_json(200, {"seen": dict(self.seen), "most": self.busy[1]})
        elif self.path == "/bodies":
            self.send_json(200, {"bodies": list(self.bodies)})
        else:
            self.send_json(200, {"object": "list", "data": [{"id": "colors", "object": "model"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.lock:
            self.busy[0] += 1
            self.busy[1] = max(self.busy)
        try:
            self.reply(body)
        finally:
            with self.lock:
                self.busy[0] -= 1

    def reply(self, body: dict[str, Any]) -> None:
        parts = [part for message in body["messages"] for part in as_parts(message["content"])]
        question = next((part["text"] for part in parts[::-1] if part["type"] == "text"), "")
        with self.lock:
            self.seen[question] += 1
            self.bodies.append(body)
        if self.options.key and self.headers.get("Authorization") != f"Bearer {self.options.key}":
            given = self.headers.get("Authorization")
            self.send_json(401, {"error": {"message": f"Incorrect API key provided: {given}"}})
        elif body["model"] != "colors":
            self.send_json(404, {"error": {"message": f"no model {body['model']}"}})
        elif refused := [name for name in self.options.refuse if name in body]:
            self.send_json(400, {"error": {"message": f"Unsupported parameter: '{refused[0]}'"}})
        elif fault := self.due(question):
            self.fail(fault)
        else:
            self.send_json(200, completion(body, parts, logprobs=not self.options.no_logprobs))

    def due(self, question: str) -> str:
        """The fault that a question orders, as long as it has not occurred often enough."""
        found = re.search(r"\[(\w+)\*(\d+)\]", question)
        if found is None:
            return ""
        if found[1] == "slow":
            time.sleep(int(found[2]) / 1000)
            return ""
        with self.lock:
            self.failed[question] += 1
            return found[1] if self.failed[question] <= int(found[2]) else ""

    def fail(self, fault: str) -> None:
        if fault == "429":
            self.send_json(429, {"error": {"message": "slow down"}}, retry_after_ms="20")
        elif fault.isdigit():
            self.send_json(int(fault), {"error": {"message": f"status {fault} as ordered"}}, retry_after_ms="20")
        elif fault == "hang":
            time.sleep(60)
        elif fault in ("truncated", "html", "empty"):
            content = {"truncated": b'{"choices": [{"mess', "html": b"<html>502</html>", "empty": b'{"choices": []}'}[
                fault
            ]
            self.send_response(200)
            self.send_header("Content-Type", "text/html" if fault == "html" else "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        elif fault == "close":
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b'{"choices": [')
            self.close_connection = True


def as_parts(content: Any) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def completion(body: dict[str, Any], parts: list[dict[str, Any]], *, logprobs: bool) -> dict[str, Any]:
    urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    images = [np.array(PILImage.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))) for url in urls]
    means = images[0].mean((0, 1)) / 32 if images else np.zeros(3)
    shares = means - np.logaddexp.reduce(means)
    order = np.argsort(-shares, kind="stable")
    alternatives = [{"token": COLORS[n], "logprob": float(shares[n]), "bytes": None} for n in order]
    choice: dict[str, Any] = {
        "index": 0,
        "finish_reason": "stop",
        "message": {"role": "assistant", "content": f" {COLORS[order[0]]}\n" if images else "none"},
        "logprobs": None,
    }
    if logprobs and body.get("logprobs"):
        shown = alternatives[: body.get("top_logprobs", 0)]
        choice["logprobs"] = {"content": [{**alternatives[0], "top_logprobs": shown}]}
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 0,
        "model": "colors-2026",
        "choices": [choice],
        "usage": {"prompt_tokens": 10 + 5 * len(images), "completion_tokens": 1, "total_tokens": 16},
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--no-logprobs", action="store_true", help="ignore the wish for log-probabilities")
    parser.add_argument("--refuse", action="append", default=[], help="a parameter that is refused")
    parser.add_argument("--key", default="", help="the key that is wanted")
    Handler.options = parser.parse_args()
    server = ThreadingHTTPServer(("127.0.0.1", Handler.options.port), Handler)
    sys.stdout.write(f"http://127.0.0.1:{server.server_address[1]}/v1\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
