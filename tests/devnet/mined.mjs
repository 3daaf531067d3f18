// Wait for a receipt by asking for it. viem's waitForTransactionReceipt asks at
// each new block, and looks away while it reads one: a transaction that is mined
// at that moment is the last of a chain that has no block without a transaction,
// so nothing wakes it any more (once in some two thousand on a busy machine).
const EVERY_MS = 10;

/** client: viem's, public. @returns the receipt, as viem gives it */
export async function mined(client, hash, limitMs = 30000) {
  for (const end = Date.now() + limitMs; ;) {
    try {
      return await client.getTransactionReceipt({hash});
    } catch (error) {
      if (error.name !== 'TransactionReceiptNotFoundError') throw error;
    }
    if (Date.now() > end) throw new Error(`${hash} was not mined within ${limitMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  }
}
