"""A pytest plugin, loaded before the settings are: each test process works in a data folder of its own."""

import atexit
import os
import shutil
import tempfile

FOLDER = tempfile.mkdtemp(prefix="editai-tests-")
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
os.environ["EDITAI_DATA_DIR"] = FOLDER
os.environ.setdefault("EDITAI_ENCRYPTION_KEYS", "IYm_sRMcLBDLEpn_FA0J4yyGwbcNMW1fRdWPTO_3XkM=")
os.environ.setdefault("EDITAI_SECRET_KEY", "a secret for tests only, long enough to be one 0123456789")
for name in ("EDITAI_USER_RATE", "EDITAI_PROFILE_RATE", "EDITAI_ANONYMOUS_RATE"):
    os.environ.setdefault(name, "1000000/min")
