// `x402 mcp` against the official TypeScript SDK, which we did not write: over
// stdio and over streamable HTTP it lists and calls the tools, pays within the
// limits, and cannot exceed them. The shop is ours and settles nothing.
//
//   node --test tests/interop/mcp.test.mjs
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import { after, before, test } from 'node:test';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { KEY, PAYEE, PAYER, TX, environment, makeHome, run, startCommand, startShop, x402 }
  from '../system/cli.lib.mjs';

let shop;
before(async () => {
  shop = await startShop({
    '/echo': (req, res, s) => res.end(JSON.stringify({ method: req.method,
      type: req.headers['content-type'], extra: req.headers['x-extra'],
      body: s.seen.at(-1).body })),
    '/slow': async (req, res, s) => { await s.held; res.end('at last'); },
    '/binary': (req, res) => res.end(Buffer.from([0, 1, 2, 255])),
    '/lost': (req, res, s) => {
      if (req.headers['payment-signature']) {
        s.payments.push(req.headers['payment-signature']);
        return req.socket.destroy();
      }
      req.url = '/paid';
      res.writeHead(402, { 'PAYMENT-REQUIRED': Buffer.from(JSON.stringify({
        x402Version: 2, resource: { url: `${s.url}/lost` },
        accepts: [{ scheme: 'exact', network: 'eip155:84532', amount: '1000',
          asset: '0x036CbD53842c5426634e7929541eC2318f3dCF7e', payTo: PAYEE,
          maxTimeoutSeconds: 300, extra: { name: 'USDC', version: '2' } }] })).toString('base64') });
      return res.end();
    },
    '/discovery/resources': (req, res, s) => res.end(JSON.stringify({ x402Version: 2,
      items: [{ resource: `${s.url}/paid`, type: 'http', x402Version: 2, accepts: [],
        metadata: { description: 'an article about owls' } },
      { resource: `${s.url}/other`, type: 'http', x402Version: 2, accepts: [],
        metadata: { description: 'weather' } }], pagination: { limit: 100, offset: 0, total: 2 } })),
    '/.well-known/x402': (req, res) => res.end(JSON.stringify({ resources: ['/paid'] })),
  });
});
after(() => shop.stop());

const money = { EVM_PRIVATE_KEY: KEY };
async function overStdio(t, args = [], env = money) {
  const home = makeHome();
  const transport = new StdioClientTransport({ command: x402, args: ['mcp', ...args],
    env: environment(home, env), stderr: 'pipe' });
  const client = new Client({ name: 'test', version: '1' });
  await client.connect(transport);
  t.after(() => client.close());
  return { client, home };
}
async function overHttp(t, args = [], env = money) {
  const home = makeHome();
  const server = await startCommand(home, ['mcp', '--http', ...args], /^(\{"url".*\})$/m, { env });
  const { url, token } = JSON.parse(server.match[1]);
  const client = new Client({ name: 'test', version: '1' });
  await client.connect(new StreamableHTTPClientTransport(new URL(url),
    { requestInit: { headers: { Authorization: `Bearer ${token}` } } }));
  t.after(async () => {
    await client.close();
    assert.equal(await server.stop(), 0, server.log);
  });
  return { client, home, url, token };
}
const call = async (client, name, args = {}) => {
  const result = await client.callTool({ name, arguments: args });
  assert.deepEqual(JSON.parse(result.content[0].text), result.structuredContent);
  return { ...result.structuredContent, isError: result.isError };
};

for (const [name, connect] of [['stdio', overStdio], ['http', overHttp]]) {
  test(`${name}_tools_are_listed_with_honest_annotations`, async (t) => {
    const { client } = await connect(t);
    const { tools } = await client.listTools();
    assert.deepEqual(tools.map((tool) => tool.name).sort(), ['balance', 'budget', 'call_tool', 'discover',
      'fetch', 'history', 'inspect', 'payment_status', 'search']);
    for (const tool of tools) {
      const spends = ['fetch', 'call_tool'].includes(tool.name);
      assert.equal(tool.annotations.readOnlyHint, !spends, tool.name);
      assert.equal(tool.annotations.destructiveHint, spends, tool.name);
      assert.equal(tool.annotations.idempotentHint, !spends, tool.name);
      assert.equal(tool.inputSchema.additionalProperties, false);
      assert.ok(tool.description.length > 20);
    }
    const { properties, required } = tools.find((tool) => tool.name === 'fetch').inputSchema;
    assert.deepEqual(required, ['url']);
    // Nothing that raises a limit or names a key.
    for (const bad of ['max_spend', 'network', 'wallet', 'signer', 'allow_http', 'yes',
      'buy_again', 'output', 'password_file'])
      assert.equal(bad in properties, false, bad);
  });

  test(`${name}_fetch_pays_and_tells_what_it_cost`, async (t) => {
    const { client } = await connect(t);
    shop.payments.length = 0;
    const price = await call(client, 'inspect', { url: `${shop.url}/paid` });
    assert.equal(price.price, '$0.001 USDC');
    assert.equal(price.wouldPay, true);
    assert.equal(shop.payments.length, 0);
    const got = await call(client, 'fetch', { url: `${shop.url}/paid`, task: 'owls' });
    assert.equal(got.isError, false);
    assert.equal(got.body, 'the article\n');
    assert.equal(got.payment.charged, 'yes');
    assert.equal(got.payment.transaction, TX);
    assert.equal(shop.payments.length, 1);
    assert.equal(shop.payments[0].payload.authorization.from, PAYER);
    const history = await call(client, 'history', { task: 'owls' });
    assert.equal(history.items.length, 1);
    assert.equal(history.items[0].state, 'paid_delivered');
    const status = await call(client, 'payment_status', { id: String(got.payment.paymentId) });
    assert.equal(status.transaction, TX);
    const budget = await call(client, 'budget');
    assert.equal(budget.items.at(-1).used, '$0.001');
    assert.equal(budget.items.at(-1).left, '$0.999');
  });

  test(`${name}_limits_hold_whatever_the_call_says`, async (t) => {
    const { client } = await connect(t, ['--max-amount', '0.002usd', '--max-spend', '0.005usd']);
    shop.payments.length = 0;
    const dear = await call(client, 'fetch', { url: `${shop.url}/paid?amount=2001`, max_amount: '5usd' });
    assert.equal(dear.isError, true);
    assert.equal(dear.code, 'over_limit');
    assert.equal(dear.charged, 'no');
    const lower = await call(client, 'fetch', { url: `${shop.url}/paid?amount=1500`, max_amount: '0.001usd' });
    assert.equal(lower.code, 'over_limit');
    const units = await call(client, 'fetch', { url: `${shop.url}/paid?amount=9000`, max_amount: '99999atomic' });
    assert.equal(units.code, 'over_limit');
    for (let i = 0; i < 2; i++) {
      const paid = await call(client, 'fetch', { url: `${shop.url}/paid?amount=2000&n=${i}` });
      assert.equal(paid.isError, false, JSON.stringify(paid));
    }
    // 0.004 of 0.005 are used.
    const over = await call(client, 'fetch', { url: `${shop.url}/paid?amount=2000&n=2` });
    assert.equal(over.code, 'budget_exceeded');
    assert.equal(over.charged, 'no');
    const rest = await call(client, 'fetch', { url: `${shop.url}/paid?amount=1000&n=3` });
    assert.equal(rest.isError, false);
    assert.equal(shop.payments.length, 3);
    const sum = shop.payments.reduce((n, p) => n + Number(p.payload.authorization.value), 0);
    assert.equal(sum, 5000);
  });
}

test('stdio_units_of_a_call_allow_no_asset_and_lift_no_dollar_cap', async (t) => {
  const usdc = '0x036CbD53842c5426634e7929541eC2318f3dCF7e';
  const other = '0x00000000000000000000000000000000000000aa';
  const { client } = await overStdio(t, ['--network', 'eip155:84532', '--asset', usdc,
    '--max-amount', '0.002usd']);
  shop.payments.length = 0;
  const dear = await call(client, 'fetch', { url: `${shop.url}/paid?amount=900000`, max_amount: '999999atomic' });
  assert.equal(dear.code, 'over_limit', JSON.stringify(dear));
  const strange = await overStdio(t, ['--network', 'eip155:84532', '--asset', other, '--max-amount', '0.002usd']);
  const unknown = await call(strange.client, 'fetch',
    { url: `${shop.url}/paid?amount=900000&asset=${other}`, max_amount: '999999atomic' });
  assert.equal(unknown.code, 'asset_not_allowed', JSON.stringify(unknown));
  assert.equal(shop.payments.length, 0);
  // The user's own units stay the cap; a call lowers it in either unit.
  const units = await overStdio(t, ['--network', 'eip155:84532', '--asset', usdc, '--max-amount', '2000atomic']);
  for (const max of ['0.0015usd', '1500atomic']) {
    const lower = await call(units.client, 'fetch', { url: `${shop.url}/paid?amount=1501`, max_amount: max });
    assert.equal(lower.code, 'over_limit', JSON.stringify(lower));
  }
  assert.equal(shop.payments.length, 0);
  const inside = await call(units.client, 'fetch', { url: `${shop.url}/paid?amount=1500`, max_amount: '0.0015usd' });
  assert.equal(inside.isError, false, JSON.stringify(inside));
});

test('stdio_public_only_holds_for_every_tool_that_takes_a_url', async (t) => {
  const { client } = await overStdio(t, ['--public-only'], { ...money, FACILITATOR_URL: shop.url });
  const before = shop.seen.length;
  for (const [name, args] of [['fetch', { url: `${shop.url}/free` }], ['inspect', { url: `${shop.url}/paid` }],
    ['discover', { origin: shop.url }], ['call_tool', { url: `${shop.url}/mcp`, tool: 'x' }]]) {
    const got = await call(client, name, args);
    assert.equal(got.isError, true, name);
    assert.equal(got.code, 'private_address', `${name}: ${JSON.stringify(got)}`);
  }
  assert.equal(shop.seen.length, before, 'a private address was asked');
  // The user's own facilitator is no URL of the model's.
  assert.equal((await call(client, 'search', { words: 'owls' })).items.length, 1);
});

test('stdio_unknown_arguments_and_tools_are_protocol_errors', async (t) => {
  const { client } = await overStdio(t);
  shop.payments.length = 0;
  for (const [name, args] of [['fetch', { url: `${shop.url}/paid`, max_spend: '9usd' }],
    ['fetch', { url: `${shop.url}/paid`, network: 'base' }], ['fetch', { url: 5.5 }],
    ['fetch', { url: `${shop.url}/paid`, dry_run: 'no' }], ['wallet export', {}],
    ['budget_set', {}], ['nothing', {}]])
    await assert.rejects(client.callTool({ name, arguments: args }), { code: -32602 }, name);
  await assert.rejects(client.request({ method: 'resources/list' }, { parse: (x) => x }),
    { code: -32601 });
  const none = await call(client, 'fetch');
  assert.equal(none.isError, true);
  assert.equal(none.code, 'usage');
  assert.equal(shop.payments.length, 0);
  await client.ping();
});

test('stdio_fetch_sends_what_is_asked_and_reads_no_files', async (t) => {
  const { client, home } = await overStdio(t);
  const secret = home.file('secret', 'password=1');
  const sent = await call(client, 'fetch', { url: `${shop.url}/echo`, json: '{"q":1}',
    header: ['X-Extra: yes'] });
  assert.deepEqual(JSON.parse(sent.body), { method: 'POST', type: 'application/json',
    extra: 'yes', body: '{"q":1}' });
  const literal = await call(client, 'fetch', { url: `${shop.url}/echo`, data: `@${secret}` });
  assert.equal(JSON.parse(literal.body).body, `@${secret}`);
  for (const args of [{ json: `@${secret}` }, { header: [`@${secret}`] }]) {
    const refused = await call(client, 'fetch', { url: `${shop.url}/echo`, ...args });
    assert.equal(refused.code, 'usage');
  }
  const file = await call(client, 'fetch', { url: `file://${secret}` });
  assert.equal(file.isError, true);
  const binary = await call(client, 'fetch', { url: `${shop.url}/binary` });
  assert.equal(binary.bodyBase64, Buffer.from([0, 1, 2, 255]).toString('base64'));
});

for (const [name, connect] of [['stdio', overStdio], ['http', overHttp]]) {
  test(`${name}_a_call_that_waits_holds_up_no_other_and_the_limit_holds_for_all`, async (t) => {
    const { client } = await connect(t, ['--max-spend', '0.003usd']);
    shop.payments.length = 0;
    let release;
    shop.held = new Promise((done) => { release = done; });
    const slow = call(client, 'fetch', { url: `${shop.url}/slow` });
    await client.ping();
    // Six at once for a budget of three: no two of them see the same dollar.
    const all = await Promise.all(Array.from({ length: 6 }, (_, i) =>
      call(client, 'fetch', { url: `${shop.url}/paid?at=${name}-${i}` })));
    assert.equal(all.filter((one) => !one.isError).length, 3, JSON.stringify(all));
    for (const one of all.filter((each) => each.isError)) assert.equal(one.code, 'budget_exceeded');
    assert.equal(shop.payments.length, 3);
    release();
    assert.equal((await slow).body, 'at last');
  });
}

test('stdio_end_of_input_waits_for_what_is_under_way', async () => {
  const home = makeHome();
  shop.held = undefined;
  const line = (id, url) => JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call',
    params: { name: 'fetch', arguments: { url } } });
  const result = await run(home, ['mcp'], { env: money,
    input: `${line(1, `${shop.url}/paid?end=1`)}\n${line(2, `${shop.url}/free`)}\n` });
  assert.equal(result.code, 0, result.stderr);
  const answers = result.stdout.trim().split('\n').map((text) => JSON.parse(text)).sort((a, b) => a.id - b.id);
  assert.deepEqual(answers.map((one) => [one.id, one.result.isError]), [[1, false], [2, false]]);
});

test('stdio_lost_reply_is_unknown_and_the_same_payment_is_shown_again', async (t) => {
  const { client } = await overStdio(t);
  shop.payments.length = 0;
  const first = await call(client, 'fetch', { url: `${shop.url}/lost` });
  assert.equal(first.isError, true);
  assert.equal(first.charged, 'unknown');
  await call(client, 'fetch', { url: `${shop.url}/lost` });
  assert.ok(shop.payments.length >= 3);
  assert.equal(new Set(shop.payments).size, 1, 'two authorizations for one purchase');
});

test('stdio_search_and_discover_find_what_is_sold', async (t) => {
  const { client } = await overStdio(t, [], { ...money, FACILITATOR_URL: shop.url });
  const found = await call(client, 'search', { words: 'OWLS article', limit: 5 });
  assert.deepEqual(found.items.map((i) => i.url), [`${shop.url}/paid`]);
  assert.deepEqual((await call(client, 'search', { words: 'elephants' })).items, []);
  const origin = await call(client, 'discover', { origin: shop.url });
  assert.deepEqual(origin.wellKnown, { resources: ['/paid'] });
  const none = await call(client, 'discover', { origin: 'http://127.0.0.1:1' });
  assert.equal(none.isError, true);
  assert.equal(none.charged, 'no');
});

test('stdio_without_a_key_can_look_but_not_pay', async (t) => {
  const { client } = await overStdio(t, [], {});
  const got = await call(client, 'fetch', { url: `${shop.url}/paid` });
  assert.equal(got.code, 'no_key');
  assert.equal((await call(client, 'inspect', { url: `${shop.url}/paid` })).price, '$0.001 USDC');
});

// ---- the door of the HTTP form

const post = (url, headers, body = '{"jsonrpc":"2.0","id":1,"method":"ping"}', method = 'POST') =>
  new Promise((done, fail) => {
    const { hostname, port, pathname } = new URL(url);
    const req = http.request({ hostname, port, path: pathname, method, headers, agent: false },
      (res) => {
        let text = '';
        res.on('data', (part) => { text += part; });
        res.on('end', () => done({ status: res.statusCode, text }));
      });
    req.on('error', fail);
    req.end(body);
  });

test('http_without_its_token_or_from_a_web_page_is_refused', async (t) => {
  const { url, token } = await overHttp(t);
  const auth = { Authorization: `Bearer ${token}` };
  assert.equal((await post(url, {})).status, 401);
  assert.equal((await post(url, { Authorization: `Bearer ${token}x` })).status, 401);
  assert.equal((await post(url, { Authorization: `Bearer ${'0'.repeat(token.length)}` })).status, 401);
  assert.equal((await post(url, { ...auth, Origin: 'https://evil.example' })).status, 403);
  assert.equal((await post(url, { ...auth, Origin: 'http://localhost.evil.example' })).status, 403);
  assert.equal((await post(url, { ...auth, Host: 'evil.example' })).status, 403);
  assert.equal((await post(url.replace('/mcp', '/other'), auth)).status, 404);
  assert.equal((await post(url, auth, undefined, 'GET')).status, 405);
  assert.equal((await post(url, auth, undefined, 'DELETE')).status, 405);
  const good = await post(url, { ...auth, Origin: 'http://localhost:3000' });
  assert.equal(good.status, 200);
  assert.deepEqual(JSON.parse(good.text), { jsonrpc: '2.0', id: 1, result: {} });
  assert.equal((await post(url, auth, '{"jsonrpc":"2.0","method":"notifications/initialized"}')).status, 202);
  assert.equal(JSON.parse((await post(url, auth, 'no json')).text).error.code, -32700);
  assert.equal(JSON.parse((await post(url, auth, '[]')).text).error.code, -32600);
});

// ---- install

test('install_adds_itself_and_keeps_the_rest', async () => {
  const home = makeHome();
  const files = { 'claude-code': '.claude.json', 'claude-desktop': '.config/Claude/claude_desktop_config.json',
    cursor: '.cursor/mcp.json', gemini: '.gemini/settings.json' };
  fs.mkdirSync(home.path('.cursor'));
  const before = { history: [1, 2.5, 'ü'], mcpServers: { other: { command: 'x' }, x402: { command: 'old' } } };
  home.file('.cursor/mcp.json', JSON.stringify(before), 0o640);
  for (const [client, file] of Object.entries(files)) {
    const made = await run(home, ['mcp', 'install', '--client', client, '--max-amount', '0.05usd']);
    assert.equal(made.code, 0, made.stderr);
    const config = JSON.parse(fs.readFileSync(home.path(file)));
    assert.deepEqual(config.mcpServers.x402, { type: 'stdio', command: fs.realpathSync(x402),
      args: ['mcp', '--max-amount', '0.05usd'] });
  }
  const cursor = JSON.parse(fs.readFileSync(home.path('.cursor/mcp.json')));
  assert.deepEqual(cursor.history, before.history);
  assert.deepEqual(cursor.mcpServers.other, { command: 'x' });
  assert.equal(fs.statSync(home.path('.cursor/mcp.json')).mode & 0o777, 0o640);
  assert.deepEqual(JSON.parse(fs.readFileSync(home.path('.cursor/mcp.json.before-x402'))), before);
});

test('install_into_toml_replaces_its_own_table_only', async () => {
  const home = makeHome();
  fs.mkdirSync(home.path('.codex'));
  const rest = '# mine\nmodel = "o"\n\n[mcp_servers.other]\ncommand = "y"\n';
  home.file('.codex/config.toml',
    `${rest}[mcp_servers.x402]\ncommand = "old"\n\n[tui]\ntheme = "dark"\n`);
  for (let i = 0; i < 2; i++) {
    const made = await run(home, ['mcp', 'install', '--client', 'codex']);
    assert.equal(made.code, 0, made.stderr);
  }
  assert.equal(fs.readFileSync(home.path('.codex/config.toml'), 'utf8'),
    `${rest}[tui]\ntheme = "dark"\n[mcp_servers.x402]\ncommand = "${fs.realpathSync(x402)}"\nargs = ["mcp"]\n`);
});

test('install_leaves_alone_what_it_cannot_read', async () => {
  const home = makeHome();
  for (const text of ['{ "a": 1, // a comment\n}', '[]', '{"mcpServers": []}', '{"a":1,"a":2}']) {
    const file = home.file('.claude.json', text);
    const result = await run(home, ['mcp', 'install', '--client', 'claude-code']);
    assert.equal(result.code, 3, text);
    assert.match(result.error.message, /left alone/);
    assert.equal(fs.readFileSync(file, 'utf8'), text);
  }
  assert.equal((await run(home, ['mcp', 'install'])).code, 2);
  assert.equal((await run(home, ['mcp', 'install', '--client', 'emacs'])).code, 2);
  const shown = await run(home, ['mcp', 'install', '--print']);
  assert.deepEqual(shown.answer.args, ['mcp']);
});
