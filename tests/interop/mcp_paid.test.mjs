// Paid tools of another MCP server (M-01 to M-08), bought by `x402 mcp call` and
// by the tool call_tool. The server runs on the official SDK, in both of its
// answer forms (event stream and JSON); what it asks and settles is ours.
//
//   node --test tests/interop/mcp_paid.test.mjs
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import http from 'node:http';
import { after, before, test } from 'node:test';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { SSEServerTransport } from '@modelcontextprotocol/sdk/server/sse.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { CallToolRequestSchema, ListToolsRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { KEY, PAYEE, PAYER, TX, environment, makeHome, offer, run, x402 } from '../system/cli.lib.mjs';

const required = (name, extra = {}) => ({ x402Version: 2, error: 'Payment required',
  resource: { url: `mcp://tool/${name}`, description: 'a tool', mimeType: 'application/json' },
  accepts: [offer()], ...extra });
const ask = (json, structured = true) => ({ isError: true,
  ...(structured ? { structuredContent: json } : {}),
  content: [{ type: 'text', text: JSON.stringify(json) }] });
const settled = (extra = {}) => ({ success: true, transaction: TX, network: 'eip155:84532',
  payer: PAYER, ...extra });
const sold = (text, receipt = settled()) => ({ content: [{ type: 'text', text }],
  _meta: { 'x402/payment-response': receipt } });
const v1Offer = (name) => {
  const { amount, ...rest } = offer({ network: 'base-sepolia' });
  return { ...rest, maxAmountRequired: amount, resource: `mcp://tool/${name}`, description: '',
    mimeType: '' };
};

// Each tool: (payment or undefined, arguments, response) to a result.
const tools = {
  free: (payment, args) => ({ content: [{ type: 'text', text: `free ${args.q}` }] }),
  quote: (payment, args) => (payment ? sold(`paid ${args.q}`) : ask(required('quote'))),
  text_only: (payment) => (payment ? sold('text') : ask(required('text_only'), false)),
  dear: (payment) => (payment ? sold('dear') : ask(required('dear', { accepts: [offer({ amount: '5000000' })] }))),
  v1: (payment) => (payment ? sold('v1', settled({ network: 'base-sepolia' }))
    : ask({ x402Version: 1, error: 'pay', accepts: [v1Offer('v1')] })),
  legacy: (payment) => {
    if (payment) return sold('legacy');
    throw Object.assign(new Error('Payment required'), { code: 402, data: required('legacy') });
  },
  settle_fails: (payment) => (payment
    ? { ...ask(required('settle_fails', { error: 'Payment settlement failed: insufficient_funds' })),
      _meta: { 'x402/payment-response': { success: false, errorReason: 'insufficient_funds',
        transaction: '', network: 'eip155:84532' } } }
    : ask(required('settle_fails'))),
  forged: (payment) => (payment ? sold('forged', settled({ payer: PAYEE })) : ask(required('forged'))),
  tool_error: (payment) => (payment
    ? { isError: true, content: [{ type: 'text', text: 'the tool is broken' }] }
    : ask(required('tool_error'))),
  elsewhere: (payment) => (payment ? sold('x')
    : ask(required('elsewhere', { resource: { url: 'https://other.example/tool' } }))),
  lost: (payment, args, res) => {
    if (payment) { res.destroy(); return { content: [] }; }
    return ask(required('lost'));
  },
};

let payments = []; // {tool, payment}
async function startServer(form) {
  const sessions = {};
  const open = () => {
    const server = new Server({ name: 'paid', version: '1' }, { capabilities: { tools: {} } });
    server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: [] }));
    server.setRequestHandler(CallToolRequestSchema, (request) => {
      const { name, arguments: args, _meta } = request.params;
      const payment = _meta?.['x402/payment'];
      if (payment) payments.push({ tool: name, payment });
      return tools[name](payment, args ?? {}, current);
    });
    return server;
  };
  let current;
  const server = http.createServer(async (req, res) => {
    const id = req.headers['mcp-session-id'];
    assert.equal(req.headers['payment-signature'], undefined, 'it travels in _meta alone');
    current = res;
    if (form === 'sse') return older(req, res);
    if (id) return sessions[id].handleRequest(req, res);
    const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: () => crypto.randomUUID(),
      enableJsonResponse: form === 'json', onsessioninitialized: (s) => { sessions[s] = transport; } });
    await open().connect(transport);
    return transport.handleRequest(req, res);
  });
  // M-09: a stream at /mcp, posts to /messages?sessionId=...
  async function older(req, res) {
    const { pathname, searchParams } = new URL(req.url, 'http://here');
    if (req.method === 'GET' && pathname === '/mcp') {
      // The SDK names its own origin whatever it is told.
      if (server.elsewhere) {
        res.writeHead(200, { 'content-type': 'text/event-stream' });
        return res.write(`event: endpoint\ndata: ${server.elsewhere}\n\n`);
      }
      const transport = new SSEServerTransport('/messages', res);
      sessions[transport.sessionId] = { transport, res };
      return open().connect(transport);
    }
    const session = sessions[searchParams.get('sessionId')];
    if (req.method !== 'POST' || pathname !== '/messages' || !session) return res.writeHead(404).end();
    current = session.res; // what a tool can break is the stream
    return session.transport.handlePostMessage(req, res);
  }
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return { server, url: `http://127.0.0.1:${server.address().port}/mcp`, stop() {
    server.closeAllConnections();
    return new Promise((done) => server.close(done));
  } };
}

const servers = {};
before(async () => {
  for (const form of ['json', 'stream', 'sse']) servers[form] = await startServer(form);
});
after(() => Promise.all(Object.values(servers).map((s) => s.stop())));

const env = { EVM_PRIVATE_KEY: KEY };
const call = (home, form, tool, args = [], options = {}) => {
  payments = [];
  return run(home, ['mcp', 'call', servers[form].url, '--tool', tool, ...args], { env, ...options });
};
function assertOneAuthorization(tool, presented = 1) {
  assert.equal(payments.length, presented);
  const nonces = new Set(payments.map((p) => p.payment.payload.authorization.nonce));
  assert.equal(nonces.size, presented ? 1 : 0);
  for (const { payment } of payments) {
    assert.equal(payment.payload.authorization.from, PAYER);
    assert.equal(payment.payload.authorization.to, PAYEE);
    assert.equal(payment.payload.authorization.value, '1000');
  }
}

test('sse_stream_that_names_another_origin_is_not_posted_to', async () => {
  servers.sse.server.elsewhere = 'http://127.0.0.1:1/messages';
  try {
    const result = await call(makeHome(), 'sse', 'quote', ['--arguments', '{"q":"owls"}']);
    assert.notEqual(result.code, 0);
    assert.equal(result.error.charged, 'no');
    assert.match(result.error.message, /another origin/);
    assert.equal(payments.length, 0);
  } finally {
    servers.sse.server.elsewhere = undefined;
  }
});

for (const form of ['json', 'stream', 'sse']) {
  test(`${form}_free_tool_is_called_and_nothing_is_signed`, async () => {
    const result = await call(makeHome(), form, 'free', ['--arguments', '{"q":7}']);
    assert.equal(result.code, 0, result.stderr);
    assert.deepEqual(result.answer, { result: { content: [{ type: 'text', text: 'free 7' }] } });
    assertOneAuthorization('free', 0);
  });

  test(`${form}_paid_tool_is_bought_once`, async () => {
    const home = makeHome();
    const result = await call(home, form, 'quote', ['--arguments', '{"q":"owls"}', '--task', 't']);
    assert.equal(result.code, 0, result.stderr);
    assert.equal(result.answer.result.content[0].text, 'paid owls');
    assert.equal(result.answer.payment.charged, 'yes');
    assert.equal(result.answer.payment.transaction, TX);
    assertOneAuthorization('quote');
    const { payment } = payments[0];
    // As the server wrote it, to the letter.
    assert.deepEqual(payment.accepted, offer());
    assert.deepEqual(payment.resource, required('quote').resource);
    assert.equal(payment.x402Version, 2);
    const history = (await run(home, ['history', '--task', 't'])).answer;
    assert.equal(history[0].state, 'paid_delivered');
  });

  test(`${form}_challenge_in_text_in_v1_or_as_an_error_is_understood`, async () => {
    for (const tool of ['text_only', 'v1']) {
      const result = await call(makeHome(), form, tool);
      assert.equal(result.code, 0, `${tool}: ${result.stderr}`);
      assert.equal(result.answer.payment.charged, 'yes', tool);
      assertOneAuthorization(tool);
    }
    assert.deepEqual(Object.keys(payments[0].payment).sort(),
      ['network', 'payload', 'scheme', 'x402Version']);
    const legacy = await call(makeHome(), form, 'legacy');
    assert.equal(legacy.code, 0, legacy.stderr);
    assertOneAuthorization('legacy');
  });

  test(`${form}_limits_hold_for_tools`, async () => {
    const dear = await call(makeHome(), form, 'dear');
    assert.equal(dear.code, 6, dear.stderr);
    assert.equal(dear.error.code, 'over_limit');
    assert.equal(payments.length, 0);
    const dry = await call(makeHome(), form, 'quote', ['--dry-run']);
    assert.equal(dry.code, 0, dry.stderr);
    assert.equal(dry.answer.price, '$0.001 USDC');
    assert.equal(payments.length, 0);
    const other = await call(makeHome(), form, 'elsewhere');
    assert.equal(other.error.code, 'origin_mismatch', other.stderr);
    assert.equal(payments.length, 0);
    const none = await call(makeHome(), form, 'quote', [], { env: {} });
    assert.equal(none.error.code, 'no_key');
  });

  test(`${form}_failures_after_the_payment_are_told_as_they_are`, async () => {
    const failed = await call(makeHome(), form, 'settle_fails');
    assert.equal(failed.code, 6, failed.stderr);
    assert.equal(failed.error.reason, 'insufficient_funds');
    assertOneAuthorization('settle_fails');
    for (const tool of ['forged', 'tool_error']) {
      const open = await call(makeHome(), form, tool);
      assert.equal(open.code, 11, `${tool}: ${open.stderr}`);
      assert.equal(open.error.charged, 'unknown', tool);
      assertOneAuthorization(tool);
    }
  });

  test(`${form}_lost_answer_presents_the_same_payment_again`, async () => {
    const home = makeHome();
    const lost = await call(home, form, 'lost');
    assert.equal(lost.code, 11, lost.stderr);
    const first = payments.map((p) => p.payment.payload.authorization.nonce);
    assert.ok(first.length >= 1);
    await call(home, form, 'lost');
    const nonces = new Set([...first, ...payments.map((p) => p.payment.payload.authorization.nonce)]);
    assert.equal(nonces.size, 1, 'two authorizations for one call');
  });
}

test('call_tool_pays_within_the_servers_limits', async (t) => {
  const home = makeHome();
  const client = new Client({ name: 'test', version: '1' });
  await client.connect(new StdioClientTransport({ command: x402, stderr: 'pipe',
    args: ['mcp', '--max-amount', '0.002usd', '--max-spend', '0.0015usd'], env: environment(home, env) }));
  t.after(() => client.close());
  payments = [];
  const buy = async (args) => (await client.callTool({ name: 'call_tool',
    arguments: { url: servers.stream.url, tool: 'quote', ...args } }));
  const paid = await buy({ arguments: '{"q":1}' });
  assert.equal(paid.isError, false, JSON.stringify(paid));
  assert.equal(paid.structuredContent.result.content[0].text, 'paid 1');
  const over = await buy({ arguments: '{"q":2}' });
  assert.equal(over.structuredContent.code, 'budget_exceeded');
  const lower = await buy({ arguments: '{"q":3}', max_amount: '0.0001usd' });
  assert.equal(lower.structuredContent.code, 'over_limit');
  const raise = await buy({ tool: 'dear', max_amount: '9usd' });
  assert.equal(raise.structuredContent.code, 'over_limit');
  assert.equal(payments.length, 1);
});

test('call_of_what_is_no_mcp_server_is_an_error', async () => {
  const home = makeHome();
  const none = await run(home, ['mcp', 'call', 'http://127.0.0.1:1/mcp', '--tool', 'x'], { env });
  assert.equal(none.code, 4, none.stderr);
  for (const args of [[], ['http://127.0.0.1:1/'], [servers.json.url, '--tool', 'free', '--arguments', '[1]']])
    assert.equal((await run(home, ['mcp', 'call', ...args], { env })).code, 2, String(args));
  const unknown = await call(home, 'json', 'nothing');
  assert.notEqual(unknown.code, 0);
  assert.equal(unknown.error.charged, 'no');
});
