// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ICommitmentBook} from "../../interfaces/ICommitmentBook.sol";
import {Leaves} from "./Leaves.sol";

/// @title What must hold of entries, in the list by request and in the reserve
/// @notice The reserve's chains run on from the list by request: `before` is that list's length, and 0 for itself.
library EntryRules {
    uint8 internal constant LAST_PRODUCT = 3;

    /// @notice Whether an entry can't be one by itself.
    function isMalformed(
        Leaves.OutcomeByRequestLeaf calldata leaf,
        uint256 length,
        uint256 slots,
        uint256 before
    ) internal pure returns (bool) {
        if (leaf.length != length || leaf.position >= length || leaf.product > LAST_PRODUCT || leaf.slot >= slots) {
            return true;
        }
        if (leaf.acceptedW == 0 || leaf.effectivenessPermille == 0 || leaf.effectivenessPermille > 1000) return true;
        uint256 place = before + leaf.position;
        uint256 last = before + length;
        if (leaf.nextForOffer != 0 && (leaf.nextForOffer <= place + 1 || leaf.nextForOffer > last)) return true;
        if (leaf.nextForPod != 0 && (leaf.nextForPod <= place + 1 || leaf.nextForPod > last)) return true;
        if (leaf.previousForPod > place) return true;
        if (leaf.offerRunningW < leaf.acceptedW || leaf.podRunningW < leaf.offerRunningW) return true;
        if (leaf.previousForPod == 0 && leaf.podRunningW != leaf.acceptedW) return true;
        if (leaf.nextForPod == 0 && leaf.podRunningW != leaf.podTotalW) return true;
        return leaf.position == 0
            && (
                leaf.runningW != leaf.acceptedW || leaf.runningUeur != money(leaf)
                    || leaf.documentUeur != leaf.runningUeur || leaf.requestRunningWPermille != relief(leaf)
            );
    }

    /// @notice Whether sums of neighbours don't follow, or their requests are out of order.
    function isSumBroken(Leaves.OutcomeByRequestLeaf calldata a, Leaves.OutcomeByRequestLeaf calldata b)
        internal
        pure
        returns (bool)
    {
        bool same = a.requestPosition == b.requestPosition;
        return b.runningW != uint256(a.runningW) + b.acceptedW || b.runningUeur != uint256(a.runningUeur) + money(b)
            || b.requestRunningWPermille != (same ? a.requestRunningWPermille : 0) + relief(b)
            || b.requestPosition < a.requestPosition
            || (b.documentUeur != uint256(a.documentUeur) + money(b) && (same || b.documentUeur != money(b)));
    }

    /// @notice Whether an entry is dearer than another one: by delivered price over effectiveness.
    function isDearer(Leaves.OutcomeByRequestLeaf calldata a, Leaves.OutcomeByRequestLeaf calldata b)
        internal
        pure
        returns (bool)
    {
        return delivered(a) * b.effectivenessPermille > delivered(b) * a.effectivenessPermille;
    }

    /// @notice Whether two entries of one list contradict each other about the chain of an offer.
    function isOfferChainBroken(
        Leaves.OutcomeByRequestLeaf calldata a,
        Leaves.OutcomeByRequestLeaf calldata b,
        uint256 before
    ) internal pure returns (bool) {
        bool linked = a.nextForOffer == before + b.position + 1;
        if (a.offerPosition != b.offerPosition) return linked;
        if (a.position != b.position && a.nextForOffer == b.nextForOffer) return true;
        return linked
            && (
                b.offerRunningW != (a.slot == b.slot ? uint256(a.offerRunningW) : 0) + b.acceptedW
                    || b.requestPosition <= a.requestPosition
            );
    }

    /// @notice Whether two entries of one list contradict each other about the chain of a PoD, slot and product.
    function isPodChainBroken(
        Leaves.OutcomeByRequestLeaf calldata a,
        Leaves.OutcomeByRequestLeaf calldata b,
        uint256 before
    ) internal pure returns (bool) {
        bool linked = a.nextForPod == before + b.position + 1;
        if (linked != (b.previousForPod == before + a.position + 1)) return true;
        if (!isSamePlace(a, b)) return linked;
        return a.position != b.position
            && (
                a.podTotalW != b.podTotalW || a.nextForPod == b.nextForPod || a.previousForPod == b.previousForPod
                    || (linked && b.podRunningW != uint256(a.podRunningW) + b.acceptedW)
            );
    }

    /// @notice Whether an entry names an offer or request that the book doesn't have.
    function isOutsideBook(Leaves.OutcomeByRequestLeaf calldata e, ICommitmentBook.Tally memory tally)
        internal
        pure
        returns (bool)
    {
        return e.offerPosition >= tally.offerLeaves || e.requestPosition >= tally.requestLeaves
            || e.effectivenessPosition >= tally.requestLeaves;
    }

    /// @notice Whether an entry has another PoD, product or slot than its offer, or more than offered.
    function isNotOffered(Leaves.OutcomeByRequestLeaf calldata e, Leaves.OfferLeaf calldata x)
        internal
        pure
        returns (bool)
    {
        return e.pod != x.pod || e.product != x.product || e.slot < x.slot
            || e.slot >= uint256(x.lastSlot) + x.durationSlots || e.offerRunningW > x.powerW;
    }

    /// @notice Whether an entry has another slot or product than its request, is above its price cap with its grid fee, or brings it
    /// above so many W times per mille.
    function isNotRequested(
        Leaves.OutcomeByRequestLeaf calldata e,
        Leaves.RequestLeaf calldata r,
        uint256 mostWPermille
    ) internal pure returns (bool) {
        return e.slot != r.slot || e.product != r.product || e.requestRunningWPermille > mostWPermille
            || delivered(e) * 1000 > uint256(r.priceCapUeurPerKw) * e.effectivenessPermille;
    }

    /// @notice Whether two entries are of one PoD, slot and product.
    function isSamePlace(Leaves.OutcomeByRequestLeaf calldata a, Leaves.OutcomeByRequestLeaf calldata b)
        internal
        pure
        returns (bool)
    {
        return a.pod == b.pod && a.slot == b.slot && a.product == b.product;
    }

    /// @notice What a kW of an entry costs where it is needed: its price and its PoD's grid fee.
    function delivered(Leaves.OutcomeByRequestLeaf calldata leaf) internal pure returns (uint256) {
        return uint256(leaf.priceUeurPerKw) + leaf.gridFeeUeurPerKw;
    }

    /// @notice What is paid for an entry, rounded down.
    function money(Leaves.OutcomeByRequestLeaf calldata leaf) internal pure returns (uint256) {
        return uint256(leaf.acceptedW) * leaf.priceUeurPerKw / 1000;
    }

    /// @notice What an entry relieves, in W times per mille.
    function relief(Leaves.OutcomeByRequestLeaf calldata leaf) internal pure returns (uint256) {
        return uint256(leaf.acceptedW) * leaf.effectivenessPermille;
    }
}
