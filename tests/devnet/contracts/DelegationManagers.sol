// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.28;

/// Delegation managers (ERC-7710) that do not redeem, each in one way. The real
/// one is MetaMask's: see delegation.mjs.
interface IManager {
    function redeemDelegations(bytes[] calldata contexts, bytes32[] calldata modes, bytes[] calldata executions)
        external;
}

/// Says yes, and moves nothing.
contract NothingManager is IManager {
    function redeemDelegations(bytes[] calldata, bytes32[] calldata, bytes[] calldata) external {}
}

/// Takes all the gas that it is given.
contract TrapManager is IManager {
    function redeemDelegations(bytes[] calldata, bytes32[] calldata, bytes[] calldata) external pure {
        while (true) {}
    }
}

/// Simulates well, for a simulation pays no gas, and takes all of it when sent.
contract LateTrapManager is IManager {
    function redeemDelegations(bytes[] calldata, bytes32[] calldata, bytes[] calldata) external view {
        while (tx.gasprice != 0) {}
    }
}

/// An account that does as any delegation manager says.
contract WillingAccount {
    function executeFromExecutor(bytes32, bytes calldata execution) external {
        (bool ok,) = address(bytes20(execution[:20])).call(execution[52:]);
        require(ok, "refused");
    }
}

/// Redeems what it is asked for as often as its context says, by its account.
contract TimesManager is IManager {
    function redeemDelegations(bytes[] calldata contexts, bytes32[] calldata modes, bytes[] calldata executions)
        external
    {
        (address account, uint256 times) = abi.decode(contexts[0], (address, uint256));
        for (uint256 i = 0; i < times; i++) {
            WillingAccount(account).executeFromExecutor(modes[0], executions[0]);
        }
    }
}
