// A PostgreSQL of our own: made in a scratch directory, listening on a free
// port of the loopback and on a socket file, ended by process id. The server
// refuses to run as root, so root becomes the user postgres for it.
import {execFileSync} from 'node:child_process';
import {chownSync} from 'node:fs';
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

/** What the journal says: rows as readSqlite of ledger.mjs gives them. */
export const readPostgres = (postgres) => postgres.query(`select state, encode(nonce, 'hex') as nonce,
  coalesce('0x' || encode(transaction_hash, 'hex'), '') as hash from payments`);
