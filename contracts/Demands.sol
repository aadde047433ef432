// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IAvailability} from "../interfaces/IAvailability.sol";
import {IDemands} from "../interfaces/IDemands.sol";
import {IMarket} from "../interfaces/IMarket.sol";
import {IOutcomeBoard} from "../interfaces/IOutcomeBoard.sol";
import {IPodRegistry} from "../interfaces/IPodRegistry.sol";
import {ISettlementChallenges} from "../interfaces/ISettlementChallenges.sol";
import {Leaves} from "./libraries/Leaves.sol";
import {Proofs} from "./libraries/Proofs.sol";
import {Stages} from "./libraries/Stages.sol";

/// @title Demands for leaves that were never published
contract Demands is IDemands {
    bytes32 private constant FEES = keccak256("flexledger demand fees");
    bytes32 private constant FAULT = "Unanswered";
    /// @dev Kind, position and length: the words with which every leaf begins.
    uint256 private constant HEAD_BYTES = 96;
    /// @dev Kind and fields of a settlement's leaf.
    uint256 private constant SETTLEMENT_BYTES = 30 * 32;

    IMarket public immutable market;
    IOutcomeBoard public immutable board;
    IAvailability public immutable availability;
    IPodRegistry public immutable pods;
    /// @inheritdoc IDemands
    uint64 public immutable feeUeur;
    /// @inheritdoc IDemands
    uint48 public immutable storeWindowS;

    mapping(bytes32 id => Demand) private _demands;

    modifier onlyParticipant() {
        market.requireParticipant(msg.sender);
        _;
    }

    constructor(
        IMarket market_,
        IOutcomeBoard board_,
        IAvailability availability_,
        IPodRegistry pods_,
        uint64 feeUeur_,
        uint48 storeWindowS_
    ) {
        market = market_;
        board = board_;
        availability = availability_;
        pods = pods_;
        feeUeur = feeUeur_;
        storeWindowS = storeWindowS_;
    }

    /// @inheritdoc IDemands
    function demandOutcome(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        List list,
        uint32 position
    ) external onlyParticipant returns (bytes32) {
        bool isOutcome = Stages.isMarket(stage) || stage == IOutcomeBoard.Stage.VALIDATED;
        if (!isOutcome || uint8(list) > uint8(List.RESERVE)) revert DemandsNoSuchList(stage, list);
        bytes32 root = outcome.byOfferRoot;
        uint32 length = outcome.byOfferLength;
        if (list == List.BY_REQUEST) (root, length) = (outcome.byRequestRoot, outcome.byRequestLength);
        if (list == List.RESERVE) (root, length) = (outcome.reserveRoot, outcome.reserveLength);
        return _askLeaf(outcome.session, stage, keccak256(abi.encode(outcome)), list, root, length, position);
    }

    /// @inheritdoc IDemands
    function demandRefusal(
        IOutcomeBoard.TechnicalOutcome calldata outcome,
        IOutcomeBoard.Stage stage,
        uint32 position
    ) external onlyParticipant returns (bytes32) {
        if (!Stages.isTechnical(stage)) revert DemandsNoSuchList(stage, List.REFUSALS);
        return _askLeaf(
            outcome.session,
            stage,
            keccak256(abi.encode(outcome)),
            List.REFUSALS,
            outcome.refusalRoot,
            outcome.refusalLength,
            position
        );
    }

    /// @inheritdoc IDemands
    function demandSettlement(
        IOutcomeBoard.Settlement calldata settlement,
        IOutcomeBoard.Pair[] calldata pairs,
        List list,
        uint32 position
    ) external onlyParticipant returns (bytes32) {
        IOutcomeBoard.Stage stage = IOutcomeBoard.Stage.SETTLEMENT;
        if (list != List.SETTLEMENT && list != List.CLAIMS) revert DemandsNoSuchList(stage, list);
        bytes32 hash = keccak256(abi.encode(settlement, pairs));
        bytes32 root = list == List.CLAIMS ? settlement.claimRoot : settlement.settlementRoot;
        uint32 length = list == List.CLAIMS ? settlement.claimLength : settlement.settlementLength;
        return _askLeaf(settlement.session, stage, hash, list, root, length, position);
    }

    /// @inheritdoc IDemands
    function demandPair(
        IOutcomeBoard.Settlement calldata settlement,
        IOutcomeBoard.Pair[] calldata pairs,
        uint256 index
    ) external onlyParticipant returns (bytes32) {
        if (index >= pairs.length) revert DemandsNoSuchPair(index, pairs.length);
        bytes32 origin = keccak256(abi.encode(pairs[index]));
        // Narrowing is safe: the board takes 200 pairs at most.
        return _askOrigin(settlement, pairs, List.PAIR, uint32(pairs.length), uint32(index), origin);
    }

    /// @inheritdoc IDemands
    function demandClaimEntry(
        IOutcomeBoard.Settlement calldata settlement,
        IOutcomeBoard.Pair[] calldata pairs,
        ISettlementChallenges.Claim calldata claim,
        uint8 index
    ) external onlyParticipant returns (bytes32) {
        bytes32 leaf = Leaves.hashClaim(claim.position, claim.length, claim.wallets, claim.amounts);
        Proofs.requireLeaf(settlement.claimRoot, leaf, claim.proof);
        if (index >= claim.wallets.length || index >= claim.amounts.length) {
            revert DemandsNoSuchClaim(index, claim.wallets.length);
        }
        bytes32 origin =
            keccak256(abi.encode(claim.position, index, claim.wallets[index], int256(claim.amounts[index])));
        uint32 length = settlement.claimLength;
        return _askOrigin(settlement, pairs, List.CLAIM_ENTRY, length, claim.position, origin);
    }

    /// @inheritdoc IDemands
    function demandFromStore(
        IAvailability.Receipt calldata receipt,
        bytes32 r,
        bytes32 vs,
        bytes32[] calldata roots,
        uint32[] calldata lengths,
        uint8 tree,
        uint32 position
    ) external onlyParticipant returns (bytes32 id) {
        _requireContent(receipt.content, roots, lengths, tree);
        uint256 end = block.timestamp + storeWindowS;
        // INVARIANT: nobody answers for a document longer than it signed.
        if (end > receipt.until) revert DemandsReceiptOver(receipt.until, end);
        address store = availability.signerOf(receipt, r, vs);
        if (availability.stakeOf(store).amountUeur == 0) revert DemandsNoStake(store);
        id = idOfStore(store, roots[tree], position);
        _open(
            id,
            Demand({
                demander: msg.sender,
                deadline: SafeCast.toUint48(end),
                postedAt: 0,
                session: 0,
                position: position,
                length: lengths[tree],
                list: List.DOCUMENT,
                stage: IOutcomeBoard.Stage.MARKET,
                state: State.OPEN,
                root: roots[tree],
                store: store,
                origin: 0
            })
        );
    }

    /// @inheritdoc IDemands
    function answer(bytes32 id, bytes calldata leaf, bytes32[] calldata proof) external {
        Demand memory asked = _openDemand(id);
        uint256 time = _time(asked);
        if (time >= asked.deadline) revert DemandsTooLate(id, asked.deadline, time);
        if (asked.origin == 0) _requireLeaf(id, asked, leaf);
        else _requireOrigin(id, asked, leaf);
        bytes32 leafHash = keccak256(bytes.concat(keccak256(leaf)));
        if (!MerkleProof.verifyCalldata(proof, asked.root, leafHash)) revert DemandsNotInList(id, asked.root);
        // INVARIANT: a leaf is paid for once: from here on it is public.
        _demands[id].state = State.ANSWERED;
        emit LeafShown(id, msg.sender, leaf);
        if (asked.store == address(0)) board.unhold(asked.session, asked.stage, true);
        market.move(FEES, asked.demander, msg.sender, feeUeur);
    }

    /// @inheritdoc IDemands
    function expire(bytes32 id) external {
        Demand memory asked = _openDemand(id);
        bool ofStore = asked.store != address(0);
        bool stands = ofStore || _stands(asked);
        uint256 time = _time(asked);
        // INVARIANT: who must answer has the whole window for it.
        if (stands && time < asked.deadline) revert DemandsTooEarly(id, asked.deadline, time);
        delete _demands[id];
        emit DemandExpired(id, asked.demander, stands);
        if (ofStore) {
            availability.slashStake(asked.store, asked.demander);
        } else {
            // Struck while still held: a result with a hidden leaf is not final for an instant.
            if (stands) board.strike(asked.session, asked.stage, FAULT, asked.demander, address(0), 0);
            board.unhold(asked.session, asked.stage, true);
        }
        market.release(FEES, asked.demander, feeUeur);
    }

    /// @inheritdoc IDemands
    function demand(bytes32 id) external view returns (Demand memory) {
        return _demands[id];
    }

    /// @inheritdoc IDemands
    function idOf(uint64 session, IOutcomeBoard.Stage stage, bytes32 root, uint32 position)
        public
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(session, stage, root, position));
    }

    /// @inheritdoc IDemands
    function idOfOrigin(uint64 session, bytes32 root, bytes32 origin) public pure returns (bytes32) {
        return keccak256(abi.encode(session, root, origin));
    }

    /// @inheritdoc IDemands
    function idOfStore(address store, bytes32 root, uint32 position) public pure returns (bytes32) {
        return keccak256(abi.encode(store, root, position));
    }

    function _askLeaf(
        uint64 session,
        IOutcomeBoard.Stage stage,
        bytes32 hash,
        List list,
        bytes32 root,
        uint32 length,
        uint32 position
    ) private returns (bytes32 id) {
        board.requireDemandable(session, stage, hash);
        id = idOf(session, stage, root, position);
        _ask(id, session, stage, list, root, length, position, 0);
    }

    function _askOrigin(
        IOutcomeBoard.Settlement calldata settlement,
        IOutcomeBoard.Pair[] calldata pairs,
        List list,
        uint32 length,
        uint32 position,
        bytes32 origin
    ) private returns (bytes32 id) {
        uint64 session = settlement.session;
        IOutcomeBoard.Stage stage = IOutcomeBoard.Stage.SETTLEMENT;
        board.requireDemandable(session, stage, keccak256(abi.encode(settlement, pairs)));
        bytes32 root = settlement.settlementRoot;
        id = idOfOrigin(session, root, origin);
        _ask(id, session, stage, list, root, length, position, origin);
    }

    function _ask(
        bytes32 id,
        uint64 session,
        IOutcomeBoard.Stage stage,
        List list,
        bytes32 root,
        uint32 length,
        uint32 position,
        bytes32 origin
    ) private {
        uint256 end = market.marketTime(session) + market.terms(session).demandWindowS;
        _open(
            id,
            Demand({
                demander: msg.sender,
                deadline: SafeCast.toUint48(end),
                postedAt: board.posting(session, stage).postedAt,
                session: session,
                position: position,
                length: length,
                list: list,
                stage: stage,
                state: State.OPEN,
                root: root,
                store: address(0),
                origin: origin
            })
        );
        board.hold(session, stage, true);
    }

    function _open(bytes32 id, Demand memory asked) private {
        if (asked.position >= asked.length) revert DemandsNoSuchPosition(asked.position, asked.length);
        // INVARIANT: a leaf is demanded once at a time, and never again once it was shown.
        State state = _demands[id].state;
        if (state != State.NONE) revert DemandsAskedBefore(id, state);
        _demands[id] = asked;
        emit LeafDemanded(
            id,
            asked.session,
            asked.store,
            asked.stage,
            asked.list,
            asked.root,
            asked.position,
            asked.demander,
            asked.deadline
        );
        market.lock(FEES, asked.demander, feeUeur);
    }

    /// @dev Whether the posting that was asked about is still there, with a bond to lose.
    function _stands(Demand memory asked) private view returns (bool) {
        IOutcomeBoard.Posting memory posted = board.posting(asked.session, asked.stage);
        return posted.hash != 0 && posted.bondUeur != 0 && posted.postedAt == asked.postedAt;
    }

    function _time(Demand memory asked) private view returns (uint256) {
        return asked.store == address(0) ? market.marketTime(asked.session) : block.timestamp;
    }

    /// @dev The leaf must be the last of its payer and payee, or of its PoD, and say the same as what it accounts for.
    function _requireOrigin(bytes32 id, Demand memory asked, bytes calldata leaf) private view {
        if (leaf.length < SETTLEMENT_BYTES) revert DemandsLeafTooShort(id, leaf.length);
        (uint256 kind, Leaves.SettlementLeaf memory s) = abi.decode(leaf, (uint256, Leaves.SettlementLeaf));
        bool isPair = asked.list == List.PAIR;
        if (kind != Leaves.SETTLEMENT || (isPair ? s.nextForPair : s.nextForPod) != 0) {
            revert DemandsWrongLeaf(id, kind, s.position, s.length);
        }
        bytes32 given;
        if (isPair) {
            given = keccak256(abi.encode(s.payer, s.payee, s.pairPaymentUeur, s.pairPenaltyUeur));
        } else {
            int256 amount = int256(uint256(s.podRewardUeur)) - int256(uint256(s.podRewardPenaltyUeur));
            given = keccak256(abi.encode(s.claimPosition, s.claimIndex, pods.pods(s.pod).customer, amount));
        }
        if (given != asked.origin) revert DemandsNotTheOrigin(id, asked.origin, given);
    }

    function _openDemand(bytes32 id) private view returns (Demand memory asked) {
        asked = _demands[id];
        if (asked.state != State.OPEN) revert DemandsNotOpen(id, asked.state);
    }

    /// @dev The leaf must be the one that was demanded: its own words say which it is.
    function _requireLeaf(bytes32 id, Demand memory asked, bytes calldata leaf) private pure {
        if (leaf.length < HEAD_BYTES) revert DemandsLeafTooShort(id, leaf.length);
        (uint256 kind, uint256 position, uint256 length) = abi.decode(leaf[:HEAD_BYTES], (uint256, uint256, uint256));
        if (
            position != asked.position || length != asked.length
                || (asked.list != List.DOCUMENT && kind != _kindOf(asked.list))
        ) revert DemandsWrongLeaf(id, kind, position, length);
    }

    function _requireContent(
        bytes32 expected,
        bytes32[] calldata roots,
        uint32[] calldata lengths,
        uint8 tree
    ) private pure {
        if (roots.length != lengths.length || tree >= roots.length) {
            revert DemandsWrongTrees(roots.length, lengths.length, tree);
        }
        bytes memory words = "";
        for (uint256 i = 0; i < roots.length; ++i) {
            words = abi.encodePacked(words, roots[i], uint256(lengths[i]));
        }
        bytes32 content = keccak256(words);
        if (content != expected) revert DemandsWrongContent(expected, content);
    }

    function _kindOf(List list) private pure returns (uint8) {
        if (list == List.BY_OFFER) return Leaves.OUTCOME_BY_OFFER;
        if (list == List.BY_REQUEST) return Leaves.OUTCOME_BY_REQUEST;
        if (list == List.RESERVE) return Leaves.OUTCOME_RESERVE;
        if (list == List.REFUSALS) return Leaves.REFUSAL;
        return list == List.SETTLEMENT ? Leaves.SETTLEMENT : Leaves.CLAIM;
    }
}
