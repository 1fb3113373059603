"""Words of others, as they are kept."""

import pytest

from publishing.channels.texts import clean_name


@pytest.mark.parametrize("sign", [*map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))])
def test_a_name_keeps_no_sign_that_turns_the_direction(sign: str) -> None:
    assert clean_name(f"Bread{sign}moc.live", 200) == "Breadmoc.live"


@pytest.mark.parametrize("sign", ["\n", "\r\n", "\u2028", "\u2029", "\x85"])
def test_a_name_is_one_line(sign: str) -> None:
    assert clean_name(f"Bread{sign}Butter{sign}", 200) == "Bread Butter"
