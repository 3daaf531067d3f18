// Payers that are contracts (ERC-1271), and wallets that do not exist yet
// (ERC-6492), in every combination of our parts and the reference's; by EIP-3009
// and through Permit2. What counts is what moved on the chain.
import assert from 'node:assert/strict';
import {after, before, test} from 'node:test';
import {rpc, startDevnet} from '../devnet/lib.mjs';
import {approvePermit2, futureWallet} from '../devnet/wallets.mjs';
import {kinds, openHouse, PRICE} from './house.lib.mjs';

let devnet;
let house;
before(async () => {
  devnet = await startDevnet({accounts: 2});
  house = openHouse(devnet);
  await approvePermit2(devnet, devnet.info.smartWallet.address);
});
after(async () => {
  await house?.stop();
  await devnet?.stop();
});

const isThere = async (wallet) => await rpc(devnet.info.rpcUrl, 'eth_getCode', [wallet.address, 'latest']) !== '0x';

for (const client of kinds) {
  for (const server of kinds) {
    for (const facilitator of kinds) {
      const who = `client ${client}, server ${server}, facilitator ${facilitator}`;
      for (const [path, price] of [['/paid', PRICE], ['/permit2', PRICE], ['/upto', 400n]]) {
        test(`ERC-1271, ${path}: ${who}`, async () => {
          const {address, ownerKey: privateKey} = devnet.info.smartWallet;
          const {url} = await house.server(server, 'v2', facilitator);
          await house.assertBought(await house.buy(client, 'v2', `${url}${path}`, {payer: {privateKey},
            wallet: {address}}), /paid/, price);
        });
      }

      for (const path of ['/paid', '/permit2']) {
        test(`ERC-6492, ${path}, a factory that is allowed: ${who}`, async () => {
          const wallet = await futureWallet(devnet, {allowance: path === '/permit2'});
          const {url} = await house.server(server, 'v2', `${facilitator}, open`);
          const bought = await house.buy(client, 'v2', `${url}${path}`, {wallet});
          if (path === '/permit2' && facilitator === 'reference') {
            // It asks nobody about a permit whose owner is not there.
            assert.equal(bought.result.status, 402, JSON.stringify(bought.result));
            assert.deepEqual([bought.paid, bought.received, await isThere(wallet)], [0n, 0n, false]);
            return;
          }
          await house.assertBought(bought, /paid/);
          assert.ok(await isThere(wallet));
        });

        test(`ERC-6492, ${path}, a factory that nobody allowed: ${who}`, async () => {
          const wallet = await futureWallet(devnet, {allowance: path === '/permit2'});
          const {url} = await house.server(server, 'v2', facilitator);
          const {result, paid, received} = await house.buy(client, 'v2', `${url}${path}`, {wallet});
          assert.equal(result.status, 402, JSON.stringify(result));
          assert.deepEqual([paid, received, await isThere(wallet)], [0n, 0n, false]);
        });
      }
    }
  }
}
