"""From a target and a message to the way out that fits; tells how it went, writes nothing."""

from django.conf import settings

from editai.notify import mail, webhook
from editai.notify.message import Message, NotDelivered
from editai.notify.models import Delivery, NotifyTarget
from editai.notify.text import one_line
from profiles.credentials import decrypt


def send(message: Message, target: NotifyTarget) -> None:
    """Sends here and now, within seconds; NotDelivered otherwise. Call it outside any transaction."""
    if target.kind == NotifyTarget.Kind.EMAIL:
        mail.send(message, target.address)
        return
    secret = decrypt(target.ciphertext or b"")
    if secret is None:
        raise NotDelivered("The secret of this webhook can't be read any more: renew it.")
    webhook.send(message, target.address, secret)


def message_of(delivery: Delivery) -> Message:
    """The message of a delivery whose notification and profile are loaded."""
    told = delivery.notification
    return Message(
        delivery_id=delivery.pk,
        event=told.event,
        title=told.title,
        text=told.text,
        link=f"{settings.PUBLIC_URL}{told.link}" if told.link else "",
        created_at=told.created_at,
        profile_id=told.profile_id,
        profile_name=one_line(delivery.profile.name),
        payload=told.payload,
    )
