from django.apps import AppConfig


class SegmentsConfig(AppConfig):
    name = "segments"
    verbose_name = "Footage"

    def ready(self) -> None:
        from jobs.registry import register_error
        from profiles.credentials import CredentialKind, register_kind
        from segments import storage_kinds, trash_kinds
        from segments.probe import MediaError

        trash_kinds.register()
        storage_kinds.register()
        register_error(MediaError)
        register_kind(CredentialKind(name="gemini", label="Gemini"))
