// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ICommitmentBook} from "../interfaces/ICommitmentBook.sol";
import {IMarket} from "../interfaces/IMarket.sol";
import {IMarketSessions} from "../interfaces/IMarketSessions.sol";
import {IOutcomeBoard} from "../interfaces/IOutcomeBoard.sol";
import {IOutcomeChallenges} from "../interfaces/IOutcomeChallenges.sol";
import {IPodRegistry} from "../interfaces/IPodRegistry.sol";
import {OutcomeProofs} from "./OutcomeProofs.sol";
import {Leaves} from "./libraries/Leaves.sol";

/// @title Challenges of market and validated outcomes
contract OutcomeChallenges is OutcomeProofs, IOutcomeChallenges {
    uint8 private constant LAST_PRODUCT = 3;
    uint8 private constant PAY_AS_BID = 0;
    uint8 private constant PAY_AS_CLEAR = 1;
    uint8 private constant ACCEPTED = 0;
    uint8 private constant PARTLY_ACCEPTED = 1;
    uint8 private constant TEC = 6;
    uint8 private constant VOID = 7;
    uint8 private constant UNCOVERED = 8;
    uint8 private constant COM_SOLD = 9;

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
        Leaves.OutcomeByRequestLeaf calldata leaf = entry.leaf;
        bool fault = leaf.length != outcome.byRequestLength || leaf.position >= leaf.length
            || leaf.product > LAST_PRODUCT || leaf.slot >= market.terms(outcome.session).slots || leaf.acceptedW == 0
            || leaf.effectivenessPermille == 0 || leaf.effectivenessPermille > 1000;
        fault = fault || (leaf.nextForOffer != 0 && leaf.nextForOffer <= leaf.position + 1)
            || (leaf.nextForPod != 0 && leaf.nextForPod <= leaf.position + 1)
            || (leaf.previousForPod != 0 && leaf.previousForPod > leaf.position)
            || (leaf.previousForPod == 0 && leaf.podRunningW != leaf.acceptedW)
            || (leaf.nextForPod == 0 && leaf.podRunningW != leaf.podTotalW);
        fault = fault
            || (
                leaf.position == 0
                    && (
                        leaf.runningW != leaf.acceptedW || leaf.runningUeur != _money(leaf)
                            || leaf.documentUeur != leaf.runningUeur
                            || leaf.requestRunningWPermille != uint256(leaf.acceptedW) * leaf.effectivenessPermille
                    )
            );
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
        Leaves.OutcomeByRequestLeaf calldata a = earlier.leaf;
        Leaves.OutcomeByRequestLeaf calldata b = later.leaf;
        _requirePosition(uint256(a.position) + 1, b.position);
        bool same = a.requestPosition == b.requestPosition;
        uint256 relief = uint256(b.acceptedW) * b.effectivenessPermille;
        bool fault = b.runningW != uint256(a.runningW) + b.acceptedW
            || b.runningUeur != uint256(a.runningUeur) + _money(b)
            || b.requestRunningWPermille != (same ? a.requestRunningWPermille : 0) + relief
            || b.requestPosition < a.requestPosition
            || (b.documentUeur != uint256(a.documentUeur) + _money(b) && (same || b.documentUeur != _money(b)));
        if (same && market.terms(outcome.session).method == PAY_AS_BID) {
            fault = fault
                || uint256(b.priceUeurPerKw) * a.effectivenessPermille < uint256(a.priceUeurPerKw) * b.effectivenessPermille;
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
        Leaves.OutcomeByRequestLeaf calldata a = earlier.leaf;
        Leaves.OutcomeByRequestLeaf calldata b = later.leaf;
        bool linked = a.nextForOffer != 0 && a.nextForOffer == uint256(b.position) + 1;
        bool fault;
        if (a.offerPosition != b.offerPosition) {
            fault = linked;
        } else {
            fault = (a.position != b.position && a.nextForOffer == b.nextForOffer)
                || (
                    linked
                        && (
                            b.offerRunningW != (a.slot == b.slot ? uint256(a.offerRunningW) : 0) + b.acceptedW
                                || b.requestPosition <= a.requestPosition
                        )
                );
        }
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
        Leaves.OutcomeByRequestLeaf calldata a = earlier.leaf;
        Leaves.OutcomeByRequestLeaf calldata b = later.leaf;
        bool linked = a.nextForPod != 0 && a.nextForPod == uint256(b.position) + 1;
        bool linkedBack = b.previousForPod != 0 && b.previousForPod == uint256(a.position) + 1;
        bool fault = linked != linkedBack;
        if (a.pod != b.pod || a.slot != b.slot || a.product != b.product) {
            fault = fault || linked;
        } else if (a.position != b.position) {
            fault = fault || a.podTotalW != b.podTotalW || a.nextForPod == b.nextForPod
                || a.previousForPod == b.previousForPod
                || (linked && b.podRunningW != uint256(a.podRunningW) + b.acceptedW);
        }
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
        ICommitmentBook.Tally memory tally = market.tally(outcome.session);
        bool fault = entry.leaf.offerPosition >= tally.offerLeaves
            || entry.leaf.requestPosition >= tally.requestLeaves
            || entry.leaf.effectivenessPosition >= tally.requestLeaves;
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
        bool fault = e.pod != x.pod || e.product != x.product || e.slot < x.slot
            || e.slot >= uint256(x.lastSlot) + x.durationSlots || e.offerRunningW > x.powerW
            || pods.aggregatorOf(x.pod) != offer.opening.player;
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
        Leaves.OutcomeByRequestLeaf calldata e = entry.leaf;
        Leaves.RequestLeaf calldata r = request.leaf;
        bool fault = e.slot != r.slot || e.product != r.product || e.requestRunningWPermille > uint256(r.reliefW) * 1000
            || uint256(e.priceUeurPerKw) * 1000 > uint256(r.priceCapUeurPerKw) * e.effectivenessPermille;
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
        ICommitmentBook.Entry memory known = _requireDocument(outcome.session, document, false);
        uint256 position = entry.leaf.requestPosition;
        if (position < known.firstPosition || position >= uint256(known.firstPosition) + document.leafCount) {
            revert ChallengesNotTheLeaf(known.firstPosition, position);
        }
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
        ICommitmentBook.Entry memory document =
            _requireRequest(outcome.session, request, entry.leaf.requestPosition);
        _requireEffectiveness(request.opening, effectiveness);
        Leaves.EffectivenessLeaf calldata f = effectiveness.leaf;
        _requirePosition(entry.leaf.effectivenessPosition, uint256(document.firstPosition) + f.position);
        bool fault = f.area != request.leaf.area || f.pod != entry.leaf.pod
            || f.effectivenessPermille != entry.leaf.effectivenessPermille;
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
        _decide(outcome.session, stage, isVoid && b.acceptedW != 0, "TakenThoughVoid");
    }

    /// @inheritdoc IOutcomeChallenges
    function miscounted(
        IOutcomeBoard.Outcome calldata outcome,
        Answer calldata earlier,
        Answer calldata answer,
        BookOffer calldata offer
    ) external {
        _begin(outcome, IOutcomeBoard.Stage.MARKET);
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
        _decide(outcome.session, IOutcomeBoard.Stage.MARKET, fault, "Miscounted");
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
        certainly = x.product > LAST_PRODUCT || x.slot >= terms.slots;
        if (certainly || x.position != answer.offerPosition) return (certainly, certainly);
        IPodRegistry.Pod memory pod = pods.pods(x.pod);
        if (_breaksARule(terms, pod, x, culprit.opening.player)) return (true, true);
        bool offerable = pod.suspendedBy == 0 && (pod.gridProducts & pod.marketProducts) >> x.product & 1 != 0;
        // INVARIANT: nobody makes an honest outcome false by changing a PoD after the gate.
        if (pod.changedAt >= terms.gateClosure) return (false, true);
        return (!offerable, !offerable);
    }

    /// @dev By what can't change after the gate.
    function _breaksARule(
        IMarketSessions.SessionTerms memory terms,
        IPodRegistry.Pod memory pod,
        Leaves.OfferLeaf calldata x,
        address player
    ) private pure returns (bool) {
        if (pod.aggregator != player || pod.registeredAt >= terms.gateClosure) return true;
        if (pod.removedAt != 0 && pod.removedAt < terms.gateClosure) return true;
        if (x.powerW == 0 || x.powerW > _limitW(pod, x.product) || x.minPowerW > x.powerW) return true;
        return x.durationSlots == 0 || x.lastSlot < x.slot || uint256(x.lastSlot) + x.durationSlots > terms.slots
            || x.linkedTo > x.position;
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

    function _money(Leaves.OutcomeByRequestLeaf calldata leaf) private pure returns (uint256) {
        return uint256(leaf.acceptedW) * leaf.priceUeurPerKw / 1000;
    }

}
