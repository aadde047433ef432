// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ICommitmentBook} from "../interfaces/ICommitmentBook.sol";
import {IDataNotary} from "../interfaces/IDataNotary.sol";
import {IDeliveryChallenges} from "../interfaces/IDeliveryChallenges.sol";
import {IMarket} from "../interfaces/IMarket.sol";
import {IOutcomeBoard} from "../interfaces/IOutcomeBoard.sol";
import {IParticipantRegistry} from "../interfaces/IParticipantRegistry.sol";
import {IPodRegistry} from "../interfaces/IPodRegistry.sol";
import {IReadingAnchor} from "../interfaces/IReadingAnchor.sol";
import {Challenges} from "./Challenges.sol";
import {Leaves} from "./libraries/Leaves.sol";
import {NoticeKinds} from "./libraries/NoticeKinds.sol";
import {Proofs} from "./libraries/Proofs.sol";
import {SettlementRules} from "./libraries/SettlementRules.sol";
import {SettlementProofs} from "./SettlementProofs.sol";

/// @title Challenges of the deliveries that a settlement judges by
contract DeliveryChallenges is SettlementProofs, IDeliveryChallenges {
    uint8 private constant NO_READING = 1;
    uint256 private constant SLOT_S = 900;
    int256 private constant SLOTS_PER_HOUR = 4;

    IPodRegistry public immutable pods;
    IDataNotary public immutable notary;
    IReadingAnchor public immutable anchor;

    constructor(
        IMarket market_,
        IOutcomeBoard board_,
        IPodRegistry pods_,
        IDataNotary notary_,
        IReadingAnchor anchor_
    ) Challenges(market_, board_) {
        pods = pods_;
        notary = notary_;
        anchor = anchor_;
    }

    /// @inheritdoc IDeliveryChallenges
    function baselineNotAnchored(Posted calldata posted, Judged calldata judged) external {
        _begin(posted, judged);
        bytes32 root = judged.leaf.baselineRoot;
        uint64 session = posted.settlement.session;
        bool fault = root != 0 && !_inTime(session, _notarisedAt(session, judged.leaf.pod, root));
        _decide(posted, fault, "BaselineNotAnchored");
    }

    /// @inheritdoc IDeliveryChallenges
    function baselineChanged(Posted calldata posted, Judged calldata judged, bytes32 first) external {
        _begin(posted, judged);
        uint64 session = posted.settlement.session;
        bytes32 root = judged.leaf.baselineRoot;
        uint48 firstAt = _notarisedAt(session, judged.leaf.pod, first);
        bool fault = root != 0 && firstAt != 0 && firstAt < _notarisedAt(session, judged.leaf.pod, root);
        _decide(posted, fault, "BaselineChanged");
    }

    /// @inheritdoc IDeliveryChallenges
    function wrongBaseline(Posted calldata posted, Judged calldata judged, Baseline calldata baseline) external {
        _begin(posted, judged);
        Leaves.SettlementLeaf calldata s = judged.leaf;
        Proofs.requireLeaf(s.baselineRoot, Leaves.hash(baseline.leaf), baseline.proof);
        bool fault = s.baselinePosition >= baseline.leaf.length;
        if (!fault) {
            _requirePosition(s.baselinePosition, baseline.leaf.position);
            fault = baseline.leaf.pod != s.pod || baseline.leaf.slot != s.slot;
        }
        _decide(posted, fault, "WrongBaseline");
    }

    /// @inheritdoc IDeliveryChallenges
    function baselineIgnored(
        Posted calldata posted,
        Judged calldata judged,
        Judged calldata witness,
        Baseline calldata baseline
    ) external {
        _begin(posted, judged);
        _requireIn(posted, witness);
        Leaves.SettlementLeaf calldata s = judged.leaf;
        bytes32 root = witness.leaf.baselineRoot;
        Proofs.requireLeaf(root, Leaves.hash(baseline.leaf), baseline.proof);
        // INVARIANT: a list that no other leaf names may have been hidden from who settled.
        uint64 session = posted.settlement.session;
        bool counts = _inTime(session, _notarisedAt(session, s.pod, root));
        bool fault = counts && s.baselineRoot == 0 && baseline.leaf.pod == s.pod && baseline.leaf.slot == s.slot;
        _decide(posted, fault, "BaselineIgnored");
    }

    /// @inheritdoc IDeliveryChallenges
    function readingNotAnchored(Posted calldata posted, Judged calldata judged) external {
        _begin(posted, judged);
        bytes32 root = judged.leaf.readingRoot;
        uint64 session = posted.settlement.session;
        bool fault = root != 0 && !_anchoredInTime(session, _times(session), root);
        _decide(posted, fault, "ReadingNotAnchored");
    }

    /// @inheritdoc IDeliveryChallenges
    function readingNotGenuine(Posted calldata posted, Judged calldata judged, Reading calldata reading) external {
        _begin(posted, judged);
        Leaves.SettlementLeaf calldata s = judged.leaf;
        Proofs.requireLeaf(s.readingRoot, Leaves.hash(reading.leaf), reading.proof);
        bool fault = s.readingPosition >= reading.leaf.length;
        if (!fault) {
            _requirePosition(s.readingPosition, reading.leaf.position);
            fault = !_isOf(_times(posted.settlement.session), s, reading.leaf) || !anchor.isGenuine(reading.leaf);
        }
        _decide(posted, fault, "ReadingNotGenuine");
    }

    /// @inheritdoc IDeliveryChallenges
    function wrongDelivery(
        Posted calldata posted,
        IOutcomeBoard.Outcome calldata outcome,
        Judged calldata judged,
        Entry calldata entry,
        Baseline calldata baseline,
        Reading calldata reading
    ) external {
        _begin(posted, judged);
        _requireEntry(posted, outcome, judged, entry);
        Leaves.SettlementLeaf calldata s = judged.leaf;
        Proofs.requireLeaf(s.readingRoot, Leaves.hash(reading.leaf), reading.proof);
        _requirePosition(s.readingPosition, reading.leaf.position);
        uint256 podDeliveredW;
        if (s.baselineRoot != 0) {
            Proofs.requireLeaf(s.baselineRoot, Leaves.hash(baseline.leaf), baseline.proof);
            _requirePosition(s.baselinePosition, baseline.leaf.position);
            int256 base = _isActive(s.product) ? baseline.leaf.powerW : baseline.leaf.reactiveVar;
            int256 net = _net(s.product, reading.leaf);
            int256 delivered = _isUp(s.product) ? base - net : net - base;
            // Narrowing is safe: above 0.
            if (delivered > 0) podDeliveredW = uint256(delivered);
        }
        uint256 right = SettlementRules.shareW(podDeliveredW, entry.leaf.acceptedW, entry.leaf.podTotalW);
        if (right == s.deliveredW) revert ChallengesNotAFault("WrongDelivery");
        uint256 price = entry.leaf.priceUeurPerKw;
        _strike(
            posted,
            s,
            SettlementRules.moneyUeur(SettlementRules.paidW(s.deliveredW, s.acceptedW), price),
            SettlementRules.moneyUeur(SettlementRules.paidW(right, s.acceptedW), price)
        );
    }

    /// @inheritdoc IDeliveryChallenges
    function readingIgnored(
        Posted calldata posted,
        Judged calldata judged,
        Judged calldata witness,
        Reading calldata reading
    ) external {
        _begin(posted, judged);
        bool counts = _counts(posted, judged, witness, reading);
        _decide(posted, counts && judged.leaf.status == NO_READING, "ReadingIgnored");
    }

    /// @inheritdoc IDeliveryChallenges
    function higherReadingTaken(
        Posted calldata posted,
        Judged calldata judged,
        Reading calldata taken,
        Judged calldata witness,
        Reading calldata lower
    ) external {
        _begin(posted, judged);
        bool counts = _counts(posted, judged, witness, lower);
        Leaves.SettlementLeaf calldata s = judged.leaf;
        Proofs.requireLeaf(s.readingRoot, Leaves.hash(taken.leaf), taken.proof);
        _requirePosition(s.readingPosition, taken.leaf.position);
        int256 more = _net(s.product, lower.leaf) - _net(s.product, taken.leaf);
        // Nothing delivered can't become less.
        bool fault = counts && s.deliveredW != 0 && (_isUp(s.product) ? more > 0 : more < 0);
        _decide(posted, fault, "HigherReadingTaken");
    }

    function _strike(
        Posted calldata posted,
        Leaves.SettlementLeaf calldata s,
        uint256 paidUeur,
        uint256 rightUeur
    ) private {
        (address wronged, uint256 loss) =
            paidUeur < rightUeur ? (s.payee, rightUeur - paidUeur) : (s.payer, paidUeur - rightUeur);
        _decide(
            posted.settlement.session, IOutcomeBoard.Stage.SETTLEMENT, true, "WrongDelivery", wronged, loss
        );
    }

    /// @dev Whether a reading is one that a leaf should have been judged by, and who settled knew it.
    function _counts(
        Posted calldata posted,
        Judged calldata judged,
        Judged calldata witness,
        Reading calldata reading
    ) private view returns (bool) {
        _requireIn(posted, witness);
        bytes32 root = witness.leaf.readingRoot;
        Proofs.requireLeaf(root, Leaves.hash(reading.leaf), reading.proof);
        uint64 session = posted.settlement.session;
        ICommitmentBook.ResultTerms memory terms = _times(session);
        // INVARIANT: a batch that no other leaf names may have been hidden from who settled.
        return _anchoredInTime(session, terms, root) && _isOf(terms, judged.leaf, reading.leaf)
            && anchor.isGenuine(reading.leaf);
    }

    /// @dev Whether a reading is of the PoD and the quarter-hour that a leaf settles.
    function _isOf(
        ICommitmentBook.ResultTerms memory terms,
        Leaves.SettlementLeaf calldata s,
        Leaves.ReadingLeaf calldata reading
    ) private pure returns (bool) {
        uint256 start = terms.deliveryStart + s.slot * SLOT_S;
        return reading.pod == s.pod && reading.startTime == start && reading.periodS == SLOT_S;
    }

    /// @dev When the PoD's aggregator notarised a baseline, 0 if never.
    function _notarisedAt(uint64 session, bytes32 pod, bytes32 root) private view returns (uint48) {
        return notary.notarisedAt(NoticeKinds.BASELINE, session, pods.aggregatorOf(pod), root);
    }

    function _inTime(uint64 session, uint48 notarisedAt) private view returns (bool) {
        return notarisedAt != 0 && _isBefore(session, notarisedAt, market.terms(session).baselineGate);
    }

    /// @dev A session's times, in slots that the challenge has read already: half of what all its terms cost.
    function _times(uint64 session) private view returns (ICommitmentBook.ResultTerms memory) {
        return market.resultTerms(session, IParticipantRegistry.Role.OPERATOR);
    }

    function _anchoredInTime(uint64 session, ICommitmentBook.ResultTerms memory terms, bytes32 root)
        private
        view
        returns (bool)
    {
        uint48 at = anchor.anchoredAt(root);
        uint256 end = market.deliveryEnd(session);
        return at != 0 && at <= end + (terms.settlementDeadline - end) / 2;
    }

    /// @dev Net power of a slot, absorbed minus injected, W or var: energies times quarter-hours in an hour. Inductive
    /// absorbed and capacitive injected count as absorbed.
    function _net(uint8 product, Leaves.ReadingLeaf calldata r) private pure returns (int256) {
        int256 energy = _isActive(product)
            ? int256(uint256(r.absorbedActiveWh)) - int256(uint256(r.injectedActiveWh))
            : int256(uint256(r.absorbedInductiveVarh)) - int256(uint256(r.injectedInductiveVarh))
                - int256(uint256(r.absorbedCapacitiveVarh)) + int256(uint256(r.injectedCapacitiveVarh));
        return SLOTS_PER_HOUR * energy;
    }

    function _isActive(uint8 product) private pure returns (bool) {
        return product < 2;
    }

    function _isUp(uint8 product) private pure returns (bool) {
        return product % 2 == 0;
    }
}
