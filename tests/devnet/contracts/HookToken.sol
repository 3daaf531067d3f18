// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.28;

import {TestUSDC} from "./TestUSDC.sol";

interface ISenderHook {
    function tokensToSend(address from, address to, uint256 value) external;
}

/// A good token that calls whoever an account has named before it moves that
/// account's money, as ERC-777 does.
contract HookToken is TestUSDC {
    mapping(address => address) public hookOf;

    function setHook(address hook) external {
        hookOf[msg.sender] = hook;
    }

    function _update(address from, address to, uint256 value) internal override {
        address hook = hookOf[from];
        if (hook != address(0)) ISenderHook(hook).tokensToSend(from, to, value);
        super._update(from, to, value);
    }
}

/// Makes the last of the calls that it was given, each time it is called for
/// real: a simulation pays no gas, and sees nothing. One to the zero address
/// burns all gas; one that fails changes nothing.
contract ScriptedHook is ISenderHook {
    struct Call {
        address target;
        bytes data;
    }

    Call[] private calls;

    function push(address target, bytes calldata data) external {
        calls.push(Call(target, data));
    }

    function left() external view returns (uint256) {
        return calls.length;
    }

    function tokensToSend(address, address, uint256) external {
        if (tx.gasprice == 0 || calls.length == 0) return;
        Call memory call_ = calls[calls.length - 1];
        calls.pop();
        while (call_.target == address(0)) {}
        (bool ok,) = call_.target.call(call_.data);
        ok;
    }
}
