// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title Notary of the market's other data
/// @notice Says who had which document when. Its kinds are in `NoticeKinds`.
interface IDataNotary {
    /// @notice A notarised document, as an author's list has it. One slot.
    /// @param kind one of NoticeKinds
    /// @param session to which the document belongs, 0 if to none
    /// @param at when it was notarised
    /// @param hashStart first half of the hash: who has the document knows the rest, and asks `notarisedAt` with all of
    /// it; the event has it too
    struct Notice {
        uint16 kind;
        uint64 session;
        uint48 at;
        bytes16 hashStart;
    }

    event Notarised(
        uint16 indexed kind,
        uint64 indexed session,
        address indexed author,
        bytes32 hash,
        bytes32 cidDigest,
        uint8 cidCodec,
        uint48 at
    );

    error DataNotaryUnknownKind(uint16 kind);
    error DataNotaryZeroHash();
    error DataNotaryAlreadyNotarised(uint16 kind, uint64 session, address author, bytes32 hash, uint48 at);

    /// @notice Notarises a document, once per kind, session, sender and hash. By any active participant.
    /// @param kind one of NoticeKinds
    /// @param session to which the document belongs, 0 if to none
    /// @param hash what is notarised: a document's root or hash
    /// @param cidDigest SHA-256 digest of the document's CID
    /// @param cidCodec codec of the CID: 0x55 raw or 0x70 dag-pb
    function notarise(uint16 kind, uint64 session, bytes32 hash, bytes32 cidDigest, uint8 cidCodec) external;

    /// @notice When an author notarised a hash, 0 if never.
    function notarisedAt(uint16 kind, uint64 session, address author, bytes32 hash) external view returns (uint48);

    /// @notice Number of an author's notices.
    function noticeCount(address author) external view returns (uint256);

    /// @notice An author's notices in the order in which they were made: `most` of them from the one numbered `from`, 0
    /// for the first; fewer where the list ends.
    function noticesOf(address author, uint256 from, uint256 most) external view returns (Notice[] memory);
}
