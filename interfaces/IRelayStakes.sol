// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ICommitmentBook} from "./ICommitmentBook.sol";

/// @title What stands behind a relayer's receipts
/// @notice Who relays commitments signs a receipt for each that it takes: I bring this commitment, with this signature, to
/// the book before its gate closes. If the player's nonce is still unused then, and nobody brought it, the receipt costs
/// its signer a fixed penalty. A commitment that the book itself refuses, as its player had no money left for the bond, is
/// brought here instead, and so costs the relayer nothing.
interface IRelayStakes {
    /// @notice What a relayer signs (EIP-712).
    /// @param commitment the EIP-712 digest of the player's commitment
    /// @param signature keccak256 of the player's signature
    /// @param nonce the commitment's
    /// @param deadline the commitment's
    struct RelayReceipt {
        uint64 session;
        bytes32 commitment;
        bytes32 signature;
        uint64 nonce;
        uint48 deadline;
    }

    /// @notice A relayer's stake. One slot.
    /// @param leftAt when it left, 0 while players can rely on its receipts
    struct Stake {
        uint128 amountUeur;
        uint48 leftAt;
    }

    event Staked(address indexed relayer, uint256 amountUeur, uint256 stakeUeur);
    event RelayerLeft(address indexed relayer);
    event StakeWithdrawn(address indexed relayer, uint256 amountUeur);
    event Brought(uint64 indexed session, address indexed player, bytes32 indexed commitment, bytes reason);
    event ReceiptSlashed(
        uint64 indexed session, address indexed player, address indexed relayer, bytes32 commitment, uint256 amountUeur
    );

    error RelayStakesLeft(address relayer);
    error RelayStakesNoStake(address relayer);
    error RelayStakesStillBound(address relayer, uint256 until);
    error RelayStakesNotOpen(uint64 session, uint256 opening, uint256 closure, uint256 time);
    error RelayStakesExpired(uint48 deadline, uint256 time);
    error RelayStakesNotNext(address player, uint64 next, uint64 given);
    error RelayStakesTooLittleGas(uint256 needed, uint256 left);
    error RelayStakesNotOfTheReceipt(bytes32 expected, bytes32 given);
    error RelayStakesGateStillOpen(uint64 session, uint256 closure, uint256 time);
    error RelayStakesWasBrought(bytes32 commitment);
    error RelayStakesSlashedBefore(bytes32 receipt);

    /// @notice Puts the sender's money behind its receipts, from its free balance. By an OPERATOR.
    function stake(uint128 amountUeur) external;

    /// @notice Begins the time after which the sender's stake is free again; who reads `stakeOf` relies on it no more.
    function leave() external;

    /// @notice Gives a relayer that has left its stake back.
    function withdrawStake() external;

    /// @notice Sends a commitment to the book, and notes it here if the book refuses it. By anyone, while the session's gate
    /// is open, with the player's next nonce, before the commitment's deadline.
    function bring(ICommitmentBook.Commitment calldata commitment, bytes calldata signature) external;

    /// @notice Punishes a receipt that wasn't kept: most of the penalty goes to the player, the rest to the reserve. By
    /// anyone, once the gate has closed and as long as the player hasn't used the nonce.
    /// @param signature the relayer's, r || s || v
    function slash(
        RelayReceipt calldata receipt,
        bytes calldata signature,
        ICommitmentBook.Commitment calldata commitment
    ) external;

    /// @notice What a receipt that wasn't kept costs, 10^-6 euro; less where no more stake is left.
    function penaltyUeur() external view returns (uint96);

    /// @notice What stands behind a relayer's receipts.
    function stakeOf(address relayer) external view returns (Stake memory);

    /// @notice Whether a commitment with a signature was brought here and refused by the book.
    function wasBrought(bytes32 commitment, bytes32 signature) external view returns (bool);

    /// @notice EIP-712 digest of a receipt.
    function hashReceipt(RelayReceipt calldata receipt) external view returns (bytes32);
}
