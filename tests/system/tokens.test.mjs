// What the daemon says of its tokens when it starts, and the builder codes that
// it writes behind what it settles: on a real chain.
import assert from 'node:assert/strict';
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {after, before, test} from 'node:test';
import {paymentRequest, permit2Request, post, scratchDir, sleep, startDevnet, startFacilitator} from '../devnet/lib.mjs';

// protocol.md 2.7: {"a":"bc_myapp","w":"bc_myfacilitator"}
const SUFFIX = `a261616862635f6d7961707061777062635f6d79666163696c697461746f72001f02${'8021'.repeat(8)}`;

let devnet;
let info;

before(async () => {
  devnet = await startDevnet();
  info = devnet.info;
});
after(async () => devnet?.stop());

async function startWith(lines) {
  const dir = scratchDir();
  const keyFile = join(dir, 'key');
  const file = join(dir, 'facilitator.conf');
  writeFileSync(keyFile, info.accounts.facilitator.privateKey, {mode: 0o600});
  writeFileSync(file, `listen = "127.0.0.1:0"\nstore = "${join(dir, 'f.sqlite')}"\nchain "${info.network}" {\n`
    + `rpc_urls = {"${info.rpcUrl}"}\nsigner_key_file = {"${keyFile}"}\n${lines}\n}\n`);
  return startFacilitator(devnet, {}, {args: ['-c', file]});
}

async function says(daemon, pattern) {
  for (let i = 0; i < 1200 && !pattern.test(daemon.output()); i++) await sleep(25);
  assert.match(daemon.output(), pattern);
}

test('each token is asked once what it can do', async () => {
  const daemon = await startWith(`batch_tokens = {"${info.token}", "${info.plainToken}", "${info.accounts.payee.address}"}`);
  try {
    await says(daemon, new RegExp(`event=token .*address=${info.token} symbol=USDC decimals=6 name=USDC version=2 eip3009=yes eip2612=yes`));
    await says(daemon, new RegExp(`event=token .*address=${info.plainToken} decimals=18 name=Plain eip3009=no eip2612=no`, 'i'));
    await says(daemon, new RegExp(`event=token_differs .*address=${info.accounts.payee.address} .*no code`));
    assert.equal(daemon.output().match(/event=token /g).length, 2);
    assert.doesNotMatch(daemon.output(), /contract_absent/);
  } finally {
    await daemon.stop();
  }
});

test('a token that is another one than expected is named, and the daemon serves', async () => {
  const code = await devnet.rpc('eth_getCode', [info.token, 'latest']);
  await devnet.rpc('anvil_setCode', [info.token, await devnet.rpc('eth_getCode', [info.plainToken, 'latest'])]);
  await devnet.rpc('anvil_setCode', [info.uptoProxy, '0x']);
  const daemon = await startWith('sponsor_approvals = true');
  try {
    await says(daemon, /event=token_differs .*symbol=USDC .*expected 6 decimals, the token says 18/);
    await says(daemon, /event=token_differs .*expected EIP-3009/);
    await says(daemon, /event=contract_absent .*the upto proxy/);
    const verdict = (await post(`${daemon.url}/verify`, await paymentRequest(info))).body;
    assert.equal(verdict.isValid, false);
  } finally {
    await daemon.stop();
    await devnet.rpc('anvil_setCode', [info.token, code]);
  }
});

test('codes that a payment names stand behind its calldata, with our own', async () => {
  const daemon = await startWith('builder_code = "bc_myfacilitator"');
  try {
    const {extensions} = await (await fetch(`${daemon.url}/supported`)).json();
    assert.ok(extensions.includes('builder-code'));
    const codes = {'builder-code': {info: {a: 'bc_myapp'}}};
    const bodies = [await permit2Request(info, {extensions: codes}), await paymentRequest(info)];
    bodies[1].paymentPayload.extensions = codes;
    for (const body of bodies) {
      assert.equal((await post(`${daemon.url}/verify`, body)).body.isValid, true);
      const answer = (await post(`${daemon.url}/settle`, body)).body;
      assert.equal(answer.success, true, JSON.stringify(answer));
      const {input} = await devnet.rpc('eth_getTransactionByHash', [answer.transaction]);
      assert.ok(input.endsWith(SUFFIX), input);
    }
    const plain = (await post(`${daemon.url}/settle`, await paymentRequest(info))).body;
    const {input} = await devnet.rpc('eth_getTransactionByHash', [plain.transaction]);
    assert.ok(!input.includes('80218021'));
  } finally {
    await daemon.stop();
  }
});

test('tokens that nobody knows have a ceiling of gas, and known ones have not', async () => {
  const daemon = await startWith('daily_other_tokens_gwei = 1');
  try {
    await says(daemon, /event=gas_ceilings .*daily_other_tokens_gwei=1 /);
    // Where gas costs next to nothing the first one may still fit under a gwei.
    let strange = {success: true};
    for (let i = 0; i < 2 && strange.success; i++) {
      strange = (await post(`${daemon.url}/settle`, await permit2Request(info, {token: info.plainToken}))).body;
    }
    assert.equal(strange.success, false);
    assert.equal(strange.errorReason, 'unexpected_settle_error');
    assert.match(strange.errorMessage, /not known here \(daily_other_tokens_gwei\).*nothing was sent/);
    await says(daemon, /a payment is refused: /);
    const known = (await post(`${daemon.url}/settle`, await paymentRequest(info))).body;
    assert.equal(known.success, true, JSON.stringify(known));
  } finally {
    await daemon.stop();
  }
});

test('a code that is none keeps the daemon from starting', async () => {
  await assert.rejects(startWith('builder_code = "Not-A-Code"'), /builder_code: expected 1 to 32/);
  await assert.rejects(startWith('daily_gifts_gwei = 0'), /daily_gifts_gwei/);
  await assert.rejects(startWith('gift_max_gwei = -1'), /gift_max_gwei/);
});
