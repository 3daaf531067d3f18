// The first page that somebody reads who sells from a C program, done as it
// says: its block is compiled against what `meson install` leaves behind, by
// its own command, run, refused and paid on a chain.
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
    for (let i = 0; i < 100 && !res; i++)
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

test('a shop that is told no address says which option is at fault', async () => {
  const result = await run(join(root, 'shop'), ['0'],
    { env: { LD_LIBRARY_PATH: env.LD_LIBRARY_PATH } });
  assert.equal(result.code, 1);
  assert.match(result.stderr, /^routes\[0\]\.prices\[0\]: expected pay_to/);
});
