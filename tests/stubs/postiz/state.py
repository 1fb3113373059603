"""The world of one stub: who and what there is, under one lock, and how time moves it on."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from .clock import Clock
from .faults import Faults
from .gates import Gates
from .ledger import Ledger
from .lifecycle import Life
from .models import Customer, Limits, Media, Organisation, Post, SeenRequest
from .outcomes import Outcomes, Step, published
from .rate import Throttle

NETWORKS = ("tiktok", "instagram", "youtube", "facebook", "x", "linkedin", "threads", "pinterest", "bluesky")
TICK_SECONDS = 0.1
SETTLE_STEPS = 100_000


@dataclass(frozen=True)
class RemoteFile:
    """A file that POST /upload-from-url may find. `data` is its beginning, `size` its length (0: that of `data`)."""

    data: bytes = b""
    size: int = 0
    status: int = 200
    seconds: float = 0  # how long the source takes, in real time


@dataclass(frozen=True)
class Features:
    """What a version of Postiz can do."""

    version: tuple[int, ...]

    @classmethod
    def of(cls, version: str) -> "Features":
        """`head`, or a number such as `2.23.0` or `2.18`; ValueError for anything else."""
        if version == "head":
            return cls((2, 23, 1))
        parts = tuple(int(part) for part in version.split("."))
        return cls((*parts, 0, 0)[:3])

    def since(self, *version: int) -> bool:
        return self.version >= version

    @property
    def head(self) -> bool:
        return self.version > (2, 23, 0)


class World:
    """The stub's state. Whoever changes or reads several things at once holds `lock`."""

    def __init__(self, *, version: str, rate_limit: int, latency: float) -> None:
        self.lock = threading.RLock()
        self.stopping = threading.Event()
        self.version = version
        self.features = Features.of(version)
        self.clock = Clock(self.tick)
        self.limits = Limits()
        self.throttle = Throttle(self.clock, rate_limit)
        self.faults = Faults()
        self.gates = Gates(self.stopping)
        self.life = Life(self.media_key)
        self.life.outcomes.default = published(latency)
        self.organisations: list[Organisation] = []
        self.posts: list[Post] = []
        self.media: list[Media] = []
        self.requests: list[SeenRequest] = []
        self.remote_files: dict[str, RemoteFile] = {}
        self._moment: datetime | None = None  # while something happens late: when it was due
        self.later: list[tuple[datetime, Callable[[], object]]] = []
        self.real_later = 0  # late commits that wait in real time
        self.error_in_list = False  # newer than HEAD: GET /posts names the error
        self.database_down = False  # every call answers 401 without a body
        self.upload_domain = ""  # RESTRICT_UPLOAD_DOMAINS
        self.prefixes: tuple[str, ...] = ("/api/public/v1", "/public/v1")

    @property
    def outcomes(self) -> Outcomes:
        return self.life.outcomes

    @property
    def ledger(self) -> Ledger:
        return self.life.ledger

    def set_version(self, version: str) -> None:
        self.features = Features.of(version)
        self.version = version

    def add_organisation(self, name: str = "") -> Organisation:
        """An organisation with one channel of every network, and a disabled one."""
        organisation = Organisation(name or f"Organisation {len(self.organisations) + 1}")
        for network in NETWORKS:
            organisation.add_integration(network)
        organisation.integrations[0].customer = Customer("Client A")
        organisation.add_integration("tiktok", name=f"{organisation.name} off", disabled=True)
        with self.lock:
            self.organisations.append(organisation)
        return organisation

    def media_key(self, post: Post) -> str:
        """What a publication is counted under: the bytes of its first medium."""
        if not post.media:
            return f"text:{post.content}"
        return next((f"sha256:{item.sha256}" for item in self.media if item.path == post.media[0]), post.media[0])

    # Time

    def now(self) -> datetime:
        """When what happens now happens; after a jump of the clock each thing has its own time. Under the lock."""
        return self._moment or self.clock.now()

    def tick(self) -> None:
        """Lets everything happen that is due by now, in the order of its time."""
        now = self.clock.now()
        with self.lock:
            while self._step(now):
                continue

    def _step(self, now: datetime) -> bool:
        moment = min((when for when, _ in self.later), default=None)
        due = self.life.next_at()
        if moment is not None and moment <= now and (due is None or moment <= due):
            entry = next(entry for entry in self.later if entry[0] == moment)
            self.later.remove(entry)
            self._moment = moment
            try:
                entry[1]()
            finally:
                self._moment = None
            return True
        return self.life.step(now)

    def settle(self) -> Ledger:
        """Advances until nothing is pending; waits in real time for late commits that are due in real time."""
        for _ in range(SETTLE_STEPS):
            self.tick()
            while self.real_later and not self.stopping.wait(0.02):
                continue
            with self.lock:
                times = [when for when, _ in self.later]
                due = self.life.next_at()
                times += [due] if due is not None else []
            if not times:
                return self.ledger
            self.clock.advance(max(0.0, (min(times) - self.clock.now()).total_seconds()) + 0.001)
        raise RuntimeError("the stub does not settle: something always makes new work")

    def commit_later(self, seconds: float, clock: str, apply: Callable[[], object]) -> None:
        """Runs `apply` `seconds` from now, by the stub's clock or in real time."""
        with self.lock:
            if clock == "stub":
                self.later.append((self.clock.now() + timedelta(seconds=seconds), apply))
                return
            self.real_later += 1
        threading.Thread(target=self._commit_in_real_time, args=(seconds, apply), daemon=True).start()

    def _commit_in_real_time(self, seconds: float, apply: Callable[[], object]) -> None:
        stopped = self.stopping.wait(seconds)
        with self.lock:
            try:
                if not stopped:
                    apply()
            finally:
                self.real_later -= 1

    def tick_for_ever(self) -> None:
        while not self.stopping.wait(TICK_SECONDS):
            self.tick()

    # Posts

    def post(self, post_id: str, organisation: Organisation | None = None) -> Post | None:
        """The living post of an id (of one organisation)."""
        for post in self.posts:
            if post.id == post_id and not post.deleted and organisation in (None, post.organisation):
                return post
        return None

    def delete_group(self, organisation: Organisation, group: str) -> None:
        """Hides the posts of a group and ends their workflows; what is in flight goes live all the same."""
        for post in self.posts:
            if post.group == group and post.organisation is organisation and not post.deleted:
                post.deleted = True
                self.life.stop(post)

    def move(self, post_id: str, steps: tuple[Step, ...]) -> Post:
        """Makes `steps` true for a post at once, in place of what it would have come to; LookupError without it."""
        with self.lock:
            post = next((item for item in self.posts if item.id == post_id), None)
            if post is None:
                raise LookupError(f"no post {post_id}")
            self.life.runs = [run for run in self.life.runs if run.post is not post]
            for step in steps:
                self.life.apply(post, step, self.clock.now(), cancelled=post.deleted)
            return post
