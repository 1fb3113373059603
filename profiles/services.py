"""Writes about profiles and people. Each takes its own transaction; membership rows are the lock."""

import secrets
from datetime import timedelta
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from profiles.errors import Conflict, Forbidden, Invalid, NotFound
from profiles.models import COLORS, ApiToken, Invitation, Membership, Profile, Role, User
from profiles.tokens import digest

INVITATION_LIFETIME = timedelta(days=7)


def profile_create(*, user: User, name: str, color: str | None = None) -> Profile:
    """A new brand that `user` owns."""
    with transaction.atomic():
        count = Membership.objects.filter(user=user).count()
        profile = Profile.objects.create(name=name, color=color or COLORS[count % len(COLORS)])
        Membership.objects.create(user=user, profile=profile, role=Role.OWNER)
    return profile


def profile_update(profile: Profile, **changes: Any) -> Profile:
    """Changes name or colour; the slug stays, so that links keep working."""
    for name, value in changes.items():
        setattr(profile, name, value)
    profile.save(update_fields=list(changes))
    return profile


def profile_set_default(*, user: User, profile: Profile) -> None:
    """Makes `profile` the user's default; NotFound unless the user is a member of it."""
    with transaction.atomic():
        _lock_membership(user, profile)
        updated = User.objects.filter(pk=user.pk).update(default_profile=profile)
        if not updated:
            raise NotFound


def _lock_membership(user: User, profile: Profile) -> Membership:
    membership = (
        Membership.objects.select_for_update(of=("self",))
        .filter(user=user, profile=profile, profile__state=Profile.State.ACTIVE)
        .first()
    )
    if membership is None:
        raise NotFound
    return membership


def profile_delete(*, user: User, profile: Profile) -> None:
    """Takes the profile out of sight at once and has everything it owned erased by a system task.

    Conflict when it is the caller's own default. Other members' defaults move to another profile of theirs, or to a
    new one.
    """
    with transaction.atomic():
        locked = _lock_profile(profile)
        if locked.state == Profile.State.DELETING:
            raise NotFound
        members = list(Membership.objects.select_for_update().filter(profile=locked).order_by("pk"))
        if User.objects.filter(pk=user.pk, default_profile=locked).exists():
            raise Conflict("This is your default profile: make another one your default first.", code="default_profile")
        locked.state, locked.deleting_since = Profile.State.DELETING, timezone.now()
        locked.save(update_fields=["state", "deleting_since"])
        for membership in members:
            _move_default(membership)
            membership.delete()
        ApiToken.objects.filter(profile=locked).delete()
        Invitation.objects.filter(profile=locked).delete()


def _move_default(membership: Membership) -> None:
    """If the member's default is this profile, points it at another profile of theirs (a new one if need be)."""
    user = User.objects.select_for_update().get(pk=membership.user_id)
    if user.default_profile_id != membership.profile_id:
        return
    other = (
        Membership.objects.filter(user=user, profile__state=Profile.State.ACTIVE)
        .exclude(profile_id=membership.profile_id)
        .order_by("created_at")
        .first()
    )
    new = other.profile if other else profile_create(user=user, name=f"{user.username[:90]}'s brand")
    User.objects.filter(pk=user.pk).update(default_profile=new)


def member_update(
    *, profile: Profile, membership: Membership, role: Role | None = None, can_approve: bool | None = None
) -> Membership:
    """Changes a member's role, or the right to approve; a profile keeps at least one owner. Invalid when the right is
    to be taken from an owner, who always has it."""
    with transaction.atomic():
        locked = _lock_member(profile, membership)
        if role is not None:
            if locked.role == Role.OWNER and role != Role.OWNER:
                _refuse_last_owner(profile)
            locked.role = role
        if can_approve is not None:
            if not can_approve and locked.role == Role.OWNER:
                hint = "Owners always may: change the role first."
                raise Invalid("This right can't be taken away.", fields={"can_approve": [hint]})
            locked.can_approve = can_approve
        locked.save(update_fields=["role", "can_approve"])
    return locked


def member_remove(*, profile: Profile, membership: Membership) -> None:
    """Takes a person out of a profile: a stranger at once, tokens bound to it revoked."""
    with transaction.atomic():
        locked = _lock_member(profile, membership)
        if locked.role == Role.OWNER:
            _refuse_last_owner(profile)
        _move_default(locked)
        ApiToken.objects.filter(user_id=locked.user_id, profile=profile).delete()
        locked.delete()


def _lock_profile(profile: Profile) -> Profile:
    """`no_key`: does not wait for, nor block, the key checks of rows that point at the profile."""
    return Profile.objects.select_for_update(no_key=True).get(pk=profile.pk)


def _lock_member(profile: Profile, membership: Membership) -> Membership:
    _lock_profile(profile)  # one change of members at a time: owners are counted
    locked = Membership.objects.select_for_update().filter(profile=profile, pk=membership.pk).first()
    if locked is None:
        raise NotFound
    return locked


def _refuse_last_owner(profile: Profile) -> None:
    if Membership.objects.filter(profile=profile, role=Role.OWNER).count() == 1:
        raise Conflict("A profile needs an owner: name another one first.", code="last_owner")


def invitation_create(*, profile: Profile, by: User, role: Role, note: str = "") -> tuple[Invitation, str]:
    """A one-time link's row and its secret, good for 7 days."""
    secret = secrets.token_urlsafe(32)
    invitation = Invitation.objects.create(
        profile=profile,
        role=role,
        note=note,
        created_by=by,
        token_hash=digest(secret),
        expires_at=timezone.now() + INVITATION_LIFETIME,
    )
    return invitation, secret


def invitation_accept(
    *, secret: str, user: User | None = None, username: str = "", password: str = ""
) -> tuple[User, Membership]:
    """Lets a person in, once: `user` when they are logged in, else a new user with this name and password.

    NotFound for a link that is unknown, used, expired, or whose profile is gone.
    """
    with transaction.atomic():
        invitation = (
            Invitation.objects.select_for_update(of=("self",))
            .select_related("profile")
            .filter(
                token_hash=digest(secret),
                accepted_at=None,
                expires_at__gt=timezone.now(),
                profile__state=Profile.State.ACTIVE,
            )
            .first()
        )
        if invitation is None:
            raise NotFound
        person = user or user_create(username=username, password=password)
        membership, created = Membership.objects.get_or_create(
            user=person, profile=invitation.profile, defaults={"role": invitation.role}
        )
        if not created:
            raise Conflict("You are a member of this profile already.", code="already_a_member")
        invitation.accepted_at, invitation.accepted_by = timezone.now(), person
        invitation.save(update_fields=["accepted_at", "accepted_by"])
    return person, membership


def user_create(*, username: str, password: str) -> User:
    """A user with a default profile of their own; Invalid for a bad or taken name or a weak password."""
    user = User(username=username)
    try:
        user.full_clean(exclude=["password", "default_profile"])
        validate_password(password, user)
    except ValidationError as error:
        fields = error.message_dict if hasattr(error, "error_dict") else {"password": error.messages}
        raise Invalid("The new user was not made.", fields=fields) from error
    user.set_password(password)
    try:
        with transaction.atomic():
            user.save()
    except IntegrityError as error:
        raise Invalid("The new user was not made.", fields={"username": ["This name is taken."]}) from error
    return user


def require_approver(*, may_approve: bool) -> None:
    if not may_approve:
        raise Forbidden("This needs the right to approve, which an owner of the profile gives to its members.")


def require_owner(role: Role | None) -> None:
    if role != Role.OWNER:
        raise Forbidden("Only owners of the profile may do this.")
