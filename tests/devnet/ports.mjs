// A port for a program that cannot take a free one itself. Not from the range
// that the kernel gives out: what it gave us for a moment it gives to the next
// comer, and a port that is free and not ours yet is anybody's.
import {mkdirSync, readFileSync, rmSync} from 'node:fs';
import {createServer} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';

const LOWEST = 10240;
const TRIES = 1000;
// A claim is a directory, because only one of two can make it; it is gone when
// its process ends. What a killed one leaves behind costs a port.
const claims = join(tmpdir(), `x402-ports-${process.getuid()}`);

/* The first port that the kernel gives out. */
function kernelsFirst() {
  try {
    return Number(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s+/)[0]);
  } catch {
    return 32768;
  }
}

const ours = [];
process.on('exit', () => {
  for (const dir of ours) rmSync(dir, {recursive: true, force: true});
});

function claim(port) {
  const dir = join(claims, String(port));

  try {
    mkdirSync(dir);
  } catch {
    return false;
  }
  ours.push(dir);
  return true;
}

const canListen = (port, host) => new Promise((resolve) => {
  const server = createServer();
  server.once('error', () => resolve(false));
  server.listen({port, host, exclusive: true}, () => server.close(() => resolve(true)));
});

/** A port of the loopback that stays this process's until it ends. */
export async function freePort() {
  const first = kernelsFirst();
  const [low, high] = first > LOWEST + TRIES ? [LOWEST, first] : [LOWEST, 65536];

  mkdirSync(claims, {recursive: true});
  for (let tries = 0; tries < TRIES; tries++) {
    const port = low + Math.floor(Math.random() * (high - low));
    if (claim(port) && await canListen(port, '127.0.0.1')) return port;
  }
  throw new Error(`no free port from ${low} to ${high - 1}`);
}
