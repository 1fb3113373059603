"""PostgreSQL: a user's default profile is one that the user is a member of, checked at the end of a transaction."""

from django.db import migrations

from profiles.schema import RunOnPostgres


class Migration(migrations.Migration):
    dependencies = [("profiles", "0001_initial")]

    operations = [
        RunOnPostgres(
            "ALTER TABLE profiles_user ADD CONSTRAINT default_profile_is_a_membership "
            "FOREIGN KEY (id, default_profile_id) REFERENCES profiles_membership (user_id, profile_id) "
            "DEFERRABLE INITIALLY DEFERRED",
            "ALTER TABLE profiles_user DROP CONSTRAINT default_profile_is_a_membership",
        )
    ]
