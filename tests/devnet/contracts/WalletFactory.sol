// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.28;

import {SmartWallet} from "./SmartWallet.sol";

/// Deploys SmartWallets at addresses that are known before (ERC-6492). A
/// second call for the same wallet returns the first.
contract WalletFactory {
    function addressOf(address owner, bytes32 salt) public view returns (address) {
        bytes32 initHash = keccak256(abi.encodePacked(type(SmartWallet).creationCode, abi.encode(owner)));
        return address(uint160(uint256(keccak256(abi.encodePacked(bytes1(0xff), address(this), salt, initHash)))));
    }

    function create(address owner, bytes32 salt) external returns (address wallet) {
        wallet = addressOf(owner, salt);
        if (wallet.code.length == 0) new SmartWallet{salt: salt}(owner);
    }
}
