"""The networks' rules as they stand in the database, read once for all of them; and what a check finds."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from enum import StrEnum
from typing import Any

from publishing.models import NetworkRule
from publishing.models.accounts import OUTBOX
from publishing.rules.facts import EVERY
from publishing.rules.kinds import KINDS, fault_of


@dataclass(frozen=True)
class Rule:
    """One row of `NetworkRule`, as it applies to a network (it may come from the rules for all)."""

    rule: str
    value: Any
    source: str
    checked_on: date | None
    certainty: str
    is_advice: bool = False
    note: str = ""


@dataclass(frozen=True)
class Book:
    """All rules, by network and kind."""

    rules: dict[str, dict[str, Rule]]

    def of(self, network: str) -> dict[str, Rule]:
        """What counts for a network: the rules for all, and in their place its own. The local outbox is no network:
        what counts for all is advice there, and nothing goes through Postiz."""
        common = self.rules.get(EVERY, {})
        if network == OUTBOX:
            return {name: replace(rule, is_advice=True) for name, rule in common.items() if "upload" not in name}
        return {**common, **self.rules.get(network, {})}


def load() -> Book:
    """One query. A row whose value does not fit its kind (written past the admin) is left out."""
    rules: dict[str, dict[str, Rule]] = {}
    for row in NetworkRule.objects.all():
        if fault_of(row.rule, row.value) is None:
            rules.setdefault(row.network, {})[row.rule] = Rule(
                rule=row.rule,
                value=row.value,
                source=row.source,
                checked_on=row.checked_on,
                certainty=row.certainty,
                is_advice=row.is_advice,
                note=row.note,
            )
    return Book(rules)


class Level(StrEnum):
    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """What one rule says. `value`: what was found, `limit`: what the rule demands, both in its unit; `field`: the
    input that is at fault; `can_fix`: a rendition (`publishing.renditions.requests`) mends it."""

    network: str
    rule: str
    level: Level
    message: str
    value: Any = None
    limit: Any = None
    source: str = ""
    checked_on: date | None = None
    certainty: str = NetworkRule.Certainty.SURE
    field: str = "clip_id"
    can_fix: bool = False
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        plain = asdict(self)
        return {**plain, "checked_on": self.checked_on and self.checked_on.isoformat(), "level": str(self.level)}


@dataclass(frozen=True)
class Findings:
    """What the check of one clip for one channel found, worst first."""

    network: str
    items: tuple[Finding, ...] = field(default=())

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.items)

    @property
    def failures(self) -> list[Finding]:
        return [finding for finding in self.items if finding.level is Level.FAIL]

    @property
    def warnings(self) -> list[Finding]:
        return [finding for finding in self.items if finding.level is Level.WARN]

    @property
    def failed(self) -> bool:
        return bool(self.failures)

    @property
    def level(self) -> Level:
        """The worst."""
        return self.items[0].level if self.items else Level.PASS


_ORDER = {Level.FAIL: 0, Level.WARN: 1, Level.PASS: 2}


def sorted_findings(network: str, found: Iterable[Finding]) -> Findings:
    return Findings(network, tuple(sorted(found, key=lambda finding: _ORDER[finding.level])))


def judged(network: str, rule: Rule, *, holds: bool | None, message: str, value: Any, **options: Any) -> Finding:
    """A finding about `rule`: None for `holds` means that nobody can tell."""
    kind = KINDS[rule.rule]
    level = Level.PASS if holds else Level.WARN if holds is None or rule.is_advice else Level.FAIL
    values: dict[str, Any] = {
        "limit": rule.value,
        "source": rule.source,
        "checked_on": rule.checked_on,
        "certainty": rule.certainty,
        "note": rule.note,
        "field": kind.field.format(network=network),
        **options,
    }
    return Finding(network, rule.rule, level, message, value, **values)
