"""A certified reading as the Shared Customer Database tells it: what the meter said, and where the proof is."""

from offchain.protocol.documents.base import Document, PodReference
from offchain.protocol.documents.light_node import Count, Energy, QuarterHourS, Word


class CertifiedReading(Document):
    """Wh and varh of a quarter-hour. The reading's leaf stands at `position` of the batch whose root is `batch_root`."""

    pod_id: PodReference
    pseudonym: Word
    start_time: QuarterHourS
    absorbed_active_wh: Energy
    injected_active_wh: Energy
    absorbed_inductive_varh: Energy
    injected_inductive_varh: Energy
    absorbed_capacitive_varh: Energy
    injected_capacitive_varh: Energy
    sequence: Count
    batch_root: Word
    position: Count
    transaction_id: Word
