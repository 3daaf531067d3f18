// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.28;

/// Tokens that misbehave, each in one way, behind the same EIP-3009 surface and
/// behind the allowance that Permit2 uses. None checks signatures: what they do
/// with a payment is the point.
abstract contract BadToken {
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(bytes32 => bool)) public authorizationState;
    mapping(address => mapping(address => uint256)) public allowance;

    event Transfer(address indexed from, address indexed to, uint256 value);
    event AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce);

    function name() external pure returns (string memory) {
        return "USDC";
    }

    function version() external pure returns (string memory) {
        return "2";
    }

    function decimals() external pure returns (uint8) {
        return 6;
    }

    function mint(address to, uint256 value) external {
        balanceOf[to] += value;
        emit Transfer(address(0), to, value);
    }

    function transferWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256,
        uint256,
        bytes32 nonce,
        uint8,
        bytes32,
        bytes32
    ) external {
        _pay(from, to, value, nonce);
    }

    function approve(address spender, uint256 value) external returns (bool) {
        allowance[msg.sender][spender] = value;
        return true;
    }

    function transferFrom(address from, address to, uint256 value) external virtual returns (bool) {
        require(allowance[from][msg.sender] >= value, "allowance");
        _move(from, to, value);
        return true;
    }

    function _pay(address from, address to, uint256 value, bytes32 nonce) internal virtual {
        require(!authorizationState[from][nonce], "authorization is used");
        authorizationState[from][nonce] = true;
        emit AuthorizationUsed(from, nonce);
        _move(from, to, value);
    }

    function _move(address from, address to, uint256 value) internal virtual {
        balanceOf[from] -= value;
        balanceOf[to] += value;
        emit Transfer(from, to, value);
    }
}

/// Keeps one percent.
contract FeeToken is BadToken {
    function _move(address from, address to, uint256 value) internal override {
        uint256 fee = value / 100;
        balanceOf[from] -= value;
        balanceOf[to] += value - fee;
        balanceOf[address(this)] += fee;
        emit Transfer(from, to, value - fee);
        emit Transfer(from, address(this), fee);
    }
}

/// A used nonce does not revert: it emits an event and moves nothing.
contract SilentToken is BadToken {
    event AuthorizationAlreadyUsed(address indexed authorizer, bytes32 indexed nonce);

    function _pay(address from, address to, uint256 value, bytes32 nonce) internal override {
        if (authorizationState[from][nonce]) {
            emit AuthorizationAlreadyUsed(from, nonce);
            return;
        }
        super._pay(from, to, value, nonce);
    }
}

/// Says no instead of reverting, and moves nothing.
contract FalseToken is BadToken {
    function transferFrom(address, address, uint256) external pure override returns (bool) {
        return false;
    }

    function _move(address, address, uint256) internal override {}
}

/// Moves nothing while its owner says so; a payer on a list of its owner's is
/// refused in the same way.
contract PausedToken is BadToken {
    function _move(address, address, uint256) internal pure override {
        revert("Pausable: paused");
    }
}

/// Runs until the gas that it was given is gone.
contract GasBombToken is BadToken {
    function _move(address, address, uint256) internal override {
        for (uint256 i = 0;; i++) balanceOf[address(uint160(i + 1))] = i + 1;
    }
}

/// Emits somebody else's Transfer: the log comes from another address.
contract LogForger {
    event Transfer(address indexed from, address indexed to, uint256 value);

    function forge(address from, address to, uint256 value) external {
        emit Transfer(from, to, value);
    }
}

/// Succeeds, moves nothing, and has the Transfer log emitted elsewhere.
contract FakeLogToken is BadToken {
    LogForger private immutable forger = new LogForger();

    function _move(address from, address to, uint256 value) internal override {
        forger.forge(from, to, value);
    }
}
