// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ICommitmentBook} from "../interfaces/ICommitmentBook.sol";
import {IMarket} from "../interfaces/IMarket.sol";
import {IMarketSessions} from "../interfaces/IMarketSessions.sol";
import {IOutcomeBoard} from "../interfaces/IOutcomeBoard.sol";
import {IPodRegistry} from "../interfaces/IPodRegistry.sol";
import {ISettlementChallenges} from "../interfaces/ISettlementChallenges.sol";
import {ISettlementMechanismFactory} from "../interfaces/ISettlementMechanismFactory.sol";
import {Challenges} from "./Challenges.sol";
import {Leaves} from "./libraries/Leaves.sol";
import {MarketTime} from "./libraries/MarketTime.sol";
import {MechanismCalls} from "./libraries/MechanismCalls.sol";
import {Proofs} from "./libraries/Proofs.sol";
import {SettlementRules} from "./libraries/SettlementRules.sol";
import {SettlementProofs} from "./SettlementProofs.sol";

/// @title Challenges of what a settlement pays, penalises and rewards
contract SettlementChallenges is SettlementProofs, ISettlementChallenges {
    uint8 private constant NO_READING = 1;
    uint8 private constant EXCUSED = 2;
    uint256 private constant SLOT_S = 900;
    uint256 private constant MOST_CUSTOMERS = 100;

    IPodRegistry public immutable pods;
    ISettlementMechanismFactory public immutable mechanisms;

    constructor(
        IMarket market_,
        IOutcomeBoard board_,
        IPodRegistry pods_,
        ISettlementMechanismFactory mechanisms_
    ) Challenges(market_, board_) {
        pods = pods_;
        mechanisms = mechanisms_;
    }

    /// @inheritdoc ISettlementChallenges
    function wrongLength(Posted calldata posted, IOutcomeBoard.Outcome calldata outcome) external {
        _begin(posted);
        _requireBasis(posted.settlement.validatedOutcomeHash, keccak256(abi.encode(outcome)));
        _decide(posted, posted.settlement.settlementLength != outcome.byRequestLength, "WrongLength");
    }

    /// @inheritdoc ISettlementChallenges
    function pairsNotSorted(Posted calldata posted, uint256 later) external {
        _begin(posted);
        if (later == 0 || later >= posted.pairs.length) revert ChallengesNotTheLeaf(posted.pairs.length, later);
        IOutcomeBoard.Pair calldata a = posted.pairs[later - 1];
        IOutcomeBoard.Pair calldata b = posted.pairs[later];
        bool sorted = a.payer < b.payer || (a.payer == b.payer && a.payee < b.payee);
        _decide(posted, !sorted, "PairsNotSorted");
    }

    /// @inheritdoc ISettlementChallenges
    function malformedLeaf(Posted calldata posted, Judged calldata judged) external {
        _begin(posted, judged);
        Leaves.SettlementLeaf calldata s = judged.leaf;
        bool fault = s.length != posted.settlement.settlementLength || s.position >= s.length || s.status > EXCUSED
            || s.claimPosition >= posted.settlement.claimLength || s.claimIndex >= MOST_CUSTOMERS
            || (s.nextForPair != 0 && s.nextForPair <= s.position + 1)
            || (s.nextForPod != 0 && s.nextForPod <= s.position + 1) || s.previousForPair > s.position
            || s.previousForPod > s.position;
        fault = fault
            || (
                s.previousForPair == 0
                    && (s.pairPaymentUeur != s.paymentUeur || s.pairPenaltyUeur != s.penaltyUeur)
            )
            || (
                s.previousForPod == 0
                    && (s.podRewardUeur != s.rewardUeur || s.podRewardPenaltyUeur != s.rewardPenaltyUeur)
            );
        fault = fault || (s.status < NO_READING) != (s.readingRoot != 0)
            || (s.deliveredW != 0 && (s.readingRoot == 0 || s.baselineRoot == 0));
        _decide(posted, fault, "MalformedLeaf");
    }

    /// @inheritdoc ISettlementChallenges
    function leafDoubled(Posted calldata posted, Judged calldata first, Judged calldata second) external {
        _begin(posted, first);
        _requireIn(posted, second);
        bool fault = first.leaf.position == second.leaf.position && Leaves.hash(first.leaf) != Leaves.hash(second.leaf);
        _decide(posted, fault, "Doubled");
    }

    /// @inheritdoc ISettlementChallenges
    function wrongEntry(
        Posted calldata posted,
        IOutcomeBoard.Outcome calldata outcome,
        Judged calldata judged,
        Entry calldata entry
    ) external {
        _begin(posted, judged);
        _requireEntry(posted, outcome, judged, entry);
        Leaves.SettlementLeaf calldata s = judged.leaf;
        Leaves.OutcomeByRequestLeaf calldata e = entry.leaf;
        bool fault = s.pod != e.pod || s.slot != e.slot || s.product != e.product || s.acceptedW != e.acceptedW
            || s.payee != pods.aggregatorOf(e.pod);
        _decide(posted, fault, "WrongCopy");
    }

    /// @inheritdoc ISettlementChallenges
    function wrongPayer(
        Posted calldata posted,
        IOutcomeBoard.Outcome calldata outcome,
        Judged calldata judged,
        Entry calldata entry,
        ICommitmentBook.Opening calldata document
    ) external {
        _begin(posted, judged);
        _requireEntry(posted, outcome, judged, entry);
        ICommitmentBook.Entry memory known = market.document(document);
        // INVARIANT: a proof of another session's or side's document shows nothing.
        if (document.session != posted.settlement.session || known.side == ICommitmentBook.Side.OFFER) {
            revert ChallengesNotTheLeaf(posted.settlement.session, document.session);
        }
        uint256 position = entry.leaf.requestPosition;
        if (position < known.firstPosition || position >= uint256(known.firstPosition) + document.leafCount) {
            revert ChallengesNotTheLeaf(known.firstPosition, position);
        }
        _decide(posted, judged.leaf.payer != document.player, "WrongPayer");
    }

    /// @inheritdoc ISettlementChallenges
    function wrongPayment(
        Posted calldata posted,
        IOutcomeBoard.Outcome calldata outcome,
        Judged calldata judged,
        Entry calldata entry
    ) external {
        _begin(posted, judged);
        _requireEntry(posted, outcome, judged, entry);
        Leaves.SettlementLeaf calldata s = judged.leaf;
        uint256 paidW = SettlementRules.paidW(s.deliveredW, s.acceptedW);
        uint256 right = SettlementRules.moneyUeur(paidW, entry.leaf.priceUeurPerKw);
        _decideAmount(posted, s.paymentUeur, right, s.payee, s.payer, "WrongPayment");
    }

    /// @inheritdoc ISettlementChallenges
    function wrongPenalty(Posted calldata posted, Judged calldata judged) external {
        _begin(posted, judged);
        Leaves.SettlementLeaf calldata s = judged.leaf;
        IMarketSessions.SessionTerms memory terms = market.terms(posted.settlement.session);
        uint256 right = SettlementRules.moneyUeur(_penalisedW(s, terms), terms.penaltyUeurPerKw);
        _decideAmount(posted, s.penaltyUeur, right, s.payer, s.payee, "WrongPenalty");
    }

    /// @inheritdoc ISettlementChallenges
    function wrongReward(
        Posted calldata posted,
        IOutcomeBoard.Outcome calldata outcome,
        Judged calldata judged,
        Entry calldata entry
    ) external {
        _begin(posted, judged);
        _requireEntry(posted, outcome, judged, entry);
        Leaves.SettlementLeaf calldata s = judged.leaf;
        IMarketSessions.SessionTerms memory terms = market.terms(posted.settlement.session);
        IPodRegistry.Pod memory pod = pods.pods(s.pod);
        // INVARIANT: who can change a mechanism's answer can't make a right settlement false.
        if (mechanisms.aggregatorOf(pod.mechanism) == address(0)) {
            revert SettlementChallengesOthersMechanism(pod.mechanism);
        }
        (uint8 day, uint8 interval) = MarketTime.dayAndInterval(terms.deliveryStart + s.slot * SLOT_S);
        (, uint64 price) = MechanismCalls.tryCustomerPrice(pod.mechanism, day, interval, entry.leaf.priceUeurPerKw);
        uint256 reward = SettlementRules.moneyUeur(SettlementRules.paidW(s.deliveredW, s.acceptedW), price);
        uint256 penalty = SettlementRules.moneyUeur(_penalisedW(s, terms), price);
        bool fault = s.rewardUeur != reward || s.rewardPenaltyUeur != penalty;
        uint256 due = reward + s.rewardPenaltyUeur;
        uint256 given = penalty + s.rewardUeur;
        uint256 loss = due > given ? due - given : 0;
        address wronged = loss == 0 ? address(0) : pod.customer;
        _decide(
            posted.settlement.session, IOutcomeBoard.Stage.SETTLEMENT, fault, "WrongReward", wronged, loss
        );
    }

    /// @inheritdoc ISettlementChallenges
    function pairSumBroken(Posted calldata posted, Judged calldata earlier, Judged calldata later) external {
        _begin(posted, earlier);
        _requireIn(posted, later);
        Leaves.SettlementLeaf calldata a = earlier.leaf;
        Leaves.SettlementLeaf calldata b = later.leaf;
        bool linked = a.nextForPair != 0 && a.nextForPair == uint256(b.position) + 1;
        bool fault = linked != (b.previousForPair != 0 && b.previousForPair == uint256(a.position) + 1);
        if (a.payer != b.payer || a.payee != b.payee) {
            fault = fault || linked;
        } else if (a.position != b.position) {
            fault = fault || a.nextForPair == b.nextForPair || a.previousForPair == b.previousForPair;
            fault = fault
                || (
                    linked
                        && (
                            b.pairPaymentUeur != uint256(a.pairPaymentUeur) + b.paymentUeur
                                || b.pairPenaltyUeur != uint256(a.pairPenaltyUeur) + b.penaltyUeur
                        )
                );
        }
        _decide(posted, fault, "PairChainBroken");
    }

    /// @inheritdoc ISettlementChallenges
    function podSumBroken(Posted calldata posted, Judged calldata earlier, Judged calldata later) external {
        _begin(posted, earlier);
        _requireIn(posted, later);
        Leaves.SettlementLeaf calldata a = earlier.leaf;
        Leaves.SettlementLeaf calldata b = later.leaf;
        bool linked = a.nextForPod != 0 && a.nextForPod == uint256(b.position) + 1;
        bool samePlace = a.claimPosition == b.claimPosition && a.claimIndex == b.claimIndex;
        bool fault = linked != (b.previousForPod != 0 && b.previousForPod == uint256(a.position) + 1);
        if (a.pod != b.pod) {
            fault = fault || linked || samePlace;
        } else if (a.position != b.position) {
            fault = fault || !samePlace || a.nextForPod == b.nextForPod || a.previousForPod == b.previousForPod;
            fault = fault
                || (
                    linked
                        && (
                            b.podRewardUeur != uint256(a.podRewardUeur) + b.rewardUeur
                                || b.podRewardPenaltyUeur != uint256(a.podRewardPenaltyUeur) + b.rewardPenaltyUeur
                        )
                );
        }
        _decide(posted, fault, "PodChainBroken");
    }

    /// @inheritdoc ISettlementChallenges
    function wrongPair(Posted calldata posted, Judged calldata last) external {
        _begin(posted, last);
        Leaves.SettlementLeaf calldata s = last.leaf;
        _requirePosition(0, s.nextForPair);
        bool fault = true;
        for (uint256 i = 0; i < posted.pairs.length; ++i) {
            IOutcomeBoard.Pair calldata pair = posted.pairs[i];
            if (pair.payer != s.payer || pair.payee != s.payee) continue;
            fault = pair.paymentUeur != s.pairPaymentUeur || pair.penaltyUeur != s.pairPenaltyUeur;
            break;
        }
        _decide(posted, fault, "WrongPair");
    }

    /// @inheritdoc ISettlementChallenges
    function wrongClaim(Posted calldata posted, Judged calldata last, Claim calldata claim) external {
        _begin(posted, last);
        Leaves.SettlementLeaf calldata s = last.leaf;
        _requirePosition(0, s.nextForPod);
        _requireClaim(posted, claim);
        _requirePosition(s.claimPosition, claim.position);
        bool fault = s.claimIndex >= claim.wallets.length || s.claimIndex >= claim.amounts.length;
        if (!fault) {
            int256 amount = int256(uint256(s.podRewardUeur)) - int256(uint256(s.podRewardPenaltyUeur));
            fault = claim.amounts[s.claimIndex] != amount
                || claim.wallets[s.claimIndex] != pods.pods(s.pod).customer;
        }
        _decide(posted, fault, "WrongClaim");
    }

    /// @inheritdoc ISettlementChallenges
    function malformedClaim(Posted calldata posted, Claim calldata claim) external {
        _begin(posted);
        _requireClaim(posted, claim);
        bool fault = claim.length != posted.settlement.claimLength || claim.position >= claim.length
            || claim.wallets.length != claim.amounts.length || claim.wallets.length == 0
            || claim.wallets.length > MOST_CUSTOMERS;
        _decide(posted, fault, "MalformedClaim");
    }

    /// @inheritdoc ISettlementChallenges
    function rewardsDontAddUp(Posted calldata posted, Claim[] calldata claims) external {
        _begin(posted);
        uint256 sum;
        for (uint256 i = 0; i < claims.length; ++i) {
            Claim calldata claim = claims[i];
            // INVARIANT: no claim is counted twice.
            if (i != 0 && claim.position <= claims[i - 1].position) {
                revert ChallengesNotTheLeaf(uint256(claims[i - 1].position) + 1, claim.position);
            }
            _requireClaim(posted, claim);
            for (uint256 k = 0; k < claim.amounts.length; ++k) {
                if (claim.amounts[k] > 0) sum += uint64(claim.amounts[k]);
            }
        }
        _decide(posted, sum > posted.settlement.rewardsUeur, "RewardsDontAddUp");
    }

    function _requireClaim(Posted calldata posted, Claim calldata claim) private pure {
        bytes32 leaf = Leaves.hashClaim(claim.position, claim.length, claim.wallets, claim.amounts);
        Proofs.requireLeaf(posted.settlement.claimRoot, leaf, claim.proof);
    }

    function _penalisedW(Leaves.SettlementLeaf calldata s, IMarketSessions.SessionTerms memory terms)
        private
        pure
        returns (uint256)
    {
        if (s.status == EXCUSED) return 0;
        return SettlementRules.penalisedW(s.deliveredW, s.acceptedW, terms.tolerancePermille);
    }
}
