// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

import {IStreamChain} from "../src/IStreamChain.sol";
import {Bounty} from "../src/examples/Bounty.sol";
import {StreamChainTest} from "./support/StreamChainTest.sol";
import {Vectors} from "./support/Vectors.sol";

/// @dev A contract acts on a message of a stream, given what its receipt says.
contract BountyTest is StreamChainTest, Vectors {
    uint256 internal constant PRIZE = 3 ether;
    address internal constant VECTOR_OWNER = 0x70997970C51812dc3A010C7d01b50e0d17dc79C8;

    IStreamChain.Anchor internal run;
    IStreamChain.Claim internal message;
    IStreamChain.Proof internal proof;
    Bounty internal bounty;

    /// @dev The bounty is for the content of the second message of case 3, anchored in a set of three.
    function setUp() public override {
        super.setUp();
        readVectors();
        openStream(VECTOR_OWNER, keccak256("demo"), ANCHORER);
        openStream(VECTOR_OWNER, keccak256("a-b.c_9"), ANCHORER);
        string memory at = ".cases[3].messages[1]";
        run = caseRun(3);
        message = claimAt(at);
        proof = proofAt(at, run, ".sets[2].runs[1]");
        vm.deal(address(this), PRIZE);
        bounty = new Bounty{value: PRIZE}(chain, run.stream, message.payloadHash);
    }

    function store() internal {
        IStreamChain.Anchor[] memory runs = setRuns(2);
        vm.prank(ANCHORER);
        chain.anchorStored(runs);
    }

    function test_TheAuthorOfTheMessageIsPaidWhoeverProvesIt() public {
        store();
        vm.expectEmit(address(bounty));
        emit Bounty.Paid(message.author, message.seq, PRIZE);
        vm.prank(STRANGER);
        bounty.claim(message, proof);
        vm.assertEq(message.author.balance, PRIZE, "what the author has");
        vm.assertEq(address(bounty).balance, 0, "what is left");
    }

    function test_NobodyIsPaidBeforeTheMessageIsAnchored() public {
        vm.expectRevert(abi.encodeWithSelector(Bounty.NotProven.selector));
        bounty.claim(message, proof);
    }

    function test_NobodyIsPaidForAnothersMessage() public {
        store();
        message.author = STRANGER;
        vm.expectRevert(abi.encodeWithSelector(Bounty.NotProven.selector));
        bounty.claim(message, proof);
    }

    function test_NobodyIsPaidForAnotherContent() public {
        store();
        IStreamChain.Claim memory other = claimAt(".cases[3].messages[2]");
        IStreamChain.Proof memory way = proofAt(".cases[3].messages[2]", run, ".sets[2].runs[1]");
        vm.assertTrue(chain.verify(run.stream, other, way), "it is in the stream");
        vm.expectRevert(abi.encodeWithSelector(Bounty.OtherContent.selector, other.payloadHash));
        bounty.claim(other, way);
    }

    function test_NobodyIsPaidTwice() public {
        store();
        bounty.claim(message, proof);
        vm.expectRevert(abi.encodeWithSelector(Bounty.AlreadyPaid.selector));
        bounty.claim(message, proof);
    }
}
