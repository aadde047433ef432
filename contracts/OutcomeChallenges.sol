// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {SignedMath} from "@openzeppelin/contracts/utils/math/SignedMath.sol";
import {ICommitmentBook} from "../interfaces/ICommitmentBook.sol";
import {IMarket} from "../interfaces/IMarket.sol";
import {IMarketSessions} from "../interfaces/IMarketSessions.sol";
import {IOutcomeBoard} from "../interfaces/IOutcomeBoard.sol";
import {IOutcomeChallenges} from "../interfaces/IOutcomeChallenges.sol";
import {IPodRegistry} from "../interfaces/IPodRegistry.sol";
import {OutcomeProofs} from "./OutcomeProofs.sol";
import {EntryRules} from "./libraries/EntryRules.sol";
import {Leaves} from "./libraries/Leaves.sol";

/// @title Challenges of market and validated outcomes
contract OutcomeChallenges is OutcomeProofs, IOutcomeChallenges {
    uint8 private constant PAY_AS_BID = 0;
    uint8 private constant PAY_AS_CLEAR = 1;
    uint8 private constant ACCEPTED = 0;
    uint8 private constant PARTLY_ACCEPTED = 1;
    uint8 private constant TEC = 6;
    uint8 private constant VOID = 7;
    uint8 private constant UNCOVERED = 8;
    uint8 private constant RESERVED = 9;
    uint8 private constant RESERVE_EXCLUDED = 10;
    uint8 private constant COM_SOLD = 11;

    constructor(IMarket market_, IOutcomeBoard board_, IPodRegistry pods_) OutcomeProofs(market_, board_, pods_) {}

    /// @inheritdoc IOutcomeChallenges
    function offerLeftOut(IOutcomeBoard.Outcome calldata outcome, IOutcomeBoard.Stage stage) external {
        _begin(outcome, stage);
        bool fault = outcome.byOfferLength != market.tally(outcome.session).offerLeaves;
        _decide(outcome.session, stage, fault, "OfferLeftOut");
    }

    /// @inheritdoc IOutcomeChallenges
    function malformedEntry(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata entry
    ) external {
        _begin(outcome, stage);
        _requireIn(outcome, entry);
        uint256 slots = market.terms(outcome.session).slots;
        bool fault = EntryRules.isMalformed(entry.leaf, outcome.byRequestLength, slots, 0);
        _decide(outcome.session, stage, fault, "MalformedEntry");
    }

    /// @inheritdoc IOutcomeChallenges
    function malformedAnswer(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Answer calldata answer
    ) external {
        _begin(outcome, stage);
        _requireIn(outcome, answer);
        Leaves.OutcomeByOfferLeaf calldata leaf = answer.leaf;
        bool fault = leaf.length != outcome.byOfferLength || leaf.position >= leaf.length
            || leaf.acceptedW > leaf.countedW || (leaf.status <= PARTLY_ACCEPTED) != (leaf.acceptedW != 0)
            || (leaf.firstByRequest != 0) != (leaf.acceptedW != 0) || leaf.status > COM_SOLD
            || (leaf.status == TEC && stage == IOutcomeBoard.Stage.MARKET);
        _decide(outcome.session, stage, fault, "MalformedAnswer");
    }

    /// @inheritdoc IOutcomeChallenges
    function entryDoubled(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata first,
        Entry calldata second
    ) external {
        _begin(outcome, stage);
        _requireIn(outcome, first);
        _requireIn(outcome, second);
        bool fault = first.leaf.position == second.leaf.position && Leaves.hash(first.leaf) != Leaves.hash(second.leaf);
        _decide(outcome.session, stage, fault, "Doubled");
    }

    /// @inheritdoc IOutcomeChallenges
    function answerDoubled(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Answer calldata first,
        Answer calldata second
    ) external {
        _begin(outcome, stage);
        _requireIn(outcome, first);
        _requireIn(outcome, second);
        bool fault = first.leaf.position == second.leaf.position && Leaves.hash(first.leaf) != Leaves.hash(second.leaf);
        _decide(outcome.session, stage, fault, "Doubled");
    }

    /// @inheritdoc IOutcomeChallenges
    function sumBroken(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata earlier,
        Entry calldata later
    ) external {
        _begin(outcome, stage);
        _requireIn(outcome, earlier);
        _requireIn(outcome, later);
        _requirePosition(uint256(earlier.leaf.position) + 1, later.leaf.position);
        bool fault = EntryRules.isSumBroken(earlier.leaf, later.leaf);
        if (!fault && earlier.leaf.requestPosition == later.leaf.requestPosition) {
            fault = EntryRules.isDearer(earlier.leaf, later.leaf) && market.terms(outcome.session).method == PAY_AS_BID;
        }
        _decide(outcome.session, stage, fault, "SumBroken");
    }

    /// @inheritdoc IOutcomeChallenges
    function totalsDontAddUp(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata last
    ) external {
        _begin(outcome, stage);
        _requireIn(outcome, last);
        _requirePosition(uint256(outcome.byRequestLength) - 1, last.leaf.position);
        bool fault = last.leaf.runningW != outcome.acceptedWSlots || last.leaf.runningUeur != outcome.totalUeur;
        _decide(outcome.session, stage, fault, "TotalsDontAddUp");
    }

    /// @inheritdoc IOutcomeChallenges
    function offerChainBroken(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Answer calldata answer,
        Entry calldata entry
    ) external {
        _begin(outcome, stage);
        _requireIn(outcome, answer);
        _requireIn(outcome, entry);
        Leaves.OutcomeByOfferLeaf calldata b = answer.leaf;
        Leaves.OutcomeByRequestLeaf calldata e = entry.leaf;
        bool first = b.firstByRequest != 0 && uint256(e.position) + 1 == b.firstByRequest;
        bool fault;
        if (e.offerPosition != b.position) {
            fault = first;
        } else {
            fault = b.firstByRequest == 0 || uint256(e.position) + 1 < b.firstByRequest
                || (first && e.offerRunningW != e.acceptedW)
                || (e.nextForOffer != 0 && e.nextForOffer == b.firstByRequest)
                || (e.nextForOffer == 0 && e.offerRunningW != b.acceptedW);
        }
        _decide(outcome.session, stage, fault, "OfferChainBroken");
    }

    /// @inheritdoc IOutcomeChallenges
    function offerSumBroken(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata earlier,
        Entry calldata later
    ) external {
        _begin(outcome, stage);
        _requireIn(outcome, earlier);
        _requireIn(outcome, later);
        bool fault = EntryRules.isOfferChainBroken(earlier.leaf, later.leaf, 0);
        _decide(outcome.session, stage, fault, "OfferChainBroken");
    }

    /// @inheritdoc IOutcomeChallenges
    function podSumBroken(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata earlier,
        Entry calldata later
    ) external {
        _begin(outcome, stage);
        _requireIn(outcome, earlier);
        _requireIn(outcome, later);
        bool fault = EntryRules.isPodChainBroken(earlier.leaf, later.leaf, 0);
        _decide(outcome.session, stage, fault, "PodChainBroken");
    }

    /// @inheritdoc IOutcomeChallenges
    function notInBook(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata entry
    ) external {
        _begin(outcome, stage);
        _requireIn(outcome, entry);
        bool fault = EntryRules.isOutsideBook(entry.leaf, market.tally(outcome.session));
        _decide(outcome.session, stage, fault, "NotInBook");
    }

    /// @inheritdoc IOutcomeChallenges
    function podExceeded(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata entry
    ) external {
        _begin(outcome, stage);
        _requireIn(outcome, entry);
        bool fault = entry.leaf.podRunningW > _limitW(pods.pods(entry.leaf.pod), entry.leaf.product);
        _decide(outcome.session, stage, fault, "PodExceeded");
    }

    /// @inheritdoc IOutcomeChallenges
    function wrongCopy(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Answer calldata answer,
        BookOffer calldata offer
    ) external {
        _begin(outcome, stage);
        _requireIn(outcome, answer);
        ICommitmentBook.Entry memory document = _requireOffer(outcome.session, offer, answer.leaf.position);
        Leaves.OutcomeByOfferLeaf calldata b = answer.leaf;
        bool fault = b.commitment != document.number || b.offerPosition != offer.leaf.position
            || b.coverUeur > document.moneyUeur || b.countedW > offer.leaf.powerW
            || (b.acceptedW != 0 && (b.status == ACCEPTED) != (b.acceptedW == offer.leaf.powerW))
            || (b.status != VOID && (b.startSlot < offer.leaf.slot || b.startSlot > offer.leaf.lastSlot));
        _decide(outcome.session, stage, fault, "WrongCopy");
    }

    /// @inheritdoc IOutcomeChallenges
    function notAsOffered(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata entry,
        BookOffer calldata offer
    ) external {
        _begin(outcome, stage);
        _requireIn(outcome, entry);
        _requireOffer(outcome.session, offer, entry.leaf.offerPosition);
        Leaves.OutcomeByRequestLeaf calldata e = entry.leaf;
        Leaves.OfferLeaf calldata x = offer.leaf;
        bool fault = EntryRules.isNotOffered(e, x) || pods.aggregatorOf(x.pod) != offer.opening.player;
        bool asCleared = market.terms(outcome.session).method == PAY_AS_CLEAR;
        fault = fault || (asCleared ? e.priceUeurPerKw < x.priceUeurPerKw : e.priceUeurPerKw != x.priceUeurPerKw);
        _decide(outcome.session, stage, fault, "NotAsOffered");
    }

    /// @inheritdoc IOutcomeChallenges
    function notAsRequested(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata entry,
        BookRequest calldata request
    ) external {
        _begin(outcome, stage);
        _requireIn(outcome, entry);
        _requireRequest(outcome.session, request, entry.leaf.requestPosition);
        bool fault = EntryRules.isNotRequested(entry.leaf, request.leaf, uint256(request.leaf.reliefW) * 1000);
        _decide(outcome.session, stage, fault, "NotAsRequested");
    }

    /// @inheritdoc IOutcomeChallenges
    function escrowExceeded(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata entry,
        ICommitmentBook.Opening calldata document
    ) external {
        _begin(outcome, stage);
        _requireIn(outcome, entry);
        ICommitmentBook.Entry memory known =
            _requireDocumentOf(outcome.session, document, entry.leaf.requestPosition);
        _decide(outcome.session, stage, entry.leaf.documentUeur > known.moneyUeur, "EscrowExceeded");
    }

    /// @inheritdoc IOutcomeChallenges
    function wrongEffectiveness(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata entry,
        BookRequest calldata request,
        Effectiveness calldata effectiveness
    ) external {
        _begin(outcome, stage);
        _requireIn(outcome, entry);
        bool fault = _isWrongEffectiveness(outcome.session, entry.leaf, request, effectiveness);
        _decide(outcome.session, stage, fault, "WrongEffectiveness");
    }

    /// @inheritdoc IOutcomeChallenges
    function falselyVoid(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Answer calldata answer,
        BookOffer calldata culprit
    ) external {
        _begin(outcome, stage);
        _requireIn(outcome, answer);
        Leaves.OutcomeByOfferLeaf calldata b = answer.leaf;
        ICommitmentBook.Entry memory document = _requireDocument(outcome.session, culprit.opening, true);
        if (b.commitment != document.number || b.because == 0) revert ChallengesNotAFault("FalselyVoid");
        _requireOfferIn(culprit);
        _requirePosition(uint256(b.because) - 1, culprit.leaf.position);
        (, bool mayBeVoid) = _voids(outcome.session, b, culprit);
        _decide(outcome.session, stage, b.status == VOID && !mayBeVoid, "FalselyVoid");
    }

    /// @inheritdoc IOutcomeChallenges
    function takenThoughVoid(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Answer calldata answer,
        BookOffer calldata culprit
    ) external {
        _begin(outcome, stage);
        _requireIn(outcome, answer);
        Leaves.OutcomeByOfferLeaf calldata b = answer.leaf;
        ICommitmentBook.Entry memory document = _requireDocument(outcome.session, culprit.opening, true);
        _requireOfferIn(culprit);
        if (b.commitment != document.number) revert ChallengesNotTheLeaf(document.number, b.commitment);
        (bool isVoid,) = _voids(outcome.session, b, culprit);
        bool taken = b.acceptedW != 0 || b.status == RESERVED;
        _decide(outcome.session, stage, isVoid && taken, "TakenThoughVoid");
    }

    /// @inheritdoc IOutcomeChallenges
    function miscounted(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Answer calldata earlier,
        Answer calldata answer,
        BookOffer calldata offer
    ) external {
        _begin(outcome, stage);
        _requireIn(outcome, answer);
        ICommitmentBook.Entry memory document = _requireOffer(outcome.session, offer, answer.leaf.position);
        uint256 beforeUeur = 0;
        if (offer.leaf.position != 0) {
            _requireIn(outcome, earlier);
            _requirePosition(uint256(earlier.leaf.position) + 1, answer.leaf.position);
            beforeUeur = earlier.leaf.coverUeur;
        }
        uint256 rate = market.terms(outcome.session).penaltyUeurPerKw;
        bool fault = _isMiscounted(answer.leaf, offer.leaf, beforeUeur, document.moneyUeur, rate);
        _decide(outcome.session, stage, fault, "Miscounted");
    }

    /// @dev Whether a leaf of an answer's own document certainly voids its offer, and whether it may. Another leaf than its
    /// own does only where it lies outside the session, which voids the whole document.
    function _voids(uint64 session, Leaves.OutcomeByOfferLeaf calldata answer, BookOffer calldata culprit)
        private
        view
        returns (bool certainly, bool perhaps)
    {
        IMarketSessions.SessionTerms memory terms = market.terms(session);
        Leaves.OfferLeaf calldata x = culprit.leaf;
        certainly = x.product > EntryRules.LAST_PRODUCT || x.slot >= terms.slots;
        if (certainly || x.position != answer.offerPosition) return (certainly, certainly);
        IPodRegistry.Pod memory pod = pods.pods(x.pod);
        if (_isNotThePlayers(session, terms.gateClosure, pod, culprit.opening.player)) return (true, true);
        if (_breaksARule(terms.slots, _limitW(pod, x.product), x)) return (true, true);
        bool offerable = pod.suspendedBy == 0 && (pod.gridProducts & pod.marketProducts) >> x.product & 1 != 0;
        // INVARIANT: nobody makes an honest outcome false by changing a PoD after the gate.
        if (!_isBefore(session, pod.changedAt, terms.gateClosure)) return (false, true);
        return (!offerable, !offerable);
    }

    /// @dev Whether a PoD wasn't registered by a player when the gate closed.
    function _isNotThePlayers(uint64 session, uint48 gateClosure, IPodRegistry.Pod memory pod, address player)
        private
        view
        returns (bool)
    {
        if (pod.aggregator != player || !_isBefore(session, pod.registeredAt, gateClosure)) return true;
        return pod.removedAt != 0 && _isBefore(session, pod.removedAt, gateClosure);
    }

    /// @dev By what an offer says itself.
    function _breaksARule(uint256 slots, uint256 limitW, Leaves.OfferLeaf calldata x) private pure returns (bool) {
        if (x.powerW == 0 || x.powerW > limitW || x.minPowerW > x.powerW || _paysBackTooMuch(x)) return true;
        return x.durationSlots == 0 || x.lastSlot < x.slot || uint256(x.lastSlot) + x.durationSlots > slots
            || x.linkedTo > x.position;
    }

    /// @dev Whether an offer pays back more in a slot than it offers, or more in all than it moves.
    function _paysBackTooMuch(Leaves.OfferLeaf calldata x) private pure returns (bool) {
        uint256 allW = 0;
        // The first slot's int32 stands in the highest bits; what is 0 from here on pays nothing back.
        for (uint256 word = uint256(x.payback); word != 0; word <<= 32) {
            uint256 paybackW = SignedMath.abs(int32(uint32(word >> 224)));
            if (paybackW > x.powerW) return true;
            allW += paybackW;
        }
        return allW > uint256(x.powerW) * x.durationSlots;
    }

    /// @dev An offer counts as far as what covers its document, less what the offers before it need, pays its penalty.
    function _isMiscounted(
        Leaves.OutcomeByOfferLeaf calldata b,
        Leaves.OfferLeaf calldata x,
        uint256 beforeUeur,
        uint256 moneyUeur,
        uint256 penaltyUeurPerKw
    ) private pure returns (bool) {
        if (b.status == VOID) return b.coverUeur != beforeUeur || b.countedW != 0;
        // Beyond what covers it, the earlier answer is the false one.
        if (beforeUeur > moneyUeur) return false;
        uint256 rate = penaltyUeurPerKw * x.durationSlots;
        uint256 penaltyUeur = (x.powerW * rate + 999) / 1000;
        uint256 countedW = x.powerW;
        if (penaltyUeur > moneyUeur - beforeUeur) {
            penaltyUeur = moneyUeur - beforeUeur;
            countedW = penaltyUeur * 1000 / rate;
        }
        bool covered = countedW >= x.minPowerW && countedW != 0;
        return b.coverUeur != beforeUeur + penaltyUeur || b.countedW != (covered ? countedW : 0)
            || (b.status == UNCOVERED) == covered;
    }
}
