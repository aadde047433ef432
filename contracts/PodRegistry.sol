// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {IParticipantRegistry} from "../interfaces/IParticipantRegistry.sol";
import {IPodRegistry} from "../interfaces/IPodRegistry.sol";

/// @title The points of delivery (PoDs) of the market
contract PodRegistry is IPodRegistry, EIP712, AccessManaged {
    bytes32 private constant REGISTRATION_TYPEHASH = keccak256(
        "Registration(bytes32 pod,address aggregator,address customer,address node,address mechanism,uint32 maxUpW,uint32 maxDownW,uint32 maxUpVar,uint32 maxDownVar,bytes32 replaces,uint64 nonce,uint48 deadline)"
    );
    bytes32 private constant REVOCATION_TYPEHASH =
        keccak256("Revocation(bytes32 pod,uint64 nonce,uint48 deadline)");
    bytes32 private constant NODE_KEY_TYPEHASH = keccak256("NodeKey(bytes32 pod,address node,uint48 deadline)");
    uint16 private constant ALL_PRODUCTS = 15;
    string private constant CONTRADICTION = "two readings of one period";

    IParticipantRegistry public immutable participants;

    mapping(bytes32 pod => Pod) private _pods;
    mapping(bytes32 pod => mapping(address node => NodeService)) private _services;
    /// @inheritdoc IPodRegistry
    mapping(address node => bytes32) public podOfNode;
    /// @inheritdoc IPodRegistry
    mapping(address node => bool) public isRevoked;
    /// @inheritdoc IPodRegistry
    mapping(address customer => uint64) public nonces;
    /// @inheritdoc IPodRegistry
    address public readingAnchor;

    constructor(address manager, IParticipantRegistry participants_)
        EIP712("flexledger PodRegistry", "1")
        AccessManaged(manager)
    {
        participants = participants_;
    }

    /// @inheritdoc IPodRegistry
    function setReadingAnchor(address readingAnchor_) external restricted {
        // INVARIANT: only one contract ever judges readings.
        if (readingAnchor != address(0)) revert PodRegistryReadingAnchorKnown(readingAnchor);
        if (readingAnchor_ == address(0)) revert PodRegistryZeroValue(0, "readingAnchor");
        readingAnchor = readingAnchor_;
        emit ReadingAnchorSet(readingAnchor_);
    }

    /// @inheritdoc IPodRegistry
    function register(Registration calldata registration, bytes calldata customerSignature) external {
        if (msg.sender != registration.aggregator) {
            revert PodRegistryNotTheAggregator(registration.pod, registration.aggregator, msg.sender);
        }
        participants.requireRole(msg.sender, IParticipantRegistry.Role.AGGREGATOR);
        _requireUsable(registration);
        _useConsent(
            registration.customer,
            registration.nonce,
            registration.deadline,
            hashRegistration(registration),
            customerSignature
        );
        if (registration.replaces != 0) {
            _remove(registration.replaces, registration.customer);
            emit PodReplaced(registration.replaces, registration.pod);
        }
        _pods[registration.pod] = Pod({
            aggregator: registration.aggregator,
            registeredAt: uint48(block.timestamp),
            removedAt: 0,
            customer: registration.customer,
            maxUpW: registration.maxUpW,
            maxDownW: registration.maxDownW,
            maxUpVar: registration.maxUpVar,
            node: registration.node,
            maxDownVar: registration.maxDownVar,
            gridProducts: 0,
            marketProducts: 0,
            suspendedBy: 0,
            mechanism: registration.mechanism,
            changedAt: 0,
            pom: 0
        });
        _appoint(registration.pod, registration.node);
        emit PodRegistered(
            registration.pod,
            registration.aggregator,
            registration.customer,
            registration.node,
            registration.mechanism,
            registration.maxUpW,
            registration.maxDownW,
            registration.maxUpVar,
            registration.maxDownVar
        );
    }

    /// @inheritdoc IPodRegistry
    function setPom(bytes32 pod, bytes32 pom) external {
        participants.requireRole(msg.sender, IParticipantRegistry.Role.DSO);
        if (pom == 0) revert PodRegistryZeroValue(pod, "pom");
        _active(pod).pom = pom;
        emit PomSet(pod, pom, msg.sender);
    }

    /// @inheritdoc IPodRegistry
    function remove(bytes32 pod) external {
        // INVARIANT: nobody but the PoD's aggregator and customer ends its contract.
        if (!_isParty(_active(pod))) revert PodRegistryNotAllowed(pod, msg.sender);
        _remove(pod, msg.sender);
    }

    /// @inheritdoc IPodRegistry
    function revoke(Revocation calldata revocation, bytes calldata customerSignature) external {
        address customer = _active(revocation.pod).customer;
        _useConsent(
            customer, revocation.nonce, revocation.deadline, hashRevocation(revocation), customerSignature
        );
        _remove(revocation.pod, customer);
    }

    /// @inheritdoc IPodRegistry
    function prequalifyGrid(bytes32 pod, uint16 products, string calldata reason) external {
        participants.requireRole(msg.sender, IParticipantRegistry.Role.DSO);
        Pod storage known = _active(pod);
        _requireProducts(pod, known.gridProducts, products, reason);
        known.gridProducts = products;
        known.changedAt = uint48(block.timestamp);
        emit GridPrequalified(pod, products, msg.sender, reason);
    }

    /// @inheritdoc IPodRegistry
    function prequalifyProducts(bytes32 pod, uint16 products, string calldata reason) external {
        if (!_has(IParticipantRegistry.Role.TSO) && !_has(IParticipantRegistry.Role.DSO)) {
            revert PodRegistryNotAllowed(pod, msg.sender);
        }
        Pod storage known = _active(pod);
        _requireProducts(pod, known.marketProducts, products, reason);
        known.marketProducts = products;
        known.changedAt = uint48(block.timestamp);
        emit ProductsPrequalified(pod, products, msg.sender, reason);
    }

    /// @inheritdoc IPodRegistry
    function suspend(bytes32 pod, string calldata reason) external {
        Pod storage known = _active(pod);
        uint16 role = _supervisor(pod);
        uint16 before = known.suspendedBy;
        if (before & role != 0) revert PodRegistrySuspended(pod, before);
        if (bytes(reason).length == 0) revert PodRegistryWithoutReason(pod);
        known.suspendedBy = before | role;
        known.changedAt = uint48(block.timestamp);
        emit PodSuspended(pod, before | role, msg.sender, reason);
    }

    /// @inheritdoc IPodRegistry
    function reinstate(bytes32 pod) external {
        Pod storage known = _active(pod);
        uint16 role = _supervisor(pod);
        uint16 before = known.suspendedBy;
        // INVARIANT: the operator doesn't lift what a DSO suspended, nor a DSO what the operator did.
        if (before & role == 0) revert PodRegistryNotSuspended(pod, before);
        known.suspendedBy = before ^ role;
        known.changedAt = uint48(block.timestamp);
        emit PodReinstated(pod, before ^ role, msg.sender);
    }

    /// @inheritdoc IPodRegistry
    function rotateNode(NodeKey calldata key, bytes calldata possession, address dso, bytes calldata approval)
        external
    {
        Pod storage known = _active(key.pod);
        if (!_isParty(known)) revert PodRegistryNotAllowed(key.pod, msg.sender);
        _requireInTime(key.deadline);
        _requireFree(key.pod, key.node, 0);
        // INVARIANT: a key's past service isn't overwritten.
        if (_services[key.pod][key.node].from != 0) revert PodRegistryFormerNode(key.pod, key.node);
        bytes32 digest = hashNodeKey(key);
        (address signer,,) = ECDSA.tryRecoverCalldata(digest, possession);
        if (signer != key.node) revert PodRegistryBadPossession(key.node, digest);
        // INVARIANT: no key says what was delivered that only those said to be the PoD's who are paid for it.
        participants.requireRole(dso, IParticipantRegistry.Role.DSO);
        if (!SignatureChecker.isValidSignatureNowCalldata(dso, digest, approval)) {
            revert PodRegistryBadApproval(dso, digest);
        }
        address former = known.node;
        _dismiss(key.pod, former);
        known.node = key.node;
        _appoint(key.pod, key.node);
        emit NodeRotated(key.pod, key.node, former, dso);
    }

    /// @inheritdoc IPodRegistry
    function revokeNode(bytes32 pod, string calldata reason) external {
        Pod storage known = _active(pod);
        if (!_isParty(known) && !_has(IParticipantRegistry.Role.DSO)) revert PodRegistryNotAllowed(pod, msg.sender);
        if (known.node == address(0)) revert PodRegistryZeroValue(pod, "node");
        if (bytes(reason).length == 0) revert PodRegistryWithoutReason(pod);
        _revoke(known.node, reason);
    }

    /// @inheritdoc IPodRegistry
    function revokeContradicting(address node) external {
        if (msg.sender != readingAnchor) revert PodRegistryNotTheReadingAnchor(msg.sender);
        // A key revoked before, perhaps to forestall this, is no obstacle to saying that it contradicted itself.
        if (!isRevoked[node]) _revoke(node, CONTRADICTION);
    }

    /// @inheritdoc IPodRegistry
    function pods(bytes32 pod) external view returns (Pod memory) {
        return _pods[pod];
    }

    /// @inheritdoc IPodRegistry
    function aggregatorOf(bytes32 pod) external view returns (address) {
        return _pods[pod].aggregator;
    }

    /// @inheritdoc IPodRegistry
    function nodeOf(bytes32 pod) external view returns (address) {
        return _pods[pod].node;
    }

    /// @inheritdoc IPodRegistry
    function nodeService(bytes32 pod, address node) external view returns (NodeService memory) {
        return _services[pod][node];
    }

    /// @inheritdoc IPodRegistry
    function nodeServed(bytes32 pod, address node, uint256 instant) external view returns (bool) {
        NodeService memory service = _services[pod][node];
        if (service.from == 0 || instant < service.from) return false;
        return service.until == 0 || instant < service.until;
    }

    /// @inheritdoc IPodRegistry
    function offerable(bytes32 pod, uint8 product) external view returns (bool) {
        Pod storage known = _pods[pod];
        if (known.aggregator == address(0) || known.removedAt != 0 || known.suspendedBy != 0) return false;
        return (uint256(known.gridProducts & known.marketProducts) >> product) & 1 != 0;
    }

    /// @inheritdoc IPodRegistry
    function hashRegistration(Registration calldata registration) public view returns (bytes32) {
        // The struct's fields are static, so that its ABI encoding is the concatenation that EIP-712 hashes.
        return _hashTypedDataV4(keccak256(abi.encode(REGISTRATION_TYPEHASH, registration)));
    }

    /// @inheritdoc IPodRegistry
    function hashRevocation(Revocation calldata revocation) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(REVOCATION_TYPEHASH, revocation)));
    }

    /// @inheritdoc IPodRegistry
    function hashNodeKey(NodeKey calldata key) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(NODE_KEY_TYPEHASH, key)));
    }

    function _remove(bytes32 pod, address by) private {
        Pod storage known = _pods[pod];
        known.removedAt = uint48(block.timestamp);
        _dismiss(pod, known.node);
        emit PodRemoved(pod, by);
    }

    function _appoint(bytes32 pod, address node) private {
        podOfNode[node] = pod;
        _services[pod][node].from = uint48(block.timestamp);
    }

    /// @dev A PoD whose key was revoked has none to dismiss.
    function _dismiss(bytes32 pod, address node) private {
        if (node == address(0)) return;
        delete podOfNode[node];
        _services[pod][node].until = uint48(block.timestamp);
    }

    function _revoke(address node, string memory reason) private {
        bytes32 pod = podOfNode[node];
        isRevoked[node] = true;
        if (pod != 0) {
            _dismiss(pod, node);
            _pods[pod].node = address(0);
        }
        emit NodeRevoked(pod, node, msg.sender, reason);
    }

    function _useConsent(address customer, uint64 nonce, uint48 deadline, bytes32 digest, bytes calldata signature)
        private
    {
        uint64 expected = nonces[customer];
        // INVARIANT: what a customer signed is used once, and not after its deadline.
        if (nonce != expected) revert PodRegistryWrongNonce(customer, expected, nonce);
        _requireInTime(deadline);
        if (!SignatureChecker.isValidSignatureNowCalldata(customer, digest, signature)) {
            revert PodRegistryBadConsent(customer, digest);
        }
        nonces[customer] = expected + 1;
    }

    function _requireUsable(Registration calldata registration) private view {
        bytes32 pod = registration.pod;
        bytes32 replaces = registration.replaces;
        if (pod == 0) revert PodRegistryZeroValue(pod, "pod");
        if (registration.customer == address(0)) revert PodRegistryZeroValue(pod, "customer");
        // INVARIANT: a pseudonym stands for one contract only, removed or not.
        if (_pods[pod].aggregator != address(0)) revert PodRegistryKnownPod(pod);
        // INVARIANT: a customer's word ends only its own contracts.
        if (replaces != 0 && _active(replaces).customer != registration.customer) {
            revert PodRegistryNotTheCustomers(replaces, registration.customer);
        }
        _requireFree(pod, registration.node, replaces);
        if (registration.mechanism.code.length == 0) {
            revert PodRegistryMechanismWithoutCode(registration.mechanism);
        }
    }

    /// @dev `leaving`: the PoD that a key may serve still, because it is removed now.
    function _requireFree(bytes32 pod, address node, bytes32 leaving) private view {
        if (node == address(0)) revert PodRegistryZeroValue(pod, "node");
        if (isRevoked[node]) revert PodRegistryRevokedNode(node);
        // INVARIANT: a Light Node's key speaks for one PoD at a time.
        bytes32 served = podOfNode[node];
        if (served != 0 && served != leaving) revert PodRegistryNodeInUse(node, served);
    }

    function _requireInTime(uint48 deadline) private view {
        if (block.timestamp > deadline) revert PodRegistryExpired(deadline, block.timestamp);
    }

    function _active(bytes32 pod) private view returns (Pod storage known) {
        known = _pods[pod];
        if (known.aggregator == address(0)) revert PodRegistryUnknownPod(pod);
        if (known.removedAt != 0) revert PodRegistryRemovedPod(pod, known.removedAt);
    }

    function _isParty(Pod storage known) private view returns (bool) {
        return msg.sender == known.aggregator || msg.sender == known.customer;
    }

    function _has(IParticipantRegistry.Role role) private view returns (bool) {
        return participants.isActive(msg.sender, role);
    }

    /// @dev Bit of the role in which the sender suspends and reinstates; a DSO that operates the market too acts as
    /// DSO.
    function _supervisor(bytes32 pod) private view returns (uint16) {
        if (_has(IParticipantRegistry.Role.DSO)) return _bit(IParticipantRegistry.Role.DSO);
        if (_has(IParticipantRegistry.Role.OPERATOR)) return _bit(IParticipantRegistry.Role.OPERATOR);
        revert PodRegistryNotAllowed(pod, msg.sender);
    }

    function _requireProducts(bytes32 pod, uint16 before, uint16 products, string calldata reason) private pure {
        if (products > ALL_PRODUCTS) revert PodRegistryUnknownProducts(pod, products);
        if (before & ~products != 0 && bytes(reason).length == 0) revert PodRegistryWithoutReason(pod);
    }

    function _bit(IParticipantRegistry.Role role) private pure returns (uint16) {
        return uint16(1 << uint8(role));
    }
}
