"""The arbiter's desk: what a case is about, what the replay says of it, and the ruling."""

from dataclasses import dataclass

from offchain.audit.verify import FalseResult, SessionReplay
from offchain.chain.client import ChainClient
from offchain.chain.market_view import MarketView, Stage
from offchain.protocol import canonical_json
from offchain.protocol.cid import Cid
from offchain.protocol.errors import FlexledgerError
from offchain.store.documents import DocumentStore

NOBODY = "0x" + "00" * 20


@dataclass(frozen=True)
class Case:
    """A case as the chain has it: a result that somebody says is false, and where the evidence is."""

    number: int
    session: int
    stage: Stage
    opener: str
    hash: bytes
    evidence: Cid
    deadline_s: int


@dataclass(frozen=True)
class Opinion:
    """What an arbiter's own replay says of a case: whether the result is false, and why."""

    upheld: bool
    reason: str


class ArbiterDesk:
    """Reads cases, replays what they are about, rules with the chain's account."""

    def __init__(self, chain: ChainClient, documents: DocumentStore) -> None:
        self._chain, self._view, self._documents = chain, MarketView(chain), documents

    def case(self, number: int) -> Case:
        """A case by its number. FlexledgerError if there is none."""
        for event in self._chain.events("ArbiterCases", "CaseOpened", id=number):
            args = event.args
            return Case(
                number,
                int(args["session"]),
                Stage(int(args["stage"])),
                str(args["opener"]),
                bytes(args["hash"]),
                Cid(int(args["evidenceCodec"]), bytes(args["evidenceDigest"])),
                int(args["deadline"]),
            )
        raise FlexledgerError(f"case {number}: there is none of that number")

    def opinion(self, case: Case) -> Opinion:
        """Replay the result that the case is about: a grid oracle's by a power flow on its anchored model.

        FlexledgerError where another result stands by now, or its documents can't be had: then nobody can say.
        """
        standing = self._view.posting(case.session, case.stage).hash
        if standing != case.hash:
            raise FlexledgerError(f"case {case.number}: the result that it is about doesn't stand any more")
        try:
            check = SessionReplay(self._chain, self._documents, case.session).result(case.stage)
        except FalseResult as found:
            return Opinion(True, str(found))
        return Opinion(False, f"{check.name}: {check.detail}")

    def rule(self, case: Case, opinion: Opinion, wronged: str = NOBODY, loss_ueur: int = 0) -> Cid:
        """Rule by an opinion, and publish it; `wronged` is made good from the result's bond. The ruling's CID."""
        ruling = {
            "case": case.number,
            "evidence": str(case.evidence),
            "reason": opinion.reason,
            "upheld": opinion.upheld,
        }
        cid = self._documents.put(canonical_json.dumps(ruling))
        arguments = (case.number, opinion.upheld, cid.digest, cid.codec, wronged, loss_ueur)
        self._chain.send("ArbiterCases", "rule", *arguments)
        return cid
