// The reference facilitator behind HTTP, as its examples serve it.
//   PORT, EVM_RPC_URL, EVM_PRIVATE_KEY; NONCE_MANAGER=1 counts nonces itself
//   FACTORIES: of wallets that it may deploy (ERC-6492), separated by commas
// Prints `listening url=...` when ready. Serves v2 and v1.
import express from 'express';
import {x402Facilitator} from '@x402/core/facilitator';
import {toFacilitatorEvmSigner} from '@x402/evm';
import {registerExactEvmScheme} from '@x402/evm/exact/facilitator';
import {UptoEvmScheme} from '@x402/evm/upto/facilitator';
import {createErc20ApprovalGasSponsoringExtension, EIP2612_GAS_SPONSORING} from '@x402/extensions';
import {createWalletClient, http, nonceManager, parseTransaction, publicActions, recoverTransactionAddress} from 'viem';
import {privateKeyToAccount} from 'viem/accounts';
import {baseSepolia} from 'viem/chains';
import {mined} from '../devnet/mined.mjs';

const account = privateKeyToAccount(process.env.EVM_PRIVATE_KEY,
  process.env.NONCE_MANAGER ? {nonceManager} : {});
const client = createWalletClient({account, chain: baseSepolia, transport: http(process.env.EVM_RPC_URL),
  pollingInterval: 100}).extend(publicActions);
// viem's own time for it.
const receiptOf = (hash) => mined(client, hash, 180000);
// The client's own methods plus the one that the signer wants beside them.
const signer = toFacilitatorEvmSigner({
  address: account.address,
  getCode: (args) => client.getCode(args),
  readContract: (args) => client.readContract({...args, args: args.args ?? []}),
  verifyTypedData: (args) => client.verifyTypedData(args),
  writeContract: (args) => client.writeContract({...args, args: args.args ?? []}),
  sendTransaction: (args) => client.sendTransaction(args),
  waitForTransactionReceipt: ({hash}) => receiptOf(hash),
});
const facilitator = new x402Facilitator();
registerExactEvmScheme(facilitator, {signer, networks: 'eip155:84532',
  eip6492AllowedFactories: process.env.FACTORIES?.split(',') ?? []});
facilitator.register('eip155:84532', new UptoEvmScheme(signer));
facilitator.registerExtension(EIP2612_GAS_SPONSORING);
// The package leaves gas money and broadcast to the operator's signer.
facilitator.registerExtension(createErc20ApprovalGasSponsoringExtension({...signer, sendTransactions}));

async function sendTransactions(transactions) {
  const hashes = [];
  for (const one of transactions) {
    let hash;
    if (typeof one === 'string') {
      const {gas, maxFeePerGas} = parseTransaction(one);
      const from = await recoverTransactionAddress({serializedTransaction: one});
      const missing = gas * maxFeePerGas - await client.getBalance({address: from});
      if (missing > 0n) {
        const gift = await client.sendTransaction({to: from, value: missing});
        await receiptOf(gift);
      }
      hash = await client.sendRawTransaction({serializedTransaction: one});
    } else {
      hash = await client.sendTransaction(one);
    }
    await receiptOf(hash);
    hashes.push(hash);
  }
  return hashes;
}

const app = express();
app.use(express.json({limit: '1mb'}));
const answer = (call) => async (request, response) => {
  try {
    const {paymentPayload, paymentRequirements} = request.body;
    response.json(await call(paymentPayload, paymentRequirements));
  } catch (error) {
    response.status(500).json({error: error.message});
  }
};
app.post('/verify', answer((payload, requirements) => facilitator.verify(payload, requirements)));
app.post('/settle', answer((payload, requirements) => facilitator.settle(payload, requirements)));
app.get('/supported', (request, response) => response.json(facilitator.getSupported()));
const server = app.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
  console.log(`listening url=http://127.0.0.1:${server.address().port}`);
});
process.on('SIGTERM', () => process.exit(0));
