"""Times as people read them, with their zone."""

DATETIME_FORMAT = "N j, Y, H:i e"
SHORT_DATETIME_FORMAT = "Y-m-d H:i e"
