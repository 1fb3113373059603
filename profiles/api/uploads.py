"""Receiving files: to the volume they will stay on, hashed on the way, never beyond what fits.

Django calls this handler for every multipart body, wherever it is read. It refuses before the first byte what is
declared too large (413) or would not leave the free-space mark (507), and again while it comes, because the declared
length may lie and the disk has other users. How much a brand may keep is known above: see `register_upload_limit`.
Whatever goes wrong, the temporary file goes too.
"""

import errno
import hashlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler
from django.core.signals import request_finished
from django.http import HttpRequest, UnreadablePostError

from profiles.api import slots
from profiles.errors import StorageFull, TooMany
from profiles.models import Profile

SUFFIX = ".upload"
STALE_SECONDS = 24 * 3600  # what a crash left behind
_FORM_OVERHEAD = 2**20  # bytes of borders and text fields beside the file
_LOOK_EVERY = 64 * 2**20  # bytes between two looks at the free space
_READ = 2**16  # bytes read from the client at once
_TEXT_FIELDS = 2**16  # bytes of a form that are no file; more than that, and there is one

Judge = Callable[[int], None]
UploadLimit = Callable[[Profile], Judge]

_limits: dict[str, UploadLimit] = {}


def register_upload_limit(name: str, limit: UploadLimit) -> None:
    """Registers how an upper floor limits uploads. `limit(profile)` is called once an upload, before it is read, in any
    scope; what it returns is called with the bytes that the upload has at least, again and again, and asks nobody: it
    raises a DomainError for too many. A second registration under the same name replaces the first."""
    _limits[name] = limit


class ReceivedFile(UploadedFile):
    """A file on disk in FILE_UPLOAD_TEMP_DIR; `sha256` (hex) and `size` are known when it is complete. Whoever wants
    to keep it renames `temporary_file_path()`; otherwise it is deleted at the end of the request."""

    sha256: str = ""

    def __init__(self, name: str | None, content_type: str | None, charset: str | None, extra: Any) -> None:
        file = tempfile.NamedTemporaryFile(suffix=SUFFIX, dir=settings.FILE_UPLOAD_TEMP_DIR)  # noqa: SIM115
        super().__init__(file, name, content_type, 0, charset, extra)

    def temporary_file_path(self) -> str:
        return str(self.file.name)  # type: ignore[union-attr]

    def close(self) -> None:
        try:
            self.file.close()  # type: ignore[union-attr]
        except FileNotFoundError:
            return  # it was moved to where it stays


class _Counted:
    """The request's stream, counting: Django takes a body that breaks off for a complete one."""

    def __init__(self, stream: Any, watched: slots.Watched) -> None:
        self.stream, self.watched = stream, watched

    def read(self, size: int = _READ) -> bytes:
        return self._counted(self.stream.read, min(size, _READ) if size >= 0 else _READ)

    def readline(self, *args: Any) -> bytes:
        return self._counted(self.stream.readline, *args)

    def _counted(self, read: Callable[..., bytes], *args: Any) -> bytes:
        data = read(*args)
        self.watched.moved(len(data))
        return data

    def close(self) -> None:
        self.stream.close()


class GuardedUploadHandler(FileUploadHandler):
    """The only upload handler. Chunks of 256 KiB go straight to disk: memory stays flat."""

    chunk_size = 2**18

    def __init__(self, request: HttpRequest | None = None) -> None:
        super().__init__(request)
        self.received: ReceivedFile | None = None
        self.total = 0
        self.watched: slots.Watched | None = None
        self.declared = 0
        self.judges: list[Judge] = []
        self.give_back: Callable[[], None] = _nothing
        self.unwatch: Callable[[], None] = _nothing

    def handle_raw_input(
        self,
        input_data: IO[bytes],
        META: dict[str, str],
        content_length: int,
        boundary: str,
        encoding: str | None = None,
    ) -> None:
        self.declared = content_length
        if content_length > settings.MAX_UPLOAD_BYTES + _FORM_OVERHEAD:
            raise RequestDataTooBig
        check_free_space(content_length)
        if self.request is None:
            return
        profile: Profile | None = getattr(self.request, "profile", None)
        self.judges = [limit(profile) for limit in _limits.values()] if profile is not None else []
        if content_length > _TEXT_FIELDS:
            self._judge(content_length - _TEXT_FIELDS)
        try:
            self.give_back = slots.uploads.take(self.request)
        except TooMany:
            slots.hang_up(self.request)
            raise
        _of_this_thread.handler = self
        slots.limit_idle(self.request)
        inner = getattr(input_data, "_stream", None)  # the request reads from it; see _Counted
        if inner is not None:
            self.watched, self.unwatch = slots.watch(self.request)
            input_data._stream = _Counted(inner, self.watched)  # type: ignore[attr-defined]

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        if self.request is None or not self.request.path_info.startswith("/api/"):
            raise RequestDataTooBig  # pages take no files
        self._judge(self.total + 1)
        try:
            self.received = ReceivedFile(self.file_name, self.content_type, self.charset, self.content_type_extra)
        except OSError as error:
            self._drop()
            raise _as_domain_error(error) from error
        self.hash = hashlib.sha256()
        self.looked_at = self.total

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        assert self.received is not None
        self.total += len(raw_data)
        try:
            if self.total > settings.MAX_UPLOAD_BYTES:
                raise RequestDataTooBig
            self._judge(self.total)
            if self.total - self.looked_at >= _LOOK_EVERY:
                self.looked_at = self.total
                check_free_space(0)
            self.received.file.write(raw_data)  # type: ignore[union-attr]
            self.hash.update(raw_data)
        except OSError as error:
            self._drop()
            raise _as_domain_error(error) from error
        except BaseException:
            self._drop()
            raise

    def file_complete(self, file_size: int) -> ReceivedFile | None:
        received = self.received
        if received is None:
            return None
        try:
            received.file.flush()  # type: ignore[union-attr]
            received.file.seek(0)  # type: ignore[union-attr]
        except OSError as error:
            self._drop()
            raise _as_domain_error(error) from error
        received.size = file_size
        received.sha256 = self.hash.hexdigest()
        self.received = None
        return received

    def upload_complete(self) -> None:
        self._drop()
        if self.watched is not None and self.watched.total < self.declared:
            raise UnreadablePostError("The upload broke off.")

    def upload_interrupted(self) -> None:
        self._drop()

    def _judge(self, count: int) -> None:
        for judge in self.judges:
            judge(count)

    def _drop(self) -> None:
        self.give_back()
        self.unwatch()
        if self.received is not None:
            self.received.close()
            self.received = None


_of_this_thread = threading.local()


def _end_of_request(**_: Any) -> None:
    """The parser does not tell its handlers when it fails for reasons of its own; the request's end always comes."""
    handler = getattr(_of_this_thread, "handler", None)
    if handler is not None:
        handler._drop()
        del _of_this_thread.handler


request_finished.connect(_end_of_request, dispatch_uid="profiles.api.uploads")


def _nothing() -> None:
    """No slot is held."""


def _as_domain_error(error: OSError) -> Exception:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StorageFull("The disk is full: make room on the server, then try again.")
    return error


def check_free_space(coming: int) -> None:
    """StorageFull (507) when `coming` more bytes would not leave FREE_SPACE_MARK bytes on the data volume."""
    if shutil.disk_usage(settings.FILE_UPLOAD_TEMP_DIR).free - coming < settings.FREE_SPACE_MARK:
        raise StorageFull("There is not enough room on the server for this.")


def sweep_uploads(older_than: float = STALE_SECONDS) -> int:
    """Deletes temporary files that a killed process left behind; returns how many."""
    removed = 0
    before = time.time() - older_than
    for entry in os.scandir(settings.FILE_UPLOAD_TEMP_DIR):
        with suppress(FileNotFoundError):  # its upload has ended since the folder was read
            if entry.name.endswith(SUFFIX) and entry.stat(follow_symlinks=False).st_mtime < before:
                Path(entry.path).unlink()
                removed += 1
    return removed
