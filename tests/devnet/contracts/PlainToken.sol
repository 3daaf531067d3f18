// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// ERC-20 and nothing else, with 18 decimals: no EIP-3009, no EIP-2612. Only
/// Permit2 can move it by a signature. Anybody may mint.
contract PlainToken is ERC20 {
    constructor() ERC20("Plain", "PLAIN") {}

    function mint(address to, uint256 value) external {
        _mint(to, value);
    }
}
