// The many ways in which nginx makes and sends a response, each with the module
// holding it back: whole when it is paid for, nothing of it when it is not.
//
//   node --test tests/system/nginx_ways.test.mjs

import assert from 'node:assert/strict';
import net from 'node:net';
import zlib from 'node:zlib';
import { after, before, beforeEach, describe, test } from 'node:test';

import {
  metrics, payments, sleep, startNginx, startOrigin, until,
} from './nginx.lib.mjs';
import {
  PAYEE, PAYER, challenge, pay, paying, request, settled, startFacilitator,
} from './provider.lib.mjs';

const SECRET = 'The guest was late';
const BIG = Array.from({ length: 60000 }, (_, i) => `${i} ${SECRET}\n`).join('');

// Directives of a location each; DOWN is the origin.
const ways = {
  'sendfile': 'sendfile on; tcp_nopush on; alias DIR/html/;',
  'no sendfile': 'sendfile off; output_buffers 1 4k; alias DIR/html/;',
  'aio threads': 'aio threads; sendfile off; alias DIR/html/;',
  'aio threads, sendfile': 'aio threads; sendfile on; alias DIR/html/;',
  'directio': 'directio 1; alias DIR/html/;',
  'limit_rate': 'limit_rate 4m; alias DIR/html/;',
  'gzip': 'gzip on; gzip_types *; gzip_min_length 1; alias DIR/html/;',
  'sub_filter': 'sub_filter nowhere there; sub_filter_types *; alias DIR/html/;',
  'addition': 'add_after_body /after.txt; addition_types *; alias DIR/html/;',
  'ssi': 'ssi on; ssi_types *; alias DIR/html/;',
  'proxy': 'proxy_pass DOWN/;',
  'proxy, unbuffered': 'proxy_buffering off; proxy_pass DOWN/;',
  'proxy, small buffers': 'proxy_buffer_size 4k; proxy_buffers 2 4k; ' +
    'proxy_busy_buffers_size 4k; proxy_pass DOWN/;',
  'proxy, no temporary file': 'proxy_max_temp_file_size 0; proxy_pass DOWN/;',
  'proxy, HTTP/1.1 and chunks': 'proxy_http_version 1.1; ' +
    'proxy_set_header Connection ""; proxy_pass DOWN/;',
  'proxy, aio': 'aio threads; aio_write on; proxy_pass DOWN/;',
  'proxy, cached': 'proxy_cache ways; proxy_cache_valid 1m; ' +
    'proxy_cache_key $uri; proxy_pass DOWN/;',
  'proxy, sliced': 'slice 100k; proxy_cache ways; proxy_cache_valid any 1m; ' +
    'proxy_cache_key sliced$slice_range; proxy_http_version 1.1; ' +
    'proxy_set_header Range $slice_range; proxy_pass DOWN/;',
  'proxy, mirrored': 'mirror /mirror; proxy_pass DOWN/;',
  'authorized': 'auth_request /yes; alias DIR/html/;',
};
const slug = (name) => name.replace(/[^a-z0-9]+/gi, '-');

describe('ways of nginx to answer', () => {
  let f;
  let origin;
  let nginx;

  before(async () => {
    f = await startFacilitator();
    origin = await startOrigin();
    nginx = await startNginx(`
  x402_state DIR/x402.state payments=8192 sync;
  x402_facilitator_url ${f.url}; x402_network eip155:84532;
  x402_pay_to ${PAYEE}; x402_public_origin http://127.0.0.1:PORT;
  x402_price $0.01;
  proxy_cache_path DIR/cache keys_zone=ways:1m;
  server { listen 127.0.0.1:PORT; root DIR/html;
    location = /x402-status { x402_status; }
    location = /after.txt { }
    location = /yes { internal; return 204; }
    location = /mirror { internal; proxy_pass ${origin.url}/mirror; }
    ${Object.entries(ways).map(([name, text]) =>
    `location /${slug(name)}/ { x402 on; ${text} }`).join('\n')
    .replaceAll('DOWN', origin.url)}
  }`, { files: { 'big.txt': BIG, 'after.txt': '' } });
  });
  beforeEach(() => {
    f.reset();
    f.settle = async () => { await sleep(30); return settled(); };
    origin.handler = (req, res) => {
      const range = /bytes=(\d+)-(\d+)/.exec(req.headers.range ?? '');
      if (!range) return res.end(BIG);
      const [from, to] = [Number(range[1]),
        Math.min(Number(range[2]), BIG.length - 1)];
      res.writeHead(206, { etag: '"1"',
        'content-range': `bytes ${from}-${to}/${BIG.length}` });
      res.end(BIG.slice(from, to + 1));
    };
  });
  after(async () => {
    const ended = await nginx.stop();
    await f.stop();
    await origin.stop();
    assert.deepEqual(ended, { code: 0, signal: null }, nginx.log);
    assert.doesNotMatch(nginx.log, /ERROR|runtime error/);
    assert.deepEqual(nginx.errors().split('\n').filter((line) =>
      /\[(alert|emerg|crit)\]/.test(line)), []);
  });

  for (const name of Object.keys(ways)) {
    const target = `/${slug(name)}/big.txt`;

    test(name, async () => {
      const required = await challenge(nginx, target);
      const headers = [['Accept-Encoding', 'gzip']];
      // Twice: the second may come from a cache, or a kept connection.
      for (let i = 0; i < 2; i++) {
        const res = await fetch(nginx.url + target, { headers: {
          'PAYMENT-SIGNATURE': pay(required) } });
        assert.equal(res.status, 200);
        assert.ok(await res.text() === BIG, 'whole');
        assert.ok(res.headers.get('payment-response'));
      }
      assert.equal(f.count('settle'), 2);
      f.settle = async () => {
        await sleep(30);
        return { success: false, errorReason: 'insufficient_funds',
          transaction: '', network: 'eip155:84532', payer: PAYER };
      };
      const refused = await request(nginx, target,
        { headers: [...paying(pay(required)), ...headers] });
      assert.equal(refused.status, 402);
      assert.doesNotMatch(refused.text, new RegExp(SECRET));
      assert.ok(refused.text.length < 2000);
      const unpaid = await request(nginx, target, { headers });
      assert.equal(unpaid.status, 402);
      assert.doesNotMatch(unpaid.text, new RegExp(SECRET));
    });

    test(`${name}: a HEAD`, async () => {
      const res = await request(nginx, target, { method: 'HEAD',
        headers: paying(pay(await challenge(nginx, target))) });
      assert.equal(res.status, 200);
      assert.equal(res.text, '');
      assert.equal(f.count('settle'), 1);
    });
  }

  test('a slow reader gets all of it, in its own time', async () => {
    for (const name of ['sendfile', 'proxy', 'proxy, unbuffered']) {
      const target = `/${slug(name)}/big.txt`;
      const payment = pay(await challenge(nginx, target));
      const length = await new Promise((done) => {
        let got = 0;
        const socket = net.connect({ port: nginx.port, host: '127.0.0.1',
          highWaterMark: 1024 }, () => socket.write(
          `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n` +
          `PAYMENT-SIGNATURE: ${payment}\r\n\r\n`));
        socket.on('data', (data) => {
          got += data.length;
          socket.pause();
          setTimeout(() => socket.resume(), 2);
        });
        socket.on('close', () => done(got));
      });
      assert.ok(length > BIG.length, name);
    }
  });

  test('requests one after the other in one connection', async () => {
    const target = `/${slug('sendfile')}/big.txt`;
    const required = await challenge(nginx, target);
    const text = await new Promise((done) => {
      let got = '';
      const socket = net.connect(nginx.port, '127.0.0.1', () => socket.write(
        Array.from({ length: 6 }, (_, i) => `GET ${target} HTTP/1.1\r\n` +
          `Host: x\r\n${i === 5 ? 'Connection: close\r\n' : ''}` +
          `${i % 2 ? '' : `PAYMENT-SIGNATURE: ${pay(required)}\r\n`}\r\n`)
          .join('')));
      socket.on('data', (data) => { got += data; });
      socket.on('close', () => done(got));
    });
    assert.deepEqual(text.match(/HTTP\/1\.1 \d+/g), Array.from({ length: 6 },
      (_, i) => `HTTP/1.1 ${i % 2 ? 402 : 200}`));
    assert.equal(text.split(`59999 ${SECRET}`).length, 4);
    assert.equal(f.count('settle'), 3);
  });

  test('an origin that dies while its answer is held back', async () => {
    f.settle = async () => { await sleep(150); return settled(); };
    for (const name of ['proxy', 'proxy, unbuffered',
      'proxy, HTTP/1.1 and chunks']) {
      const target = `/${slug(name)}/big.txt`;
      const payment = pay(await challenge(nginx, target));
      origin.handler = (req, res) => {
        res.writeHead(200, { 'content-length': BIG.length });
        res.write(BIG.slice(0, 50000));
        setTimeout(() => res.socket.destroy(), 40);
      };
      const cut = await request(nginx, target, { headers: paying(payment) })
        .catch(() => null);
      // Either it got the beginning and knows it was cut, or it can come again.
      if (!cut)
        await until(async () => (await payments(nginx)).every((p) => !p.busy));
    }
    // Who has read its end may be counted a moment later.
    await until(async () => {
      const m = await metrics(nginx);
      return m.delivered + m.undelivered >= m.settled;
    }, 'every settlement to come to an end');
  });

  test('many at once, most of them gone before the end', async () => {
    f.settle = async () => { await sleep(100 * Math.random()); return settled(); };
    const target = `/${slug('proxy')}/big.txt`;
    const required = await challenge(nginx, target);
    await Promise.all(Array.from({ length: 120 }, (_, i) => new Promise(
      (done) => {
        const socket = net.connect(nginx.port, '127.0.0.1', () => socket.write(
          `GET ${i % 2 ? target : `/${slug('aio threads')}/big.txt`} ` +
          'HTTP/1.1\r\nHost: x\r\nConnection: close\r\n' +
          `PAYMENT-SIGNATURE: ${pay({ ...required, resource: undefined })}` +
          '\r\n\r\n'));
        socket.on('error', () => {}).on('close', done).resume();
        setTimeout(() => socket.destroy(), i % 5 ? 150 * Math.random() : 4000);
      })));
    await until(async () => (await payments(nginx)).every((p) => !p.busy),
      'the last claims');
    assert.equal((await fetch(nginx.url)).status, 403);
    assert.equal(nginx.workers().length, 2);
  });
});
