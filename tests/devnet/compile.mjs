// Compiles tests/devnet/contracts with solc-js. The result is kept under
// build/, named by a hash of every source and version, so that a second start
// takes no time.
import {createHash} from 'node:crypto';
import {existsSync, mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const cacheDir = join(here, '../../build/devnet');
const require = createRequire(import.meta.url);

function ownSources() {
  const dir = join(here, 'contracts');
  return Object.fromEntries(readdirSync(dir).sort().map(
    (file) => [`contracts/${file}`, {content: readFileSync(join(dir, file), 'utf8')}]));
}

function compileAll(sources) {
  const solc = require('solc');
  const input = {
    language: 'Solidity',
    sources,
    settings: {
      // OpenZeppelin 5.5 needs mcopy.
      evmVersion: 'cancun',
      optimizer: {enabled: true, runs: 200},
      outputSelection: {'*': {'*': ['abi', 'evm.bytecode.object', 'evm.deployedBytecode.object']}},
    },
  };
  const findImport = (path) => ({contents: readFileSync(join(here, 'node_modules', path), 'utf8')});
  const output = JSON.parse(solc.compile(JSON.stringify(input), {import: findImport}));
  const errors = (output.errors ?? []).filter((e) => e.severity === 'error');
  if (errors.length > 0) throw new Error(errors.map((e) => e.formattedMessage).join('\n'));
  const contracts = {};
  for (const [file, byName] of Object.entries(output.contracts)) {
    if (!file.startsWith('contracts/')) continue;
    for (const [name, contract] of Object.entries(byName)) {
      contracts[name] = {
        abi: contract.abi,
        bytecode: `0x${contract.evm.bytecode.object}`,
        deployed: `0x${contract.evm.deployedBytecode.object}`,
      };
    }
  }
  return contracts;
}

/** name -> {abi, bytecode, deployed} of every contract of ours. */
export function contracts() {
  const sources = ownSources();
  const hash = createHash('sha256').update(JSON.stringify(sources))
    .update(readFileSync(join(here, 'package-lock.json')))
    .update(readFileSync(fileURLToPath(import.meta.url))).digest('hex').slice(0, 32);
  const cached = join(cacheDir, `contracts-${hash}.json`);
  if (existsSync(cached)) return JSON.parse(readFileSync(cached, 'utf8'));
  const result = compileAll(sources);
  mkdirSync(cacheDir, {recursive: true});
  // Written aside and renamed: two starts at once must not read half a file.
  writeFileSync(`${cached}.${process.pid}`, JSON.stringify(result));
  renameSync(`${cached}.${process.pid}`, cached);
  return result;
}
