// A PostgreSQL of our own: made in a scratch directory, listening on a free
// port of the loopback and on a socket file, ended by process id. The server
// refuses to run as root, so root becomes the user postgres for it.
import {execFileSync} from 'node:child_process';
import {once} from 'node:events';
import {chownSync} from 'node:fs';
import {connect, createServer} from 'node:net';
import {join} from 'node:path';
import {freePort, run, scratchDir, start} from '../devnet/lib.mjs';

const BIN = process.env.POSTGRES_BIN ?? '/usr/lib/postgresql/15/bin';
const isRoot = process.getuid() === 0;
// A change of user ends the parent death signal, so it is asked for again.
const AS_POSTGRES = isRoot ? ['setpriv', '--reuid', 'postgres', '--regid', 'postgres', '--clear-groups',
  '--pdeathsig', 'QUIT', '--'] : [];

const idOf = (flag) => Number(execFileSync('id', [flag, 'postgres'], {encoding: 'utf8'}));

async function makeCluster(dir) {
  if (isRoot) chownSync(dir, idOf('-u'), idOf('-g'));
  const [command, ...args] = [...AS_POSTGRES, join(BIN, 'initdb'), '--pgdata', join(dir, 'data'), '--auth', 'trust',
    '--username', 'postgres', '--encoding', 'UTF8', '--no-locale', '--no-sync'];
  const {code, stderr} = await run(command, args);
  if (code !== 0) throw new Error(`initdb: ${stderr}`);
}

/**
 * @returns {{uri, pid(), query(sql): Promise<object[]>, stop(signal?), start(), restart(signal?)}}
 * SIGINT ends sessions and shuts down in order; SIGQUIT is a crash, recovered from by the next start.
 */
export async function startPostgres() {
  const dir = scratchDir('x402-postgres-');
  const port = await freePort();
  await makeCluster(dir);
  const uri = `postgres://postgres@127.0.0.1:${port}/postgres`;
  let server;
  const postgres = {
    uri,
    pid: () => server.pid,
    async start() {
      const [command, ...args] = [...AS_POSTGRES, join(BIN, 'postgres'), '-D', join(dir, 'data'), '-p', String(port),
        '-h', '127.0.0.1', '-k', dir, '-c', 'max_connections=50', '-c', 'shared_buffers=32MB'];
      server = await start(command, args, {ready: /database system is ready to accept connections/});
    },
    stop: (signal = 'SIGINT') => server.stop(signal),
    async restart(signal = 'SIGINT') {
      await postgres.stop(signal);
      await postgres.start();
    },
    /** Rows of a select, as objects. */
    async query(sql) {
      const text = execFileSync('psql', ['--no-psqlrc', '-qAtX', '-d', uri, '-v', 'ON_ERROR_STOP=1',
        '-c', `select coalesce(json_agg(r), '[]') from (${sql}) r`], {encoding: 'utf8', maxBuffer: 1 << 28});
      return JSON.parse(text);
    },
  };
  await postgres.start();
  return postgres;
}

/**
 * A pooler between daemons and server that drops its clients: what came from
 * the server last is lost, so nobody knows whether it was committed.
 * @returns {{uri, cut(how): number, stop()}} how: 'server' drops the next
 * answer and then the connection, 'client' the next question, 'now' at once
 */
export async function startPooler(postgres) {
  const target = new URL(postgres.uri);
  const pairs = new Set();
  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    const pair = {end() { pairs.delete(pair); client.destroy(); upstream.destroy(); }};
    pairs.add(pair);
    for (const [from, to, name] of [[client, upstream, 'client'], [upstream, client, 'server']]) {
      from.on('data', (bytes) => {
        if (pair.how === name) pair.end();
        else to.write(bytes);
      });
      from.on('error', pair.end);
      from.on('close', pair.end);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    uri: `postgres://postgres@127.0.0.1:${server.address().port}/postgres`,
    cut(how) {
      let struck = 0;
      for (const pair of pairs) {
        if (pair.how) continue;
        struck++;
        pair.how = how;
        if (how === 'now') pair.end();
      }
      return struck;
    },
    async stop() {
      for (const pair of pairs) pair.end();
      server.close();
      await once(server, 'close');
    },
  };
}

/** What the journal says: rows as readSqlite of ledger.mjs gives them. */
export const readPostgres = (postgres) => postgres.query(`select state, encode(nonce, 'hex') as nonce,
  coalesce('0x' || encode(transaction_hash, 'hex'), '') as hash from payments`);
