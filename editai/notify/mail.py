"""E-mail through the operator's SMTP server (`EDITAI_SMTP_URL`)."""

import smtplib
import ssl
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.smtp import EmailBackend

from editai.notify.message import Message, NotDelivered


def is_configured() -> bool:
    return bool(settings.EMAIL_HOST)


def send(message: Message, address: str) -> None:
    """Hands one message to the SMTP server; NotDelivered otherwise. Every wait is at most EMAIL_TIMEOUT seconds."""
    if not is_configured():
        raise NotDelivered("This server sends no e-mail.")
    letter = _letter(message, address)
    backend = EmailBackend(fail_silently=False)  # not the configured one: settings name the server only
    try:
        backend.send_messages([letter])
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        raise NotDelivered("The mail server refused the address.", for_good=min(codes, default=0) >= 500) from error
    except smtplib.SMTPAuthenticationError as error:
        raise NotDelivered("The mail server refused our login.") from error
    except smtplib.SMTPResponseException as error:
        raise NotDelivered(f"The mail server refused the message ({error.smtp_code}).") from error
    except ssl.SSLError as error:
        raise NotDelivered("The mail server's certificate or TLS is not in order.") from error
    except (smtplib.SMTPException, OSError) as error:
        raise NotDelivered("The mail server does not answer.") from error


def _letter(message: Message, address: str) -> EmailMessage:
    host = urlsplit(settings.PUBLIC_URL).hostname or "localhost"
    body = "\n\n".join(part for part in (message.text, message.link, _footer(message)) if part)
    return EmailMessage(
        subject=f"[{message.profile_name}] {message.title}",
        body=body,
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=[address],
        headers={
            "Message-ID": f"<{message.delivery_id}@{host}>",
            "Auto-Submitted": "auto-generated",
            "X-EditAI-Event": message.event,
            "X-EditAI-Delivery": str(message.delivery_id),
        },
    )


def _footer(message: Message) -> str:
    return f"-- \nEditAI tells you this about the brand {message.profile_name}."
