/*
 * How many payments a second a store carries from reservation to credit, in
 * batches of 200 and with the credits queued at once:
 *   store_bench PATH-OR-URI [PAYMENTS [FIRST]]
 * SQLite writes PATH, so it is durable; remove the file afterwards. A second
 * run on the same store needs another FIRST, past what is there. To see what
 * old payments do to the rate, fill a store between two runs:
 *   store_bench F 400 && node tests/bench/fill.mjs F 5000000
 *   store_bench F 20000 400
 */
#include "run/loop.h"
#include "store/verb.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define BATCH    200
#define FIRST_MS UINT64_C(1700000000000)
#define NETWORK  "eip155:84532"
#define OWNER    "11111111111111111111111111111111"

static struct fac_loop *loop;
static unsigned waiting;
static uint64_t token;

static void on_reply(void *user, const struct fac_store_reply *reply)
{
	(void)user;
	if (reply->err) {
		fprintf(stderr, "store_bench: %s\n", x402_err_name(reply->err));
		exit(1);
	}
	if (reply->number)
		token = reply->number;
	if (--waiting == 0)
		fac_loop_stop(loop);
}

static void submit(struct fac_store *store, struct fac_verb *verb)
{
	waiting++;
	fac_store_submit(
		store, verb, (struct fac_store_to){loop, on_reply, NULL});
}

static void settle(void)
{
	if (waiting)
		fac_loop_run(loop);
}

/* Spread like hashes: real keys are random, and so are their index pages. */
static void mark32(uint64_t number, uint8_t tag, uint8_t ret_mark32[32])
{
	for (size_t i = 0; i < 32; i += 8) {
		uint64_t mixed = (number + 1) * 0x9e3779b97f4a7c15u + i + tag;

		mixed ^= mixed >> 31;
		mixed *= 0xbf58476d1ce4e5b9u;
		memcpy(ret_mark32 + i, &mixed, 8);
	}
}

static void reserve(struct fac_store *store, uint64_t number)
{
	static uint8_t calldata[292];
	uint8_t id16[16];
	/* Later for later ones, as if a thousand came in a second. */
	struct fac_payment payment = {
		.valid_before_unix_s = 4000000000 + number / 1000,
		.x402_version = 2,
		.gas_limit = 100000,
		.may_share = true,
		.scheme = "exact",
		.network = NETWORK,
		.wire_network = NETWORK,
		.caller = "10.0.0.1",
		.owner = OWNER};

	mark32(number, 1, payment.key32);
	mark32(number, 2, payment.fingerprint32);
	mark32(number, 3, payment.payload_hash32);
	mark32(number, 4, payment.proof.nonce32);
	/* As the engine's: the time first. */
	for (size_t i = 0; i < 6; i++)
		id16[i] = (uint8_t)((FIRST_MS + number) >> (40 - 8 * i));
	memcpy(id16 + 6, payment.proof.nonce32, 10);
	fac_payment_id_text(id16, payment.id);
	memcpy(payment.proof.from.bytes, payment.key32, 20);
	payment.proof.value = x402_u256_from_u64(1000);
	payment.calldata.ptr = calldata;
	payment.calldata.len = sizeof(calldata);
	payment.state_calldata = payment.calldata;
	payment.state_calldata.len = 68;
	submit(store, fac_verb_reserve(&payment, NULL));
}

static void run_batch(struct fac_store *store, uint64_t first, uint64_t nonce)
{
	static uint8_t keys[BATCH][32];
	static uint8_t raw[70000];
	static struct fac_store_end ends[BATCH];
	struct fac_transaction transaction = {.nonce = nonce,
		.network = NETWORK,
		.attempts_len = 1,
		.keys32 = keys,
		.keys_len = BATCH};
	struct fac_store_mined mined = {.block_number = nonce};
	struct fac_store_lease lease = {NETWORK, {{0}}, OWNER, token};

	for (uint64_t i = 0; i < BATCH; i++)
		reserve(store, first + i);
	settle();
	mark32(nonce, 9, transaction.id32);
	memcpy(mined.id32, transaction.id32, 32);
	memcpy(mined.hash32, transaction.id32, 32);
	memcpy(transaction.attempts[0].hash32, transaction.id32, 32);
	transaction.attempts[0].raw.ptr = raw;
	transaction.attempts[0].raw.len = sizeof(raw);
	for (uint64_t i = 0; i < BATCH; i++) {
		mark32(first + i, 1, keys[i]);
		memset(&ends[i], 0, sizeof(ends[i]));
		memcpy(ends[i].key32, keys[i], 32);
		ends[i].state = FAC_PAYMENT_SETTLED;
		ends[i].cost_gwei = 50;
	}
	submit(store, fac_verb_journal_signed(&transaction, &lease));
	settle();
	submit(store, fac_verb_mark_broadcast(transaction.id32));
	settle();
	submit(store,
		fac_verb_mark_mined(
			&mined, (struct fac_store_ends){ends, BATCH}, &lease));
	settle();
	for (size_t i = 0; i < BATCH; i++)
		submit(store, fac_verb_credit(keys[i], "{\"success\":true}"));
	settle();
	submit(store, fac_verb_mark_final(transaction.id32, &lease));
	settle();
}

/* What the process has given the block device so far, by the kernel. */
static uint64_t written_bytes(void)
{
	FILE *file = fopen("/proc/self/io", "r");
	char line[80];
	uint64_t bytes = 0;

	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, "write_bytes: ", 13) == 0)
			bytes = strtoull(line + 13, NULL, 10);
	if (file)
		fclose(file);
	return bytes;
}

static uint64_t cpu_us(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) *
		1000000 +
		(uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

int main(int argc, char **argv)
{
	uint64_t payments = argc > 2 ? strtoull(argv[2], NULL, 10) : 20000;
	uint64_t first = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
	struct fac_store_options options = {argc > 1 ? argv[1] : ""};
	struct x402_errinfo info = {"", ""};
	struct fac_store *store;
	struct x402_address signer = {{0}};
	uint64_t began;
	uint64_t took;
	uint64_t cpu;
	uint64_t written;

	if (argc < 2 || payments < BATCH || fac_loop_new(&loop))
		return 2;
	if (fac_store_open(&options, &info, &store)) {
		fprintf(stderr, "store_bench: %s\n", info.text);
		return 1;
	}
	submit(store, fac_verb_lane_acquire(NETWORK, &signer, OWNER, 600000));
	settle();
	began = now_us();
	cpu = cpu_us();
	written = written_bytes();
	for (uint64_t at = 0; at + BATCH <= payments; at += BATCH)
		run_batch(store, first + at, (first + at) / BATCH);
	took = now_us() - began;
	printf("%llu payments from reservation to credit in %llu ms: "
	       "%llu a second, %llu commits; for each payment %llu us of CPU "
	       "and %llu bytes written\n",
		(unsigned long long)payments, (unsigned long long)took / 1000,
		(unsigned long long)(payments * 1000000 / (took ? took : 1)),
		(unsigned long long)fac_store_stats(store).commits,
		(unsigned long long)((cpu_us() - cpu) / payments),
		(unsigned long long)((written_bytes() - written) / payments));
	fac_store_close(store);
	fac_loop_free(loop);
	return 0;
}
