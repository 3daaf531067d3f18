// What `meson install` leaves behind is enough for somebody else: pkg-config
// finds the libraries, a program of the examples compiles against the installed
// headers and runs, and the programs start.
import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {existsSync, readdirSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {before, test} from 'node:test';
import {buildDir, run, scratchDir, top} from '../devnet/lib.mjs';

const root = scratchDir('x402-install-');
let pkgconfig;

function find(dir, name) {
  for (const entry of readdirSync(dir, {withFileTypes: true})) {
    const path = join(dir, entry.name);
    if (entry.name === name) return path;
    const below = entry.isDirectory() && find(path, name);
    if (below) return below;
  }
  return null;
}

const pkgConfig = (...args) => execFileSync('pkg-config', args, {encoding: 'utf8',
  env: {...process.env, PKG_CONFIG_PATH: pkgconfig, PKG_CONFIG_SYSROOT_DIR: root}}).trim().split(/\s+/);

before(() => {
  execFileSync('meson', ['install', '-C', buildDir, '--no-rebuild'],
    {env: {...process.env, DESTDIR: root}, stdio: 'pipe'});
  pkgconfig = dirname(find(root, 'libx402.pc'));
});

for (const library of ['libx402', 'libx402-client', 'libx402-provider']) {
  test(`${library} is installed with header and pkg-config file`, () => {
    assert.ok(pkgConfig('--libs', library).includes(`-l${library.slice(3)}`));
    assert.equal(pkgConfig('--modversion', library)[0], '0.1.0');
    const header = {libx402: 'x402.h', 'libx402-client': 'client.h', 'libx402-provider': 'provider.h'}[library];
    assert.ok(existsSync(join(dirname(find(root, 'x402.h')), header)));
    assert.ok(find(root, `${library}.so.0`), 'no soname link');
  });
}

test('a program compiles against the installed client and runs', async () => {
  const program = join(root, 'pay');
  const lib = dirname(pkgconfig);
  // The sanitizers' runtime must come first where the libraries have them.
  execFileSync('cc', ['-fsanitize=address,undefined', join(top, 'examples/pay.c'), '-o', program,
    ...pkgConfig('--cflags', '--libs', 'libx402-client'), `-Wl,-rpath-link,${lib}`], {stdio: 'pipe'});
  const result = await run(program, [], {env: {LD_LIBRARY_PATH: lib}});
  assert.notEqual(result.code, 0, 'without a URL it has nothing to pay for');
  assert.doesNotMatch(result.stderr, /error while loading|Sanitizer/);
});

test('installed programs say their version', async () => {
  for (const name of ['x402', 'x402-facilitator', 'x402-gateway']) {
    const result = await run(find(root, name), ['--version'], {env: {LD_LIBRARY_PATH: dirname(pkgconfig)}});
    assert.equal(result.code, 0, result.stderr);
    assert.match(result.stdout, /0\.1\.0/);
  }
});
