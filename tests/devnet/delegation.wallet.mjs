#!/usr/bin/env node
// A payer's wallet as examples/delegation.c asks one: the terms are its
// arguments, and it prints the payload that it has signed, bound to them.
//   DELEGATION_WALLET  JSON: what delegationWallet() of delegation.mjs takes
import {delegationWallet} from './delegation.mjs';

const [network, token, payTo, amount, delegate, until, salt] = process.argv.slice(2);
const given = JSON.parse(process.env.DELEGATION_WALLET);
if (network !== given.info.network) throw new Error(`no account on ${network}`);
const wallet = delegationWallet(given);
const delegation = await wallet.delegation({delegate, salt: BigInt(salt),
  caveats: wallet.caveats({token, payTo, amount, until: Number(until)})});
console.log(JSON.stringify({delegationManager: wallet.manager, delegator: given.payer.address,
  permissionContext: wallet.context(delegation)}));
