// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";
import {AuthorProof} from "../src/AuthorProof.sol";
import {IStreamChain} from "../src/IStreamChain.sol";
import {Payout} from "../src/examples/Payout.sol";
import {StreamChainTest} from "./support/StreamChainTest.sol";

/// @dev A contract pays only as its author signed, whatever the operator anchors.
contract PayoutTest is StreamChainTest {
    uint256 internal constant SECRET = 0x5ec2e7;
    uint256 internal constant FORGER = 0xf0f6e2;
    uint256 internal constant FUND = 10 ether;
    bytes32 internal constant LETTERS = keccak256("letters of the author");

    bytes32 internal rounds;
    address internal author;
    Payout internal payout;
    uint64 internal round;

    function setUp() public override {
        super.setUp();
        rounds = openStream(OWNER, keccak256("_rounds"), ANCHORER);
        author = authorOf(SECRET);
        vm.deal(address(this), FUND);
        payout = new Payout{value: FUND}(chain, rounds, LETTERS, author);
    }

    function authorOf(uint256 secret) internal view returns (address) {
        (uint256 x, uint256 y) = vm.publicKeyP256(secret);
        return AuthorProof.authorOf(bytes32(x), bytes32(y));
    }

    /// @dev The operator anchors a message as the only one of its run, in a round of its own.
    function anchored(uint64 seq, bytes32 hash)
        internal
        returns (IStreamChain.Claim memory message, IStreamChain.RoundProof memory proof)
    {
        message = IStreamChain.Claim({seq: seq, time: 1_767_225_600_000, author: author, payloadHash: hash});
        (proof.firstSeq, proof.count, proof.round, proof.runs) = (seq, 1, round++, 1);
        bytes32 node = twice(abi.encode(LETTERS, seq, message.time, author, hash));
        node = twice(abi.encode(LETTERS, seq, uint32(1), node, proof.previous));
        node = twice(abi.encode(proof.round, uint8(LETTERS[0]), uint32(1), node));
        for (uint256 i = 0; i < 8; ++i) {
            proof.bucketPath[i] = keccak256(abi.encode("bucket", i));
            node = Hashes.commutativeKeccak256(node, proof.bucketPath[i]);
        }
        vm.prank(ANCHORER);
        chain.anchorRound(rounds, proof.round, node);
        // Every second round has a peak of its own; the others are half of one.
        if (proof.round % 2 == 1) {
            proof.rangePath = new bytes32[](1);
            proof.rangePath[0] = chain.peak(rounds, 0);
        }
    }

    function twice(bytes memory encoded) internal pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(encoded)));
    }

    /// @dev A group of one message, signed by a key in the author's name.
    function signed(uint256 secret, uint64 number, bytes32 hash)
        internal
        view
        returns (AuthorProof.Signature memory part)
    {
        (uint256 x, uint256 y) = vm.publicKeyP256(secret);
        (part.x, part.y, part.producer) = (bytes32(x), bytes32(y), "orders");
        (part.first, part.producerSeq, part.count) = (number, number, 1);
        part.previous = number == 0 ? bytes32(0) : keccak256(abi.encode("group before", number));
        bytes32 root = twice(abi.encode(number, hash));
        bytes memory head = bytes.concat("streamchain/group/v1", LETTERS, bytes20(author), part.producer);
        bytes32 digest = sha256(bytes.concat(head, bytes8(number), bytes4(uint32(1)), part.previous, root));
        (part.r, part.s) = vm.signP256(secret, digest);
    }

    function order(address payee, uint256 amount) internal view returns (bytes32) {
        return keccak256(abi.encode(address(payout), payee, amount));
    }

    function pay(uint256 secret, uint64 number, uint64 seq) internal {
        (IStreamChain.Claim memory message, IStreamChain.RoundProof memory proof) =
            anchored(seq, order(STRANGER, 1 ether));
        AuthorProof.Signature memory part = signed(secret, number, message.payloadHash);
        payout.pay(STRANGER, 1 ether, message, proof, part);
    }

    function test_WhatTheAuthorOrderedIsPaid() public {
        vm.expectEmit(address(payout));
        emit Payout.Paid(STRANGER, 1 ether, keccak256(abi.encode(bytes16("orders"), uint64(0))));
        this.payFirst();
        vm.assertEq(STRANGER.balance, 1 ether, "what the payee has");
        vm.assertEq(address(payout).balance, FUND - 1 ether, "what is left");
    }

    function payFirst() external {
        (IStreamChain.Claim memory message, IStreamChain.RoundProof memory proof) =
            anchored(0, order(STRANGER, 1 ether));
        payout.pay(STRANGER, 1 ether, message, proof, signed(SECRET, 0, message.payloadHash));
    }

    /// @dev The operator can anchor anything in the author's name, and signs it with a key of its own.
    function test_AnOrderThatTheOperatorMadeUpIsNotPaid() public {
        (IStreamChain.Claim memory message, IStreamChain.RoundProof memory proof) =
            anchored(0, order(ANCHORER, FUND));
        AuthorProof.Signature memory forged = signed(FORGER, 0, message.payloadHash);
        vm.expectRevert(abi.encodeWithSelector(Payout.NotSigned.selector));
        payout.pay(ANCHORER, FUND, message, proof, forged);
        AuthorProof.Signature memory good = signed(SECRET, 0, order(STRANGER, 1 ether));
        vm.expectRevert(abi.encodeWithSelector(Payout.NotSigned.selector));
        payout.pay(ANCHORER, FUND, message, proof, good);
    }

    function test_AChangedOrderIsNotPaid() public {
        (IStreamChain.Claim memory message, IStreamChain.RoundProof memory proof) =
            anchored(0, order(STRANGER, 1 ether));
        AuthorProof.Signature memory part = signed(SECRET, 0, message.payloadHash);
        vm.expectRevert(abi.encodeWithSelector(Payout.OtherContent.selector));
        payout.pay(ANCHORER, 1 ether, message, proof, part);
        message.author = authorOf(FORGER);
        vm.expectRevert(abi.encodeWithSelector(Payout.OtherAuthor.selector, message.author));
        payout.pay(STRANGER, 1 ether, message, proof, part);
    }

    function test_AnOrderThatIsNotAnchoredIsNotPaid() public {
        (IStreamChain.Claim memory message, IStreamChain.RoundProof memory proof) =
            anchored(0, order(STRANGER, 1 ether));
        AuthorProof.Signature memory part = signed(SECRET, 0, message.payloadHash);
        message.seq = 1;
        vm.expectRevert(abi.encodeWithSelector(Payout.NotProven.selector));
        payout.pay(STRANGER, 1 ether, message, proof, part);
    }

    /// @dev The operator anchors the same signed message again, at another seq, and with the other value of `s`.
    function test_AnOrderThatIsAnchoredTwiceIsPaidOnce() public {
        pay(SECRET, 3, 0);
        (IStreamChain.Claim memory message, IStreamChain.RoundProof memory proof) =
            anchored(1, order(STRANGER, 1 ether));
        AuthorProof.Signature memory part = signed(SECRET, 3, message.payloadHash);
        uint256 curveOrder = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551;
        for (uint256 i = 0; i < 2; ++i) {
            vm.expectRevert(abi.encodeWithSelector(Payout.AlreadyPaid.selector));
            payout.pay(STRANGER, 1 ether, message, proof, part);
            part.s = bytes32(curveOrder - uint256(part.s));
        }
        vm.assertEq(STRANGER.balance, 1 ether, "paid once");
        // The author orders the same payment a second time, under another number.
        pay(SECRET, 4, 2);
        vm.assertEq(STRANGER.balance, 2 ether, "paid again");
    }
}
