import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock
from uuid import uuid4

import pytest

from conftest import Person
from profiles import scope, tenancy
from profiles.models import Credential, Profile, StoredFile
from profiles.scope import OutOfScope


def make_credential(person: Person, kind: str = "gemini") -> Credential:
    with scope.activate(person.profile.pk):
        return Credential.objects.create(profile=person.profile, kind=kind, ciphertext=b"x", last4="")


def test_a_query_outside_any_scope_raises(owner: Person) -> None:
    make_credential(owner)
    with pytest.raises(OutOfScope):
        list(Credential.objects.all())
    with pytest.raises(OutOfScope):
        Credential.objects.count()


def test_the_scope_is_read_when_the_query_runs_not_when_it_is_written(owner: Person, stranger: Person) -> None:
    mine, theirs = make_credential(owner), make_credential(stranger)
    everything = Credential.objects.all()
    with scope.activate(owner.profile.pk):
        assert list(everything.all()) == [mine]
    with scope.activate(stranger.profile.pk):
        assert list(everything.all()) == [theirs]


def test_exclude_subqueries_and_joins_stay_inside(owner: Person, stranger: Person) -> None:
    mine, theirs = make_credential(owner), make_credential(stranger)
    with scope.activate(owner.profile.pk):
        assert not Credential.objects.exclude(pk=mine.pk).exists()
        assert not Credential.objects.filter(pk__in=Credential.objects.filter(pk=theirs.pk)).exists()
        assert Credential.objects.filter(pk=theirs.pk).delete()[0] == 0
        assert Credential.objects.filter(pk=theirs.pk).update(last4="gone") == 0
    with scope.activate(stranger.profile.pk):
        assert Credential.objects.get().last4 == ""


WRITES: dict[str, Callable[[Credential, Credential, Profile], object]] = {
    "save": lambda new, old, mine: new.save(),
    "bulk_create": lambda new, old, mine: Credential.objects.bulk_create([new]),
    "bulk_update": lambda new, old, mine: Credential.objects.bulk_update([old], ["last4"]),
    "move": lambda new, old, mine: Credential.objects.update(profile=mine),
}


@pytest.mark.parametrize("write", WRITES)
def test_writing_a_row_of_another_profile_raises(write: str, owner: Person, stranger: Person) -> None:
    theirs = make_credential(stranger)
    row = Credential(profile=stranger.profile, kind="other", ciphertext=b"", last4="")
    with scope.activate(owner.profile.pk), pytest.raises(OutOfScope):
        WRITES[write](row, theirs, owner.profile)


def test_refresh_and_forward_keys_are_guarded_too(owner: Person, stranger: Person) -> None:
    theirs = make_credential(stranger)
    with scope.activate(owner.profile.pk), pytest.raises(Credential.DoesNotExist):
        theirs.refresh_from_db()
    with pytest.raises(OutOfScope):
        theirs.refresh_from_db()


def test_only_named_system_work_sees_all_profiles(owner: Person, stranger: Person) -> None:
    make_credential(owner)
    make_credential(stranger)
    with scope.all_profiles("sweep stored files"):
        assert Credential.objects.count() == 2
    with pytest.raises(OutOfScope), scope.all_profiles("because I like to"):
        pass


def test_the_scope_ends_with_its_block_and_nests(owner: Person) -> None:
    other = uuid4()
    with scope.activate(owner.profile.pk):
        with scope.activate(other):
            assert scope.require().profile_id == other
        assert scope.require().profile_id == owner.profile.pk
    assert scope.current() is None


def test_a_thread_has_no_scope_unless_it_is_bound(owner: Person) -> None:
    seen: list[object] = []

    def note() -> None:
        seen.append(scope.require().profile_id)

    with scope.activate(owner.profile.pk):
        plain = threading.Thread(target=lambda: seen.append(scope.current()))
        bound = threading.Thread(target=scope.bound(note))
        for thread in (plain, bound):
            thread.start()
            thread.join()
    assert seen == [None, owner.profile.pk]


@contextmanager
def net_off() -> Iterator[None]:
    def always(self: object, compiler: object, connection: object) -> tuple[str, list[object]]:
        return "1=1", []

    with mock.patch.object(tenancy.InActiveScope, "as_sql", always):
        yield


def test_control_without_the_net_the_same_query_leaks(owner: Person, stranger: Person) -> None:
    make_credential(stranger)
    with net_off(), scope.activate(owner.profile.pk):
        assert Credential.objects.count() == 1  # the stranger's
        assert Credential.objects.for_profile(owner.profile).count() == 0  # net 2 alone still holds


def test_new_ids_are_version_7_and_sort_by_time() -> None:
    ids = [tenancy.new_id() for _ in range(50)]
    assert ids == sorted(ids)
    assert {value.version for value in ids} == {7}


def test_every_tenant_row_has_the_guard_as_its_base_manager() -> None:
    from profiles.erasure import tenant_models

    models = tenant_models()
    assert StoredFile in models
    for model in models:
        assert isinstance(model._base_manager, tenancy.GuardedManager), model
        assert isinstance(model._default_manager, tenancy.GuardedManager), model
        assert not model._meta.many_to_many, f"{model} has an automatic many-to-many"
