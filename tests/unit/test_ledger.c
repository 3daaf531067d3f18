/*
 * The ledger of the nginx module (provider-sdk/nginx/ledger.h): claims across
 * processes that live and die, and files that are not what they should be.
 * Gates without a payment stand in for those that have one: the ledger keys by
 * what it is told.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_house.h"

#include "ledger.h"

#define NOW  ((uint64_t)1795240000)
#define SOON (NOW + 300)

struct house {
	char path[64];
	struct x402_provider *provider;
	struct x402_gate *gate;
	struct x402_ledger *ledger;
	struct x402_provider_memory memory;
};

static int house_open(void **state)
{
	static const struct x402_provider_route free_route = {.pattern = "/*"};
	const struct x402_provider_options options = {
		.trust_host = true, .routes = &free_route, .routes_len = 1};
	struct house *house = calloc(1, sizeof(*house));

	assert_non_null(house);
	snprintf(house->path, sizeof(house->path), "/tmp/x402-ledger-%ld",
		(long)getpid());
	unlink(house->path);
	assert_int_equal(
		x402_provider_new(&options, NULL, &house->provider), X402_OK);
	assert_int_equal(x402_gate_new(house->provider, &house->gate), X402_OK);
	assert_int_equal(
		x402_ledger_create(house->path, 64, (uid_t)-1, NULL), X402_OK);
	assert_int_equal(
		x402_ledger_open(house->path, NULL, &house->ledger), X402_OK);
	house->memory = x402_ledger_memory(house->ledger);
	*state = house;
	return 0;
}

static int house_close(void **state)
{
	struct house *house = *state;

	x402_ledger_close(house->ledger);
	x402_gate_free(house->gate);
	x402_provider_free(house->provider);
	unlink(house->path);
	free(house);
	return 0;
}

static struct x402_claim_key key_of(uint8_t payment, uint8_t request)
{
	struct x402_claim_key key;

	memset(&key, 0, sizeof(key));
	key.payment32[0] = payment;
	key.payment32[31] = payment;
	key.request32[0] = request;
	return key;
}

static enum x402_claim claim_at(struct house *house, uint8_t payment,
	uint8_t request, uint64_t now, char **ret_receipt)
{
	struct x402_claim_key key = key_of(payment, request);

	return house->memory.claim(
		house->memory.user, house->gate, &key, SOON, now, ret_receipt);
}

static enum x402_claim claim(
	struct house *house, uint8_t payment, uint8_t request)
{
	char *receipt = NULL;
	enum x402_claim result = claim_at(
		house, payment, request, NOW, &receipt);

	free(receipt);
	return result;
}

static bool asking(struct house *house, uint8_t payment)
{
	struct x402_claim_key key = key_of(payment, 1);

	return house->memory.asking(house->memory.user, house->gate, &key);
}

static void settled(struct house *house, uint8_t payment, const char *receipt)
{
	struct x402_claim_key key = key_of(payment, 1);

	house->memory.settled(house->memory.user, house->gate, &key, receipt);
}

/* This gate never chose an offer, so its note is an empty one. */
static bool recall(struct house *house, uint8_t payment, uint8_t request)
{
	struct x402_claim_key key = key_of(payment, request);
	struct x402_claim_note note;

	memset(&note, 0xff, sizeof(note));
	if (!house->memory.recall(house->memory.user, house->gate, &key, &note))
		return false;
	assert_int_equal(note.facilitator, 0);
	assert_string_equal(note.amount, "");
	assert_string_equal(note.price, "");
	return true;
}

static void end(struct house *house, uint8_t payment, enum x402_claim_end how)
{
	struct x402_claim_key key = key_of(payment, 1);

	house->memory.end(house->memory.user, house->gate, &key, how, NULL);
}

/* Another process takes a claim as far as it is told, and dies. */
static void die_with(struct house *house, uint8_t payment, int steps)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct x402_ledger *ledger = NULL;

		if (x402_ledger_open(house->path, NULL, &ledger) != X402_OK)
			_exit(2);
		house->memory = x402_ledger_memory(ledger);
		if (claim(house, payment, 1) != X402_CLAIM_NEW)
			_exit(3);
		if (steps > 0 && !asking(house, payment))
			_exit(4);
		if (steps > 1)
			settled(house, payment, "receipt");
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_ledger_second_claim_is_busy_until_it_ends(void **state)
{
	struct house *house = *state;

	assert_int_equal(claim(house, 1, 1), X402_CLAIM_NEW);
	assert_int_equal(claim(house, 1, 1), X402_CLAIM_BUSY);
	assert_int_equal(claim(house, 1, 2), X402_CLAIM_BUSY);
	assert_int_equal(claim(house, 2, 1), X402_CLAIM_NEW);
	end(house, 1, X402_CLAIM_END_FORGET);
	assert_int_equal(claim(house, 1, 2), X402_CLAIM_NEW);
}

static void test_ledger_each_end_leads_to_its_claim(void **state)
{
	struct house *house = *state;
	char *receipt = NULL;

	assert_int_equal(claim(house, 1, 1), X402_CLAIM_NEW);
	assert_true(asking(house, 1));
	end(house, 1, X402_CLAIM_END_UNKNOWN);
	assert_int_equal(claim(house, 1, 2), X402_CLAIM_SPENT);
	assert_int_equal(claim(house, 1, 1), X402_CLAIM_UNKNOWN);
	assert_int_equal(claim(house, 1, 1), X402_CLAIM_BUSY);
	settled(house, 1, "r");
	end(house, 1, X402_CLAIM_END_PAID);
	assert_int_equal(claim(house, 1, 2), X402_CLAIM_SPENT);
	assert_int_equal(claim_at(house, 1, 1, NOW, &receipt), X402_CLAIM_PAID);
	assert_string_equal(receipt, "r");
	free(receipt);
	end(house, 1, X402_CLAIM_END_SPENT);
	assert_int_equal(
		claim_at(house, 1, 1, NOW, &receipt), X402_CLAIM_SPENT);
	assert_string_equal(receipt, "r");
	free(receipt);
	assert_int_equal(
		claim_at(house, 1, 2, NOW, &receipt), X402_CLAIM_SPENT);
	assert_null(receipt);
}

static void test_ledger_claims_of_the_dead_say_how_far_they_got(void **state)
{
	struct house *house = *state;
	char *receipt = NULL;

	die_with(house, 1, 0);
	assert_int_equal(claim(house, 1, 2), X402_CLAIM_NEW);
	die_with(house, 2, 1);
	assert_int_equal(claim(house, 2, 2), X402_CLAIM_SPENT);
	assert_true(recall(house, 2, 1)); /* though nobody holds it */
	assert_false(recall(house, 9, 1));
	assert_int_equal(claim(house, 2, 1), X402_CLAIM_UNKNOWN);
	assert_true(recall(house, 2, 1));
	assert_false(recall(house, 2, 2));
	die_with(house, 3, 2);
	assert_int_equal(claim_at(house, 3, 1, NOW, &receipt), X402_CLAIM_PAID);
	assert_string_equal(receipt, "receipt");
	free(receipt);
}

static void test_ledger_claims_of_the_living_are_busy_for_others(void **state)
{
	struct house *house = *state;
	int status;
	pid_t pid;

	assert_int_equal(claim(house, 1, 1), X402_CLAIM_NEW);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct x402_ledger *ledger = NULL;

		if (x402_ledger_open(house->path, NULL, &ledger) != X402_OK)
			_exit(2);
		house->memory = x402_ledger_memory(ledger);
		if (claim(house, 1, 1) != X402_CLAIM_BUSY)
			_exit(3);
		/* Nor is it theirs to end. */
		end(house, 1, X402_CLAIM_END_FORGET);
		_exit(asking(house, 1) ? 4 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_true(asking(house, 1));
}

static void test_ledger_survives_all_who_had_it_open(void **state)
{
	struct house *house = *state;
	struct x402_ledger *again = NULL;
	uint8_t secret32[32];

	memcpy(secret32, house->memory.secret32, 32);
	assert_int_equal(claim(house, 1, 1), X402_CLAIM_NEW);
	assert_true(asking(house, 1));
	x402_ledger_add(house->ledger, X402_LEDGER_SETTLED);
	x402_ledger_close(house->ledger);
	assert_int_equal(
		x402_ledger_create(house->path, 128, (uid_t)-1, NULL), X402_OK);
	assert_int_equal(x402_ledger_open(house->path, NULL, &again), X402_OK);
	house->ledger = again;
	house->memory = x402_ledger_memory(again);
	assert_memory_equal(house->memory.secret32, secret32, 32);
	assert_int_equal(x402_ledger_count(again, X402_LEDGER_SETTLED), 1);
	assert_int_equal(claim(house, 1, 1), X402_CLAIM_UNKNOWN);
	assert_true(asking(house, 1));
	assert_true(x402_ledger_sync(again));
}

static void count_entry(void *user, const struct x402_ledger_entry *entry)
{
	size_t *counts = user;

	counts[entry->state]++;
}

static void test_ledger_full_turns_away_and_forgets_nothing(void **state)
{
	struct house *house = *state;
	size_t counts[X402_LEDGER_STATE_SPENT + 1] = {0};

	for (uint8_t i = 0; i < 64; i++) {
		assert_int_equal(claim(house, i, 1), X402_CLAIM_NEW);
		assert_true(asking(house, i));
		settled(house, i, "r");
		end(house, i,
			i % 2 ? X402_CLAIM_END_PAID : X402_CLAIM_END_SPENT);
	}
	assert_int_equal(claim(house, 64, 1), X402_CLAIM_FULL);
	assert_int_equal(claim(house, 63, 1), X402_CLAIM_PAID);
	assert_int_equal(claim(house, 62, 1), X402_CLAIM_SPENT);
	x402_ledger_each(house->ledger, count_entry, counts);
	assert_int_equal(counts[X402_LEDGER_STATE_PAID], 32);
	assert_int_equal(counts[X402_LEDGER_STATE_SPENT], 32);
}

static void test_ledger_old_payments_make_room_but_not_what_is_owed(
	void **state)
{
	struct house *house = *state;
	uint64_t later = SOON + 601;
	char *receipt = NULL;

	for (uint8_t i = 0; i < 64; i++) {
		assert_int_equal(claim(house, i, 1), X402_CLAIM_NEW);
		assert_true(asking(house, i));
		end(house, i,
			i == 9 ? X402_CLAIM_END_SPENT : X402_CLAIM_END_PAID);
	}
	assert_int_equal(
		claim_at(house, 100, 1, later - 1, &receipt), X402_CLAIM_FULL);
	assert_int_equal(
		claim_at(house, 100, 1, later, &receipt), X402_CLAIM_NEW);
	assert_int_equal(
		claim_at(house, 101, 1, later, &receipt), X402_CLAIM_FULL);
	/* A month later nobody comes for it any more. */
	assert_int_equal(claim_at(house, 101, 1,
				 later + (uint64_t)30 * 24 * 60 * 60, &receipt),
		X402_CLAIM_NEW);
}

/* A stranger fills it with payments whose outcome nobody knows. */
static void test_ledger_doubt_makes_room_in_need_but_not_what_is_owed(
	void **state)
{
	struct house *house = *state;
	uint64_t later = SOON + 601;
	char *receipt = NULL;

	for (uint8_t i = 0; i < 64; i++) {
		assert_int_equal(claim(house, i, 1), X402_CLAIM_NEW);
		assert_true(asking(house, i));
		end(house, i,
			i < 62 ? X402_CLAIM_END_PAID : X402_CLAIM_END_UNKNOWN);
	}
	/* Not while it can be settled. */
	assert_int_equal(
		claim_at(house, 100, 1, later - 1, &receipt), X402_CLAIM_FULL);
	assert_int_equal(
		claim_at(house, 100, 1, later, &receipt), X402_CLAIM_NEW);
	assert_int_equal(
		claim_at(house, 101, 1, later, &receipt), X402_CLAIM_NEW);
	assert_int_equal(
		claim_at(house, 102, 1, later, &receipt), X402_CLAIM_FULL);
	assert_int_equal(
		claim_at(house, 61, 1, later, &receipt), X402_CLAIM_PAID);
}

/* With room elsewhere it stays for its month. */
static void test_ledger_doubt_stays_while_there_is_room(void **state)
{
	struct house *house = *state;
	uint64_t later = SOON + 601;
	char *receipt = NULL;

	for (uint8_t i = 0; i < 63; i++) {
		assert_int_equal(claim(house, i, 1), X402_CLAIM_NEW);
		assert_true(asking(house, i));
		end(house, i, X402_CLAIM_END_UNKNOWN);
	}
	assert_int_equal(
		claim_at(house, 100, 1, later, &receipt), X402_CLAIM_NEW);
	for (uint8_t i = 0; i < 63; i++)
		assert_int_equal(claim_at(house, i, 1, later, &receipt),
			X402_CLAIM_UNKNOWN);
}

static void test_ledger_longest_receipt_is_kept_and_longer_is_not(void **state)
{
	struct house *house = *state;
	char text[1500];
	char *receipt = NULL;

	memset(text, 'r', sizeof(text));
	text[1199] = '\0';
	assert_int_equal(claim(house, 1, 1), X402_CLAIM_NEW);
	settled(house, 1, text);
	end(house, 1, X402_CLAIM_END_PAID);
	assert_int_equal(claim_at(house, 1, 1, NOW, &receipt), X402_CLAIM_PAID);
	assert_string_equal(receipt, text);
	free(receipt);
	text[1199] = 'r';
	text[1200] = '\0';
	assert_int_equal(claim(house, 2, 1), X402_CLAIM_NEW);
	settled(house, 2, text);
	end(house, 2, X402_CLAIM_END_PAID);
	assert_int_equal(claim_at(house, 2, 1, NOW, &receipt), X402_CLAIM_PAID);
	assert_null(receipt);
}

static void refused(const char *path, const char *words)
{
	struct x402_errinfo info = {{0}, {0}};
	struct x402_ledger *ledger = NULL;

	assert_int_equal(x402_ledger_create(path, 64, (uid_t)-1, &info),
		X402_ERR_INVALID_ARGUMENT);
	if (!strstr(info.text, words))
		fail_msg("expected '%s' in '%s'", words, info.text);
	assert_int_equal(x402_ledger_open(path, NULL, &ledger),
		X402_ERR_INVALID_ARGUMENT);
	assert_null(ledger);
}

static void test_ledger_other_files_are_refused(void **state)
{
	struct house *house = *state;
	char other[80];
	int fd;

	refused("/nowhere/x402.state", "cannot make it");
	refused("/tmp", "cannot open it");
	snprintf(other, sizeof(other), "%s.other", house->path);
	unlink(other);
	assert_int_equal(symlink(house->path, other), 0);
	refused(other, "cannot open it");
	unlink(other);
	fd = open(other, O_RDWR | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 8192), 0);
	refused(other, "is not a ledger");
	close(fd);
	unlink(other);
	assert_int_equal(truncate(house->path, 8192), 0);
	refused(house->path, "another version or cut");
	assert_int_equal(x402_ledger_create(other, 63, (uid_t)-1, NULL),
		X402_ERR_INVALID_ARGUMENT);
	assert_int_not_equal(access(other, F_OK), 0);
}

/* The same file as version 1 had it: no counts between header and slots. */
static void make_version_1(const char *path)
{
	static const uint32_t version = 1;
	static uint8_t bytes[4096 + 64 * 2048];
	int fd = open(path, O_RDWR);
	off_t size = lseek(fd, 0, SEEK_END);

	assert_true(size > (off_t)sizeof(bytes));
	assert_int_equal(pread(fd, bytes, 4096, 0), 4096);
	memcpy(bytes + 8, &version, sizeof(version));
	assert_int_equal(pread(fd, bytes + 4096, 64 * 2048, size - 64 * 2048),
		64 * 2048);
	close(fd);
	/* Another file: whoever had the first open has that one still. */
	assert_int_equal(unlink(path), 0);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	assert_int_equal(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
	close(fd);
}

static void test_ledger_of_version_1_is_brought_up_to_date(void **state)
{
	struct house *house = *state;
	uint8_t secret[32];
	char *receipt = NULL;

	memcpy(secret, house->memory.secret32, 32);
	assert_int_equal(claim(house, 1, 1), X402_CLAIM_NEW);
	assert_true(asking(house, 1));
	settled(house, 1, "receipt");
	end(house, 1, X402_CLAIM_END_PAID);
	assert_int_equal(claim(house, 2, 1), X402_CLAIM_NEW);
	end(house, 2, X402_CLAIM_END_SPENT);
	x402_ledger_close(house->ledger);
	house->ledger = NULL;
	make_version_1(house->path);
	/* Workers do not; their master has done it. */
	assert_int_equal(x402_ledger_open(house->path, NULL, &house->ledger),
		X402_ERR_INVALID_ARGUMENT);
	assert_int_equal(
		x402_ledger_create(house->path, 99, (uid_t)-1, NULL), X402_OK);
	assert_int_equal(
		x402_ledger_open(house->path, NULL, &house->ledger), X402_OK);
	house->memory = x402_ledger_memory(house->ledger);
	assert_memory_equal(house->memory.secret32, secret, 32);
	assert_int_equal(claim_at(house, 1, 1, NOW, &receipt), X402_CLAIM_PAID);
	assert_string_equal(receipt, "receipt");
	free(receipt);
	assert_int_equal(claim(house, 2, 1), X402_CLAIM_SPENT);
	assert_int_equal(claim(house, 3, 1), X402_CLAIM_NEW);
}

/* By a process of its own: locks are a process's. */
static void test_ledger_of_version_1_in_use_is_left_alone(void **state)
{
	struct house *house = *state;
	struct x402_errinfo info = {{0}, {0}};
	struct stat before;
	struct stat after;
	int ready[2];
	int leave[2];
	char byte = 0;
	pid_t child;
	int status;

	make_version_1(house->path);
	assert_int_equal(stat(house->path, &before), 0);
	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(leave), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct flock owner = {.l_type = F_WRLCK,
			.l_whence = SEEK_SET,
			.l_start = ((off_t)1 << 40) + 8,
			.l_len = 1};
		int fd = open(house->path, O_RDWR);

		close(leave[1]);
		if (fcntl(fd, F_SETLK, &owner) || write(ready[1], "r", 1) != 1)
			_exit(1);
		(void)!read(leave[0], &byte, 1); /* until the end of it */
		_exit(0);
	}
	close(leave[0]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(x402_ledger_create(house->path, 64, (uid_t)-1, &info),
		X402_ERR_INVALID_ARGUMENT);
	assert_non_null(strstr(info.text, "stop that first"));
	assert_int_equal(stat(house->path, &after), 0);
	assert_int_equal(after.st_ino, before.st_ino);
	close(leave[1]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	close(ready[0]);
	close(ready[1]);
	/* Nobody has it now. */
	assert_int_equal(
		x402_ledger_create(house->path, 64, (uid_t)-1, NULL), X402_OK);
	assert_int_equal(stat(house->path, &after), 0);
	assert_true(after.st_size > before.st_size);
}

/* Neither a damaged one nor half of one. */
static void test_ledger_of_version_1_cut_is_refused(void **state)
{
	struct house *house = *state;

	make_version_1(house->path);
	assert_int_equal(truncate(house->path, 4096 + 63 * 2048), 0);
	refused(house->path, "another version or cut");
}

static void test_ledger_file_is_its_owners_alone(void **state)
{
	struct house *house = *state;
	struct stat stat_;

	assert_int_equal(stat(house->path, &stat_), 0);
	assert_int_equal(stat_.st_mode & 0777, 0600);
	/* All of its blocks are there: a full disk is found out now. */
	assert_true(stat_.st_blocks * 512 >= stat_.st_size);
}

static bool count(struct house *house, uint8_t key, uint32_t limit,
	uint64_t until, uint64_t now)
{
	const uint8_t key32[32] = {[31] = key};

	return house->memory.count(
		house->memory.user, key32, limit, until, now);
}

static bool counted(struct house *house, uint8_t key, uint64_t now)
{
	const uint8_t key32[32] = {[31] = key};

	return house->memory.counted(house->memory.user, key32, now);
}

static void test_ledger_counts_end_and_are_bounded(void **state)
{
	struct house *house = *state;
	const uint8_t key32[32] = {[31] = 1};

	assert_true(count(house, 1, 2, NOW + 9, NOW));
	assert_true(count(house, 1, 2, NOW + 99, NOW + 1));
	assert_false(count(house, 1, 2, NOW + 99, NOW + 9));
	assert_true(counted(house, 1, NOW + 9));
	/* The first one has set the end. */
	assert_false(counted(house, 1, NOW + 10));
	assert_true(count(house, 1, 1, NOW + 99, NOW + 10));
	house->memory.uncount(house->memory.user, key32, NOW + 10);
	assert_false(counted(house, 1, NOW + 10));
	/* One row of the table: no room is no favour, and nobody else's end. */
	for (uint8_t i = 1; i <= 16; i++)
		assert_true(count(house, i, 1, NOW + 9, NOW));
	assert_false(count(house, 17, 1, NOW + 9, NOW));
	assert_true(counted(house, 16, NOW));
	/* Claims are none the wiser. */
	assert_int_equal(claim(house, 1, 1), X402_CLAIM_NEW);
}

/* A pass of three uses is one in all workers, and after a restart. */
static void test_ledger_counts_are_shared_and_outlive_all(void **state)
{
	struct house *house = *state;
	int taken = 0;

	for (int i = 0; i < 4; i++) {
		pid_t pid = fork();
		int status = 0;

		assert_true(pid >= 0);
		if (pid == 0) {
			struct x402_ledger *other = NULL;

			if (x402_ledger_open(house->path, NULL, &other) !=
				X402_OK)
				_exit(2);
			house->memory = x402_ledger_memory(other);
			_exit(count(house, 5, 3, NOW + 9, NOW) ? 0 : 1);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_not_equal(WEXITSTATUS(status), 2);
		taken += WEXITSTATUS(status) == 0;
	}
	assert_int_equal(taken, 3);
	x402_ledger_close(house->ledger);
	assert_int_equal(
		x402_ledger_open(house->path, NULL, &house->ledger), X402_OK);
	house->memory = x402_ledger_memory(house->ledger);
	assert_false(count(house, 5, 3, NOW + 9, NOW));
	assert_true(count(house, 5, 4, NOW + 9, NOW));
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, house_open, house_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_ledger_second_claim_is_busy_until_it_ends),
		TEST(test_ledger_each_end_leads_to_its_claim),
		TEST(test_ledger_claims_of_the_dead_say_how_far_they_got),
		TEST(test_ledger_claims_of_the_living_are_busy_for_others),
		TEST(test_ledger_survives_all_who_had_it_open),
		TEST(test_ledger_full_turns_away_and_forgets_nothing),
		TEST(test_ledger_old_payments_make_room_but_not_what_is_owed),
		TEST(test_ledger_doubt_makes_room_in_need_but_not_what_is_owed),
		TEST(test_ledger_doubt_stays_while_there_is_room),
		TEST(test_ledger_longest_receipt_is_kept_and_longer_is_not),
		TEST(test_ledger_other_files_are_refused),
		TEST(test_ledger_of_version_1_is_brought_up_to_date),
		TEST(test_ledger_of_version_1_in_use_is_left_alone),
		TEST(test_ledger_of_version_1_cut_is_refused),
		TEST(test_ledger_file_is_its_owners_alone),
		TEST(test_ledger_counts_end_and_are_bounded),
		TEST(test_ledger_counts_are_shared_and_outlive_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
