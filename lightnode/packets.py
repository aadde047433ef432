"""The packets that a node signs, and the set point messages that it reads (D3.3 Tables 18 to 25)."""

from lightnode.identity import Identity
from lightnode.meter import Counters
from offchain.protocol.documents.base import build, dump, parse
from offchain.protocol.documents.light_node import (
    ActivationData,
    ActivationService,
    AnomalyCode,
    AnomalyData,
    Packet,
    ReadingData,
    anomaly_hash,
    set_points_hash,
)
from offchain.protocol.errors import InvalidInput
from offchain.protocol.terms import SLOT_S
from offchain.protocol.typed_data import Reading, SetPoints

LONGEST_DESCRIPTION = 1000


def read_activation(payload: bytes, pod: bytes) -> ActivationService:
    """The DSO's message for a PoD. Raises InvalidInput naming field, value and rule; also for another PoD's."""
    activation = parse(ActivationService, payload)
    if activation.pod != pod:
        raise InvalidInput("PoD", "0x" + activation.pod.hex(), f"must be this node's, 0x{pod.hex()}")
    return activation


class PacketSigner:
    """Makes a PoD's packets: canonical JSON whose hash is signed with the node's key for one deployment."""

    def __init__(self, identity: Identity, pod: bytes, chain_id: int, reading_anchor: str) -> None:
        self.pod = pod
        self._identity = identity
        self._chain_id = chain_id
        self._reading_anchor = reading_anchor

    def reading(self, start_s: int, energies: Counters, sequence: int) -> bytes:
        """The packet of a slot's energies (Wh, varh)."""
        data = build(
            ReadingData,
            start_time=start_s,
            period=SLOT_S,
            absorbed_active_energy=energies.absorbed_active_wh,
            injected_active_energy=energies.injected_active_wh,
            absorbed_inductive_reactive_energy=energies.absorbed_inductive_varh,
            injected_inductive_reactive_energy=energies.injected_inductive_varh,
            absorbed_capacitive_reactive_energy=energies.absorbed_capacitive_varh,
            injected_capacitive_reactive_energy=energies.injected_capacitive_varh,
            sequence=sequence,
        )
        typed = Reading(
            pod=self.pod,
            startTime=start_s,
            periodS=SLOT_S,
            absorbedActiveWh=energies.absorbed_active_wh,
            injectedActiveWh=energies.injected_active_wh,
            absorbedInductiveVarh=energies.absorbed_inductive_varh,
            injectedInductiveVarh=energies.injected_inductive_varh,
            absorbedCapacitiveVarh=energies.absorbed_capacitive_varh,
            injectedCapacitiveVarh=energies.injected_capacitive_varh,
            sequence=sequence,
        )
        digest = typed.digest(self._chain_id, self._reading_anchor)
        return self._signed(Packet[ReadingData], data, digest)

    def acknowledgement(self, activation: ActivationService, received_s: int, ems_s: int) -> bytes:
        """The packet that says when an activation was sent, received, and taken over by the EMS."""
        data = build(
            ActivationData,
            activation_id=activation.activation_id,
            set_points=activation.set_points,
            status=(activation.timestamp, received_s, ems_s),
        )
        typed = SetPoints(
            pod=self.pod,
            activationId=activation.activation_id,
            startTime=activation.set_points[0].quarter_hour,
            setPointsHash=set_points_hash(activation.set_points),
            sentAt=activation.timestamp,
            receivedAt=received_s,
            emsAt=ems_s,
        )
        digest = typed.digest(self._chain_id, self._reading_anchor)
        return self._signed(Packet[ActivationData], data, digest)

    def anomaly(
        self, code: AnomalyCode, what: str, start_s: int | None = None, end_s: int | None = None
    ) -> bytes:
        """The packet of an anomaly, with its time where that is known."""
        times = {
            name: at_s for name, at_s in (("start_time", start_s), ("end_time", end_s)) if at_s is not None
        }
        data = build(AnomalyData, code=code, description=what[:LONGEST_DESCRIPTION], **times)
        return self._signed(Packet[AnomalyData], data, anomaly_hash(self.pod, data))

    def _signed(
        self,
        model: type[Packet[ReadingData]] | type[Packet[ActivationData]] | type[Packet[AnomalyData]],
        data: ReadingData | ActivationData | AnomalyData,
        digest: bytes,
    ) -> bytes:
        packet = build(
            model,
            pod=self.pod,
            hash=digest,
            signed_hash=self._identity.sign(digest),
            public_key=self._identity.public_key,
            input_data=data,
        )
        return dump(packet)
