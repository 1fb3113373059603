from django.apps import AppConfig


class NotifyConfig(AppConfig):
    name = "editai.notify"
    label = "notify"
    verbose_name = "Notifications"

    def ready(self) -> None:
        from editai.notify.events import DISK_LOW, register_event  # they need the models
        from editai.notify.models import NotifyTarget
        from profiles.credentials import register_encrypted

        register_event(DISK_LOW)
        register_encrypted(NotifyTarget, "ciphertext")
