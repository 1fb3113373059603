from django.apps import AppConfig


class NotifyConfig(AppConfig):
    name = "editai.notify"
    label = "notify"
