from collections.abc import Callable
from itertools import product
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext

from conftest import Person
from profiles.errors import Invalid, TooLarge
from segments.labels import distinct, fold, words
from segments.matching import MAX_HINTS, KeywordIndex, combined
from segments.models import Segment, SourceVideo
from segments.serializers import MatchAnswerSerializer
from segments.subtitles import MAX_BYTES, MAX_CUES, read_srt
from segments.tests.conftest import V1

SRT = """1
00:00:01,000 --> 00:00:02,500
<i>Marea</i> e caldă

2
00:00:03,000 --> 00:00:04,000
nimic aici
"""


# --- words ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Mașină ROȘIE!", ["masina", "rosie"]),
        ("It's John’s", ["its", "johns"]),
        ("Straße, łódź; Ærø", ["strasse", "lodz", "aero"]),
        ("ﬁne ①", ["fine", "1"]),
        ("…—!", []),
        ("a_b-c", ["a", "b", "c"]),
        ("İstanbul ISPARTA", ["istanbul", "isparta"]),
    ],
)
def test_words_are_folded(text: str, expected: list[str]) -> None:
    assert words(text) == expected
    assert fold(fold(text)) == fold(text)


def test_distinct_keeps_the_first_spelling() -> None:
    assert distinct(["Mare", "  mare! ", "", "🎬", "Sea  side"]) == [
        ("Mare", "mare"),
        ("🎬", "🎬"),
        ("Sea side", "sea side"),
    ]


def hints(keywords: list[str], text: str) -> dict[str, tuple[str, float]]:
    found = KeywordIndex([fold(keyword) for keyword in keywords]).hints(text)
    return {hint.keyword: (hint.kind, hint.confidence) for hint in found}


def test_words_phrases_and_endings() -> None:
    assert hints(["mare"], "La MARE!") == {"mare": ("exact", 0.9)}
    assert hints(["mașina roșie"], "o masina rosie") == {"masina rosie": ("exact", 0.97)}
    kind, confidence = hints(["mașini"], "mașina")["masini"]
    assert (kind, 0.6 < confidence < 0.9) == ("inflected", True)
    kind, confidence = hints(["red car"], "the car is red")["red car"]
    assert kind == "apart"
    assert confidence == pytest.approx(0.679)
    assert hints(["red car"], "the car") == {}


@pytest.mark.parametrize(
    ("keyword", "text"), [("cat", "cats"), ("mare", "margine"), ("on", "one"), ("model12", "model13")]
)
def test_short_words_and_numbers_must_be_said_as_they_are(keyword: str, text: str) -> None:
    assert hints([keyword], text) == {}


def test_a_word_said_twice_counts_once_and_order_matters() -> None:
    assert hints(["new york new york"], "new york")["new york new york"][0] == "apart"
    assert hints(["a b c"], "x a b c a")["a b c"][0] == "exact"


def test_hints_add_up_and_stay_below_one() -> None:
    assert combined([0.9]) == 0.9
    assert combined([0.5, 0.5]) == 0.75
    assert combined([1.0, 0.9]) == 1.0
    assert combined([]) == 0.0


def _work(scale: int) -> int:
    """Steps for `scale` times 50 keywords against `scale` times 50 subtitles of ten words."""
    index = KeywordIndex([f"keyword{number} topic{number}" for number in range(50 * scale)])
    for number in range(50 * scale):
        index.hints(" ".join(f"word{number}x{place}" for place in range(8)) + f" keyword{number} topic{number}")
    return index.operations


def test_cost_grows_with_the_input_not_with_its_square() -> None:
    assert _work(4) <= 5 * _work(1)
    assert _work(16) <= 18 * _work(1)


def test_cost_is_bounded_for_words_that_are_all_alike() -> None:
    """Thousands of keywords that differ by their endings only, against subtitles full of more of them."""

    endings = ["".join(letters) for letters in product("abcdefghij", repeat=3)]

    def work(size: int) -> int:
        index = KeywordIndex([f"alikeword{ending}" for ending in endings[:size]])
        for ending in endings[:size]:
            assert len(index.hints(f"alikeword{ending} alikewordx alikewordy")) == MAX_HINTS
        return index.operations

    assert work(800) <= 5 * work(200)


def test_a_frequent_word_does_not_hide_the_rare_one() -> None:
    keywords = [f"the thing{number}" for number in range(1000)]
    assert "the thing999" in hints(keywords, "look at the thing999 there")


# --- subtitles -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (SRT.encode(), "utf-8"),
        (b"\xef\xbb\xbf" + SRT.encode(), "utf-8"),
        (SRT.encode("utf-16"), "utf-16"),
        (SRT.encode("utf-16-le"), "utf-16-le"),
        (SRT.encode("utf-16-be"), "utf-16-be"),
        (SRT.replace("\n", "\r\n").encode(), "utf-8"),
        (SRT.replace("\n", "\r").encode(), "utf-8"),
        (SRT.replace("caldă", "chaude et salée").encode("cp1252"), None),
        (SRT.replace(",000", ".000").replace("1\n00:", "00:").encode(), "utf-8"),
        (SRT.replace("00:00:0", "00:0").encode(), "utf-8"),
    ],
)
def test_many_ways_of_writing_it_down(data: bytes, encoding: str | None) -> None:
    subtitles = read_srt(data)
    assert [(cue.number, cue.start_time) for cue in subtitles.cues] == [(1, 1.0), (2, 3.0)]
    assert subtitles.cues[0].text.startswith("Marea e c")
    assert "�" not in subtitles.cues[0].text
    assert encoding in {None, subtitles.encoding}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("just a text", 1),
        ("PK\x03\x04\x00\x00", 1),
        (SRT.replace("00:00:03,000 --> 00:00:04,000", "00:00:03,000 --> later"), 6),
        (SRT.replace("00:00:03,000 --> 00:00:04,000", "00:00:03,000 --> 00:00:02,000"), 6),
        (SRT.replace("00:00:04,000", "4"), 6),
    ],
)
def test_broken_subtitles_are_refused_by_line(text: str, line: int) -> None:
    with pytest.raises(Invalid) as caught:
        read_srt(text.encode())
    assert caught.value.code == "invalid_subtitles"
    assert (caught.value.fields or {})["srt"][0].startswith(f"Line {line}:")


def test_an_arrow_in_what_is_said_is_no_time_line() -> None:
    assert len(read_srt(SRT.replace("nimic aici", "left --> right")).cues) == 2


def test_too_much_is_refused() -> None:
    with pytest.raises(TooLarge):
        read_srt(b"x" * (MAX_BYTES + 1))
    one = "00:00:01,000 --> 00:00:02,000\na\n"
    assert len(read_srt(one * MAX_CUES).cues) == MAX_CUES
    with pytest.raises(Invalid) as caught:
        read_srt(one * (MAX_CUES + 1))
    assert f"Line {2 * MAX_CUES + 1}: more than" in (caught.value.fields or {})["srt"][0]


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "filler", ["<", "<a", "{", "{{a", "\n", " \n", "1\n", "\n1 ", "00:00:01,000 ", "-->", "< i", "é"]
)
def test_nothing_makes_the_parser_slow(filler: str) -> None:
    text = "00:00:01,000 --> 00:00:02,000\nfirst" + filler * (MAX_BYTES // (3 * len(filler))) + "x"
    read_srt(text)


# --- over HTTP -----------------------------------------------------------------------------------------

MakeSegment = Callable[..., Segment]


def match(person: Person, **body: Any) -> Any:
    return person.client.post(f"{V1}/segments/match-srt/", body, format="json")


@pytest.mark.django_db(transaction=True)
def test_a_match_says_why(owner: Person, viewer: Person, make_segment: MakeSegment) -> None:
    sea = make_segment(keywords=["mare", "Marea caldă"])
    make_segment(keywords=["munte"])
    answer = match(viewer, srt_text=SRT)
    assert answer.status_code == 200, answer.content
    found = answer.json()
    assert (found["cue_count"], found["matched_count"], found["keyword_count"]) == (2, 1, 3)
    first, second = found["cues"]
    assert second["matches"] == []
    assert (first["text"], first["start_time"], first["end_time"]) == ("Marea e caldă", 1.0, 2.5)
    (best,) = first["matches"]
    assert best["segment_id"] == str(sea.pk)
    assert 0.8 < best["confidence"] <= 1
    kinds = {reason["keyword"]: (reason["kind"], reason["spoken"]) for reason in best["reasons"]}
    assert kinds == {"Marea caldă": ("apart", "marea calda"), "mare": ("inflected", "marea")}
    brief = {"id": str(sea.pk), "source_video": str(sea.source_id), "start_time": 1.0, "end_time": 3.0}
    assert found["segments"] == [{**brief, "is_favorite": False}]
    assert answer.json() == MatchAnswerSerializer(found).data


@pytest.mark.django_db(transaction=True)
def test_only_the_profile_and_the_chosen_sources_are_looked_at(
    owner: Person, stranger: Person, make_source: Callable[..., SourceVideo], make_segment: MakeSegment
) -> None:
    here, there, foreign = make_source(), make_source(), make_source(stranger.profile)
    mine, other = make_segment(here, keywords=["mare"]), make_segment(there, keywords=["mare"])
    make_segment(foreign, keywords=["marea", "caldă"])
    gone = make_segment(here, keywords=["caldă"])
    owner.client.delete(f"{V1}/segments/{gone.pk}/")

    def ids(**body: Any) -> set[str]:
        cues = match(owner, srt_text=SRT, **body).json()["cues"]
        return {row["segment_id"] for cue in cues for row in cue["matches"]}

    assert ids() == {str(mine.pk), str(other.pk)}
    assert ids(source_ids=[str(here.pk)]) == {str(mine.pk)}
    assert len(match(owner, srt_text=SRT, max_matches=1).json()["cues"][0]["matches"]) == 1
    assert ids(min_confidence=0.95) == set()
    answers = [match(owner, srt_text=SRT, source_ids=[str(pk)]) for pk in (foreign.pk, uuid4())]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].content == answers[1].content


@pytest.mark.django_db(transaction=True)
def test_a_file_works_too_and_bad_ones_are_named(owner: Person, make_segment: MakeSegment) -> None:
    make_segment(keywords=["marea"])

    def send(content: bytes, **more: Any) -> Any:
        body = {"srt": SimpleUploadedFile("x.srt", content), **more}
        return owner.client.post(f"{V1}/segments/match-srt/", body, format="multipart")

    assert send(SRT.encode("utf-16")).json()["matched_count"] == 1
    assert send(SRT.encode(), min_confidence="0.99").json()["matched_count"] == 0
    assert send(b"").status_code == 400
    assert send(b"PK\x03\x04" + bytes(100)).json()["error"]["code"] == "invalid_subtitles"
    assert send(b"x" * (MAX_BYTES + 1)).status_code == 413
    assert send(SRT.encode(), srt_text=SRT).status_code == 400


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"srt_text": ""},
        {"srt_text": "x"},
        {"srt": "x"},
        {"srt_text": SRT, "min_confidence": 2},
        {"srt_text": SRT, "source_ids": ["x"]},
        {"srt_text": SRT, "source_id": "x"},
        {"srt_text": SRT, "max_matches": 10**9},
    ],
)
def test_bad_bodies(owner: Person, body: dict[str, Any]) -> None:
    answer = match(owner, **body)
    assert answer.status_code == 400
    assert answer.json()["error"]["fields"]


@pytest.mark.django_db(transaction=True)
def test_who_may(owner: Person) -> None:
    assert owner.client.get(f"{V1}/segments/match-srt/").status_code in {404, 405}
    owner.client.credentials()
    assert match(owner, srt_text=SRT).status_code == 401


@pytest.mark.django_db(transaction=True)
def test_queries_do_not_grow(owner: Person, make_segment: MakeSegment) -> None:
    segment = make_segment(keywords=["mare"])

    def queries(cues: int) -> int:
        text = "".join(f"00:00:{number:02d},000 --> 00:00:{number:02d},500\nmarea\n\n" for number in range(cues))
        with CaptureQueriesContext(connection) as captured:
            assert match(owner, srt_text=text).status_code == 200
        return len(captured)

    queries(1)
    few = queries(1)
    for number in range(5):
        make_segment(segment.source, keywords=["mare", f"altul{number}"])
    assert queries(50) == few <= 8
