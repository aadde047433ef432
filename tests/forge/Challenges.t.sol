// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";
import {Administration} from "../../contracts/Administration.sol";
import {Availability} from "../../contracts/Availability.sol";
import {DataNotary} from "../../contracts/DataNotary.sol";
import {OutcomeBoard} from "../../contracts/OutcomeBoard.sol";
import {OutcomeChallenges} from "../../contracts/OutcomeChallenges.sol";
import {Leaves} from "../../contracts/libraries/Leaves.sol";
import {IAvailability} from "../../interfaces/IAvailability.sol";
import {IChallenges} from "../../interfaces/IChallenges.sol";
import {IMarket} from "../../interfaces/IMarket.sol";
import {IMarketSessions} from "../../interfaces/IMarketSessions.sol";
import {IOutcomeBoard} from "../../interfaces/IOutcomeBoard.sol";
import {IParticipantRegistry} from "../../interfaces/IParticipantRegistry.sol";
import {IPodRegistry} from "../../interfaces/IPodRegistry.sol";
import {vm} from "./Cheats.sol";
import {Deployment} from "./Deployment.sol";

/// @title Only challenges that are right succeed, and what is wrong is always struck
/// @notice Two neighbouring leaves of an outcome, made at random by the rules of SPECIFICATION.md 21, are posted as the rules
/// have them or with one sum changed, and every challenge of the sums is tried on them.
contract ChallengesFuzz is Deployment {
    /// @notice What is random about an honest pair.
    struct Seeds {
        uint24 firstW;
        uint24 secondW;
        uint32 firstPrice;
        uint32 secondPrice;
        uint16 firstEffectiveness;
        uint16 secondEffectiveness;
        uint32 firstFee;
        uint32 secondFee;
        bool sameRequest;
        bool sameOffer;
        bool samePod;
        bool sameDocument;
    }

    IOutcomeBoard.Stage private constant MARKET = IOutcomeBoard.Stage.MARKET;
    address private constant ORACLE = address(0x0dd);
    address private constant AUDITOR = address(0xa0d);
    uint256 private constant STORE_KEY = 0x5702e;
    uint256 private constant FUNDS_UEUR = 1_000_000_000;

    OutcomeBoard private immutable _board;
    Availability private immutable _availability;
    OutcomeChallenges private immutable _challenges;
    uint64 private immutable _session;

    constructor() {
        IMarket interface_ = IMarket(address(market));
        Administration administration = new Administration(address(this));
        _availability = new Availability(address(administration), interface_, 1);
        DataNotary notary = new DataNotary(interface_);
        _board = new OutcomeBoard(address(administration), interface_, notary, _availability);
        _challenges = new OutcomeChallenges(interface_, _board, IPodRegistry(address(0)));
        address[] memory names = new address[](2);
        (names[0], names[1]) = (address(_availability), address(_board));
        market.setControllers(names);
        names = new address[](1);
        names[0] = address(_challenges);
        _board.setChallengers(names);
        _register(ORACLE, IParticipantRegistry.Role.CLEARING_ORACLE);
        _register(AUDITOR, IParticipantRegistry.Role.AUDITOR);
        address store = vm.addr(STORE_KEY);
        _register(store, IParticipantRegistry.Role.STORE);
        _fund(store, FUNDS_UEUR);
        _fund(ORACLE, FUNDS_UEUR);
        vm.prank(store);
        _availability.stake(1);
        IMarketSessions.SessionTerms memory terms = _terms();
        _session = market.create(terms);
        vm.warp(terms.documentsDeadline);
    }

    function testFuzz_honest_sums_stand(Seeds memory seeds) external {
        (IChallenges.Entry[2] memory pair, IOutcomeBoard.Outcome memory outcome) = _honest(seeds);
        _post(pair, outcome);
        for (uint256 kind = 0; kind < KINDS; ++kind) {
            (bool struck, bytes4 reason) = _try(kind, outcome, pair);
            assert(!struck);
            assert(
                reason == IChallenges.ChallengesNotAFault.selector
                    || reason == IChallenges.ChallengesNotTheLeaf.selector
            );
        }
    }

    function testFuzz_a_changed_sum_is_struck(Seeds memory seeds, uint8 field, uint32 delta) external {
        (IChallenges.Entry[2] memory pair, IOutcomeBoard.Outcome memory outcome) = _honest(seeds);
        vm.assume(_change(pair, outcome, field % 11, uint64(delta) + 1));
        _post(pair, outcome);
        uint256 before = market.free(AUDITOR) + market.free(RESERVE) + market.bonded(ORACLE);
        uint256 kind = 0;
        bool struck = false;
        while (kind < KINDS && !struck) {
            (struck,) = _try(kind++, outcome, pair);
        }
        assert(struck);
        // The bond is shared out whole, and once.
        assert(market.free(AUDITOR) + market.free(RESERVE) == before);
        assert(market.bonded(ORACLE) == 0 && market.free(AUDITOR) != 0 && market.free(RESERVE) != 0);
        for (kind = 0; kind < KINDS; ++kind) {
            (struck,) = _try(kind, outcome, pair);
            assert(!struck);
        }
    }

    uint256 private constant KINDS = 7;

    function _try(uint256 kind, IOutcomeBoard.Outcome memory outcome, IChallenges.Entry[2] memory pair)
        private
        returns (bool struck, bytes4 reason)
    {
        bytes memory call;
        if (kind == 0) call = abi.encodeCall(_challenges.malformedEntry, (outcome, MARKET, pair[0]));
        if (kind == 1) call = abi.encodeCall(_challenges.malformedEntry, (outcome, MARKET, pair[1]));
        if (kind == 2) call = abi.encodeCall(_challenges.entryDoubled, (outcome, MARKET, pair[0], pair[1]));
        if (kind == 3) call = abi.encodeCall(_challenges.sumBroken, (outcome, MARKET, pair[0], pair[1]));
        if (kind == 4) call = abi.encodeCall(_challenges.offerSumBroken, (outcome, MARKET, pair[0], pair[1]));
        if (kind == 5) call = abi.encodeCall(_challenges.podSumBroken, (outcome, MARKET, pair[0], pair[1]));
        if (kind == 6) call = abi.encodeCall(_challenges.totalsDontAddUp, (outcome, MARKET, pair[1]));
        vm.prank(AUDITOR);
        bytes memory answer;
        (struck, answer) = address(_challenges).call(call);
        reason = bytes4(answer);
    }

    /// @dev Gives whether the change breaks a rule that these challenges hold.
    function _change(
        IChallenges.Entry[2] memory pair,
        IOutcomeBoard.Outcome memory outcome,
        uint8 field,
        uint64 delta
    ) private pure returns (bool) {
        Leaves.OutcomeByRequestLeaf memory a = pair[0].leaf;
        Leaves.OutcomeByRequestLeaf memory b = pair[1].leaf;
        uint32 small = uint32(delta);
        if (small == 0) return false;
        unchecked {
            if (field == 0) b.runningW += delta;
            if (field == 1) b.runningUeur -= delta;
            if (field == 2) b.requestRunningWPermille += delta;
            if (field == 3) b.documentUeur += delta;
            if (field == 4) b.offerRunningW += small;
            if (field == 5) b.podRunningW -= small;
            if (field == 6) b.podTotalW += small;
            if (field == 7) outcome.acceptedWSlots += delta;
            if (field == 8) outcome.totalUeur -= delta;
            if (field == 9) (a.runningW, b.runningW) = (a.runningW + delta, b.runningW + delta);
        }
        // So that the neighbours alone show it, and not the totals as well.
        if (field < 2 || field == 9) (outcome.acceptedWSlots, outcome.totalUeur) = (b.runningW, b.runningUeur);
        if (field == 10) b.position = 0;
        // A new document begins its sum anew; an offer's sum alone is held to its answer, which isn't shown here.
        if (field == 3) return b.documentUeur != a.documentUeur + _money(b) && b.documentUeur != _money(b);
        return field != 4 || a.offerPosition == b.offerPosition;
    }

    function _honest(Seeds memory seeds)
        private
        view
        returns (IChallenges.Entry[2] memory pair, IOutcomeBoard.Outcome memory outcome)
    {
        // One offer serves one request once.
        bool sameOffer = seeds.sameOffer && !seeds.sameRequest;
        // And is of one PoD.
        bool samePod = seeds.samePod || sameOffer;
        Leaves.OutcomeByRequestLeaf memory a = _leaf(seeds.firstW, seeds.firstPrice, seeds.firstEffectiveness);
        a.gridFeeUeurPerKw = seeds.firstFee;
        Leaves.OutcomeByRequestLeaf memory b = _leaf(seeds.secondW, seeds.secondPrice, seeds.secondEffectiveness);
        b.gridFeeUeurPerKw = seeds.secondFee;
        if (_delivered(b) * a.effectivenessPermille < _delivered(a) * b.effectivenessPermille) {
            (a, b) = (b, a);
        }
        b.position = 1;
        b.requestPosition = seeds.sameRequest ? 0 : 1;
        b.offerPosition = sameOffer ? 0 : 1;
        b.pod = bytes32(uint256(samePod ? 0 : 1));
        if (sameOffer) (a.nextForOffer, b.offerRunningW) = (2, a.acceptedW + b.acceptedW);
        if (samePod) {
            (a.nextForPod, b.previousForPod) = (2, 1);
            b.podRunningW = a.acceptedW + b.acceptedW;
            (a.podTotalW, b.podTotalW) = (b.podRunningW, b.podRunningW);
        }
        b.runningW = a.runningW + b.acceptedW;
        b.runningUeur = a.runningUeur + _money(b);
        if (seeds.sameRequest) b.requestRunningWPermille += a.requestRunningWPermille;
        if (seeds.sameRequest || seeds.sameDocument) b.documentUeur += a.documentUeur;
        (pair[0].leaf, pair[1].leaf) = (a, b);
        outcome.session = _session;
        outcome.byRequestLength = 2;
        outcome.cidCodec = 0x55;
        outcome.acceptedWSlots = b.runningW;
        outcome.totalUeur = b.runningUeur;
        outcome.basis = market.seed(_session);
    }

    function _leaf(uint24 watts, uint32 price, uint16 effectiveness)
        private
        pure
        returns (Leaves.OutcomeByRequestLeaf memory made)
    {
        made.length = 2;
        made.acceptedW = uint32(watts) + 1;
        made.priceUeurPerKw = price;
        made.effectivenessPermille = 1 + effectiveness % 1000;
        made.requestRunningWPermille = uint64(made.acceptedW) * made.effectivenessPermille;
        made.offerRunningW = made.acceptedW;
        made.podRunningW = made.acceptedW;
        made.podTotalW = made.acceptedW;
        made.runningW = made.acceptedW;
        made.runningUeur = _money(made);
        made.documentUeur = made.runningUeur;
    }

    function _hash(Leaves.OutcomeByRequestLeaf memory leaf) private pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(Leaves.OUTCOME_BY_REQUEST, leaf))));
    }

    function _delivered(Leaves.OutcomeByRequestLeaf memory leaf) private pure returns (uint256) {
        return uint256(leaf.priceUeurPerKw) + leaf.gridFeeUeurPerKw;
    }

    function _money(Leaves.OutcomeByRequestLeaf memory leaf) private pure returns (uint64) {
        return uint64(leaf.acceptedW) * leaf.priceUeurPerKw / 1000;
    }

    function _post(IChallenges.Entry[2] memory pair, IOutcomeBoard.Outcome memory outcome) private {
        for (uint256 i = 0; i < 2; ++i) {
            pair[i].proof = new bytes32[](1);
            pair[i].proof[0] = _hash(pair[1 - i].leaf);
        }
        outcome.byRequestRoot = Hashes.commutativeKeccak256(pair[0].proof[0], pair[1].proof[0]);
        IAvailability.Receipt memory receipt = IAvailability.Receipt({
            content: keccak256(abi.encode(bytes32(0), 0, outcome.byRequestRoot, 2, bytes32(0), 0)),
            cidDigest: bytes32(0),
            cidCodec: 0x55,
            until: uint48(block.timestamp + 100 days)
        });
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(STORE_KEY, _availability.hashReceipt(receipt));
        bytes32 vs = bytes32(uint256(s) | (uint256(v - 27) << 255));
        vm.prank(ORACLE);
        _board.postMarketOutcome(outcome, IAvailability.StoreReceipts(receipt.until, abi.encodePacked(r, vs)));
    }
}
