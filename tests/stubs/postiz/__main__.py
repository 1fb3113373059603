"""`./run stub-postiz [--port N]`, or `python -m tests.stubs.postiz`: the stub by hand, until Ctrl-C."""

import argparse
import signal
import sys
import threading

from .server import StubPostiz

PORT = 5055


def main(arguments: list[str] | None = None) -> int:
    """Serves until SIGINT or SIGTERM; 1 when the port is taken."""
    parser = argparse.ArgumentParser(prog="./run stub-postiz", description="A Postiz for trying things out.")
    parser.add_argument("--port", type=int, default=PORT, help=f"port on 127.0.0.1 ({PORT}); 0: a free one")
    parser.add_argument("--organisations", type=int, default=2, help="how many organisations, each with its key (2)")
    parser.add_argument("--version", default="head", help='Postiz\'s version: "head", 2.23.0, 2.18 … (head)')
    parser.add_argument("--rate-limit", type=int, default=30, help="posts per hour and organisation (30)")
    parser.add_argument("--latency", type=float, default=5, help="seconds from a post's date to PUBLISHED (5)")
    asked = parser.parse_args(arguments)
    stub = StubPostiz(asked.organisations, asked.version, asked.rate_limit, latency=asked.latency, port=asked.port)
    try:
        stub.start()
    except (OSError, OverflowError) as error:
        print(f"Can't listen on port {asked.port}: {error}. --port names another one.", file=sys.stderr)
        return 1
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    print(introduction(stub), flush=True)
    ended.wait()
    stub.stop()
    return 0


def introduction(stub: StubPostiz) -> str:
    """Address, keys, and how to drive it."""
    keys = "\n".join(f"  {one.name}: {one.key}" for one in stub.world.organisations)
    return f"""Stub Postiz on {stub.url} (its API: /api/public/v1), version {stub.world.version}; Ctrl-C stops it.
API keys:
{keys}
EditAI connects to it only when it may use private addresses: EDITAI_PRIVATE_HOSTS={stub.url.removeprefix("http://")}
How to drive it (GET {stub.url}/_stub/ names all calls, faults and outcomes):
  curl {stub.url}/_stub/ledger
  curl -d '{{"advance": 3600}}' {stub.url}/_stub/clock
  curl -d '{{"route": "POST /posts", "fault": "drop_after_commit"}}' {stub.url}/_stub/faults"""


if __name__ == "__main__":
    sys.exit(main())
