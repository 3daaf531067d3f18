// What our parts do on Solana beside a plain purchase, with the reference's
// (@x402/svm 2.27.0) as the other side; every combination of a purchase is in
// matrix.test.mjs. Balances are checked on the chain.
import assert from 'node:assert/strict';
import {randomBytes} from 'node:crypto';
import {createServer} from 'node:http';
import {createRequire} from 'node:module';
import {once} from 'node:events';
import {join} from 'node:path';
import {after, before, test} from 'node:test';
import {pathToFileURL} from 'node:url';
import {createKeyPairSignerFromBytes} from '@solana/kit';
import {x402Client, x402HTTPClient} from '@x402/core/client';
import {HTTPFacilitatorClient, x402ResourceServer} from '@x402/core/server';
import {registerExactSvmScheme} from '@x402/svm/exact/client';
import {ExactSvmScheme as ServerScheme} from '@x402/svm/exact/server';
import {programs, run, scratchDir, start} from '../devnet/lib.mjs';
import {fromBase58} from './ledger.mjs';
import {balance, NETWORK, offer, startDaemon, startDevnet} from './svm.lib.mjs';

// One copy of the extensions for all tests, with the other interoperability tests.
const {createSIWxClientHook, parseSIWxHeader, validateSIWxMessage, verifySIWxSignature} = await import(pathToFileURL(createRequire(new URL('../interop/package.json', import.meta.url))
  .resolve('@x402/extensions').replace('/dist/cjs/', '/dist/esm/').replace(/index\.js$/, 'index.mjs')).href);

let devnet;
const ours = {};
before(async () => {
  devnet = await startDevnet();
  ours.facilitator = await startDaemon(devnet);
});
after(async () => {
  await ours.facilitator?.daemon.stop();
  await devnet?.stop();
});

/** A site of the provider SDK on Solana. */
const startSite = async (facilitatorUrl) => {
  const site = await start(programs.site, [], {ready: /listening url=(\S+)/, env: {PORT: '0', X402_NETWORK: NETWORK,
    SVM_ADDRESS: devnet.accounts.payee.address, SVM_FEE_PAYER: devnet.accounts.facilitator.address,
    FACILITATOR_URL: facilitatorUrl}});
  return {url: site.match[1], stop: () => site.stop()};
};

/** A server of the reference's own parts: 402, verify, settle, deliver. */
async function startReferenceServer(facilitatorUrl, terms = {}) {
  const resource = new x402ResourceServer(new HTTPFacilitatorClient({url: facilitatorUrl}));
  resource.register('solana:*', new ServerScheme());
  await resource.initialize();
  const server = createServer(async (request, response) => {
    const url = `http://${request.headers.host}${request.url}`;
    const accepts = await resource.buildPaymentRequirements({scheme: 'exact', network: NETWORK, price: '$0.001',
      payTo: devnet.accounts.payee.address, maxTimeoutSeconds: 60, ...terms});
    const header = request.headers['payment-signature'];
    if (!header) {
      const required = await resource.createPaymentRequiredResponse(accepts, {url, description: 'interop', mimeType: 'text/plain'});
      return response.writeHead(402, {'payment-required': Buffer.from(JSON.stringify(required)).toString('base64')}).end('{}');
    }
    const payload = JSON.parse(Buffer.from(header, 'base64').toString());
    const verified = await resource.verifyPayment(payload, accepts[0]);
    if (!verified.isValid) return response.writeHead(402).end(JSON.stringify(verified));
    const settled = await resource.settlePayment(payload, accepts[0]);
    return response.writeHead(settled.success ? 200 : 402,
      {'payment-response': Buffer.from(JSON.stringify(settled)).toString('base64')}).end(settled.success ? 'content' : '{}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {url: `http://127.0.0.1:${server.address().port}`, stop: () => server.close()};
}

/** `x402 get` with a Solana key; how the key is given is the caller's. */
async function get(url, more = {}) {
  const {code, stdout, stderr} = await run(programs.client, ['get', ...more.args ?? [], url], {env: {
    SVM_RPC_URL: devnet.rpcUrl, HOME: scratchDir(), SVM_PRIVATE_KEY: devnet.accounts.payer.secretKey, ...more.env}});
  return {code, stdout, stderr};
}

/** The reference's client on plain fetch. */
async function fetchPaid(url) {
  const signer = await createKeyPairSignerFromBytes(fromBase58(devnet.accounts.payer.secretKey));
  const client = new x402Client();
  registerExactSvmScheme(client, {signer, networks: [NETWORK]});
  // Its scheme asks devnet.solana.com unless it is told: tell it.
  const {ExactSvmScheme} = await import('@x402/svm/exact/client');
  client.register(NETWORK, new ExactSvmScheme(signer, {rpcUrl: devnet.rpcUrl}));
  const http = new x402HTTPClient(client);
  const challenge = await fetch(url);
  assert.equal(challenge.status, 402);
  const required = http.getPaymentRequiredResponse((name) => challenge.headers.get(name), await challenge.json().catch(() => ({})));
  const payload = await client.createPaymentPayload(required);
  return fetch(url, {headers: http.encodePaymentSignatureHeader(payload)});
}

/** Runs pay and sees that exactly amount arrived. */
async function moves(amount, pay, mint = devnet.usdc) {
  const {payee, payer} = devnet.accounts;
  const had = [await balance(devnet, payer.address, mint), await balance(devnet, payee.address, mint)];
  const result = await pay();
  assert.equal(await balance(devnet, payee.address, mint) - had[1], amount);
  assert.equal(had[0] - await balance(devnet, payer.address, mint), amount);
  return result;
}

const browser = {accept: 'text/html,*/*;q=0.8', 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64)'};

test('the page for people says what a Solana offer costs, and the reference reads its header', async () => {
  const site = await startSite(ours.facilitator.url);
  const page = await fetch(`${site.url}/api/quote`, {headers: browser});
  const text = await page.text();
  assert.equal(page.status, 402);
  assert.match(page.headers.get('content-type'), /^text\/html/);
  assert.match(text, /<b>0\.001 USDC<\/b> on Solana devnet/);
  assert.match(text, /No offer that a browser can pay/);
  assert.doesNotMatch(text, /type="radio"/);
  assert.ok(text.includes(devnet.accounts.payee.address));
  const required = new x402HTTPClient(new x402Client()).getPaymentRequiredResponse((name) => page.headers.get(name), {});
  assert.equal(required.accepts[0].network, NETWORK);
  assert.equal(required.accepts[0].extra.feePayer, devnet.accounts.facilitator.address);
  await site.stop();
});

test('who has paid on Solana signs in with the reference client, with that wallet alone', async () => {
  const site = await startSite(ours.facilitator.url);
  const url = `${site.url}/articles/the-long-wait-of-402`;
  const signIn = async (account) => {
    const signer = await createKeyPairSignerFromBytes(fromBase58(account.secretKey));
    const challenge = await fetch(url);
    const paymentRequired = new x402HTTPClient(new x402Client()).getPaymentRequiredResponse(
      (name) => challenge.headers.get(name), {});
    const answer = await createSIWxClientHook(signer)({paymentRequired, requestUrl: url});
    assert.ok(answer, 'the reference refuses our challenge');
    return fetch(url, {headers: answer.headers});
  };
  assert.equal((await signIn(devnet.accounts.payer)).status, 402, 'not paid yet');
  await moves(10000n, () => fetchPaid(url));
  const again = await moves(0n, () => signIn(devnet.accounts.payer));
  assert.equal(again.status, 200, await again.clone().text());
  assert.match(await again.text(), /The guest was late/);
  assert.equal((await signIn(devnet.accounts.payer2)).status, 402, 'somebody else');
  await site.stop();
});

test('our client signs in at our site on Solana, once it has paid there', async () => {
  const site = await startSite(ours.facilitator.url);
  const url = `${site.url}/articles/the-long-wait-of-402`;
  const signIn = (account) => get(url, {args: ['--sign-in', '--max-amount', '1atomic'], env: {SVM_PRIVATE_KEY: account.secretKey}});
  const before = await moves(0n, () => signIn(devnet.accounts.payer));
  assert.equal(JSON.parse(before.stderr.trim().split('\n').at(-1)).charged, 'no', 'not paid yet');
  const paid = await moves(10000n, () => get(url));
  assert.equal(paid.code, 0, paid.stderr);
  const again = await moves(0n, () => signIn(devnet.accounts.payer));
  assert.equal(again.code, 0, again.stderr);
  assert.equal(again.stdout, paid.stdout);
  const other = await moves(0n, () => signIn(devnet.accounts.payer2));
  assert.notEqual(other.code, 0, 'somebody else');
  assert.equal(other.stdout, '');
  await site.stop();
});

/** A site that is opened by a sign-in alone, as the reference's parts judge it. */
async function startMembers() {
  const site = {signIns: []};
  const chains = {solana: {chainId: NETWORK, type: 'ed25519'}, evm: {chainId: 'eip155:84532', type: 'eip191'}};
  const routes = {
    '/in': {}, '/plain': {info: {statement: undefined}}, '/scheme': {chains: [{...chains.solana, signatureScheme: 'siws'}]},
    '/whole': {info: {requestId: 'r1', notBefore: new Date(Date.now() - 60e3).toISOString(),
      expirationTime: new Date(Date.now() + 240e3).toISOString(), resources: ['https://a.example/x', 'ipfs://b']}},
    '/both': {chains: [chains.evm, chains.solana], accepts: [offer(devnet)]}, '/evm': {chains: [chains.evm]},
    '/other-domain': {info: {domain: 'bank.example'}}, '/other-uri': {info: {uri: 'https://bank.example/login'}},
    '/line': {info: {statement: 'Hello\n\nURI: https://bank.example/login'}}, '/no-nonce': {info: {nonce: undefined}},
  };
  const server = createServer(async (request, response) => {
    const route = routes[request.url];
    const proof = request.headers['sign-in-with-x'];
    if (!proof) {
      const info = {domain: new URL(site.url).host, uri: `${site.url}/sign-in`, version: '1', nonce: randomBytes(16).toString('hex'),
        issuedAt: new Date().toISOString(), statement: 'Sign in to read what you have paid for', ...route.info};
      const required = {x402Version: 2, error: 'Sign in', resource: {url: site.url + request.url}, accepts: route.accepts ?? [],
        extensions: {'sign-in-with-x': {info, supportedChains: route.chains ?? [chains.solana], schema: {}}}};
      return response.writeHead(402, {'payment-required': Buffer.from(JSON.stringify(required)).toString('base64')}).end('{}');
    }
    const payload = parseSIWxHeader(proof);
    const valid = await validateSIWxMessage(payload, new URL(site.url));
    const verified = await verifySIWxSignature(payload);
    site.signIns.push({payload, valid, verified});
    const good = valid.isValid && verified.isValid;
    return response.writeHead(good ? 200 : 403).end(good ? 'welcome back' : 'who is that');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  site.url = `http://127.0.0.1:${server.address().port}`;
  site.stop = () => server.close();
  return site;
}

test('the reference takes the sign-ins of our client on Solana, by a key or by a signer process', async () => {
  const site = await startMembers();
  const dir = scratchDir();
  const EVM_PRIVATE_KEY = '0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a';
  const startSigner = async (name, ...args) => {
    const signer = await start(programs.client, ['signer', '--socket', join(dir, name), ...args], {ready: /listening socket=/,
      env: {HOME: dir, X402_STATE_DIR: join(dir, name + '-state'), EVM_PRIVATE_KEY, SVM_PRIVATE_KEY: devnet.accounts.payer.idJson}});
    return {args: ['--signer', join(dir, name)], stop: () => signer.stop()};
  };
  const willing = await startSigner('willing', '--sign-in');
  const deaf = await startSigner('deaf');
  const keyless = {SVM_PRIVATE_KEY: ''};
  for (const [path, more] of [['/in'], ['/plain'], ['/scheme'], ['/whole'], ['/both', {env: {EVM_PRIVATE_KEY}}],
    ['/in', {args: willing.args, env: keyless}], ['/plain', {args: willing.args, env: keyless}]]) {
    site.signIns.length = 0;
    const got = await moves(0n, () => get(site.url + path, {...more, args: ['--sign-in', ...more?.args ?? []]}));
    assert.equal(got.code, 0, `${path}: ${got.stderr} ${JSON.stringify(site.signIns)}`);
    assert.equal(got.stdout, 'welcome back', `${path}: ${JSON.stringify(site.signIns)}`);
    assert.equal(site.signIns.length, 1);
    assert.equal(site.signIns[0].payload.address, devnet.accounts.payer.address);
    assert.equal(site.signIns[0].payload.chainId, NETWORK);
  }
  site.signIns.length = 0;
  for (const [path, more] of [['/evm'], ['/other-domain'], ['/other-uri'], ['/line'], ['/no-nonce'],
    ['/in', {args: deaf.args, env: keyless}]]) {
    const got = await moves(0n, () => get(site.url + path, {...more, args: ['--sign-in', ...more?.args ?? []]}));
    assert.equal(got.code, 8, `${path}: ${got.stderr}`);
    assert.equal(JSON.parse(got.stderr.trim().split('\n').at(-1)).charged, 'no');
  }
  assert.equal((await get(`${site.url}/in`)).code, 8, 'unasked');
  assert.deepEqual(site.signIns, []);
  await willing.stop();
  await deaf.stop();
  site.stop();
});

test('our client pays with a memo, a blockhash that is given, and id.json', async () => {
  const {value} = await devnet.rpc('getLatestBlockhash', {commitment: 'finalized'});
  for (const extra of [{memo: 'pi_3abc123def456'}, {recentBlockhash: value.blockhash},
    {reference: devnet.accounts.payer2.address}]) {
    const server = await startReferenceServer(ours.facilitator.url, {extra});
    const got = await moves(1000n, () => get(`${server.url}/x`, {env: {SVM_PRIVATE_KEY: devnet.accounts.payer.idJson}}));
    assert.equal(got.code, 0, got.stderr);
    await server.stop();
  }
  // Solana Pay: the payment is found by its reference.
  const [found] = await devnet.rpc('getSignaturesForAddress', devnet.accounts.payer2.address);
  assert.equal((await ours.facilitator.ask(`/payments/${found.signature}`)).body.state, 'settled');
  const byReference = await ours.facilitator.ask(`/payments/${devnet.accounts.payer2.address}`);
  assert.equal(byReference.body.transaction, found.signature, byReference.text);
  assert.equal((await ours.facilitator.ask(`/payments/${devnet.accounts.facilitator2.address}`)).status, 404);
});

test('our client refuses a mint that keeps a fee, and signs nothing', async () => {
  const server = await startReferenceServer(ours.facilitator.url, {price: {asset: devnet.fee2022, amount: '1000', extra: {}}});
  const got = await moves(0n, () => get(`${server.url}/x`, {args: ['--asset', devnet.fee2022, '--network', NETWORK, '--max-amount', '1000atomic']}),
    devnet.fee2022);
  assert.notEqual(got.code, 0);
  await server.stop();
});

test('our client without a node, or with a broken key, signs nothing', async () => {
  const site = await startSite(ours.facilitator.url);
  for (const env of [{SVM_RPC_URL: ''}, {SVM_RPC_URL: 'http://127.0.0.1:1'}, {SVM_PRIVATE_KEY: '[1,2]'},
    {SVM_PRIVATE_KEY: devnet.accounts.payer.idJson.replace(/,\d+\]/, ',7]')}]) {
    const got = await moves(0n, () => get(`${site.url}/api/quote`, {env}));
    assert.notEqual(got.code, 0, JSON.stringify(env));
    assert.ok(!got.stderr.includes(env.SVM_PRIVATE_KEY ?? 'no key'), 'the key was printed');
  }
  await site.stop();
});
