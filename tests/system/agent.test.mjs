// examples/agent against a real facilitator, chain and site (x402 dev). The
// language model is a server of ours that replays a scripted choice: no model
// is asked here. What is under test is what the agent offers a model, what it
// does with a choice, and that no choice spends more than the limits.
//
//   node --test tests/system/agent.test.mjs
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import http from 'node:http';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { environment, makeHome, startCommand, x402 } from './cli.lib.mjs';

const agent = path.join(path.dirname(x402), '../examples/agent');
let home;
let dev;
let sandbox;
let article;

// script: (request, turn) to {tool, args} or {text}.
async function startModel(style, script) {
  const model = { requests: [] };
  model.server = http.createServer((req, res) => {
    let body = '';
    req.on('data', (part) => { body += part; });
    req.on('end', () => {
      const request = JSON.parse(body);
      model.requests.push({ url: req.url, headers: req.headers, body: request });
      const said = script(request, model.requests.length);
      if (typeof said === 'string') return res.end(said);
      res.setHeader('content-type', 'application/json');
      if (style === 'gemini')
        return res.end(JSON.stringify({ candidates: [{ content: { role: 'model', parts: [said.tool
          ? { functionCall: { name: said.tool, args: said.args } } : { text: said.text }] } }] }));
      return res.end(JSON.stringify({ choices: [{ message: said.tool
        ? { role: 'assistant', content: null, tool_calls: [{ id: 'call_1', type: 'function',
          function: { name: said.tool, arguments: JSON.stringify(said.args) } }] }
        : { role: 'assistant', content: said.text } }] }));
    });
  });
  await new Promise((done) => model.server.listen(0, '127.0.0.1', done));
  model.url = `http://127.0.0.1:${model.server.address().port}/v1`;
  model.stop = () => {
    model.server.closeAllConnections();
    return new Promise((done) => model.server.close(done));
  };
  return model;
}

function ask(model, question, env = {}) {
  return new Promise((resolve) => {
    const child = spawn(agent, [question], { cwd: home.dir, env: environment(home, {
      ...sandbox.environment, AGENT_MODEL_URL: model.url, AGENT_MODEL: 'scripted', AGENT_PRIVATE_URLS: '1', ...env }) });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (part) => { stdout += part; });
    child.stderr.on('data', (part) => { stderr += part; });
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

const balance = async () => {
  const data = `0x70a08231${'0'.repeat(24)}${sandbox.payee.slice(2)}`;
  const answer = await fetch(sandbox.rpcUrl, { method: 'POST', headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_call',
      params: [{ to: sandbox.token, data }, 'latest'] }) });
  return Number(BigInt((await answer.json()).result));
};

before(async () => {
  home = makeHome();
  dev = await startCommand(home, ['dev'], /^(\{"rpcUrl".*\})$/m);
  sandbox = JSON.parse(dev.match[1]);
  const page = await (await fetch(sandbox.site)).text();
  article = sandbox.site + /\/articles\/[a-z0-9-]+/.exec(page)[0];
  const challenge = JSON.parse(Buffer.from((await fetch(article)).headers.get('payment-required'), 'base64'));
  const listed = await fetch(`${sandbox.facilitator}/discovery/resources`, { method: 'POST',
    headers: { 'content-type': 'application/json' }, body: JSON.stringify({ x402Version: 2,
      resource: { url: article, description: 'the history of a status code' },
      accepts: challenge.accepts, extensions: { bazaar: {
        info: { input: { type: 'http', method: 'GET', queryParams: { page: 2, section: 'intro' } } },
        schema: { type: 'object' } } } }) });
  assert.equal(listed.status, 201, await listed.text());
});
after(() => dev.stop());

for (const style of ['openai', 'gemini']) {
  test(`${style}_agent_buys_what_was_chosen_and_answers`, async (t) => {
    const model = await startModel(style, (request, turn) => (turn === 1
      ? { tool: 'paid_1', args: { page: 3, section: 'a b&c' } }
      : { text: `It says: ${/promise: 402/.exec(JSON.stringify(request))?.[0]}` }));
    t.after(() => model.stop());
    const had = await balance();
    const keyFile = home.file('model-key', 'a-model-key\n');
    const result = await ask(model, 'What is 402?', { AGENT_MODEL_STYLE: style, AGENT_MODEL_KEY_FILE: keyFile });
    assert.equal(result.code, 0, result.stderr);
    assert.equal(result.stdout, 'It says: promise: 402\n');
    assert.equal(await balance(), had + 10000);
    assert.ok(result.stderr.includes(`${article}?page=3&section=a%20b%26c`), result.stderr);
    const [first] = model.requests;
    const declared = style === 'gemini' ? first.body.tools[0].functionDeclarations[0]
      : first.body.tools[0].function;
    assert.equal(declared.name, 'paid_1');
    assert.ok(declared.description.includes(article));
    assert.equal(declared.parameters.properties.page.type, 'integer');
    assert.equal(declared.parameters.properties.section.type, 'string');
    assert.equal(style === 'gemini' ? first.headers['x-goog-api-key'] : first.headers.authorization,
      style === 'gemini' ? 'a-model-key' : 'Bearer a-model-key');
    assert.equal(first.url, style === 'gemini' ? '/v1/models/scripted:generateContent' : '/v1/chat/completions');
  });
}

test('agent_whose_model_never_stops_spends_its_limit_and_no_more', async (t) => {
  let page = 10;
  const model = await startModel('openai', () => ({ tool: 'paid_1', args: { page: page++ } }));
  t.after(() => model.stop());
  const had = await balance();
  const result = await ask(model, 'again', { AGENT_MAX_USD: '0.02' });
  assert.equal(result.code, 1);
  assert.match(result.stderr, /never answered/);
  assert.equal(await balance(), had + 20000);
  const dear = await ask(model, 'again', { AGENT_MAX_PRICE_USD: '0.009' });
  assert.equal(dear.code, 1);
  assert.equal(await balance(), had + 20000);
});

test('agent_asks_nobody_inside_on_a_listing_of_a_stranger', async (t) => {
  const model = await startModel('openai', (request, turn) => (turn === 1
    ? { tool: 'paid_1', args: { page: 99 } } : { text: JSON.stringify(request.messages.at(-1).content) }));
  t.after(() => model.stop());
  const had = await balance();
  const result = await ask(model, 'x', { AGENT_PRIVATE_URLS: undefined });
  assert.equal(result.code, 0, result.stderr);
  assert.match(result.stdout, /not at a public address/);
  assert.equal(await balance(), had);
});

test('agent_follows_no_tool_that_was_not_offered', async (t) => {
  const model = await startModel('openai', (request, turn) => (turn === 1
    ? { tool: 'https://evil.example/', args: { url: 'https://evil.example/' } }
    : { text: JSON.stringify(request.messages.at(-1).content) }));
  t.after(() => model.stop());
  const had = await balance();
  const result = await ask(model, 'x');
  assert.equal(result.code, 0, result.stderr);
  assert.match(result.stdout, /there is no such tool/);
  assert.equal(await balance(), had);
});

test('agent_whose_model_talks_nonsense_pays_nothing', async (t) => {
  const had = await balance();
  for (const answer of ['no json', '{}', '{"choices":[]}',
    '{"choices":[{"message":{"tool_calls":[{"function":{"name":"paid_1","arguments":"[1]"}}]}}]}']) {
    const model = await startModel('openai', () => answer);
    t.after(() => model.stop());
    const result = await ask(model, 'x');
    assert.equal(result.code, 1, answer);
    assert.match(result.stderr, /the model/);
  }
  assert.equal(await balance(), had);
});
