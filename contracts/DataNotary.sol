// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IDataNotary} from "../interfaces/IDataNotary.sol";
import {IParticipantRegistry} from "../interfaces/IParticipantRegistry.sol";
import {Cids} from "./libraries/Cids.sol";
import {NoticeKinds} from "./libraries/NoticeKinds.sol";

/// @title Notary of the market's other data
contract DataNotary is IDataNotary {
    IParticipantRegistry public immutable participants;

    mapping(bytes32 key => uint48) private _notarisedAt;
    mapping(address author => Notice[]) private _notices;

    constructor(IParticipantRegistry participants_) {
        participants = participants_;
    }

    /// @inheritdoc IDataNotary
    function notarise(uint16 kind, uint64 session, bytes32 hash, bytes32 cidDigest, uint8 cidCodec) external {
        participants.requireParticipant(msg.sender);
        if (kind == 0 || kind > NoticeKinds.LAST) revert DataNotaryUnknownKind(kind);
        if (hash == 0) revert DataNotaryZeroHash();
        Cids.requireKnown(cidCodec);
        bytes32 key = _key(kind, session, msg.sender, hash);
        // INVARIANT: a document's time is its first.
        uint48 known = _notarisedAt[key];
        if (known != 0) revert DataNotaryAlreadyNotarised(kind, session, msg.sender, hash, known);
        uint48 at = uint48(block.timestamp);
        _notarisedAt[key] = at;
        _notices[msg.sender].push(Notice({kind: kind, session: session, at: at, hashStart: bytes16(hash)}));
        emit Notarised(kind, session, msg.sender, hash, cidDigest, cidCodec, at);
    }

    /// @inheritdoc IDataNotary
    function notarisedAt(uint16 kind, uint64 session, address author, bytes32 hash) external view returns (uint48) {
        return _notarisedAt[_key(kind, session, author, hash)];
    }

    /// @inheritdoc IDataNotary
    function noticeCount(address author) external view returns (uint256) {
        return _notices[author].length;
    }

    /// @inheritdoc IDataNotary
    function noticesOf(address author, uint256 from, uint256 most) external view returns (Notice[] memory part) {
        Notice[] storage all = _notices[author];
        uint256 length = all.length;
        if (from >= length) return part;
        uint256 count = Math.min(most, length - from);
        part = new Notice[](count);
        for (uint256 i = 0; i < count; ++i) {
            part[i] = all[from + i];
        }
    }

    function _key(uint16 kind, uint64 session, address author, bytes32 hash) private pure returns (bytes32) {
        return keccak256(abi.encode(kind, session, author, hash));
    }
}
