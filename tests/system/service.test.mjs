// What the service manager hears: ready, reloading, stopping, and that the
// daemon still works. The manager is a datagram socket of ours.
import assert from 'node:assert/strict';
import {readFileSync, readdirSync, writeFileSync} from 'node:fs';
import {basename, join} from 'node:path';
import {after, before, test} from 'node:test';
import {buildDir, programs, run, scratchDir, sleep, start, startDevnet} from '../devnet/lib.mjs';

const LISTENER = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print('bound', flush=True)
while True:
    print(s.recv(4096).decode().replace('\\n', ' '), flush=True)
`;

const SAY = `
import socket, sys
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(sys.argv[2].encode(), sys.argv[1])
`;

let devnet;
const started = [];
before(async () => {
  devnet = await startDevnet();
});
after(async () => {
  for (const process_ of started) await process_.stop();
  await devnet?.stop();
});

async function manager() {
  const socket = join(scratchDir(), 'notify');
  const listener = await start('python3', ['-c', LISTENER, socket], {ready: /bound/});
  started.push(listener);
  const lines = () => listener.output().split('\n').slice(1).filter(Boolean);
  let marks = 0;
  // What had been said until now has been heard: how many lines, with the mark.
  const heard = async () => {
    const mark = `MARK=${++marks}`;
    const told = await run('python3', ['-c', SAY, socket, mark]);
    assert.equal(told.code, 0, told.stderr);
    await until(lines, (all) => all.includes(mark));
    return lines().length;
  };
  return {socket, lines, heard};
}

/** A daemon with a file, so that HUP has something to read. */
async function daemon(env) {
  const dir = scratchDir();
  const file = join(dir, 'facilitator.conf');
  const key = join(dir, 'signer.key');
  writeFileSync(key, devnet.info.accounts.facilitator.privateKey, {mode: 0o600});
  writeFileSync(file, `listen = "127.0.0.1:0"\nstore = "${join(dir, 'journal.sqlite')}"\n` +
    `chain "${devnet.info.network}" {\n rpc_urls = {"${devnet.info.rpcUrl}"}\n` +
    ' signer_key_file = {"${CREDENTIALS_DIRECTORY}/signer.key"}\n}\n');
  const process_ = await start(programs.facilitator, ['-c', file],
    {env: {CREDENTIALS_DIRECTORY: dir, ...env}, ready: /url=(http:\/\/[0-9.:]+)/});
  started.push(process_);
  return process_;
}

/** The state of each thread, as ps tells it. */
const tasks = (pid) => readdirSync(`/proc/${pid}/task`).map((id) =>
  /^State:\s+(\w)/m.exec(readFileSync(`/proc/${pid}/task/${id}/status`, 'utf8'))[1]);

async function until(lines, wanted) {
  for (let i = 0; i < 300; i++) {
    if (wanted(lines())) return;
    await sleep(100);
  }
  assert.fail(`heard ${JSON.stringify(lines())}`);
}

test('the manager hears of each step, and that it lives', async () => {
  const {socket, lines, heard: heardAll} = await manager();
  const facilitator = await daemon({NOTIFY_SOCKET: socket, WATCHDOG_USEC: '600000'});
  await until(lines, (heard) => heard[0] === 'READY=1');
  await until(lines, (heard) => heard.filter((line) => line === 'WATCHDOG=1').length >= 3);
  facilitator.child.kill('SIGHUP');
  await until(lines, (heard) => {
    const at = heard.findIndex((line) => /^RELOADING=1 MONOTONIC_USEC=\d+$/.test(line));
    return at > 0 && heard.indexOf('READY=1', at) > at;
  });
  assert.equal(await facilitator.stop(), 0);
  await heardAll();
  assert.ok(lines().includes('STOPPING=1'), lines().join());
});

test('a stopped daemon says nothing', async () => {
  const {socket, lines, heard: heardAll} = await manager();
  const facilitator = await daemon({NOTIFY_SOCKET: socket, WATCHDOG_USEC: '600000'});
  await until(lines, (heard) => heard.includes('WATCHDOG=1'));
  facilitator.child.kill('SIGSTOP');
  await until(() => tasks(facilitator.pid), (states) => states.every((state) => state === 'T'));
  const before = await heardAll();
  await sleep(900);
  const count = await heardAll();
  assert.equal(count, before + 1, lines().join()); // the mark
  facilitator.child.kill('SIGCONT');
  await until(lines, (heard) => heard.length > count);
  assert.equal(await facilitator.stop(), 0);
});

test('a watchdog of another process, or none, is not fed', async () => {
  for (const env of [{WATCHDOG_USEC: '100000', WATCHDOG_PID: '1'}, {WATCHDOG_USEC: '1e5'}, {WATCHDOG_USEC: '0'}, {}]) {
    const {socket, lines} = await manager();
    const facilitator = await daemon({NOTIFY_SOCKET: socket, ...env});
    await until(lines, (heard) => heard.includes('READY=1'));
    await sleep(300);
    assert.deepEqual(lines(), ['READY=1'], JSON.stringify(env));
    assert.equal(await facilitator.stop(), 0);
  }
});

for (const unit of ['facilitator/x402-facilitator.service', 'provider-sdk/gateway/x402-gateway.service'])
  test(`${unit} is one that systemd understands`, async (t) => {
    const text = readFileSync(join(buildDir, unit), 'utf8');
    assert.doesNotMatch(text, /@[a-z]+dir@/);
    const result = await run('systemd-analyze', ['verify', '--man=no', join(buildDir, unit)],
      {env: {PATH: process.env.PATH}}).catch(() => null);
    if (!result) {
      t.skip('no systemd here');
      return;
    }
    // The program is not installed here, and systemd 252 lacks notify-reload.
    const complaints = result.stderr.split('\n').filter((line) => line.includes(basename(unit, '.service')) &&
      !/is not executable|notify-reload/.test(line));
    assert.deepEqual(complaints, []);
  });
