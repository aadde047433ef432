"""`make audit`: 1 with the reasons where anything fails."""

import shutil
import sys

from scripts.audit import forge, slither
from scripts.setup.install import AUDIT_FORGE, AUDIT_SLITHER, PROJECT


def main() -> int:
    """Forge first: slither reads what it compiled."""
    out = PROJECT / "build" / "forge" / "out"
    # A former build's descriptions would be read as well.
    shutil.rmtree(out.parent, ignore_errors=True)
    wrong = forge.run(PROJECT, AUDIT_FORGE)
    wrong += slither.run(PROJECT, AUDIT_SLITHER, AUDIT_FORGE, out)
    for line in wrong:
        print(f"FAIL  {line}")
    print("audit: failed" if wrong else "audit: passed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
