// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

import {IStreamChain} from "../src/IStreamChain.sol";
import {StreamChainTest} from "./support/StreamChainTest.sol";

/// @dev Who owns a stream and who may speak for it: `open` and `delegate`.
contract StreamsTest is StreamChainTest {
    function test_AnUnopenedStreamHasNoAnchorerAndNoMessages() public view {
        vm.assertEq(anchorerOf(idOf(OWNER, OTHER)), NOBODY, "anchorer");
        vm.assertEq(nextSeqOf(idOf(OWNER, OTHER)), 0, "nextSeq");
    }

    function testFuzz_OpenGivesTheSenderAStreamAtSeqZero(address owner, bytes32 nameHash, address anchorer)
        public
    {
        vm.assume(anchorer != NOBODY && idOf(owner, nameHash) != demo);
        bytes32 id = idOf(owner, nameHash);
        vm.expectEmit(address(chain));
        emit IStreamChain.Opened(id, owner, nameHash, anchorer);
        vm.prank(owner);
        vm.assertEq(chain.open(nameHash, anchorer), id, "id");
        vm.assertEq(anchorerOf(id), anchorer, "anchorer");
        vm.assertEq(nextSeqOf(id), 0, "nextSeq");
    }

    function test_TwoOwnersMayUseOneName() public {
        bytes32 id = openStream(STRANGER, DEMO, STRANGER);
        vm.assertTrue(id != demo, "ids differ");
        vm.assertEq(anchorerOf(demo), ANCHORER, "the first stream is untouched");
    }

    function test_OpenRefusesAStreamThatIsOpen() public {
        vm.expectRevert(abi.encodeWithSelector(IStreamChain.StreamAlreadyOpen.selector, demo));
        vm.prank(OWNER);
        chain.open(DEMO, STRANGER);
    }

    function test_OpeningAgainCannotSetAStreamBackToZero() public {
        anchor(ANCHORER, demo, 0, 5);
        vm.expectRevert(abi.encodeWithSelector(IStreamChain.StreamAlreadyOpen.selector, demo));
        vm.prank(OWNER);
        chain.open(DEMO, ANCHORER);
        vm.assertEq(nextSeqOf(demo), 5, "nextSeq");
    }

    function test_OpenRefusesTheZeroAnchorer() public {
        vm.expectRevert(abi.encodeWithSelector(IStreamChain.AnchorerIsZero.selector, idOf(OWNER, OTHER)));
        vm.prank(OWNER);
        chain.open(OTHER, NOBODY);
    }

    function testFuzz_DelegateMovesTheRightToAnchor(address anchorer, uint32 before) public {
        vm.assume(anchorer != NOBODY && anchorer != ANCHORER && before != 0);
        anchor(ANCHORER, demo, 0, before);

        vm.expectEmit(address(chain));
        emit IStreamChain.Delegated(demo, anchorer);
        vm.prank(OWNER);
        vm.assertEq(chain.delegate(DEMO, anchorer), demo, "id");
        vm.assertEq(nextSeqOf(demo), before, "the stream goes on where it was");

        vm.expectRevert(abi.encodeWithSelector(IStreamChain.NotAnchorer.selector, demo, ANCHORER, anchorer));
        anchor(ANCHORER, demo, before, 1);
        anchor(anchorer, demo, before, 1);
        vm.assertEq(nextSeqOf(demo), uint256(before) + 1, "nextSeq");
    }

    function test_DelegateRefusesAStreamThatIsNotOpen() public {
        vm.expectRevert(abi.encodeWithSelector(IStreamChain.StreamNotOpen.selector, idOf(OWNER, OTHER)));
        vm.prank(OWNER);
        chain.delegate(OTHER, ANCHORER);
    }

    /// @dev A sender reaches only ids made from its own address, so the anchorer cannot delegate further either.
    function test_DelegateByAnyoneButTheOwnerReachesAnotherStream() public {
        address[2] memory others = [ANCHORER, STRANGER];
        for (uint256 i = 0; i < others.length; ++i) {
            vm.expectRevert(
                abi.encodeWithSelector(IStreamChain.StreamNotOpen.selector, idOf(others[i], DEMO))
            );
            vm.prank(others[i]);
            chain.delegate(DEMO, STRANGER);
        }
        vm.assertEq(anchorerOf(demo), ANCHORER, "anchorer");
    }

    function test_DelegateRefusesTheZeroAnchorer() public {
        vm.expectRevert(abi.encodeWithSelector(IStreamChain.AnchorerIsZero.selector, demo));
        vm.prank(OWNER);
        chain.delegate(DEMO, NOBODY);
    }

    function testFuzz_AnybodyPublishesToAnyStreamWithoutChangingIt(
        address author,
        bytes32 stream,
        bytes memory payload
    ) public {
        (address anchorer, uint96 nextSeq) = chain.streams(stream);
        vm.expectEmit(address(chain));
        emit IStreamChain.Published(stream, author, payload);
        vm.prank(author);
        chain.publish(stream, payload);
        vm.assertEq(anchorerOf(stream), anchorer, "anchorer");
        vm.assertEq(nextSeqOf(stream), nextSeq, "nextSeq");
    }

    function test_PublishTakesAnEmptyPayload() public {
        vm.expectEmit(address(chain));
        emit IStreamChain.Published(demo, STRANGER, "");
        vm.prank(STRANGER);
        chain.publish(demo, "");
    }

    function test_TheContractTakesNoEther() public {
        (bool accepted,) = payable(address(chain)).call{value: 1}("");
        vm.assertFalse(accepted, "plain transfer");
        (accepted,) = payable(address(chain)).call{value: 1}(abi.encodeCall(chain.publish, (demo, "")));
        vm.assertFalse(accepted, "with a call");
    }

    function testFuzz_APublishedPayloadIsBounded(uint32 above) public {
        uint256 maximum = 65_536;
        chain.publish(demo, new bytes(maximum));
        uint256 length = maximum + 1 + above % 200_000;
        vm.expectRevert(abi.encodeWithSelector(IStreamChain.PayloadTooLarge.selector, length, maximum));
        chain.publish(demo, new bytes(length));
    }
}
