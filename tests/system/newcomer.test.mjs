// The first page that somebody reads who sells, done as it says. From a C
// program: the page's block is compiled against what `meson install` leaves
// behind, by its own command, run, refused and paid on a chain. From nginx: its
// block goes into a server as it is, and is refused and paid.
//
//   node --test tests/system/newcomer.test.mjs

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';

import { buildDir, freePort, programs, run, scratchDir, start, startDevnet,
  startFacilitator } from '../devnet/lib.mjs';
import { block } from './docs.lib.mjs';
import { startNginx } from './nginx.lib.mjs';

const root = scratchDir('x402-newcomer-');
let devnet;
let facilitator;
let env;

function find(dir, name) {
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name);
    if (entry.name === name) return path;
    const below = entry.isDirectory() && find(path, name);
    if (below) return below;
  }
  return null;
}

before(async () => {
  execFileSync('meson', ['install', '-C', buildDir, '--no-rebuild'],
    { env: { ...process.env, DESTDIR: root }, stdio: 'pipe' });
  const pkgconfig = dirname(find(root, 'libx402.pc'));
  const lib = dirname(pkgconfig);
  env = { ...process.env, PKG_CONFIG_PATH: pkgconfig,
    PKG_CONFIG_SYSROOT_DIR: root, LD_LIBRARY_PATH: lib, LIBRARY_PATH: lib };
  devnet = await startDevnet();
  facilitator = await startFacilitator(devnet,
    { X402_NETWORK: devnet.info.network });
});
after(async () => {
  await facilitator?.stop();
  await devnet?.stop();
});

test('a shop in ten lines is compiled, run, refuses and is paid', async () => {
  const shell = block('provider.md', 'sh', /shop\.c/);
  const [compile] = shell.split('\n');
  assert.match(compile, /^cc shop\.c -o shop \$\(pkg-config .*\)$/);
  writeFileSync(join(root, 'shop.c'), block('provider.md', 'c', /int main/));
  // The sanitizers' runtime must come first where the libraries have them.
  execFileSync('sh', ['-ec', `${compile} -Wall -Wextra -Werror ` +
    `-fsanitize=address,undefined -Wl,-rpath-link,${env.LD_LIBRARY_PATH}`],
  { cwd: root, env, stdio: 'pipe' });
  const port = await freePort();
  const { payee } = devnet.info.accounts;
  const shop = await start(join(root, 'shop'), [String(port)], { env: {
    LD_LIBRARY_PATH: env.LD_LIBRARY_PATH, PAY_TO: payee.address,
    FACILITATOR_URL: facilitator.url } });
  try {
    const url = `http://127.0.0.1:${port}/article`;
    let res;
    for (const end = Date.now() + 30000; !res && Date.now() < end;)
      res = await fetch(url).catch(() =>
        new Promise((done) => setTimeout(done, 50)));
    assert.equal(res?.status, 402);
    assert.doesNotMatch(await res.text(), /Worth/);
    const before = await devnet.balanceOf(payee.address);
    const got = await run(programs.client, ['get', url], { env: {
      HOME: scratchDir(),
      EVM_PRIVATE_KEY: devnet.info.accounts.payer.privateKey } });
    assert.equal(got.code, 0, got.stderr);
    assert.equal(got.stdout, 'Worth a cent.\n');
    assert.equal(await devnet.balanceOf(payee.address) - before, 10000n);
  } finally { assert.equal(await shop.stop(), 0, shop.output()); }
});

test('three lines in a server of nginx refuse, and are paid', async () => {
  const location = block('nginx.md', 'nginx', /location \/articles\/ \{/);
  const [, payTo] = /x402_pay_to (0x\w{40});/.exec(location);
  // The server that one has, and a facilitator at hand.
  const nginx = await startNginx(`
    x402_state DIR/x402.state; x402_facilitator_url ${facilitator.url};
    x402_public_origin http://127.0.0.1:PORT;
    server { listen 127.0.0.1:PORT; root DIR/html;\n${location}\n}`,
  { files: { 'articles/a.html': 'Worth a cent.\n' } });
  try {
    const url = `${nginx.url}/articles/a.html`;
    const res = await fetch(url);
    assert.equal(res.status, 402);
    assert.ok(res.headers.get('payment-required'));
    assert.doesNotMatch(await res.text(), /Worth/);
    const before = await devnet.balanceOf(payTo);
    const got = await run(programs.client, ['get', url], { env: {
      HOME: scratchDir(),
      EVM_PRIVATE_KEY: devnet.info.accounts.payer.privateKey } });
    assert.equal(got.code, 0, got.stderr);
    assert.equal(got.stdout, 'Worth a cent.\n');
    assert.equal(await devnet.balanceOf(payTo) - before, 10000n);
  } finally { await nginx.stop(); }
});

test('a shop that is told no address says which option is at fault', async () => {
  const result = await run(join(root, 'shop'), ['0'],
    { env: { LD_LIBRARY_PATH: env.LD_LIBRARY_PATH } });
  assert.equal(result.code, 1);
  assert.match(result.stderr, /^routes\[0\]\.prices\[0\]: expected pay_to/);
});
