// Resident memory: idle, under load, and with connections that only stay open.
import {once} from 'node:events';
import {connect} from 'node:net';
import {sleep} from '../devnet/lib.mjs';
import {load, rssMb, startConfigured, withBoth, withNullRpc} from './bench.lib.mjs';

export async function memory(quick) {
  const lines = ['## Memory (VmRSS)', '', '| facilitator | idle MB | after | MB |', '|---|---|---|---|'];
  const results = [];
  await withBoth({}, async ({file, ours, theirs}) => {
    const idle = [rssMb(ours.pid), rssMb(theirs.pid)];
    const ourVerifies = quick ? 400 : 100000;
    const theirVerifies = quick ? 100 : 5000;
    for (let done = 0; done < ourVerifies; done += 10000)
      results.push(await load(`${ours.url}/verify`, file, 64, Math.min(10000, ourVerifies - done)));
    results.push({...await load(`${theirs.url}/verify`, file, 64, theirVerifies), reference: true});
    lines.push(`| ours | ${idle[0]} | ${ourVerifies} verifies | ${rssMb(ours.pid)} |`,
      `| reference | ${idle[1]} | ${theirVerifies} verifies | ${rssMb(theirs.pid)} |`, '');
  });
  return {text: lines.join('\n'), results};
}

/** A connection that asked one thing, got its answer, and stays. */
async function openIdle(port) {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.write('GET /health HTTP/1.1\r\nHost: bench\r\n\r\n');
  const [answer] = await once(socket, 'data');
  if (!String(answer).startsWith('HTTP/1.1 200')) throw new Error(`expected 200, got ${answer}`);
  return socket;
}

export async function idle(quick) {
  const count = quick ? 200 : 10000;
  const lines = [`## ${count} idle keep-alive connections (VmRSS)`, '',
    '| connections | MB | KB each | /verify beside them, ok of |', '|---|---|---|---|'];
  const results = [];
  await withNullRpc({}, async ({info, file}) => {
    const ours = await startConfigured(info, 'max_connections = 12000');
    const port = Number(new URL(ours.url).port);
    const sockets = [];
    try {
      lines.push(`| 0 | ${rssMb(ours.pid)} | | |`);
      const before = Number(rssMb(ours.pid));
      while (sockets.length < count)
        sockets.push(...await Promise.all(Array.from({length: 100}, () => openIdle(port))));
      await sleep(500);
      const held = rssMb(ours.pid);
      const result = await load(`${ours.url}/verify`, file, 64, quick ? 100 : 20000);
      const dead = sockets.filter((socket) => socket.destroyed || !socket.readable).length;
      if (dead) throw new Error(`${dead} of the idle connections were closed`);
      lines.push(`| ${count} | ${held} | ${((held - before) * 1024 / count).toFixed(1)} | |`,
        `| ${count}, after load | ${rssMb(ours.pid)} | | ${result.ok} of ${result.requests} |`, '');
      results.push(result);
    } finally {
      for (const socket of sockets) socket.destroy();
      await ours.stop();
    }
  });
  return {text: lines.join('\n'), results};
}
