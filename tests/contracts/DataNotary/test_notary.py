"""Notarised documents (SPECIFICATION.md 11.x)."""

import re
from pathlib import Path
from typing import Any

import pytest

from offchain.protocol.keccak import keccak256
from offchain.protocol.typed_data import NoticeKind
from tests.contracts.chain import next_block_at, now_s, refused
from tests.contracts.play import CID

HASH = keccak256(b"baselines")


def notarise(market: Any, sender: Any, kind: int = 1, session: int = 1, hash_: bytes = HASH) -> Any:
    return market.DataNotary.notarise(kind, session, hash_, CID.digest, CID.codec, {"from": sender})


@pytest.mark.parametrize("kind", NoticeKind)
def test_says_who_had_what_when(market: Any, aggregator: Any, kind: NoticeKind) -> None:
    at = now_s() + 50
    next_block_at(at)
    tx = notarise(market, aggregator, kind, 4)
    assert tx.events["Notarised"] == {
        "kind": kind,
        "session": 4,
        "author": aggregator,
        "hash": "0x" + HASH.hex(),
        "cidDigest": "0x" + CID.digest.hex(),
        "cidCodec": CID.codec,
        "at": at,
    }
    assert market.DataNotary.notarisedAt(kind, 4, aggregator, HASH) == at


def test_once_per_kind_session_author_and_hash(market: Any, aggregator: Any, other_aggregator: Any) -> None:
    notarise(market, aggregator)
    at = now_s()
    with refused("DataNotaryAlreadyNotarised", 1, 1, aggregator, HASH, at):
        notarise(market, aggregator)
    notarise(market, aggregator, kind=2)
    notarise(market, aggregator, session=2)
    notarise(market, other_aggregator)
    notarise(market, aggregator, hash_=keccak256(b"other"))
    assert market.DataNotary.notarisedAt(1, 1, aggregator, HASH) == at
    assert market.DataNotary.notarisedAt(1, 3, aggregator, HASH) == 0


def test_refuses_what_isnt_a_notice(market: Any, aggregator: Any, stranger: Any) -> None:
    with refused("ParticipantRegistryUnknownAccount", stranger):
        notarise(market, stranger)
    for kind in (0, max(NoticeKind) + 1):
        with refused("DataNotaryUnknownKind", kind):
            notarise(market, aggregator, kind)
    with refused("DataNotaryZeroHash"):
        notarise(market, aggregator, hash_=bytes(32))
    with refused("CidsUnknownCodec", 0):
        market.DataNotary.notarise(1, 1, HASH, CID.digest, 0, {"from": aggregator})


def test_the_suspended_notarise_nothing(market: Any, admin: Any, aggregator: Any) -> None:
    market.ParticipantRegistry.suspend(aggregator, "forgery", {"from": admin})
    with refused("ParticipantRegistrySuspended", aggregator):
        notarise(market, aggregator)


def shown(notices: Any) -> list[tuple[int, int, int, str]]:
    return [(kind, session, at, str(start)) for kind, session, at, start in notices]


def test_lists_what_an_author_notarised(market: Any, aggregator: Any, other_aggregator: Any) -> None:
    contract, made = market.DataNotary, []
    for number in range(5):
        kind, hash_ = 1 + number, keccak256(b"%d" % number)
        notarise(market, aggregator, kind, 2**64 - 1 - number, hash_)
        made.append((kind, 2**64 - 1 - number, now_s(), "0x" + hash_[:16].hex()))
    notarise(market, other_aggregator)
    assert (contract.noticeCount(aggregator), contract.noticeCount(other_aggregator)) == (5, 1)
    greatest = 2**256 - 1
    for first, most in (
        (0, 5),
        (0, greatest),
        (0, 2),
        (2, 2),
        (4, 2),
        (4, greatest),
        (5, 1),
        (greatest, greatest),
        (1, 0),
    ):
        assert shown(contract.noticesOf(aggregator, first, most)) == made[first:][:most]
    assert contract.noticesOf(market.DataNotary, 0, 10) == ()


def test_what_was_notarised_before_isnt_listed_again(market: Any, aggregator: Any) -> None:
    notarise(market, aggregator)
    with refused("DataNotaryAlreadyNotarised", 1, 1, aggregator, HASH, now_s()):
        notarise(market, aggregator)
    assert market.DataNotary.noticeCount(aggregator) == 1


def test_contracts_and_documents_have_the_same_kinds() -> None:
    source = (Path(__file__).parents[3] / "contracts/libraries/NoticeKinds.sol").read_text()
    kinds = dict(re.findall(r"constant (\w+) = (\w+);", source))
    assert kinds.pop("LAST") == NoticeKind(max(NoticeKind)).name
    assert kinds == {kind.name: str(int(kind)) for kind in NoticeKind}
