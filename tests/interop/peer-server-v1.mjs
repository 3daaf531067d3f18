// The reference server of protocol version 1 (x402-express): GET /paid.
//   PORT, FACILITATOR_URL, PAY_TO
import express from 'express';
import {paymentMiddleware} from 'x402-express';

const app = express();
app.use(paymentMiddleware(process.env.PAY_TO,
  {'GET /paid': {price: '$0.001', network: 'base-sepolia', config: {description: 'a paid page'}}},
  {url: process.env.FACILITATOR_URL}));
app.get('/paid', (request, response) => response.json({message: 'paid'}));
const server = app.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
  console.log(`listening url=http://127.0.0.1:${server.address().port}`);
});
process.on('SIGTERM', () => process.exit(0));
