"""A mail server of loopback: real SMTP, letters kept in memory, refusals and silences on demand."""

import contextlib
import socketserver
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any


@dataclass(frozen=True)
class Letter:
    """As it came: envelope and content."""

    sender: str
    recipients: tuple[str, ...]
    content: EmailMessage


@dataclass
class Behaviour:
    """`answers`: what a command (RCPT, DATA, …) is answered with instead of OK."""

    answers: dict[str, str] = field(default_factory=dict)
    silent_seconds: float = 0  # before each answer
    drops_after_data: bool = False  # the letter is kept, the sender never learns it


class _Session(socketserver.StreamRequestHandler):
    timeout = 20
    server: "SmtpServer"

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            self._talk()

    def _talk(self) -> None:
        sender = ""
        recipients: list[str] = []
        self._say("220 stub ready")
        while line := self.rfile.readline(2000):
            verb, _, rest = line.decode("utf-8", "replace").strip().partition(" ")
            verb = verb.upper()
            if verb == "MAIL":
                sender, recipients = _path(rest), []
            elif verb == "RCPT":
                recipients.append(_path(rest))
            refusal = self.server.behaviour.answers.get(verb)
            if refusal:
                self._say(refusal)
            elif verb == "DATA":
                self._say("354 go on")
                if not self._keep(sender, recipients):
                    return
            elif verb == "QUIT":
                self._say("221 bye")
                return
            else:
                self._say("250 fine")

    def _keep(self, sender: str, recipients: list[str]) -> bool:
        data = b""
        while (line := self.rfile.readline(10_000)) not in {b".\r\n", b""}:
            data += line.removeprefix(b".") if line.startswith(b"..") else line
        content: Any = message_from_bytes(data, policy=policy.default)
        self.server.letters.append(Letter(sender, tuple(recipients), content))
        if self.server.behaviour.drops_after_data:
            return False
        self._say("250 taken")
        return True

    def _say(self, text: str) -> None:
        time.sleep(self.server.behaviour.silent_seconds)
        self.wfile.write(text.encode() + b"\r\n")


def _path(text: str) -> str:
    return text.partition("<")[2].partition(">")[0]


class SmtpServer(socketserver.ThreadingTCPServer):
    """Listens on a free port of loopback; `letters` in the order in which they came."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.letters: list[Letter] = []
        self.behaviour = Behaviour()

    @property
    def port(self) -> int:
        port: int = self.server_address[1]
        return port


@contextlib.contextmanager
def smtp_server() -> Iterator[SmtpServer]:
    server = SmtpServer()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
