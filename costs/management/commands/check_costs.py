"""`./run manage check_costs`: whether ledger, roll-up, periods and reservations agree."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from costs.books import proof


class Command(BaseCommand):
    help = "Adds up the books of account; names the first row of each sum that does not agree, and exits with 1."

    def handle(self, *args: Any, **options: Any) -> None:
        found = proof.differences()
        for difference in found:
            self.stdout.write(f"{difference}\n")
        if found:
            raise CommandError("the books do not agree.")
        self.stdout.write("The books agree: ledger, roll-up, what is spent and what is reserved.\n")
