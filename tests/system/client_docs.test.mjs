// Every command of docs/client.md and docs/mcp.md, as it stands there, in order,
// in one shell's environment: against `x402 dev`, whose shop stands for
// shop.example and whose chain for the chain.
//
//   node --test tests/system/client_docs.test.mjs
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { PAYEE, USDC, environment, makeHome, startCommand, x402 } from './cli.lib.mjs';

const top = path.resolve(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), '../..');

/** The indented lines that begin with x402, whole and without their comments. */
function commandsOf(page) {
  const text = fs.readFileSync(path.join(top, 'docs', page), 'utf8').replaceAll(/ *\\\n */g, ' ');
  return [...text.matchAll(/^ {4}(x402 .*)$/gm)].map(([, line]) => line.replace(/ {2,}#.*$/, '').trim());
}

let dev;
let home;
let sandbox;
let env;
let site;
let article;
before(async () => {
  home = makeHome();
  dev = await startCommand(home, ['dev'], /^(\{"rpcUrl".*\})$/m);
  sandbox = JSON.parse(dev.match[1]);
  ({ site } = sandbox);
  article = site + /\/articles\/[a-z0-9-]+/.exec(await (await fetch(site)).text())[0];
  const password = home.file('password', 'correct horse\n');
  home.file('key.txt', `${sandbox.environment.EVM_PRIVATE_KEY}\n`);
  home.file('urls.txt', `${article}?crawl=1\n${article}?crawl=2\n`);
  env = { ...environment(home), ...sandbox.environment, X402_PASSWORD_FILE: password,
    X402_WALLET_DIR: home.path('wallets'), X402_STATE_DIR: home.path('state'),
    X402_JOURNAL: home.path('journal.sqlite'), XDG_RUNTIME_DIR: home.dir,
    PATH: `${path.dirname(x402)}:${process.env.PATH}` };
});
after(() => dev?.stop());

/** As a shell runs it; what is left in the background ends with the test. */
function shell(t, line) {
  const background = line.endsWith('&');
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', 'bash', '-c',
    background ? `exec ${line.slice(0, -1)}` : line], { cwd: home.dir, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let err = '';
  const ended = new Promise((done) => child.once('close', (code) => done({ code, out, err })));
  if (!background) {
    child.stdout.on('data', (part) => { out += part; });
    child.stderr.on('data', (part) => { err += part; });
    return ended;
  }
  t.after(async () => {
    child.kill('SIGTERM');
    await ended;
  });
  return new Promise((done) => {
    child.stdout.once('data', () => done({ code: 0, out, err }));
    ended.then(done);
  });
}

async function call(method, params) {
  const response = await fetch(sandbox.rpcUrl, { method: 'POST', headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }) });
  return (await response.json()).result;
}

/** A transfer of the token by an account of anvil's; its transaction, in a block. */
async function transfer(from, to, amount) {
  const word = (hex) => hex.padStart(64, '0');
  const hash = await call('eth_sendTransaction', [{ from, to: USDC,
    data: `0xa9059cbb${word(to.slice(2).toLowerCase())}${word(amount.toString(16))}` }]);
  assert.match(hash, /^0x/);
  const end = Date.now() + 30000;
  for (;;) {
    const receipt = await call('eth_getTransactionReceipt', [hash]);
    if (receipt) {
      assert.equal(receipt.status, '0x1');
      return hash;
    }
    assert.ok(Date.now() < end, `no block has ${hash}`);
    await new Promise((done) => { setTimeout(done, 20); });
  }
}

/** Whoever pays without a flag. */
const ownAddress = async (t) => JSON.parse((await shell(t, 'x402 balance')).out).address;

/** A dollar for the wallet that the page has made. */
async function fund(t) {
  const address = (await shell(t, 'x402 wallet address default')).out;
  await transfer(await ownAddress(t), /0x[0-9a-fA-F]{40}/.exec(address)[0], 1000000);
}

/** A payment to our wallet, by whom the shop has made rich; where blocks stay. */
async function bePaid(t, command) {
  const hash = await transfer(PAYEE, await ownAddress(t), 1000);
  return command.replace(/0x[0-9a-f]{64}/, `--block latest ${hash}`);
}

// What stays until it is ended, or talks to whoever started it: elsewhere.
const others = new Map([
  ['x402 dev', 'it is what all of this runs in'],
  ['x402 mcp --http --port 4020', 'tests/interop/mcp.test.mjs'],
  ["x402 mcp call https://tools.example/mcp --tool quote --arguments '{\"q\":\"owls\"}'", 'tests/interop/mcp_paid.test.mjs'],
]);

for (const page of ['client.md', 'mcp.md']) {
  test(`${page}_every_command_does_what_it_says`, async (t) => {
    const commands = commandsOf(page);
    assert.ok(commands.length > (page === 'client.md' ? 25 : 2), commands.join('\n'));
    for (const command of commands) {
      if (others.has(command)) continue;
      const asked = command.startsWith('x402 refund ') ? await bePaid(t, command) : command;
      const line = asked.replaceAll('https://shop.example/article', `${article}?doc=${encodeURIComponent(command).length}`)
        .replaceAll(/--host '?(\*\.)?shop\.example'?/g, '--host 127.0.0.1');
      const result = await shell(t, line);
      assert.equal(result.code, 0, `${command}\n${result.out}${result.err}`);
      if (command === 'x402 wallet new default') await fund(t);
    }
    for (const command of others.keys())
      if (page === 'client.md' && command === 'x402 dev') assert.ok(commands.includes(command), command);
  });
}
