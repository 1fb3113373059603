"""Letters through a real SMTP server: what they say, what cannot be smuggled in, and refusals."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from conftest import Person
from editai.notify.delivery import deliver_due
from editai.notify.tests.conftest import add_target, deliveries
from editai.notify.tests.test_delivery import later, only
from editai.settings import env
from profiles.models import Profile
from tests.stubs.smtp import SmtpServer

pytestmark = pytest.mark.django_db(transaction=True)
Tell = Callable[..., Any]


def test_a_letter_says_what_happened_and_where(owner: Person, tell: Tell, mail: SmtpServer, settings: Settings) -> None:
    settings.PUBLIC_URL = "https://editai.example.org"
    add_target(owner, "olga@example.org")
    tell(title="Äpfel <b>", text="First line.\nSecond line.", link="/publications/1")
    deliver_due()
    (letter,) = mail.letters
    assert (letter.sender, letter.recipients) == ("editai@example.org", ("olga@example.org",))
    content = letter.content
    assert content["Subject"] == f"[{owner.profile.name}] Äpfel <b>"
    assert content["From"] == "EditAI <editai@example.org>"
    assert content["Message-ID"] == f"<{only(owner.profile).pk}@editai.example.org>"
    assert content["Auto-Submitted"] == "auto-generated"
    assert content.get_content_type() == "text/plain"
    text = content.get_content().replace("\r\n", "\n")
    assert "First line.\nSecond line.\n\nhttps://editai.example.org/publications/1\n" in text


@pytest.mark.parametrize("sign", ["\r\n", "\n", "\r", "\u2028", "\x85", "\x0b", "\x00"])
def test_no_header_can_be_smuggled_in(owner: Person, tell: Tell, mail: SmtpServer, sign: str) -> None:
    Profile.objects.filter(pk=owner.profile.pk).update(name="Brand\r\nBcc: evil@example.org")
    add_target(owner, "olga@example.org")
    tell(title=f"Hello{sign}Bcc: evil@example.org{sign}{sign}<html>")
    deliver_due()
    (letter,) = mail.letters
    assert letter.recipients == ("olga@example.org",)
    assert letter.content["Bcc"] is None
    assert letter.content["Subject"].count("Bcc: evil@example.org") == 2


def test_a_letter_that_was_taken_unheard_comes_again_under_the_same_id(
    owner: Person, tell: Tell, mail: SmtpServer
) -> None:
    add_target(owner, "olga@example.org")
    tell()
    mail.behaviour.drops_after_data = True
    deliver_due()
    assert only(owner.profile).state == "pending"
    mail.behaviour.drops_after_data = False
    with later(seconds=65):
        deliver_due()
    assert only(owner.profile).state == "sent"
    assert len(mail.letters) == 2
    assert len({letter.content["Message-ID"] for letter in mail.letters}) == 1


@pytest.mark.parametrize(
    ("answers", "state", "error"),
    [
        ({"RCPT": "550 no such user"}, "failed", "The mail server refused the address."),
        ({"RCPT": "451 not now"}, "pending", "The mail server refused the address."),
        ({"DATA": "554 <script>spam"}, "pending", "The mail server refused the message (554)."),
        ({"MAIL": "421 busy"}, "pending", "The mail server refused the message (421)."),
    ],
)
def test_refusals(owner: Person, tell: Tell, mail: SmtpServer, answers: dict[str, str], state: str, error: str) -> None:
    add_target(owner, "olga@example.org")
    mail.behaviour.answers = answers
    tell()
    deliver_due()
    assert (only(owner.profile).state, only(owner.profile).error) == (state, error)
    assert mail.letters == []


def test_without_the_server_the_letter_waits(owner: Person, tell: Tell, mail: SmtpServer, settings: Settings) -> None:
    add_target(owner, "olga@example.org")
    tell("a")
    port, settings.EMAIL_PORT = settings.EMAIL_PORT, 1
    deliver_due()
    assert only(owner.profile).error == "The mail server does not answer."
    settings.EMAIL_HOST, settings.EMAIL_PORT = "", port
    with later(seconds=65):
        deliver_due()
    assert only(owner.profile).error == "This server sends no e-mail."
    settings.EMAIL_HOST = "127.0.0.1"
    with later(minutes=5):
        deliver_due()
    assert [row.state for row in deliveries(owner.profile)] == ["sent"]


# --- the switches --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("", env.MailServer()),
        ("smtp://mail.example.org", env.MailServer("mail.example.org")),
        (
            "smtp://a%40b:p%3Aw@mail.example.org?tls=starttls",
            env.MailServer("mail.example.org", 587, "a@b", "p:w", starttls=True),
        ),
        ("smtps://u:p@mail.example.org", env.MailServer("mail.example.org", 465, "u", "p", ssl=True)),
        ("smtps://u:p@[::1]:4650", env.MailServer("::1", 4650, "u", "p", ssl=True)),
        ("smtp://u:p@127.0.0.1:1025?tls=none", env.MailServer("127.0.0.1", 1025, "u", "p")),
    ],
)
def test_the_mail_server_is_read(monkeypatch: pytest.MonkeyPatch, url: str, wanted: env.MailServer) -> None:
    monkeypatch.setenv("EDITAI_SMTP_URL", url)
    server = env.mail_server("EDITAI_SMTP_URL")
    assert server == wanted
    assert "p:w" not in repr(server)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mail.example.org:25", "must look like"),
        ("http://mail.example.org", "must look like"),
        ("smtp://", "must look like"),
        ("smtp://mail.example.org:99999", "must look like"),
        ("smtp://mail.example.org/path", "must look like"),
        ("smtp://mail.example.org?tls=maybe", "must look like"),
        ("smtps://mail.example.org?tls=starttls", "must look like"),
        ("smtp://user:canary@mail.example.org", "in the clear"),
    ],
)
def test_a_wrong_mail_server_stops_the_start(monkeypatch: pytest.MonkeyPatch, url: str, message: str) -> None:
    monkeypatch.setenv("EDITAI_SMTP_URL", url)
    with pytest.raises(ImproperlyConfigured, match=message) as caught:
        env.mail_server("EDITAI_SMTP_URL")
    assert "canary" not in str(caught.value)


def test_who_letters_come_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDITAI_MAIL_FROM", "EditAI <editai@example.org>")
    assert env.mail_from("EDITAI_MAIL_FROM", needed=True) == "EditAI <editai@example.org>"
    monkeypatch.setenv("EDITAI_MAIL_FROM", "")
    assert env.mail_from("EDITAI_MAIL_FROM", needed=False) == ""
    for wrong in ("", "EditAI", "a@b\nBcc: c@d"):
        monkeypatch.setenv("EDITAI_MAIL_FROM", wrong)
        with pytest.raises(ImproperlyConfigured, match="EDITAI_MAIL_FROM must be an address"):
            env.mail_from("EDITAI_MAIL_FROM", needed=True)
