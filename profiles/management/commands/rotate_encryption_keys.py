"""`rotate_encryption_keys`: put the new key first in the list of keys, run this, then drop the old ones."""

from typing import Any

from django.core.management.base import BaseCommand

from profiles.credentials import rotate_encryption


class Command(BaseCommand):
    help = "Encrypts all stored keys of outside services anew under the first (newest) encryption key."

    def handle(self, *args: Any, **options: Any) -> None:
        done, lost = rotate_encryption()
        self.stdout.write(f"{done} keys encrypted anew, {lost} can't be read with any known key.")
