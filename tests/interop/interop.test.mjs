// Ours and the reference packages in every combination, as real processes on a
// real chain. Each payment is looked up on chain: what counts is what moved.
import assert from 'node:assert/strict';
import {after, before, test} from 'node:test';
import {startDevnet} from '../devnet/lib.mjs';
import {kinds, openHouse, PRICE} from './house.lib.mjs';

let devnet;
let house;
const server = (...args) => house.server(...args);
const buy = (...args) => house.buy(...args);
const assertBought = (...args) => house.assertBought(...args);

before(async () => {
  devnet = await startDevnet({accounts: 16, fund: 10000});
  house = openHouse(devnet);
});

after(async () => {
  await house?.stop();
  await devnet?.stop();
});

let broke = 0; // accounts used up
for (const version of ['v2', 'v1']) {
  for (const client of kinds) {
    for (const serverKind of kinds) {
      for (const facilitatorKind of kinds) {
        test(`${version}: client ${client}, server ${serverKind}, facilitator ${facilitatorKind}`, async () => {
          const {url} = await server(serverKind, version, facilitatorKind);
          await assertBought(await buy(client, version, `${url}/paid`), /paid/);
        });
      }
    }
  }
}

for (const client of kinds) {
  for (const serverKind of kinds) {
    test(`POST with a body: client ${client}, server ${serverKind}`, async () => {
      const {url} = await server(serverKind, 'v2', 'ours');
      await assertBought(await buy(client, 'v2', `${url}/paid-post`, {method: 'POST', body: '{"a":1}'}), /paid|"a":1/);
    });

    test(`a failing handler costs nothing: client ${client}, server ${serverKind}`, async () => {
      const {url} = await server(serverKind, 'v2', 'ours');
      const {paid, received} = await buy(client, 'v2', `${url}/fail`);
      assert.equal(paid, 0n);
      assert.equal(received, 0n);
    });
  }
}

// Through Permit2. The payer has approved it; payer2 never has, and sends an
// EIP-2612 permit along, for which the reference client asks the chain.
for (const client of kinds) {
  for (const serverKind of kinds) {
    for (const facilitatorKind of kinds) {
      const who = `client ${client}, server ${serverKind}, facilitator ${facilitatorKind}`;
      test(`exact through Permit2: ${who}`, async () => {
        const {url} = await server(serverKind, 'v2', facilitatorKind);
        await assertBought(await buy(client, 'v2', `${url}/permit2`), /paid/);
      });

      test(`upto takes a part: ${who}`, async () => {
        const {url} = await server(serverKind, 'v2', facilitatorKind);
        await assertBought(await buy(client, 'v2', `${url}/upto`), /paid/, 400n);
      });

      test(`upto takes nothing: ${who}`, async () => {
        const {url} = await server(serverKind, 'v2', facilitatorKind);
        await assertBought(await buy(client, 'v2', `${url}/upto-zero`), /paid/, 0n);
      });
    }
  }
}

for (const client of kinds) {
  for (const serverKind of kinds) {
    for (const facilitatorKind of kinds) {
      const who = `client ${client}, server ${serverKind}, facilitator ${facilitatorKind}`;
      for (const [path, price] of [['/permit2', PRICE], ['/upto', 400n]]) {
        test(`${path} with a permit sent along: ${who}`, async () => {
          const {url} = await server(serverKind, 'v2', facilitatorKind);
          await assertBought(await buy(client, 'v2', `${url}${path}`, {payer: 'payer2'}), /paid/, price);
        });

        // Each by an account of its own that has tokens and no ether at all.
        test(`${path} with an approval sent along: ${who}`, async () => {
          const {url} = await server(serverKind, 'v2', facilitatorKind);
          const payer = devnet.info.extra[broke++];
          assert.equal(await devnet.rpc('eth_getBalance', [payer.address, 'latest']), '0x0');
          await assertBought(await buy(client, 'v2', `${url}${path}-approval`, {payer}), /paid/, price);
        });
      }

      test(`settled before it is served: ${who}`, async () => {
        const {url} = await server(serverKind, 'v2', facilitatorKind);
        await assertBought(await buy(client, 'v2', `${url}/upfront`), /paid/);
      });
    }
  }
}
