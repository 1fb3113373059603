"""A stub of Postiz: a real HTTP server with the replies of Postiz's public API, a clock, faults and a ledger.

    with StubPostiz() as stub:
        stub.faults.script("POST /posts", faults.drop_after_commit())
        … the code under test talks to stub.url with stub.organisation().key …
        assert stub.settle().most() <= 1

By hand: `./run stub-postiz`. From another process: the JSON interface under `/_stub/` (see control.py).
"""

from . import faults, outcomes
from .faults import Fault
from .gates import Gate
from .ledger import Ledger, Publication
from .lifecycle import Webhook
from .models import Customer, Integration, Limits, Media, Organisation, Post, SeenRequest
from .server import StubPostiz
from .state import RemoteFile

__all__ = [
    "Customer",
    "Fault",
    "Gate",
    "Integration",
    "Ledger",
    "Limits",
    "Media",
    "Organisation",
    "Post",
    "Publication",
    "RemoteFile",
    "SeenRequest",
    "StubPostiz",
    "Webhook",
    "faults",
    "outcomes",
]
