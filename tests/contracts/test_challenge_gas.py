"""Gas of a fraud proof with proofs of depth 28, a list of 268 million leaves, and all that its strike costs: 200,000 at most
for each kind (SPECIFICATION.md 21.x to 24.x).

Lists as long can't be made here. Their roots can: of a leaf and any 28 siblings.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
