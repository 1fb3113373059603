"""How networks and Postiz count. The numbers for X were compared with twitter-text 3 (its Python port), each."""

import pytest

from publishing.rules.text_length import hashtags, length, length_at_postiz, mentions, utf16_length, weighted_length


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("plain words", 11),
        ("“quoted” – and … so on", 23),
        ("日本語", 6),
        ("한국어 text", 11),
        ("שלום", 4),
        ("café", 4),
        ("cafe\u0301", 4),  # e and a combining accent: NFC makes one of them
        ("q\u0302", 2),  # which has no composed form
        ("각", 2),  # three conjoining letters, one syllable
        ("😷", 2),
        ("👍🏽", 2),
        ("👨‍👩‍👧‍👦", 2),
        ("🏳️‍🌈", 2),
        ("🇩🇪", 2),
        ("🇩🇪🇫🇷", 4),
        ("1️⃣", 2),
        ("❤️", 2),
        ("❤", 2),
        ("🏴󠁧󠁢󠁥󠁮󠁧󠁿", 2),
        ("🏽", 2),
        ("👍 👍", 5),
        ("https://example.com", 23),
        ("https://example.com/" + "long/" * 60, 23),
        ("see https://t.co/abc123.", 4 + 23 + 1),
        ("a foo.com b", 2 + 23 + 2),
        ("www.foo.xyz/abc", 23),
        ("日本https://ex.com日本", 4 + 23 + 4),
        ("https://ex.com/a?b=1&c=2, and", 23 + 5),
        ("write to foo@bar.com", 20),
        ("file.txt and x.y", 16),
        ("english text 日本語 😷 https://example.com", 46),
    ],
)
def test_x_weighs_characters(text, count):
    assert weighted_length(text) == length("x", text) == count


@pytest.mark.parametrize(("text", "count"), [("abc", 3), ("日本", 2), ("😷", 2), ("👨‍👩‍👧‍👦", 11), ("cafe\u0301", 5)])
def test_others_count_as_javascript_does(text, count):
    assert utf16_length(text) == length("tiktok", text) == len(text.encode("utf-16-le")) // 2 == count


def test_in_plain_text_postiz_counts_five_for_an_ampersand():
    assert length("threads", "R&B & more") == 10
    assert length_at_postiz("threads", "R&B & more") == 18
    assert length_at_postiz("x", "R&B & more") == 18
    assert length_at_postiz("threads", "<3 R&B") == length("threads", "<3 R&B") == 6  # sent as paragraphs


def test_hashtags_and_mentions():
    text = "#one #two_2, #3 #3d x#no &#39; https://a.b/#frag #日本 @anna @b.c. mail@x.de"
    assert hashtags(text) == ["one", "two_2", "3d", "日本"]
    assert mentions(text) == ["anna", "b.c"]
