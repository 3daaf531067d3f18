// A real nginx with our module, on free ports and in a directory of its own,
// and an origin behind it: what the module's tests are made of.

import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { freePort } from '../devnet/ports.mjs';
import { request } from './provider.lib.mjs';

export { freePort };
const top = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const build = process.env.X402_BUILD_DIR ?? path.join(top, 'build/asan');
// As people use it: copied to where no library of ours is beside it.
const module_ = path.join(scratch(), 'ngx_http_x402_module.so');
fs.copyFileSync(path.join(build, 'provider-sdk/nginx/ngx_http_x402_module.so'),
  module_);

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

export async function until(condition, what = 'a condition', ms = 30000) {
  const end = Date.now() + ms;
  while (!await condition()) {
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await sleep(10);
  }
}

// A module with ASan in it needs ASan in nginx; nginx itself leaks at its end.
function sanitizer() {
  if (!fs.readFileSync(module_).includes('__asan_init')) return {};
  return {
    LD_PRELOAD: execFileSync('gcc', ['-print-file-name=libasan.so'])
      .toString().trim(),
    ASAN_OPTIONS: 'detect_leaks=0:abort_on_error=1',
    UBSAN_OPTIONS: 'halt_on_error=1:print_stacktrace=1',
  };
}

const alive = (pid) => {
  try {
    // A zombie has ended.
    return !/^State:\s+Z/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
};

// And not one of those that look after caches.
const isWorker = (pid) => /worker process/.test(
  fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8'));

/** A directory that ends with this process. */
export function scratch() {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'x402-nginx-'));
  process.on('exit', () => fs.rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/**
 * Start nginx. http: the inside of the http block, where PORT stands for the
 * port; files: what its root holds, by path. load: false leaves our module out.
 * daemon: as an init system of old starts it, which alone can be upgraded; how
 * it ended is not known then.
 */
export async function startNginx(http_, { files = {}, workers = 2, dir = scratch(),
  port, load = true, main = '', events = '', daemon = false } = {}) {
  const nginx = { dir, port: port ?? await freePort(), log: '' };
  nginx.url = `http://127.0.0.1:${nginx.port}`;
  fs.mkdirSync(path.join(dir, 'html'), { recursive: true });
  for (const [name, text] of Object.entries(files)) {
    const file = path.join(dir, 'html', name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, text);
  }
  const conf = path.join(dir, 'nginx.conf');
  nginx.configure = (text) => fs.writeFileSync(conf, `
${load ? `load_module ${module_};` : ''}
daemon ${daemon ? 'on' : 'off'}; user root; worker_processes ${workers}; pid ${dir}/nginx.pid;
error_log ${dir}/error.log info; ${main}
${daemon ? Object.keys(sanitizer()).map((name) => `env ${name};`).join(' ') : ''}
events { worker_connections 1024; ${events} }
http {
  client_body_temp_path ${dir}/body; proxy_temp_path ${dir}/proxy;
  fastcgi_temp_path ${dir}/fastcgi; uwsgi_temp_path ${dir}/uwsgi;
  scgi_temp_path ${dir}/scgi;
  log_format x402 '$request_method $request_uri $status '
    '[$x402_state] [$x402_payer] [$x402_tx] [$x402_amount]';
  access_log ${dir}/access.log ${load ? 'x402' : 'combined'};
  ${text.replaceAll('PORT', nginx.port).replaceAll('DIR', dir)}
}
`.replace(load ? /^$/ : /log_format x402[^;]*;/, ''));
  nginx.configure(http_);
  const spawnIt = () => {
    const child = spawn('setpriv', ['--pdeathsig', 'TERM', '--',
      '/usr/sbin/nginx', '-e', 'stderr', '-c', conf, '-p', dir],
    { env: { ...process.env, ...sanitizer() },
      stdio: ['ignore', 'ignore', 'pipe'] });
    nginx.child = child;
    nginx.pid = child.pid;
    child.stderr.on('data', (data) => { nginx.log += data; });
    nginx.exited = new Promise((done) => child.on('exit', (code, signal) => {
      nginx.ended = { code, signal };
      done(nginx.ended);
    }));
  };
  const pidfile = () => {
    try {
      return Number(fs.readFileSync(path.join(dir, 'nginx.pid'), 'utf8'));
    } catch {
      return 0; // not there, between two masters
    }
  };
  // The child has put itself into the background; its master is another.
  const adopt = async () => {
    const { code } = await nginx.exited;
    if (code !== 0) throw new Error(`nginx ended: ${nginx.log}`);
    await until(pidfile, 'a pid file');
    nginx.pid = pidfile();
    nginx.ended = null;
    nginx.exited = null;
  };
  const masterEnded = () => nginx.exited ?? until(() => !alive(nginx.pid),
    'the master to end', 30000).then(() => ({ code: 0, signal: null }));
  nginx.start = async () => {
    nginx.ended = null;
    spawnIt();
    if (daemon) await adopt();
    const check = () => {
      if (nginx.ended)
        throw new Error(`nginx ended: ${nginx.log}${nginx.errors()}`);
    };
    await until(() => new Promise((done) => {
      check();
      const socket = net.connect(nginx.port, '127.0.0.1');
      socket.on('connect', () => { socket.destroy(); done(true); });
      socket.on('error', () => done(false));
    }), 'nginx to listen');
    await until(() => {
      check();
      return nginx.workers().length === workers;
    }, 'workers');
  };
  // Workers, and who keeps nginx's caches.
  nginx.children = () => {
    try {
      return fs.readFileSync(
        `/proc/${nginx.pid}/task/${nginx.pid}/children`, 'utf8').split(' ')
        .filter(Boolean).map(Number).filter(alive);
    } catch {
      return []; // the master has ended
    }
  };
  nginx.workers = () => nginx.children().filter((pid) => {
    try {
      return isWorker(pid);
    } catch {
      return false; // it has ended just now
    }
  });
  nginx.errors = () => {
    const file = path.join(dir, 'error.log'); // none before it could begin
    return fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '';
  };
  nginx.access = () => fs.readFileSync(path.join(dir, 'access.log'), 'utf8');
  // New workers serve when this resolves; old ones may be finishing.
  nginx.reload = async () => {
    const old = nginx.workers();
    process.kill(nginx.pid, 'SIGHUP');
    await until(() => nginx.workers().some((pid) => !old.includes(pid)),
      'new workers');
    await sleep(50);
    return old;
  };
  nginx.drained = (pids) => until(() => !pids.some(alive), 'old workers', 30000);
  nginx.stop = async (signal = 'SIGQUIT') => {
    const pids = [...nginx.workers(), ...nginx.elders];
    process.kill(nginx.pid, signal);
    const timer = setTimeout(() => process.kill(nginx.pid, 'SIGTERM'), 8000);
    const ended = await masterEnded();
    clearTimeout(timer);
    await nginx.drained(pids);
    return ended;
  };
  // A new master with new workers, and the old ones told to finish.
  nginx.elders = [];
  nginx.upgrade = async () => {
    const old = [nginx.pid, ...nginx.children()];
    process.kill(nginx.pid, 'SIGUSR2');
    await until(() => ![0, nginx.pid].includes(pidfile()), 'a new master');
    nginx.pid = pidfile();
    await until(() => nginx.workers().length === workers, 'its workers');
    process.kill(old[0], 'SIGQUIT');
    nginx.elders = [...nginx.elders.filter(alive), ...old];
    return old;
  };
  // As a power switch would, but for the page cache.
  nginx.killAll = async () => {
    const pids = [nginx.pid, ...nginx.children(),
      ...nginx.elders.filter(alive)];
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    await masterEnded();
    await nginx.drained(pids);
    fs.rmSync(path.join(dir, 'nginx.pid'), { force: true });
  };
  process.on('exit', () => {
    if (!nginx.ended && alive(nginx.pid)) process.kill(nginx.pid, 'SIGTERM');
  });
  await nginx.start();
  return nginx;
}

// nginx -t on a configuration; its words.
export function testConfig(http_) {
  const dir = scratch();
  const conf = path.join(dir, 'nginx.conf');
  fs.writeFileSync(conf, `load_module ${module_};\npid ${dir}/nginx.pid;\n` +
    `error_log stderr; events {} http { access_log off;\n` +
    `x402_state ${dir}/state; ${http_} }`);
  try {
    execFileSync('/usr/sbin/nginx', ['-e', 'stderr', '-t', '-c', conf],
      { env: { ...process.env, ...sanitizer() }, stdio: 'pipe' });
    return 'ok';
  } catch (error) {
    return error.stderr.toString();
  }
}

// An origin whose handler is a function (req, res, body); it counts.
export async function startOrigin(handler) {
  const origin = { asked: 0, handler };
  origin.server = http.createServer((req, res) => {
    const chunks = [];
    req.on('data', (chunk) => chunks.push(chunk));
    req.on('error', () => {});
    res.on('error', () => {});
    req.on('end', () => {
      origin.asked++;
      origin.handler(req, res, Buffer.concat(chunks).toString());
    });
  });
  await new Promise((done) => origin.server.listen(0, '127.0.0.1', done));
  origin.url = `http://127.0.0.1:${origin.server.address().port}`;
  origin.stop = () => {
    origin.server.closeAllConnections();
    return new Promise((done) => origin.server.close(done));
  };
  return origin;
}

// By a connection of its own: one that is kept may be closed with its worker.
export const metrics = async (nginx, location = '/x402-status') => {
  const { text } = await request(nginx, location);
  return Object.fromEntries([...text.matchAll(/event="(\w+)"\} (\d+)/g)]
    .map(([, name, value]) => [name, Number(value)]));
};

export const payments = async (nginx, location = '/x402-status') =>
  (await request(nginx, `${location}?payments`)).text.split('\n')
    .filter(Boolean).map((line) => JSON.parse(line));

// The same when nothing is under way: an answer may be read before its sender
// has noted that it left.
export async function atRest(nginx) {
  let list;
  await until(async () => {
    list = await payments(nginx);
    return list.every((p) => !p.busy);
  }, 'claims to end');
  return list;
}
