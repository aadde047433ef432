// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title The sealed book: commitments to documents, and their reveals
/// @notice Until the gate closes the book holds hashes only. The sealed hash is keccak256(abi.encode(session, player, root,
/// salt, leafCount, cidDigest, cidCodec)). Session and player are in it, so that a copied hash can't be revealed by who
/// copied it; the CID is in it, so that who sees a reveal on its way can't send it first with another document's address.
interface ICommitmentBook {
    /// @notice Which list of the book a document belongs to, and so the role that its player needs.
    enum Side {
        OFFER,
        DSO_REQUEST,
        TSO_REQUEST
    }

    /// @notice Where a commitment stands.
    enum State {
        NONE,
        COMMITTED,
        REVEALED,
        FORFEITED
    }

    /// @notice What a player signs (EIP-712) or sends.
    /// @param session to which the document belongs
    /// @param player whose document it is
    /// @param side its kind
    /// @param sealedHash see above
    /// @param capUeur most money the document may move, 10^-6 euro; a document beyond it is void
    /// @param nonce the player's next nonce here
    /// @param deadline last second at which the commitment may be sent
    struct Commitment {
        uint64 session;
        address player;
        Side side;
        bytes32 sealedHash;
        uint64 capUeur;
        uint64 nonce;
        uint48 deadline;
    }

    /// @notice A commitment as the book keeps it.
    /// @param hash the sealed hash; the root once revealed
    /// @param coverageUeur how far its player's balance covered the cap at the reveal, 10^-6 euro
    /// @param leafCount leaves of the revealed document
    struct Entry {
        bytes32 hash;
        address player;
        uint64 capUeur;
        Side side;
        State state;
        uint64 coverageUeur;
        uint32 leafCount;
    }

    event Committed(
        uint64 indexed session,
        uint32 indexed id,
        address indexed player,
        Side side,
        bytes32 sealedHash,
        uint64 capUeur,
        uint64 bondUeur,
        uint64 nonce
    );
    event Revealed(
        uint64 indexed session,
        uint32 indexed id,
        address indexed player,
        Side side,
        bytes32 root,
        bytes32 salt,
        uint32 leafCount,
        bytes32 cidDigest,
        uint8 cidCodec,
        uint64 coverageUeur
    );
    event Forfeited(uint64 indexed session, uint32 indexed id, address indexed player, uint64 bondUeur);

    error CommitmentBookNotThePlayer(address player, address sender);
    error CommitmentBookBadSignature(address player, bytes32 digest);
    error CommitmentBookWrongNonce(address player, uint64 expected, uint64 given);
    error CommitmentBookExpired(uint48 deadline, uint256 time);
    error CommitmentBookZeroHash();
    error CommitmentBookZeroReserve();
    error CommitmentBookNoSuchCommitment(uint64 session, uint32 id);
    error CommitmentBookNotCommitted(uint64 session, uint32 id, State state);
    error CommitmentBookWrongReveal(uint64 session, uint32 id, bytes32 sealedHash, bytes32 revealedHash);
    error CommitmentBookNoLeaves(uint64 session, uint32 id);
    error CommitmentBookRevealStillOpen(uint64 session, uint48 revealDeadline, uint256 time);

    /// @notice Commits the sender's document while the session is open, and locks its bond from the sender's free balance.
    /// @return id the commitment's number in its session, from 1 on
    function commit(Commitment calldata commitment) external returns (uint32 id);

    /// @notice As `commit`, sent by anyone with the player's signature of `hashCommitment` (an ERC-1271 wallet's as well).
    function commitFor(Commitment calldata commitment, bytes calldata signature) external returns (uint32 id);

    /// @notice Reveals a commitment, by anyone who knows what it hides, from gate closure until the reveal deadline.
    /// Releases the bond, mixes keccak256(abi.encode(player, salt)) into the session's seed, and locks of the player's free
    /// balance as much as the cap, or what there is: as far as that goes the document counts.
    /// @param leafCount leaves of the document, at least 1
    /// @param cidDigest SHA-256 digest of the document's CID
    /// @param cidCodec codec of the CID: 0x55 raw or 0x70 dag-pb
    function reveal(
        uint64 session,
        uint32 id,
        bytes32 root,
        bytes32 salt,
        uint32 leafCount,
        bytes32 cidDigest,
        uint8 cidCodec
    ) external;

    /// @notice Moves the bond of a commitment that wasn't revealed in time to the market's reserve. By anyone.
    function forfeit(uint64 session, uint32 id) external;

    /// @notice Commitments of a session; the newest has this id.
    function commitmentCount(uint64 session) external view returns (uint32);

    /// @notice A commitment as the book keeps it; reverts for an unknown one.
    function commitment(uint64 session, uint32 id) external view returns (Entry memory);

    /// @notice XOR of the shares of all reveals of a session.
    function seed(uint64 session) external view returns (bytes32);

    /// @notice The nonce that the player's next commitment must carry.
    function nonces(address player) external view returns (uint64);

    /// @notice The EIP-712 digest that the player signs.
    function hashCommitment(Commitment calldata commitment) external view returns (bytes32);

    /// @notice The account that forfeited bonds go to.
    function reserve() external view returns (address);
}
