import os
import threading
import time
from pathlib import Path
from uuid import uuid4

import pytest
from django.core.files.storage import default_storage
from django.db import transaction
from pytest_django import Settings

from conftest import Person
from profiles import files, scope, storage
from profiles.errors import StorageFull
from profiles.models import Profile, StoredFile
from tests.racing import race

pytestmark = pytest.mark.django_db(transaction=True)


def store(profile: Profile, tmp_path: Path, content: bytes = b"0123456789") -> StoredFile:
    path = tmp_path / "made.mp4"
    path.write_bytes(content)
    return files.store(profile=profile, path=path, area="sources", suffix=".mp4")


def test_storing_moves_the_file_and_knows_its_size_and_hash(in_scope: Profile, tmp_path: Path) -> None:
    row = store(in_scope, tmp_path)
    assert row.key.startswith(f"profiles/{in_scope.pk}/sources/")
    assert (row.size, row.state, row.content_type) == (10, "stored", "video/mp4")
    assert row.sha256 == "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882"
    assert not (tmp_path / "made.mp4").exists()
    with files.local_path(row) as path:
        assert path.read_bytes() == b"0123456789"
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_range_comes_in_chunks(in_scope: Profile, tmp_path: Path) -> None:
    row = store(in_scope, tmp_path, os.urandom(storage.CHUNK * 2 + 5))
    chunks = list(files.open_range(row, 3, storage.CHUNK + 1))
    assert [len(chunk) for chunk in chunks] == [storage.CHUNK, 1]


def test_a_doomed_file_goes_after_commit_and_stays_after_a_rollback(in_scope: Profile, tmp_path: Path) -> None:
    row = store(in_scope, tmp_path)
    with transaction.atomic():
        files.doom([row])
        transaction.set_rollback(True)
    assert default_storage.exists(row.key)
    assert StoredFile.objects.get().state == "stored"
    with transaction.atomic():
        files.doom([row])
        assert default_storage.exists(row.key)
    assert not default_storage.exists(row.key)
    assert not StoredFile.objects.exists()


def test_dooming_works_when_the_scope_has_ended_before_the_commit(owner: Person, tmp_path: Path) -> None:
    with scope.activate(owner.profile.pk):
        row = store(owner.profile, tmp_path)
    with transaction.atomic(), scope.activate(owner.profile.pk):
        files.doom([row])
    assert not default_storage.exists(row.key)


def test_a_store_that_fails_leaves_neither_row_nor_object(
    in_scope: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, key: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage, "put", full)
    with pytest.raises(StorageFull):
        store(in_scope, tmp_path)
    assert not StoredFile.objects.exists()


def test_the_sweep_finds_orphans_both_ways_and_nothing_else(in_scope: Profile, tmp_path: Path) -> None:
    kept = store(in_scope, tmp_path)
    doomed = store(in_scope, tmp_path)
    StoredFile.objects.filter(pk=doomed.pk).update(state="doomed")
    orphan = f"profiles/{in_scope.pk}/sources/orphan.mp4"
    fresh = f"profiles/{in_scope.pk}/sources/fresh.mp4"
    for key in (orphan, fresh):
        path = Path(default_storage.path(key))
        path.write_bytes(b"x")
    long_ago = time.time() - 2 * 86_400
    os.utime(default_storage.path(orphan), (long_ago, long_ago))
    assert files.sweep() == 2
    assert [default_storage.exists(key) for key in (kept.key, doomed.key, orphan, fresh)] == [True, False, False, True]
    assert files.sweep() == 0


def test_erasing_a_profiles_prefix_leaves_a_longer_id_alone(in_scope: Profile, tmp_path: Path) -> None:
    row = store(in_scope, tmp_path)
    neighbour = Path(default_storage.path(f"profiles/{in_scope.pk}-2/sources/theirs.mp4"))
    neighbour.parent.mkdir(parents=True)
    neighbour.write_bytes(b"x")
    files.erase_prefix(in_scope.pk)
    assert not default_storage.exists(row.key)
    assert neighbour.exists()
    neighbour.unlink()


def test_a_folder_that_vanishes_before_it_is_used_is_made_again(
    in_scope: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deleting the last file of a folder takes the folder along, perhaps while another is being stored there."""
    moves: list[Path] = []

    def move(source: Path, target: Path) -> None:
        moves.append(target)
        if len(moves) == 1:
            target.parent.rmdir()
        source.rename(target)

    monkeypatch.setattr("shutil.move", move)
    row = store(in_scope, tmp_path)
    assert default_storage.exists(row.key)
    assert len(moves) == 2


def test_an_object_that_goes_while_keys_are_listed_is_left_out(in_scope: Profile, tmp_path: Path) -> None:
    rows = {row.key: row for row in (store(in_scope, tmp_path), store(in_scope, tmp_path))}
    listed = storage.keys(f"profiles/{in_scope.pk}/")
    first, _ = next(listed)
    (other,) = rows.keys() - {first}
    storage.delete(other)
    assert list(listed) == []


class Bucket:
    """Stands in for S3 where copies are downloaded."""

    bucket_name = "bucket"

    def __init__(self) -> None:
        self.connection = self.meta = self.client = self
        self.downloads: list[str] = []

    def download_file(self, bucket: str, key: str, target: str) -> None:
        self.downloads.append(key)
        Path(target).write_bytes(b"0123456789")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, settings: Settings, tmp_path: Path) -> Bucket:
    bucket = Bucket()
    monkeypatch.setattr(storage, "backend", lambda: bucket)
    settings.SOURCE_CACHE_DIR = tmp_path / "cache"
    settings.SOURCE_CACHE_BYTES = 25
    return bucket


def test_many_use_one_copy_at_the_same_time(bucket: Bucket) -> None:
    owner = uuid4()
    for number in range(20):  # who waits for the download must not wait for those who use it: seen once in many times
        together, key = threading.Barrier(3), f"profiles/a/film-{number}.mp4"

        def use(_: int, together: threading.Barrier = together, key: str = key) -> bytes:
            with storage.local_copy(key, owner=owner, sha256="") as path:
                together.wait(10)  # all three are inside
                return path.read_bytes()

        assert race(use, 3) == [b"0123456789"] * 3
        assert bucket.downloads.pop() == key
        assert bucket.downloads == []


def test_the_copies_used_longest_ago_make_room_but_none_in_use(bucket: Bucket, settings: Settings) -> None:
    owner = uuid4()
    with storage.local_copy("a.mp4", owner=owner, sha256="") as kept:
        os.utime(kept, (1, 1))
        for name in ("b.mp4", "c.mp4", "d.mp4"):
            with storage.local_copy(name, owner=owner, sha256=""):
                pass
        assert kept.exists()
    copies = [path for path in settings.SOURCE_CACHE_DIR.glob("*/*") if path.suffix == ".mp4"]
    assert len(copies) == 3
    assert bucket.downloads == ["a.mp4", "b.mp4", "c.mp4", "d.mp4"]
