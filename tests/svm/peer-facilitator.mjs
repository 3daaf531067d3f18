// The reference's Solana facilitator behind HTTP:  node peer-facilitator.mjs
//   SVM_RPC_URL, SVM_PRIVATE_KEY (base58 of 64 bytes)
// Prints `listening url=...` when ready. Serves v2 and v1.
import {createServer} from 'node:http';
import {createKeyPairSignerFromBytes} from '@solana/kit';
import {x402Facilitator} from '@x402/core/facilitator';
import {toFacilitatorSvmSigner} from '@x402/svm';
import {registerExactSvmScheme} from '@x402/svm/exact/facilitator';
import {fromBase58} from './ledger.mjs';

const key = await createKeyPairSignerFromBytes(fromBase58(process.env.SVM_PRIVATE_KEY));
const signer = toFacilitatorSvmSigner(key, {defaultRpcUrl: process.env.SVM_RPC_URL});
const facilitator = new x402Facilitator();
registerExactSvmScheme(facilitator, {signer, networks: 'solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1'});

async function serve(request, response) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const send = (status, body) => response.writeHead(status, {'content-type': 'application/json'}).end(JSON.stringify(body));
  try {
    if (request.url === '/supported') return send(200, facilitator.getSupported());
    const {paymentPayload, paymentRequirements} = JSON.parse(Buffer.concat(chunks).toString());
    const call = request.url === '/verify' ? 'verify' : 'settle';
    return send(200, await facilitator[call](paymentPayload, paymentRequirements));
  } catch (error) {
    return send(500, {error: error.message});
  }
}

const server = createServer((request, response) => { serve(request, response); });
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`listening url=http://127.0.0.1:${server.address().port}\n`);
});
