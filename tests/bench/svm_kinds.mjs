// /verify and /settle of Solana payments beside the reference, in one run, on
// a real runtime (litesvm) in a process of its own. Payments are the reference
// client's, distinct, and made before the clock starts. What counts for /settle
// is what the payee's account got.
import {Agent, request as httpRequest} from 'node:http';
import {fileURLToPath} from 'node:url';
import {start} from '../devnet/lib.mjs';
import {median} from './bench.lib.mjs';

const percentile = (sorted, part) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))].toFixed(1);

/** One POST on a kept connection; milliseconds, and the answer. */
function ask(agent, url, text) {
  return new Promise((resolve, reject) => {
    const began = performance.now();
    const req = httpRequest(url, {agent, method: 'POST', headers: {'content-type': 'application/json',
      'content-length': Buffer.byteLength(text)}}, (res) => {
      const chunks = [];
      res.on('data', (chunk) => chunks.push(chunk));
      res.on('error', reject);
      res.on('end', () => resolve({ms: performance.now() - began, body: JSON.parse(Buffer.concat(chunks).toString())}));
    });
    req.on('error', reject);
    req.end(text);
  });
}

/** All bodies, so many at a time. */
async function load(url, bodies, connections, isGood) {
  const agent = new Agent({keepAlive: true, maxSockets: connections});
  const texts = bodies.map((body) => JSON.stringify(body));
  const times = [];
  let at = 0;
  let ok = 0;
  const began = performance.now();
  await Promise.all(Array.from({length: connections}, async () => {
    while (at < texts.length) {
      const {ms, body} = await ask(agent, url, texts[at++]);
      times.push(ms);
      if (isGood(body)) ok++;
    }
  }));
  const seconds = (performance.now() - began) / 1000;
  agent.destroy();
  times.sort((a, b) => a - b);
  return {requests: texts.length, ok, failed: texts.length - ok, seconds, per_second: Math.round(texts.length / seconds),
    p50_ms: percentile(times, 0.5), p99_ms: percentile(times, 0.99)};
}

const line = (name, what, connections, r) =>
  `| ${name} | ${what} | ${connections} | ${r.requests} | ${r.ok} | ${r.per_second} | ${r.p50_ms} | ${r.p99_ms} |`;

export async function svmKinds(quick) {
  const {balance, offer, pay, payV1, startDaemon, startDevnet} = await import('../svm/svm.lib.mjs');
  const devnet = await startDevnet();
  const ours = await startDaemon(devnet);
  const theirs = await start(process.execPath, [fileURLToPath(new URL('../svm/peer-facilitator.mjs', import.meta.url))],
    {env: {SVM_RPC_URL: devnet.rpcUrl, SVM_PRIVATE_KEY: devnet.accounts.facilitator.secretKey}, ready: /listening url=(\S+)/});
  const v1 = (terms) => {
    const {amount, ...rest} = terms;
    return payV1(devnet, {...rest, network: 'solana-devnet', maxAmountRequired: amount, resource: 'http://127.0.0.1/x',
      description: '', mimeType: ''});
  };
  const kinds = [['SPL Token', (terms) => pay(devnet, terms), devnet.usdc], ['Token-2022', (terms) => pay(devnet, terms), devnet.plain2022],
    ['SPL Token, v1', v1, devnet.usdc]];
  const [count, connections, rounds] = quick ? [6, 3, 1] : [200, 16, 3];
  const lines = ['## Solana, exact, beside the reference (litesvm)', '',
    '| facilitator | what | connections | requests | ok | per second | p50 ms | p99 ms |', '|---|---|---|---|---|---|---|---|'];
  const results = [];
  const notes = [];
  const make = (kind, asset) => Promise.all(Array.from({length: count}, () => kind(offer(devnet, {asset}))));
  try {
    for (const [name, kind, asset] of kinds) {
      const ratios = {'/verify': [], '/settle': []};
      for (let round = 0; round < rounds; round++) {
        for (const [path, isGood] of [['/verify', (body) => body.isValid], ['/settle', (body) => body.success]]) {
          const sides = [['reference', theirs.match[1]], ['ours', ours.url]];
          const seen = {};
          for (const [side, url] of sides) {
            const bodies = await make(kind, asset);
            const had = await balance(devnet, devnet.accounts.payee.address, asset);
            const result = await load(url + path, bodies, connections, isGood);
            const moved = Number(await balance(devnet, devnet.accounts.payee.address, asset) - had) / 1000;
            if (path === '/settle' && moved !== result.ok) notes.push(`${side} said ${result.ok} and the chain moved ${moved}.`);
            lines.push(line(side, `${path} ${name}`, connections, result));
            results.push({...result, reference: side === 'reference'});
            seen[side] = result.per_second;
          }
          ratios[path].push(seen.ours / seen.reference);
        }
      }
      for (const [path, all] of Object.entries(ratios)) notes.push(`${path} ${name}: ${median(all).toFixed(1)} times the reference's requests per second (median of ${all.length}).`);
    }
  } finally {
    await ours.daemon.stop();
    await theirs.stop();
    await devnet.stop();
  }
  lines.push('', ...notes, '');
  return {text: lines.join('\n'), results};
}
