"""`create_user NAME [--json]`: a user with a default profile and a token."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from profiles.errors import DomainError
from profiles.first_login import new_login


class Command(BaseCommand):
    help = "Makes a user with a default profile and a token, and prints {username, password, token, profile_id}."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, name: str, json: bool, **options: Any) -> None:
        try:
            login = new_login(name)
        except DomainError as error:
            reasons = "; ".join(" ".join(messages) for messages in (error.fields or {}).values())
            raise CommandError(f"{error.message} {reasons}".strip()) from error
        self.stdout.write(_as_json(login) if json else "\n".join(f"{key:<11} {login[key]}" for key in login))


def _as_json(login: dict[str, str]) -> str:
    return json.dumps(login)
