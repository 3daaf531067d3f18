// The reference server (@x402/express): GET /paid, POST /paid-post and GET
// /fail at $0.001.  PORT, FACILITATOR_URL, PAY_TO
import express from 'express';
import {HTTPFacilitatorClient} from '@x402/core/server';
import {ExactEvmScheme} from '@x402/evm/exact/server';
import {paymentMiddleware, x402ResourceServer} from '@x402/express';

const network = 'eip155:84532';
const route = (description) => ({
  accepts: {scheme: 'exact', price: '$0.001', network, payTo: process.env.PAY_TO},
  description, mimeType: 'application/json',
});
const facilitator = new HTTPFacilitatorClient({url: process.env.FACILITATOR_URL});
const app = express();
app.use(express.json());
app.use(paymentMiddleware({
  'GET /paid': route('a paid page'),
  'POST /paid-post': route('a paid post'),
  'GET /fail': route('a failing handler'),
}, new x402ResourceServer(facilitator).register(network, new ExactEvmScheme())));
app.get('/paid', (request, response) => response.json({message: 'paid'}));
app.post('/paid-post', (request, response) => response.json({echo: request.body}));
app.get('/fail', (request, response) => response.status(500).json({error: 'handler failed'}));
const server = app.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
  console.log(`listening url=http://127.0.0.1:${server.address().port}`);
});
process.on('SIGTERM', () => process.exit(0));
