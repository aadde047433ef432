// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {ICommitmentBook} from "../interfaces/ICommitmentBook.sol";
import {IMarket} from "../interfaces/IMarket.sol";
import {IMarketSessions} from "../interfaces/IMarketSessions.sol";
import {IParticipantRegistry} from "../interfaces/IParticipantRegistry.sol";
import {IRelayStakes} from "../interfaces/IRelayStakes.sol";
import {IVault} from "../interfaces/IVault.sol";

/// @title What stands behind a relayer's receipts
contract RelayStakes is IRelayStakes, EIP712 {
    bytes32 private constant RECEIPT_TYPEHASH = keccak256(
        "RelayReceipt(uint64 session,bytes32 commitment,bytes32 signature,uint64 nonce,uint48 deadline)"
    );
    uint256 private constant PLAYERS_PERCENT = 80;
    /// @dev Far longer than from a receipt to the gate: sessions are created days ahead.
    uint256 private constant BOUND_S = 30 days;
    /// @dev A commitment's 80,000 and a contract wallet's check many times over.
    uint256 private constant BRING_GAS = 500_000;

    IMarket public immutable market;
    /// @inheritdoc IRelayStakes
    uint96 public immutable penaltyUeur;

    mapping(address relayer => Stake) private _stakes;
    mapping(bytes32 commitment => mapping(bytes32 signature => bool)) public wasBrought;
    mapping(bytes32 receipt => mapping(address relayer => bool)) private _slashed;

    constructor(IMarket market_, uint96 penaltyUeur_) EIP712("flexledger RelayStakes", "1") {
        market = market_;
        penaltyUeur = penaltyUeur_;
    }

    /// @inheritdoc IRelayStakes
    function stake(uint128 amountUeur) external {
        Stake storage known = _stakes[msg.sender];
        if (known.leftAt != 0) revert RelayStakesLeft(msg.sender);
        known.amountUeur += amountUeur;
        emit Staked(msg.sender, amountUeur, known.amountUeur);
        market.bond(msg.sender, IParticipantRegistry.Role.OPERATOR, amountUeur);
    }

    /// @inheritdoc IRelayStakes
    function leave() external {
        Stake storage known = _stakes[msg.sender];
        if (known.amountUeur == 0) revert RelayStakesNoStake(msg.sender);
        if (known.leftAt != 0) revert RelayStakesLeft(msg.sender);
        known.leftAt = uint48(block.timestamp);
        emit RelayerLeft(msg.sender);
    }

    /// @inheritdoc IRelayStakes
    function withdrawStake() external {
        Stake memory known = _stakes[msg.sender];
        if (known.amountUeur == 0) revert RelayStakesNoStake(msg.sender);
        // INVARIANT: a stake stands behind a receipt until its session's gate has long closed.
        uint256 end = known.leftAt == 0 ? type(uint256).max : uint256(known.leftAt) + BOUND_S;
        if (block.timestamp < end) revert RelayStakesStillBound(msg.sender, end);
        delete _stakes[msg.sender];
        emit StakeWithdrawn(msg.sender, known.amountUeur);
        market.unbond(msg.sender, known.amountUeur);
    }

    /// @inheritdoc IRelayStakes
    function bring(ICommitmentBook.Commitment calldata commitment, bytes calldata signature) external {
        IMarketSessions.SessionTerms memory terms = market.terms(commitment.session);
        uint256 time = market.marketTime(commitment.session);
        // INVARIANT: only a try that could have succeeded excuses a relayer: in time, in turn, and with enough gas.
        if (time < terms.gateOpening || time >= terms.gateClosure) {
            revert RelayStakesNotOpen(commitment.session, terms.gateOpening, terms.gateClosure, time);
        }
        if (block.timestamp > commitment.deadline) revert RelayStakesExpired(commitment.deadline, block.timestamp);
        uint64 next = market.nonces(commitment.player);
        if (commitment.nonce != next) revert RelayStakesNotNext(commitment.player, next, commitment.nonce);
        bytes32 digest = market.hashCommitment(commitment);
        if (gasleft() < BRING_GAS) revert RelayStakesTooLittleGas(BRING_GAS, gasleft());
        try market.commitFor(commitment, signature) {}
        catch (bytes memory reason) {
            wasBrought[digest][keccak256(signature)] = true;
            emit Brought(commitment.session, commitment.player, digest, reason);
        }
    }

    /// @inheritdoc IRelayStakes
    function slash(
        RelayReceipt calldata receipt,
        bytes calldata signature,
        ICommitmentBook.Commitment calldata commitment
    ) external {
        address player = commitment.player;
        _requireOfTheReceipt(receipt, commitment);
        uint256 closure = market.terms(receipt.session).gateClosure;
        uint256 time = market.marketTime(receipt.session);
        if (time < closure) revert RelayStakesGateStillOpen(receipt.session, closure, time);
        // INVARIANT: who used the nonce isn't in the book by own will, and who skipped one can't have been relayed.
        uint64 next = market.nonces(player);
        if (next != receipt.nonce) revert RelayStakesNotNext(player, next, receipt.nonce);
        if (wasBrought[receipt.commitment][receipt.signature]) revert RelayStakesWasBrought(receipt.commitment);
        bytes32 digest = hashReceipt(receipt);
        address relayer = ECDSA.recoverCalldata(digest, signature);
        // INVARIANT: a receipt is punished once.
        if (_slashed[digest][relayer]) revert RelayStakesSlashedBefore(digest);
        _slashed[digest][relayer] = true;
        Stake storage known = _stakes[relayer];
        if (known.amountUeur == 0) revert RelayStakesNoStake(relayer);
        // Narrowing is safe: not above the penalty.
        uint96 amount = known.amountUeur < penaltyUeur ? uint96(known.amountUeur) : penaltyUeur;
        known.amountUeur -= amount;
        emit ReceiptSlashed(receipt.session, player, relayer, receipt.commitment, amount);
        uint96 players = uint96(uint256(amount) * PLAYERS_PERCENT / 100);
        market.slash(relayer, amount, IVault.Shares(player, players, address(0), 0));
    }

    /// @inheritdoc IRelayStakes
    function stakeOf(address relayer) external view returns (Stake memory) {
        return _stakes[relayer];
    }

    /// @inheritdoc IRelayStakes
    function hashReceipt(RelayReceipt calldata receipt) public view returns (bytes32) {
        // The struct's fields are static, so that its ABI encoding is the concatenation that EIP-712 hashes.
        return _hashTypedDataV4(keccak256(abi.encode(RECEIPT_TYPEHASH, receipt)));
    }

    /// @dev INVARIANT: a receipt binds to nothing but what it names.
    function _requireOfTheReceipt(
        RelayReceipt calldata receipt,
        ICommitmentBook.Commitment calldata commitment
    ) private view {
        bytes32 digest = market.hashCommitment(commitment);
        if (digest != receipt.commitment) revert RelayStakesNotOfTheReceipt(receipt.commitment, digest);
        bytes32 named = keccak256(abi.encode(receipt.session, receipt.nonce, receipt.deadline));
        bytes32 given = keccak256(abi.encode(commitment.session, commitment.nonce, commitment.deadline));
        if (named != given) revert RelayStakesNotOfTheReceipt(named, given);
    }
}
