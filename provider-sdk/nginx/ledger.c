/*
 * ledger.c: a table of fixed slots in a mapped file, open addressing, under
 * one fcntl lock.
 *
 *   on_claim()    find the payment's slot, or take a free one
 *   on_asking()   HELD -> ASKED, before /settle is sent
 *   on_settled()  ASKED -> PAID, with the receipt
 *   on_end()      GONE, ASKED, PAID or SPENT, and nobody's
 *
 * A process may die between any two instructions. So the state of a slot is
 * written last, in one word, after what it stands for; and whoever holds a
 * slot is named by a number for which it keeps a lock of its own on the file,
 * which the kernel takes from the dead. The lock of the table is the kernel's
 * too, so none is left behind.
 */
#include "ledger.h"

#include "counters_p.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAGIC       "x402led"
#define VERSION     2u
#define HEADER_SIZE 4096
#define SLOT_SIZE   2048
/* Slots that a search looks at; a table that is half full never needs as
 * many. When all are taken, the payment is turned away before it is made. */
#define WINDOW 64
/* As in payments.c: after a day the chain's record of a nonce is final. */
#define LIFE_MAX_S    ((uint64_t)24 * 60 * 60)
#define LIFE_MARGIN_S ((uint64_t)10 * 60)
/* What was paid and not delivered, or not known, stays for the operator; of the
 * latter what can be settled no more makes room when there is no other: a
 * stranger whose payments end in doubt must not close the shop. */
#define KEEP_S ((uint64_t)30 * 24 * 60 * 60)
/* Bytes of the file that are locked; far behind its end, they need not exist.
 * One for the table, one for the counts, then one for each process that has it
 * open. */
#define LOCK_TABLE  ((off_t)1 << 40)
#define LOCK_COUNTS (((off_t)1 << 40) + 1)
#define LOCK_OWNERS (((off_t)1 << 40) + 2)

struct header {
	char magic[8];
	uint32_t version;
	uint32_t slot_size;
	uint64_t slots;
	uint8_t secret32[32];
	_Atomic uint64_t last_owner;
	_Atomic uint64_t counts[X402_LEDGER_COUNTS];
};

struct slot {
	_Atomic uint32_t state;
	uint32_t facilitator;   /* of the note, which asking writes */
	_Atomic uint64_t owner; /* 0: nobody */
	struct x402_claim_key key;
	uint64_t expires_unix_s;
	uint64_t changed_unix_s;
	char payer[64];
	char network[64];
	char asset[64];
	char amount[80];
	char url[256];
	char noted_amount[X402_U256_DEC_SIZE];
	char noted_price[X402_CLAIM_PRICE_SIZE];
	/* Longer ones are not kept: the content is delivered without. */
	char receipt[1200];
};
/* What is counted stands between the header and the slots. */
#define COUNTS_SIZE (X402__COUNTERS_MAX * sizeof(struct x402__counter))
#define SLOTS_AT    (HEADER_SIZE + COUNTS_SIZE)
_Static_assert(COUNTS_SIZE % SLOT_SIZE == 0, "slots are aligned");
_Static_assert(sizeof(struct header) <= HEADER_SIZE, "header fits");
_Static_assert(sizeof(struct slot) <= SLOT_SIZE, "slot fits");

struct x402_ledger {
	int fd;
	uint64_t owner; /* our number, never 0 */
	struct header *header;
	struct x402__counter *places;
	uint8_t *slots;
	size_t slots_len;
	size_t size; /* of the mapping */
};

static enum x402_err refuse(struct x402_errinfo *info, const char *path,
	const char *what, int error)
{
	x402_errinfo_set(info, "x402_state", "%s: %s%s%s", path, what,
		error ? ": " : "", error ? strerror(error) : "");
	return X402_ERR_INVALID_ARGUMENT;
}

/* ---- The file. ---- */

static size_t file_size(uint64_t slots)
{
	return SLOTS_AT + (size_t)slots * SLOT_SIZE;
}

/* A hole would be a bus error on the day the disk is full. */
static enum x402_err fill(
	int fd, size_t slots, const char *path, struct x402_errinfo *info)
{
	struct header header = {
		.version = VERSION, .slot_size = SLOT_SIZE, .slots = slots};
	int error = posix_fallocate(fd, 0, (off_t)file_size(slots));

	if (error)
		return refuse(info, path, "cannot make it", error);
	if (getrandom(header.secret32, 32, 0) != 32)
		return refuse(info, path, "no random bytes", errno);
	memcpy(header.magic, MAGIC, sizeof(header.magic));
	if (pwrite(fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header) ||
		fsync(fd) != 0)
		return refuse(info, path, "cannot write it", errno);
	return X402_OK;
}

static enum x402_err check(int fd, const char *path, struct x402_errinfo *info,
	struct header *ret_header)
{
	struct stat stat;

	if (fstat(fd, &stat) != 0 || !S_ISREG(stat.st_mode))
		return refuse(info, path, "expected a regular file", 0);
	if (pread(fd, ret_header, sizeof(*ret_header), 0) !=
			(ssize_t)sizeof(*ret_header) ||
		memcmp(ret_header->magic, MAGIC, sizeof(MAGIC)) != 0)
		return refuse(info, path, "is not a ledger of x402", 0);
	if (ret_header->version != VERSION ||
		ret_header->slot_size != SLOT_SIZE ||
		ret_header->slots < X402_LEDGER_SLOTS_MIN ||
		ret_header->slots > X402_LEDGER_SLOTS_MAX ||
		(size_t)stat.st_size != file_size(ret_header->slots))
		return refuse(info, path, "is of another version or cut", 0);
	return X402_OK;
}

/* ---- From version 1, which had no counts before its slots. ---- */

static bool is_version_1(int fd, struct header *ret_header)
{
	struct stat stat;

	return fstat(fd, &stat) == 0 &&
		pread(fd, ret_header, sizeof(*ret_header), 0) ==
		(ssize_t)sizeof(*ret_header) &&
		memcmp(ret_header->magic, MAGIC, sizeof(MAGIC)) == 0 &&
		ret_header->version == 1 &&
		ret_header->slot_size == SLOT_SIZE &&
		ret_header->slots >= X402_LEDGER_SLOTS_MIN &&
		ret_header->slots <= X402_LEDGER_SLOTS_MAX &&
		(uint64_t)stat.st_size ==
		HEADER_SIZE + ret_header->slots * SLOT_SIZE;
}

/* The same secret and payments, behind a table of counts that is empty. */
static enum x402_err copy_1(int from, const struct header *old, int to,
	const char *path, struct x402_errinfo *info)
{
	uint8_t slot[SLOT_SIZE];
	struct header header = *old;
	bool good;

	header.version = VERSION;
	good = pwrite(to, &header, sizeof(header), 0) ==
		(ssize_t)sizeof(header);
	for (uint64_t i = 0; good && i < old->slots; i++)
		good = pread(from, slot, SLOT_SIZE,
			       (off_t)(HEADER_SIZE + i * SLOT_SIZE)) ==
				SLOT_SIZE &&
			pwrite(to, slot, SLOT_SIZE,
				(off_t)(SLOTS_AT + i * SLOT_SIZE)) == SLOT_SIZE;
	return good && fsync(to) == 0
		? X402_OK
		: refuse(info, path, "cannot write it", errno);
}

/*
 * Whoever has the old file open would go on with it, and a payment could be
 * claimed in both: all of its locks are taken first. Two that begin at once:
 * the second finds another file of that name, or the locks taken.
 */
static enum x402_err upgrade(
	const char *path, int fd, uid_t owner, struct x402_errinfo *info)
{
	struct flock all = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = LOCK_TABLE};
	char temporary[4096];
	struct header header;
	struct stat named;
	struct stat opened;
	enum x402_err err;
	int to;

	if (!is_version_1(fd, &header))
		return X402_OK; /* check() judges it */
	if (fcntl(fd, F_SETLK, &all) != 0 || lstat(path, &named) != 0 ||
		fstat(fd, &opened) != 0 || named.st_ino != opened.st_ino)
		return refuse(info, path,
			"an older nginx has it open: stop that first", 0);
	snprintf(temporary, sizeof(temporary), "%s.%ld", path, (long)getpid());
	to = open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (to < 0)
		return refuse(info, path, "cannot make it", errno);
	err = fill(to, header.slots, path, info);
	if (err == X402_OK)
		err = copy_1(fd, &header, to, path, info);
	if (err == X402_OK && owner != (uid_t)-1 &&
		fchown(to, owner, (gid_t)-1) != 0)
		err = refuse(info, path, "cannot give it away", errno);
	if (err == X402_OK && rename(temporary, path) != 0)
		err = refuse(info, path, "cannot make it", errno);
	if (err != X402_OK)
		(void)unlink(temporary);
	close(to);
	return err;
}

enum x402_err x402_ledger_create(
	const char *path, size_t slots, uid_t owner, struct x402_errinfo *info)
{
	char temporary[4096];
	struct header header;
	enum x402_err err = X402_OK;
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 && errno != ENOENT)
		return refuse(info, path, "cannot open it", errno);
	if (slots < X402_LEDGER_SLOTS_MIN || slots > X402_LEDGER_SLOTS_MAX)
		err = refuse(info, path, "expected 64 to 4194304 payments", 0);
	if (err == X402_OK && fd < 0) {
		/* Whole or not at all: made beside, then given its name. */
		snprintf(temporary, sizeof(temporary), "%s.%ld", path,
			(long)getpid());
		fd = open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC,
			0600);
		if (fd < 0)
			return refuse(info, path, "cannot make it", errno);
		err = fill(fd, slots, path, info);
		if (err == X402_OK && owner != (uid_t)-1 &&
			fchown(fd, owner, (gid_t)-1) != 0)
			err = refuse(info, path, "cannot give it away", errno);
		/* link() and not rename(): an existing ledger wins. */
		if (err == X402_OK && link(temporary, path) != 0 &&
			errno != EEXIST)
			err = refuse(info, path, "cannot make it", errno);
		(void)unlink(temporary);
	} else if (err == X402_OK) {
		err = upgrade(path, fd, owner, info);
		/* What has that name now; the old one's locks go with it. */
		close(fd);
		fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
		if (err == X402_OK && fd < 0)
			err = refuse(info, path, "cannot open it", errno);
	}
	if (err == X402_OK)
		err = check(fd, path, info, &header);
	if (fd >= 0)
		close(fd);
	return err;
}

static int lock(int fd, int command, short type, off_t at)
{
	struct flock what = {.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = at,
		.l_len = 1};
	int rc;

	do
		rc = fcntl(fd, command, &what);
	while (rc < 0 && errno == EINTR);
	if (rc == 0 && command == F_GETLK)
		return what.l_type != F_UNLCK;
	return rc;
}

enum x402_err x402_ledger_open(const char *path, struct x402_errinfo *info,
	struct x402_ledger **ret_ledger)
{
	struct x402_ledger *ledger = calloc(1, sizeof(*ledger));
	struct header header;
	enum x402_err err;
	void *map;

	if (!ledger)
		return X402_ERR_NOMEM;
	ledger->fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (ledger->fd < 0) {
		err = refuse(info, path, "cannot open it", errno);
		free(ledger);
		return err;
	}
	err = check(ledger->fd, path, info, &header);
	if (err == X402_OK) {
		ledger->slots_len = (size_t)header.slots;
		ledger->size = file_size(header.slots);
		map = mmap(NULL, ledger->size, PROT_READ | PROT_WRITE,
			MAP_SHARED, ledger->fd, 0);
		if (map == MAP_FAILED) {
			err = refuse(info, path, "cannot map it", errno);
		} else {
			ledger->header = map;
			ledger->places = (struct x402__counter *)(void
					*)((uint8_t *)map + HEADER_SIZE);
			ledger->slots = (uint8_t *)map + SLOTS_AT;
			ledger->owner = 1 +
				atomic_fetch_add(
					&ledger->header->last_owner, 1);
		}
	}
	if (err == X402_OK &&
		lock(ledger->fd, F_SETLK, F_WRLCK,
			LOCK_OWNERS + (off_t)ledger->owner) != 0)
		err = refuse(info, path, "cannot lock it", errno);
	if (err != X402_OK) {
		x402_ledger_close(ledger);
		return err;
	}
	*ret_ledger = ledger;
	return X402_OK;
}

void x402_ledger_close(struct x402_ledger *ledger)
{
	if (!ledger)
		return;
	if (ledger->header)
		(void)munmap(ledger->header, ledger->size);
	close(ledger->fd); /* and all locks with it */
	free(ledger);
}

bool x402_ledger_sync(const struct x402_ledger *ledger)
{
	/* Linux writes a file's mapped pages with the others. */
	return fdatasync(ledger->fd) == 0;
}

/* ---- Slots. ---- */

static struct slot *slot_at(const struct x402_ledger *ledger, size_t index)
{
	return (struct slot *)(void *)(ledger->slots +
		(index % ledger->slots_len) * SLOT_SIZE);
}

static enum x402_ledger_state state_of(const struct slot *slot)
{
	return (enum x402_ledger_state)atomic_load_explicit(
		&slot->state, memory_order_acquire);
}

static void set_state(struct slot *slot, enum x402_ledger_state state)
{
	slot->changed_unix_s = (uint64_t)time(NULL);
	atomic_store_explicit(
		&slot->state, (uint32_t)state, memory_order_release);
}

static bool is_busy(const struct x402_ledger *ledger, const struct slot *slot)
{
	uint64_t owner = atomic_load(&slot->owner);

	if (owner == 0)
		return false;
	if (owner == ledger->owner)
		return true;
	/* On doubt it is: a payment is not served twice. */
	return lock(ledger->fd, F_GETLK, F_WRLCK, LOCK_OWNERS + (off_t)owner) !=
		0;
}

/* May the slot be given to another payment? */
static bool is_free(
	const struct x402_ledger *ledger, const struct slot *slot, uint64_t now)
{
	uint64_t keep = 0;

	switch (state_of(slot)) {
	case X402_LEDGER_STATE_EMPTY:
	case X402_LEDGER_STATE_GONE:
		return true;
	case X402_LEDGER_STATE_HELD:
	case X402_LEDGER_STATE_SPENT:
		break;
	case X402_LEDGER_STATE_ASKED:
	case X402_LEDGER_STATE_PAID:
		keep = KEEP_S;
		break;
	}
	return slot->expires_unix_s + keep < now && !is_busy(ledger, slot);
}

/* Of two slots that could be taken in need, the one that was asked earlier. */
static struct slot *in_need(const struct x402_ledger *ledger,
	struct slot *first, struct slot *second, uint64_t now)
{
	if (state_of(second) != X402_LEDGER_STATE_ASKED ||
		second->expires_unix_s >= now || is_busy(ledger, second))
		return first;
	return !first || second->changed_unix_s < first->changed_unix_s ? second
									: first;
}

/* The payment's slot; else NULL and, in *ret_free, one for it (or NULL). */
static struct slot *find(const struct x402_ledger *ledger,
	const struct x402_claim_key *key, uint64_t now, struct slot **ret_free)
{
	struct slot *needed = NULL;
	uint64_t start;

	*ret_free = NULL;
	memcpy(&start, key->payment32, sizeof(start)); /* a hash already */
	start %= ledger->slots_len;
	for (size_t i = 0; i < WINDOW; i++) {
		struct slot *slot = slot_at(ledger, (size_t)start + i);
		enum x402_ledger_state state = state_of(slot);

		if (state >= X402_LEDGER_STATE_HELD &&
			memcmp(slot->key.payment32, key->payment32, 32) == 0)
			return slot;
		if (!*ret_free && is_free(ledger, slot, now))
			*ret_free = slot;
		if (state == X402_LEDGER_STATE_EMPTY)
			break;
		if (!*ret_free)
			needed = in_need(ledger, needed, slot, now);
	}
	if (!*ret_free)
		*ret_free = needed;
	return NULL;
}

static void copy_text(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from ? from : "");
}

static void take_slot(struct x402_ledger *ledger, struct slot *slot,
	const struct x402_gate *gate, const struct x402_claim_key *key,
	uint64_t expires_unix_s)
{
	atomic_store_explicit(
		&slot->state, X402_LEDGER_STATE_GONE, memory_order_release);
	slot->key = *key;
	slot->expires_unix_s = expires_unix_s;
	copy_text(slot->payer, sizeof(slot->payer), x402_gate_payer(gate));
	copy_text(
		slot->network, sizeof(slot->network), x402_gate_network(gate));
	copy_text(slot->asset, sizeof(slot->asset), x402_gate_asset(gate));
	copy_text(slot->amount, sizeof(slot->amount), x402_gate_amount(gate));
	copy_text(slot->url, sizeof(slot->url), x402_gate_url(gate));
	slot->receipt[0] = '\0';
	atomic_store(&slot->owner, ledger->owner);
	set_state(slot, X402_LEDGER_STATE_HELD);
}

static enum x402_claim claim_again(struct x402_ledger *ledger,
	struct slot *slot, const struct x402_gate *gate,
	const struct x402_claim_key *key, uint64_t expires_unix_s)
{
	bool same = memcmp(slot->key.request32, key->request32, 32) == 0;
	enum x402_ledger_state state = state_of(slot);

	if (is_busy(ledger, slot))
		return X402_CLAIM_BUSY;
	/* Its holder died before anybody was asked: as if it never was. */
	if (state == X402_LEDGER_STATE_HELD) {
		take_slot(ledger, slot, gate, key, expires_unix_s);
		return X402_CLAIM_NEW;
	}
	if (!same || state == X402_LEDGER_STATE_SPENT)
		return X402_CLAIM_SPENT;
	atomic_store(&slot->owner, ledger->owner);
	return state == X402_LEDGER_STATE_PAID ? X402_CLAIM_PAID
					       : X402_CLAIM_UNKNOWN;
}

/* ---- The verbs. ---- */

static enum x402_claim on_claim(void *user, const struct x402_gate *gate,
	const struct x402_claim_key *key, uint64_t expires_unix_s,
	uint64_t now_unix_s, char **ret_receipt)
{
	struct x402_ledger *ledger = user;
	enum x402_claim claim = X402_CLAIM_FULL;
	struct slot *empty;
	struct slot *slot;

	*ret_receipt = NULL;
	if (expires_unix_s > now_unix_s + LIFE_MAX_S)
		expires_unix_s = now_unix_s + LIFE_MAX_S;
	expires_unix_s += LIFE_MARGIN_S;
	if (lock(ledger->fd, F_SETLKW, F_WRLCK, LOCK_TABLE) != 0)
		return X402_CLAIM_FULL;
	slot = find(ledger, key, now_unix_s, &empty);
	if (slot) {
		claim = claim_again(ledger, slot, gate, key, expires_unix_s);
		if ((claim == X402_CLAIM_PAID || claim == X402_CLAIM_SPENT) &&
			slot->receipt[0] &&
			memcmp(slot->key.request32, key->request32, 32) == 0)
			*ret_receipt = strdup(slot->receipt);
	} else if (empty) {
		take_slot(ledger, empty, gate, key, expires_unix_s);
		claim = X402_CLAIM_NEW;
	}
	(void)lock(ledger->fd, F_SETLK, F_UNLCK, LOCK_TABLE);
	return claim;
}

/* The slot that this process holds for the payment; nobody else changes it,
 * so no lock is needed. */
static struct slot *held(
	struct x402_ledger *ledger, const struct x402_claim_key *key)
{
	struct slot *empty;
	struct slot *slot = find(ledger, key, 0, &empty);

	return slot && atomic_load(&slot->owner) == ledger->owner ? slot : NULL;
}

static bool on_asking(void *user, const struct x402_gate *gate,
	const struct x402_claim_key *key)
{
	struct x402_ledger *ledger = user;
	struct slot *slot = held(ledger, key);
	struct x402_claim_note note;

	if (!slot)
		return false;
	x402_gate_note(gate, &note);
	slot->facilitator = note.facilitator;
	copy_text(slot->noted_amount, sizeof(slot->noted_amount), note.amount);
	copy_text(slot->noted_price, sizeof(slot->noted_price), note.price);
	set_state(slot, X402_LEDGER_STATE_ASKED);
	return true;
}

/* Also asked by who does not hold the payment: may its time have passed? */
static bool on_recall(void *user, const struct x402_gate *gate,
	const struct x402_claim_key *key, struct x402_claim_note *ret_note)
{
	struct x402_ledger *ledger = user;
	struct slot *empty;
	struct slot *slot;
	bool known;

	(void)gate;
	if (lock(ledger->fd, F_SETLKW, F_WRLCK, LOCK_TABLE) != 0)
		return false;
	slot = find(ledger, key, 0, &empty);
	known = slot && state_of(slot) >= X402_LEDGER_STATE_ASKED &&
		memcmp(slot->key.request32, key->request32, 32) == 0;
	if (known) {
		memset(ret_note, 0, sizeof(*ret_note));
		ret_note->facilitator = slot->facilitator;
		copy_text(ret_note->amount, sizeof(ret_note->amount),
			slot->noted_amount);
		copy_text(ret_note->price, sizeof(ret_note->price),
			slot->noted_price);
	}
	(void)lock(ledger->fd, F_SETLK, F_UNLCK, LOCK_TABLE);
	return known;
}

static void keep_receipt(struct slot *slot, const char *receipt)
{
	if (receipt && !slot->receipt[0] &&
		strlen(receipt) < sizeof(slot->receipt))
		copy_text(slot->receipt, sizeof(slot->receipt), receipt);
}

static void on_settled(void *user, const struct x402_gate *gate,
	const struct x402_claim_key *key, const char *receipt)
{
	struct slot *slot = held(user, key);

	(void)gate;
	if (!slot)
		return;
	keep_receipt(slot, receipt);
	set_state(slot, X402_LEDGER_STATE_PAID);
}

static void on_end(void *user, const struct x402_gate *gate,
	const struct x402_claim_key *key, enum x402_claim_end end,
	const char *receipt)
{
	struct slot *slot = held(user, key);

	(void)gate;
	if (!slot)
		return;
	keep_receipt(slot, receipt);
	switch (end) {
	case X402_CLAIM_END_FORGET:
		set_state(slot, X402_LEDGER_STATE_GONE);
		break;
	case X402_CLAIM_END_UNKNOWN:
		set_state(slot, X402_LEDGER_STATE_ASKED);
		break;
	case X402_CLAIM_END_PAID:
		set_state(slot, X402_LEDGER_STATE_PAID);
		break;
	case X402_CLAIM_END_SPENT:
		set_state(slot, X402_LEDGER_STATE_SPENT);
		break;
	}
	atomic_store(&slot->owner, 0);
}

/* ---- Counts. ---- */

static bool on_count(void *user, const uint8_t key32[32], uint32_t limit,
	uint64_t until_unix_s, uint64_t now_unix_s)
{
	const struct x402_ledger *ledger = user;
	bool taken;

	if (lock(ledger->fd, F_SETLKW, F_WRLCK, LOCK_COUNTS) != 0)
		return false;
	taken = x402__counter_take(
		ledger->places, key32, limit, until_unix_s, now_unix_s);
	(void)lock(ledger->fd, F_SETLK, F_UNLCK, LOCK_COUNTS);
	return taken;
}

static bool on_counted(void *user, const uint8_t key32[32], uint64_t now_unix_s)
{
	const struct x402_ledger *ledger = user;
	bool have;

	if (lock(ledger->fd, F_SETLKW, F_WRLCK, LOCK_COUNTS) != 0)
		return false;
	have = x402__counter_have(ledger->places, key32, now_unix_s);
	(void)lock(ledger->fd, F_SETLK, F_UNLCK, LOCK_COUNTS);
	return have;
}

static void on_uncount(void *user, const uint8_t key32[32], uint64_t now_unix_s)
{
	const struct x402_ledger *ledger = user;

	if (lock(ledger->fd, F_SETLKW, F_WRLCK, LOCK_COUNTS) != 0)
		return;
	x402__counter_drop(ledger->places, key32, now_unix_s);
	(void)lock(ledger->fd, F_SETLK, F_UNLCK, LOCK_COUNTS);
}

struct x402_provider_memory x402_ledger_memory(struct x402_ledger *ledger)
{
	return (struct x402_provider_memory){
		.claim = on_claim,
		.asking = on_asking,
		.recall = on_recall,
		.settled = on_settled,
		.end = on_end,
		.count = on_count,
		.counted = on_counted,
		.uncount = on_uncount,
		.user = ledger,
		.secret32 = ledger->header->secret32,
	};
}

/* ---- Looking. ---- */

void x402_ledger_add(struct x402_ledger *ledger, enum x402_ledger_count what)
{
	atomic_fetch_add_explicit(
		&ledger->header->counts[what], 1, memory_order_relaxed);
}

uint64_t x402_ledger_count(
	const struct x402_ledger *ledger, enum x402_ledger_count what)
{
	return atomic_load(&ledger->header->counts[what]);
}

void x402_ledger_each(struct x402_ledger *ledger,
	void (*each)(void *user, const struct x402_ledger_entry *entry),
	void *user)
{
	for (size_t i = 0; i < ledger->slots_len; i++) {
		const struct slot *slot = slot_at(ledger, i);
		struct x402_ledger_entry entry = {.state = state_of(slot)};

		if (entry.state < X402_LEDGER_STATE_HELD)
			continue;
		entry.busy = is_busy(ledger, slot);
		entry.changed_unix_s = slot->changed_unix_s;
		entry.payer = slot->payer;
		entry.network = slot->network;
		entry.asset = slot->asset;
		entry.amount = slot->amount;
		entry.url = slot->url;
		entry.receipt = slot->receipt;
		each(user, &entry);
	}
}
