// The reference server (@x402/express): GET /paid, POST /paid-post and GET
// /fail at $0.001; /permit2 the same through Permit2; /upto takes 400 of 1000,
// /upto-zero nothing; /permit2-approval and /upto-approval by an approval sent
// along alone; /upfront is settled before it is served.  PORT, FACILITATOR_URL, PAY_TO, ASSET
import express from 'express';
import {HTTPFacilitatorClient} from '@x402/core/server';
import {ExactEvmScheme} from '@x402/evm/exact/server';
import {UptoEvmScheme} from '@x402/evm/upto/server';
import {paymentMiddleware, setSettlementOverrides, x402ResourceServer} from '@x402/express';
import {declareEip2612GasSponsoringExtension, declareErc20ApprovalGasSponsoringExtension} from '@x402/extensions';

const network = 'eip155:84532';
const route = (description) => ({
  accepts: {scheme: 'exact', price: '$0.001', network, payTo: process.env.PAY_TO},
  description, mimeType: 'application/json',
});
// The token by name: through Permit2 the default asset is none.
const price = {amount: '1000', asset: process.env.ASSET ?? '0x036CbD53842c5426634e7929541eC2318f3dCF7e',
  extra: {name: 'USDC', version: '2', assetTransferMethod: 'permit2'}};
const permit2 = (scheme, description, extensions = declareEip2612GasSponsoringExtension()) => ({
  accepts: {scheme, price, network, payTo: process.env.PAY_TO}, description, mimeType: 'application/json', extensions,
});
const approval = declareErc20ApprovalGasSponsoringExtension();
const facilitator = new HTTPFacilitatorClient({url: process.env.FACILITATOR_URL});
const app = express();
app.use(express.json());
app.use(paymentMiddleware({
  'GET /paid': route('a paid page'),
  'POST /paid-post': route('a paid post'),
  'GET /fail': route('a failing handler'),
  'GET /upfront': {...route('a page that is settled first'),
    accepts: {...route().accepts, extra: {paymentFlow: 'upfront'}}},
  'GET /permit2': permit2('exact', 'a page paid through Permit2'),
  'GET /upto': permit2('upto', 'a page of which a part is taken'),
  'GET /upto-zero': permit2('upto', 'a page of which nothing is taken'),
  'GET /permit2-approval': permit2('exact', 'a page paid through Permit2', approval),
  'GET /upto-approval': permit2('upto', 'a page of which a part is taken', approval),
}, new x402ResourceServer(facilitator).register(network, new ExactEvmScheme())
  .register(network, new UptoEvmScheme())));
app.get('/upfront', (request, response) => response.json({message: 'paid'}));
app.get('/paid', (request, response) => response.json({message: 'paid'}));
app.post('/paid-post', (request, response) => response.json({echo: request.body}));
for (const path of ['/permit2', '/permit2-approval']) app.get(path, (request, response) => response.json({message: 'paid'}));
for (const [path, amount] of [['/upto', '400'], ['/upto-zero', '0'], ['/upto-approval', '400']]) {
  app.get(path, (request, response) => {
    setSettlementOverrides(response, {amount});
    response.json({message: 'paid'});
  });
}
app.get('/fail', (request, response) => response.status(500).json({error: 'handler failed'}));
const server = app.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
  console.log(`listening url=http://127.0.0.1:${server.address().port}`);
});
process.on('SIGTERM', () => process.exit(0));
