// What the gateway owes: through crashes, drains and reloads, whoever has paid
// gets the content, pays once, and it is written down in the meantime.
//
//   node --test tests/system/gateway_journal.test.mjs

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import path from 'node:path';
import tls from 'node:tls';
import { after, before, beforeEach, describe, test } from 'node:test';

import {
  journal, program, scratch, shop, startGateway,
} from './gateway.lib.mjs';
import { freePort, sleep, startOrigin, until } from './nginx.lib.mjs';
import {
  PAYEE, PAYER, TX, challenge, decode, pay, paying, request, settled,
  startFacilitator,
} from './provider.lib.mjs';

const SECRET = 'The guest was late';

// A request whose client can leave.
function begin(site, target, payment) {
  const url = new URL(site.url);
  const req = http.get({ host: url.hostname, port: url.port, path: target,
    agent: false, headers: { 'PAYMENT-SIGNATURE': payment } });
  const it = { req, text: '' };
  req.on('error', () => {});
  req.on('response', (res) => {
    it.status = res.statusCode;
    res.on('data', (data) => { it.text += data; });
    res.on('error', () => {});
    res.on('end', () => { it.whole = true; });
  });
  return it;
}

describe('what the gateway owes', () => {
  let f;
  let origin;
  let dir;

  before(async () => {
    f = await startFacilitator();
    origin = await startOrigin();
    dir = scratch();
  });
  beforeEach(() => {
    f.reset();
    origin.asked = 0;
    origin.handler = (req, res) => res.end(SECRET);
  });
  after(async () => {
    await f.stop();
    await origin.stop();
  });

  let files = 0;
  const start = async (...more) => {
    const file = path.join(dir, `${++files}.sqlite`);
    const args = shop(f, origin, '--journal', file, ...more);
    const gateway = await startGateway(args);
    gateway.journal = (what) => journal(file, what);
    gateway.again = async () => Object.assign(await startGateway(args),
      { journal: gateway.journal });
    gateway.end = async () => {
      assert.deepEqual(await gateway.stop(), { code: 0, signal: null },
        gateway.log);
      assert.equal(gateway.log, '');
    };
    return gateway;
  };
  const buy = (gateway, payment, target = '/article') =>
    request(gateway, target, { headers: paying(payment) });

  test('settled before: an origin that fails leaves it owed', async () => {
    const gateway = await start('--settle', 'before');
    const payment = pay(await challenge(gateway, '/article'));
    const order = [];
    f.settle = () => { order.push('settle'); return settled(); };
    origin.handler = (req, res) => {
      order.push('origin');
      res.statusCode = 500;
      res.end('sorry');
    };
    const failed = await buy(gateway, payment);
    assert.equal(failed.status, 500);
    assert.deepEqual(order, ['settle', 'origin']);
    assert.equal(decode(failed.headers['payment-response']).transaction, TX);
    assert.equal(gateway.journal('owed').length, 1);
    origin.handler = (req, res) => res.end(SECRET);
    const again = await buy(gateway, payment);
    assert.equal(again.text, SECRET);
    assert.equal(f.count('settle'), 1);
    await until(() => gateway.journal('delivered').length === 1, 'its row');
    assert.equal(gateway.journal('owed').length, 0);
    await gateway.end();
  });

  test('settled before: an origin that is down leaves it owed', async () => {
    const gateway = await start('--settle', 'before');
    const payment = pay(await challenge(gateway, '/article'));
    origin.handler = (req, res) => res.socket.destroy();
    assert.equal((await buy(gateway, payment)).status, 502);
    assert.equal(gateway.journal('owed')[0].transaction, TX);
    await until(() => gateway.requests().at(-1).undelivered, 'its line');
    await gateway.end();
  });

  test('a client that leaves while it settles may come again', async () => {
    const gateway = await start();
    const payment = pay(await challenge(gateway, '/article'));
    let settle;
    f.settle = async () => {
      await new Promise((done) => { settle = done; });
      return settled();
    };
    const first = begin(gateway, '/article', payment);
    await until(() => settle, 'settlement');
    first.req.destroy();
    await sleep(50);
    settle();
    await until(() => gateway.journal('owed').length === 1, 'a debt');
    const again = await buy(gateway, payment);
    assert.equal(again.text, SECRET);
    assert.equal(f.count('settle'), 1);
    await gateway.end();
  });

  test('killed while it settles: settled again first, and served',
    async () => {
      const gateway = await start();
      const payment = pay(await challenge(gateway, '/article'));
      f.settle = () => undefined; // no answer
      const first = begin(gateway, '/article', payment);
      await until(() => f.count('settle') === 1, 'settlement');
      await gateway.kill();
      assert.equal(first.text, '');
      assert.equal(gateway.journal('unknown').length, 1);
      f.settle = () => settled();
      const next = await gateway.again();
      const res = await buy(next, payment);
      assert.equal(res.text, SECRET);
      const asked = f.asked.filter((a) => a.what === 'settle');
      assert.equal(asked.length, 2);
      assert.deepEqual(asked[1].body, asked[0].body);
      assert.equal(asked[1].headers['idempotency-key'],
        asked[0].headers['idempotency-key']);
      await next.stop();
      assert.equal(next.journal('delivered').length, 1);
    });

  test('killed in the midst of the content: owed, and served', async () => {
    const gateway = await start();
    const payment = pay(await challenge(gateway, '/article'));
    origin.handler = (req, res) => res.write('some');
    const first = begin(gateway, '/article', payment);
    await until(() => first.text === 'some', 'content');
    await gateway.kill();
    assert.equal(gateway.journal('owed').length, 1);
    origin.handler = (req, res) => res.end(SECRET);
    const next = await gateway.again();
    assert.equal((await buy(next, payment)).text, SECRET);
    assert.equal(f.count('settle'), 1);
    await next.stop();
  });

  test('who hangs up after the first byte has had it', async () => {
    const gateway = await start();
    const payment = pay(await challenge(gateway, '/article'));
    let res_;
    origin.handler = (req, res) => { res_ = res; res.write('some'); };
    const first = begin(gateway, '/article', payment);
    await until(() => first.text === 'some', 'content');
    first.req.destroy();
    await until(() => res_.destroyed, 'the origin to hear of it');
    await until(() => gateway.journal('delivered').length === 1, 'the end');
    assert.equal((await buy(gateway, payment)).status, 402);
    await gateway.end();
  });

  test('an origin that breaks off by itself leaves it owed', async () => {
    const gateway = await start();
    const payment = pay(await challenge(gateway, '/article'));
    let res_;
    origin.handler = (req, res) => { res_ = res; res.write('some'); };
    const first = begin(gateway, '/article', payment);
    await until(() => first.text === 'some', 'content');
    res_.socket.destroy();
    await until(() => gateway.journal('owed').length === 1, 'a debt');
    assert.equal(first.whole, undefined);
    origin.handler = (req, res) => res.end(SECRET);
    assert.equal((await buy(gateway, payment)).text, SECRET);
    await gateway.end();
  });

  test('an origin that always breaks off is not read for nothing for ever',
    async () => {
      const gateway = await start();
      const payment = pay(await challenge(gateway, '/article'));
      let res_;
      origin.handler = (req, res) => { res_ = res; res.write('some'); };
      for (const state of ['owed', 'delivered']) {
        const it = begin(gateway, '/article', payment);
        await until(() => it.text === 'some', 'content');
        res_.socket.destroy();
        await until(() => gateway.requests().at(-1).undelivered ===
          (state === 'owed' ? true : undefined) &&
          gateway.requests().at(-1).ended === 'origin_broke', 'its line');
        await until(() => gateway.journal(state).length === 1, 'its row');
      }
      assert.equal((await buy(gateway, payment)).status, 402);
      assert.equal(f.count('settle'), 1);
      await gateway.end();
    });

  test('TERM: what is under way is finished, and no more is taken',
    async () => {
      const gateway = await start();
      const payment = pay(await challenge(gateway, '/article'));
      let settle;
      f.settle = async () => {
        await new Promise((done) => { settle = done; });
        return settled();
      };
      const first = begin(gateway, '/article', payment);
      await until(() => settle, 'settlement');
      const ended = gateway.stop();
      await until(() => request(gateway, '/free/x').then(() => false,
        () => true), 'the door to be shut');
      settle();
      assert.deepEqual(await ended, { code: 0, signal: null });
      assert.equal(first.text, SECRET);
      assert.equal(first.whole, true);
      assert.equal(gateway.journal('delivered').length, 1);
    });

  test('QUIT: what can be cut is cut, a settlement is not', async () => {
    const gateway = await start();
    const payment = pay(await challenge(gateway, '/article'));
    let settle;
    let open;
    f.settle = async () => {
      await new Promise((done) => { settle = done; });
      return settled();
    };
    origin.handler = (req, res) => {
      if (req.url === '/article') res.end(SECRET);
      else open = res; // never answers
    };
    begin(gateway, '/article', payment);
    begin(gateway, '/free/x', 'none');
    await until(() => settle && open, 'both to be under way');
    gateway.child.kill('SIGQUIT');
    await until(() => open.destroyed, 'the free one to be cut');
    await sleep(100);
    assert.equal(gateway.child.exitCode, null);
    settle();
    assert.deepEqual(await gateway.exited, { code: 0, signal: null });
    assert.equal(gateway.journal('owed').length, 1);
  });

  test('what was delivered is forgotten in time, what is owed is not',
    async () => {
      const gateway = await start('--settle', 'before');
      const file = path.join(dir, `${files}.sqlite`);
      await buy(gateway, pay(await challenge(gateway, '/article')));
      origin.handler = (req, res) => res.socket.destroy();
      await buy(gateway, pay(await challenge(gateway, '/article')));
      await gateway.end();
      // Two days pass.
      execFileSync('python3', ['-c', `
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
for column in ('asked', 'settled', 'expires'):
    db.execute(f'UPDATE payments SET {column} = {column} - 172800')
db.commit()`, file]);
      const conf = path.join(dir, 'days.conf');
      fs.writeFileSync(conf, `journal_days = 1 network = "eip155:84532"
        upstream "shop" { url = "${origin.url}" }`);
      const next = await startGateway(['-c', conf,
        ...shop(f, origin, '--journal', file)]);
      await until(() => journal(file, 'delivered').length === 0, 'the end');
      assert.equal(journal(file, 'owed').length, 1);
      assert.deepEqual(await next.stop(), { code: 0, signal: null });
    });

  test('what is sent to be settled is on the disk before', async () => {
    const shim = path.join(dir, 'shim');
    fs.writeFileSync(`${shim}.c`, `
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
int fdatasync(int fd)
{
	char name[64], file[4096] = "";
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	if (readlink(name, file, sizeof(file) - 1) > 4 &&
		!strcmp(file + strlen(file) - 4, "-wal")) {
		if (access("${shim}.fail", F_OK) == 0)
			return errno = EIO, -1;
		if (access("${shim}.slow", F_OK) == 0) {
			usleep(300000);
			close(open("${shim}.synced", O_CREAT | O_WRONLY, 0600));
		}
	}
	return syscall(SYS_fdatasync, fd);
}
`);
    execFileSync('gcc', ['-shared', '-fPIC', '-o', `${shim}.so`, `${shim}.c`]);
    const asan = fs.readFileSync(program).includes('__asan_init')
      ? [execFileSync('gcc', ['-print-file-name=libasan.so']).toString().trim()]
      : [];
    const file = path.join(dir, 'disk.sqlite');
    const gateway = await startGateway(shop(f, origin, '--journal', file),
      { env: { LD_PRELOAD: [...asan, `${shim}.so`].join(':') } });
    fs.writeFileSync(`${shim}.slow`, '');
    let early = 0;
    f.settle = () => {
      early += !fs.existsSync(`${shim}.synced`);
      return settled();
    };
    const required = await challenge(gateway, '/article');
    const all = await Promise.all(Array.from({ length: 8 }, () =>
      buy(gateway, pay(required))));
    assert.ok(all.every((res) => res.status === 200));
    assert.equal(early, 0);
    fs.rmSync(`${shim}.slow`);
    // A disk that fails: nothing is sent, and nothing is given.
    fs.writeFileSync(`${shim}.fail`, '');
    const payment = pay(required);
    const had = f.count('settle');
    const res = await buy(gateway, payment);
    assert.equal(res.status, 502);
    assert.doesNotMatch(res.text, /guest/);
    assert.equal(f.count('settle'), had);
    fs.rmSync(`${shim}.fail`);
    assert.equal((await buy(gateway, payment)).text, SECRET);
    assert.equal(f.count('settle'), had + 1);
    await gateway.stop();
  });

  test('a journal has one gateway', async () => {
    const gateway = await start();
    await assert.rejects(gateway.again(), /exit 3/);
    await gateway.end();
  });

  test('HUP: a new price for the next, the old one for who has paid it',
    async () => {
      const file = path.join(dir, 'gateway.conf');
      const write = (price) => fs.writeFileSync(file, `
public_origin = "https://shop.example"
journal = "${dir}/reload.sqlite"
price = "${price}"
network = "eip155:84532"
pay_to = "${PAYEE}"
facilitators = {"${f.url}"}
upstream "shop" { url = "${origin.url}" }
`);
      write('$0.01');
      const gateway = await startGateway(['-c', file]);
      const required = await challenge(gateway, '/article');
      let settle;
      f.settle = async () => {
        await new Promise((done) => { settle = done; });
        return settled();
      };
      const first = begin(gateway, '/article', pay(required));
      await until(() => settle, 'settlement');
      const said = (event) => gateway.lines.some((l) => l.event === event);
      write('0.02 perhaps');
      gateway.child.kill('SIGHUP');
      await until(() => said('not_reloaded'), 'a refusal');
      assert.equal((await challenge(gateway, '/article')).accepts[0].amount,
        '10000');
      const refused = () => gateway.lines.filter((l) =>
        l.event === 'not_reloaded').length;
      write('$0.02');
      fs.appendFileSync(file, 'admin_listen = "127.0.0.1:1"\n');
      gateway.child.kill('SIGHUP');
      await until(() => refused() === 2, 'another refusal');
      write('$0.02');
      gateway.child.kill('SIGHUP');
      await until(() => said('reloaded'), 'the new price');
      assert.equal((await challenge(gateway, '/article')).accepts[0].amount,
        '20000');
      settle();
      await until(() => first.whole, 'the old purchase');
      assert.equal(first.text, SECRET);
      f.settle = () => settled();
      assert.equal((await buy(gateway, pay(required))).status, 402);
      assert.deepEqual(await gateway.stop(), { code: 0, signal: null });
      assert.equal(gateway.log, '');
    });

  describe('timeouts', () => {
    let gateway;
    before(async () => {
      const file = path.join(dir, 'timeouts.conf');
      fs.writeFileSync(file, `
public_origin = "https://shop.example"
price = "$0.01"
network = "eip155:84532"
pay_to = "${PAYEE}"
facilitators = {"${f.url}"}
headers_timeout_ms = 1000
body_timeout_ms = 1000
idle_timeout_ms = 1000
write_timeout_ms = 1000
upstream "shop" { url = "${origin.url}" header_timeout_ms = 1000 idle_timeout_ms = 1000 }
upstream "down" { url = "http://127.0.0.1:${await freePort()}" }
route "/free/*" { free = true }
route "/down/*" { upstream = "down" }
`);
      gateway = await startGateway(['-c', file]);
    });
    after(async () => {
      assert.deepEqual(await gateway.stop(), { code: 0, signal: null });
      assert.equal(gateway.log, '');
    });

    test('an origin that says nothing: 504, and nothing is charged',
      async () => {
        const payment = pay(await challenge(gateway, '/article'));
        origin.handler = () => {};
        assert.equal((await buy(gateway, payment)).status, 504);
        assert.equal(f.count('settle'), 0);
      });

    test('an origin that stops in between is cut off', async () => {
      origin.handler = (req, res) => res.write('some');
      await assert.rejects(request(gateway, '/free/x'));
    });

    test('an origin that is down: 502, then nobody is asked to pay',
      async () => {
        const required = await challenge(gateway, '/down/x');
        for (let i = 0; i < 5; i++)
          assert.equal((await buy(gateway, pay(required), '/down/x')).status,
            502);
        const verified = f.count('verify');
        const res = await buy(gateway, pay(required), '/down/x');
        assert.equal(res.status, 503);
        assert.ok(Number(res.headers['retry-after']) > 0);
        assert.equal(f.count('verify'), verified);
        assert.equal(f.count('settle'), 0);
      });

    for (const [name, start_] of Object.entries({
      'a connection that says nothing': '',
      'a head that does not end': 'GET /free/x HTTP/1.1\r\nHost: a\r\n',
      'a body that does not come':
        'POST /free/x HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab',
    }))
      test(`${name} is closed`, async () => {
        const url = new URL(gateway.url);
        const { connect } = await import('node:net');
        const socket = connect(Number(url.port), url.hostname);
        socket.on('error', () => {});
        socket.write(start_);
        // Trickling does not help.
        const trickle = setInterval(() => {
          if (start_.startsWith('GET')) socket.write('X');
        }, 200);
        await new Promise((done) => socket.on('close', done));
        clearInterval(trickle);
      });

    test('a reader that does not read is closed', async () => {
      let res_;
      origin.handler = (req, res) => {
        res_ = res;
        const more = () => {
          while (!res.destroyed && res.write(Buffer.alloc(65536)));
          res.once('drain', more);
        };
        more();
      };
      const url = new URL(gateway.url);
      const req = http.get({ host: url.hostname, port: url.port,
        path: '/free/x' });
      req.on('error', () => {});
      const res = await new Promise((done) => req.on('response', done));
      res.on('error', () => {});
      res.pause();
      await until(() => res_.destroyed, 'the gateway to give up');
    });
  });

  describe('TLS', () => {
    let gateway;
    let ca;
    const key = () => path.join(dir, 'key.pem');
    const options = () => ({ host: '127.0.0.1', port: new URL(gateway.url).port,
      servername: 'shop.example', ca });
    const get = (more = {}) => new Promise((done, fail) => {
      const req = https.get({ ...options(), path: '/free/x', agent: false,
        ...more }, (res) => {
        const chunks = [];
        res.on('data', (chunk) => chunks.push(chunk));
        res.on('end', () => done({ status: res.statusCode,
          text: Buffer.concat(chunks).toString() }));
      });
      req.on('error', fail);
    });

    before(async () => {
      const certificate = path.join(dir, 'certificate.pem');
      execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt',
        'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj',
        '/CN=shop.example', '-addext',
        'subjectAltName=DNS:shop.example,IP:127.0.0.1',
        '-keyout', key(), '-out', certificate], { stdio: 'ignore' });
      fs.chmodSync(key(), 0o600);
      ca = fs.readFileSync(certificate);
      gateway = await startGateway(shop(f, origin, '--tls-cert', certificate,
        '--tls-key', key()));
    });
    after(async () => {
      assert.deepEqual(await gateway.stop(), { code: 0, signal: null });
      assert.equal(gateway.log, '');
    });

    test('serves, and takes a large body', async () => {
      origin.handler = (req, res, body) => res.end(body);
      assert.equal((await get()).status, 200);
      const big = 'x'.repeat(3_000_000);
      const text = await new Promise((done, fail) => {
        const req = https.request({ ...options(), path: '/free/x',
          method: 'POST', agent: false }, (res) => {
          let all = '';
          res.on('data', (data) => { all += data; });
          res.on('end', () => done(all));
        });
        req.on('error', fail);
        req.end(big);
      });
      assert.ok(text === big);
    });

    test('tells the origin that it was https', async () => {
      origin.handler = (req, res) => res.end(req.headers['x-forwarded-proto']);
      assert.equal((await get()).text, 'https');
    });

    test('sells', async () => {
      const offer = await new Promise((done) => https.get({ ...options(),
        path: '/article', agent: false }, (res) => {
        res.resume();
        done(decode(res.headers['payment-required']));
      }));
      const res = await get({ path: '/article',
        headers: { 'PAYMENT-SIGNATURE': pay(offer) } });
      assert.equal(res.text, SECRET);
    });

    test('spares who comes back the full handshake', async () => {
      let session;
      const connect = (more) => new Promise((done, fail) => {
        const socket = tls.connect({ ...options(), ...more }, () => {
          socket.write('GET /free/x HTTP/1.1\r\nHost: a\r\n\r\n');
          socket.once('data', () => {
            done(socket.isSessionReused());
            socket.destroy();
          });
        });
        socket.on('session', (s) => { session = s; });
        socket.on('error', fail);
      });
      assert.equal(await connect({}), false);
      assert.equal(await connect({ session }), true);
    });

    test('refuses what is too old, and what is no TLS', async () => {
      await assert.rejects(get({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1' }));
      await assert.rejects(get({ ciphers: 'AES128-SHA' }));
      await assert.rejects(request({ url: gateway.url.replace('https',
        'http') }, '/free/x'));
    });

    test('many at once are served', async () => {
      const all = await Promise.all(Array.from({ length: 20 }, () => get()));
      assert.deepEqual([...new Set(all.map((res) => res.status))], [200]);
    });

    test('an origin with TLS is asked when its certificate is good',
      async () => {
        const secure = https.createServer({ cert: ca,
          key: fs.readFileSync(key()) }, (req, res) => res.end(SECRET));
        secure.on('upgrade', (req, socket) => {
          socket.write('HTTP/1.1 101 OK\r\nUpgrade: websocket\r\n' +
            'Connection: Upgrade\r\n\r\n');
          socket.pipe(socket);
        });
        await new Promise((done) => secure.listen(0, '127.0.0.1', done));
        const file = path.join(dir, 'secure.conf');
        const url = `https://127.0.0.1:${secure.address().port}`;
        fs.writeFileSync(file, `
upstream "good" { url = "${url}" ca_file = "${dir}/certificate.pem" }
upstream "unknown" { url = "${url}" }
upstream "other" {
  url = "https://localhost:${secure.address().port}"
  ca_file = "${dir}/certificate.pem"
}
route "/good" { free = true }
route "/unknown" { upstream = "unknown" free = true }
route "/other" { upstream = "other" free = true }
`);
        const site = await startGateway(['-c', file]);
        for (const [target, status] of [['/good', 200], ['/unknown', 502],
          ['/other', 502]])
          assert.equal((await request(site, target)).status, status, target);
        for (const [target, status] of [['/good', 101], ['/unknown', 502]]) {
          const at = new URL(site.url);
          const req = http.get({ host: at.hostname, port: at.port,
            path: target, agent: false,
            headers: { connection: 'Upgrade', upgrade: 'websocket' } });
          const [res, socket] = await new Promise((done) => {
            req.on('upgrade', (...all) => done(all));
            req.on('response', (res_) => done([res_.resume(), null]));
          });
          assert.equal(res.statusCode, status, target);
          if (!socket) continue;
          const big = Buffer.alloc(1_000_000, SECRET);
          const chunks = [];
          socket.on('data', (chunk) => chunks.push(chunk));
          socket.write(big);
          await until(() => Buffer.concat(chunks).equals(big), 'the echo');
          socket.destroy();
        }
        assert.deepEqual(await site.stop(), { code: 0, signal: null });
        assert.equal(site.log, '');
        secure.closeAllConnections();
        await new Promise((done) => secure.close(done));
      });

    test('a key that others may read is refused', () => {
      fs.chmodSync(key(), 0o644);
      assert.throws(() => execFileSync(program, [...shop(f, origin,
        '--tls-cert', path.join(dir, 'certificate.pem'), '--tls-key', key()),
      '--check'], { stdio: 'pipe' }), (error) => error.status === 1 &&
        /mode 0600/.test(error.stderr));
      fs.chmodSync(key(), 0o600);
    });
  });

  describe('the command line', () => {
    const exit = (args, env = {}) => {
      try {
        const text = execFileSync(program, args, { stdio: 'pipe',
          env: { PATH: process.env.PATH, ...env } });
        return { status: 0, text: text.toString() };
      } catch (error) {
        return { status: error.status, text: error.stderr.toString() };
      }
    };

    test('exit codes say what was wrong', async () => {
      const good = shop(f, origin);
      assert.deepEqual(exit([...good, '--check']),
        { status: 0, text: 'the configuration is good\n' });
      assert.equal(exit(['--nonsense']).status, 2);
      assert.equal(exit(['stray']).status, 2);
      for (const [args, text] of [
        [[], /upstream/],
        [['--upstream', origin.url], /price/],
        [[...good, '--price', '1e-2'], /price/],
        [[...good, '--pay-to', '0x12'], /pay/],
        [[...good, '--settle', 'never'], /after, before or reserve/],
        [[...good, '--listen', 'nowhere'], /--listen/],
        [[...good, '--upstream', 'ftp://a'], /ftp/],
        [['-c', path.join(dir, 'missing.conf')], /missing\.conf/]]) {
        const { status, text: said } = exit([...args, '--check']);
        assert.equal(status, 1, `${args} ${said}`);
        assert.match(said, text);
      }
      assert.equal(exit([...good, '--listen',
        new URL(f.url).host]).status, 5);
      assert.match(exit(['--help']).text, /--upstream/);
      assert.match(exit(['--version']).text, /^x402-gateway \d/);
    });

    test('the environment fills in a file', () => {
      const file = path.join(dir, 'environment.conf');
      fs.writeFileSync(file, `price = "$0.01" network = "eip155:84532"
        pay_to = "\${SHOP_PAY_TO}" upstream "a" { url = "${origin.url}" }`);
      assert.equal(exit(['-c', file, '--check'],
        { SHOP_PAY_TO: PAYEE }).status, 0);
      assert.equal(exit(['-c', file, '--check'],
        { SHOP_PAY_TO: '0x12' }).status, 1);
    });

    test('the environment is enough', async () => {
      const port = await freePort();
      const gateway = await startGateway([], { env: {
        X402_UPSTREAM: origin.url, X402_PRICE: '$0.02', PAY_TO: PAYEE,
        FACILITATOR_URL: f.url } , listen: `127.0.0.1:${port}` });
      const required = await challenge(gateway, '/x');
      assert.equal(required.accepts[0].amount, '20000');
      assert.equal(required.accepts[0].payTo, PAYEE);
      assert.equal(required.resource.url, `${gateway.url}/x`);
      await gateway.stop();
    });
  });
});
