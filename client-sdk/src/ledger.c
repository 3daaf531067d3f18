/*
 * ledger.c: what was signed under a scope. A text file that only grows, one
 * line for each authorization: its digest, its worth, when. The line is on
 * disk before the signature leaves, under an exclusive lock, so that count and
 * total hold across processes and crashes. What is already known is kept in
 * memory; each turn reads only what others have added since.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "x402/encoding.h"
#include "x402/session.h"

/* "p " + 64 hex + ' ' + 20 digits + ' ' + 20 digits + '\n', fixed: a line that
 * is not whole can be told by its length. */
#define LINE_BYTES  109
#define REVOKED     'r'
#define PAYMENT     'p'
#define TABLE_START 64

struct x402_session_ledger {
	int fd;
	char *path;
	uint64_t read_bytes; /* all before is known */
	struct x402_session_usage usage;
	/* Open addressing over the digests' first bytes. */
	uint8_t (*digests)[32];
	size_t slots; /* a power of two, or 0 */
};

static enum x402_err say(struct x402_errinfo *info,
	const struct x402_session_ledger *ledger, const char *text)
{
	x402_errinfo_set(info, "", "%s: %s", ledger->path, text);
	return X402_ERR_STORE;
}

/* ---- The set of digests. ---- */

static bool is_empty(const uint8_t digest32[32])
{
	static const uint8_t zero[32];
	return memcmp(digest32, zero, 32) == 0;
}

static size_t find(uint8_t (*digests)[32], size_t slots, const uint8_t *digest)
{
	size_t at;
	memcpy(&at, digest, sizeof(at));
	at &= slots - 1;
	while (!is_empty(digests[at]) && memcmp(digests[at], digest, 32) != 0)
		at = (at + 1) & (slots - 1);
	return at;
}

static bool knows(
	const struct x402_session_ledger *ledger, const uint8_t *digest)
{
	if (!ledger->slots)
		return false;
	return !is_empty(
		ledger->digests[find(ledger->digests, ledger->slots, digest)]);
}

/* Room for one more at half load. */
static bool grow(struct x402_session_ledger *ledger)
{
	if (ledger->slots > 2 * (ledger->usage.count + 1))
		return true;
	size_t slots = ledger->slots ? 2 * ledger->slots : TABLE_START;
	uint8_t(*digests)[32] = calloc(slots, sizeof(*digests));
	if (!digests)
		return false;
	for (size_t i = 0; i < ledger->slots; i++)
		if (!is_empty(ledger->digests[i]))
			memcpy(digests[find(
				       digests, slots, ledger->digests[i])],
				ledger->digests[i], 32);
	free(ledger->digests);
	ledger->digests = digests;
	ledger->slots = slots;
	return true;
}

static bool learn(struct x402_session_ledger *ledger, const uint8_t *digest,
	uint64_t usd_micros)
{
	if (!grow(ledger))
		return false;
	memcpy(ledger->digests[find(ledger->digests, ledger->slots, digest)],
		digest, 32);
	ledger->usage.count++;
	/* Saturates: a sum that wrapped would open the door again. */
	if (__builtin_add_overflow(ledger->usage.usd_micros, usd_micros,
		    &ledger->usage.usd_micros))
		ledger->usage.usd_micros = UINT64_MAX;
	return true;
}

/* ---- Lines. ---- */

static void write_line(char line[LINE_BYTES + 1], char kind,
	const uint8_t digest32[32], uint64_t usd_micros, uint64_t now_unix_s)
{
	char hex[65];
	for (size_t i = 0; i < 32; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", digest32[i]);
	(void)snprintf(line, LINE_BYTES + 1,
		"%c %s %020" PRIu64 " %020" PRIu64 "\n", kind, hex, usd_micros,
		now_unix_s);
}

static bool read_hex(const char *text, uint8_t digest32[32])
{
	for (size_t i = 0; i < 32; i++) {
		unsigned byte;
		char two[3] = {text[2 * i], text[2 * i + 1], '\0'};
		if (strspn(two, "0123456789abcdef") != 2 ||
			sscanf(two, "%2x", &byte) != 1)
			return false;
		digest32[i] = (uint8_t)byte;
	}
	return true;
}

/* One whole line. False: this is no ledger, or it was damaged. */
static bool take_line(struct x402_session_ledger *ledger, const char *line)
{
	uint8_t digest32[32];
	char *end = NULL;
	if (line[1] != ' ' || line[66] != ' ' || line[87] != ' ' ||
		line[LINE_BYTES - 1] != '\n' || !read_hex(line + 2, digest32) ||
		strspn(line + 67, "0123456789") != 20)
		return false;
	if (line[0] == REVOKED) {
		ledger->usage.revoked = true;
		return true;
	}
	errno = 0;
	uint64_t usd_micros = strtoull(line + 67, &end, 10);
	if (line[0] != PAYMENT || errno || is_empty(digest32))
		return false;
	return knows(ledger, digest32) || learn(ledger, digest32, usd_micros);
}

/* Under the lock: read what came since, cut off what a crash left. */
static enum x402_err catch_up(
	struct x402_session_ledger *ledger, struct x402_errinfo *info)
{
	struct stat st;
	char line[LINE_BYTES];
	if (fstat(ledger->fd, &st))
		return say(info, ledger, strerror(errno));
	uint64_t size = (uint64_t)st.st_size;
	if (st.st_nlink == 0)
		return say(info, ledger, "was removed; nothing is signed");
	if (size < ledger->read_bytes)
		return say(info, ledger, "has shrunk; nothing is signed");
	while (size - ledger->read_bytes >= LINE_BYTES) {
		ssize_t got = pread(ledger->fd, line, LINE_BYTES,
			(off_t)ledger->read_bytes);
		if (got != LINE_BYTES)
			return say(info, ledger, "cannot be read");
		if (!take_line(ledger, line))
			return say(
				info, ledger, "is damaged; nothing is signed");
		ledger->read_bytes += LINE_BYTES;
	}
	if (size != ledger->read_bytes &&
		ftruncate(ledger->fd, (off_t)ledger->read_bytes))
		return say(info, ledger, strerror(errno));
	return X402_OK;
}

static enum x402_err append(struct x402_session_ledger *ledger,
	const char line[LINE_BYTES], struct x402_errinfo *info)
{
	if (pwrite(ledger->fd, line, LINE_BYTES, (off_t)ledger->read_bytes) !=
			LINE_BYTES ||
		fdatasync(ledger->fd)) {
		enum x402_err err = say(info, ledger, strerror(errno));
		/* Half a line is cut off by the next who looks. */
		if (ftruncate(ledger->fd, (off_t)ledger->read_bytes))
			return err;
		return err;
	}
	ledger->read_bytes += LINE_BYTES;
	return X402_OK;
}

static enum x402_err lock(
	struct x402_session_ledger *ledger, struct x402_errinfo *info)
{
	while (flock(ledger->fd, LOCK_EX)) {
		if (errno != EINTR)
			return say(info, ledger, strerror(errno));
	}
	return catch_up(ledger, info);
}

static void unlock(struct x402_session_ledger *ledger)
{
	/* Closing the file lets go of it too. */
	(void)flock(ledger->fd, LOCK_UN);
}

/* ---- The doors. ---- */

/* Ours alone: somebody else's could be emptied, and money would flow again. */
static enum x402_err check_owner(
	const struct x402_session_ledger *ledger, struct x402_errinfo *info)
{
	struct stat st;
	if (fstat(ledger->fd, &st))
		return say(info, ledger, strerror(errno));
	if (S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
		!(st.st_mode & (S_IRWXG | S_IRWXO)))
		return X402_OK;
	return say(info, ledger, "expected a file of this user, mode 600");
}

enum x402_err x402_session_ledger_open(const char *path,
	struct x402_errinfo *info, struct x402_session_ledger **ret_ledger)
{
	struct x402_session_ledger *ledger = calloc(1, sizeof(*ledger));
	if (!ledger)
		return X402_ERR_NOMEM;
	ledger->path = strdup(path);
	ledger->fd = open(
		path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	enum x402_err err = ledger->path ? X402_OK : X402_ERR_NOMEM;
	if (!err && ledger->fd < 0)
		err = say(info, ledger, strerror(errno));
	if (!err)
		err = check_owner(ledger, info);
	if (!err) {
		err = lock(ledger, info);
		unlock(ledger);
	}
	if (err)
		x402_session_ledger_free(ledger);
	else
		*ret_ledger = ledger;
	return err;
}

void x402_session_ledger_free(struct x402_session_ledger *ledger)
{
	if (!ledger)
		return;
	if (ledger->fd >= 0)
		close(ledger->fd);
	free(ledger->path);
	free(ledger->digests);
	free(ledger);
}

static enum x402_err check_limits(const struct x402_session_ledger *ledger,
	const struct x402_session_scope *scope, uint64_t usd_micros,
	struct x402_errinfo *info)
{
	const struct x402_session_usage *usage = &ledger->usage;
	if (scope->max_count && usage->count >= scope->max_count) {
		x402_errinfo_set(info, "maxCount",
			"all %" PRIu64 " payments of this session are used",
			scope->max_count);
		return X402_ERR_POLICY;
	}
	if (scope->total_usd_micros &&
		(usage->usd_micros > scope->total_usd_micros ||
			usd_micros >
				scope->total_usd_micros - usage->usd_micros)) {
		x402_errinfo_set(info, "total",
			"%" PRIu64 " of %" PRIu64
			" micro-dollars are used, this takes %" PRIu64,
			usage->usd_micros, scope->total_usd_micros, usd_micros);
		return X402_ERR_POLICY;
	}
	return X402_OK;
}

enum x402_err x402_session_ledger_reserve(struct x402_session_ledger *ledger,
	const struct x402_session_scope *scope, const uint8_t digest32[32],
	uint64_t usd_micros, uint64_t now_unix_s, struct x402_errinfo *info)
{
	char line[LINE_BYTES + 1];
	enum x402_err err = lock(ledger, info);
	if (!err && ledger->usage.revoked) {
		x402_errinfo_set(info, "session", "it was revoked");
		err = X402_ERR_POLICY;
	}
	if (!err && !knows(ledger, digest32)) {
		err = check_limits(ledger, scope, usd_micros, info);
		if (!err && !grow(ledger))
			err = X402_ERR_NOMEM;
		if (!err) {
			write_line(line, PAYMENT, digest32, usd_micros,
				now_unix_s);
			err = append(ledger, line, info);
		}
		if (!err && !learn(ledger, digest32, usd_micros))
			err = X402_ERR_NOMEM;
	}
	unlock(ledger);
	return err;
}

enum x402_err x402_session_ledger_revoke(
	struct x402_session_ledger *ledger, struct x402_errinfo *info)
{
	static const uint8_t zero[32];
	char line[LINE_BYTES + 1];
	enum x402_err err = lock(ledger, info);
	if (!err && !ledger->usage.revoked) {
		write_line(line, REVOKED, zero, 0, 0);
		err = append(ledger, line, info);
		ledger->usage.revoked = !err;
	}
	unlock(ledger);
	return err;
}

enum x402_err x402_session_ledger_usage(struct x402_session_ledger *ledger,
	struct x402_errinfo *info, struct x402_session_usage *ret_usage)
{
	enum x402_err err = lock(ledger, info);
	unlock(ledger);
	if (!err)
		*ret_usage = ledger->usage;
	return err;
}

enum x402_err x402_session_state_directory(char **ret_path)
{
	const char *own = getenv("X402_STATE_DIR");
	const char *state = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");
	struct x402_buf path = {0};
	if (own && *own)
		x402_buf_add_str(&path, own);
	else if (state && state[0] == '/')
		x402_buf_printf(&path, "%s/x402", state);
	else if (home && *home)
		x402_buf_printf(&path, "%s/.local/state/x402", home);
	else
		return X402_ERR_NOT_FOUND;
	char *text = x402_buf_take_str(&path);
	if (!text)
		return X402_ERR_NOMEM;
	*ret_path = text;
	return X402_OK;
}

enum x402_err x402_session_ledger_path(const char *directory,
	const struct x402_address *wallet, const char *id,
	struct x402_errinfo *info, char **ret_path)
{
	struct x402_buf path = {0};
	char *state = NULL;
	enum x402_err err = X402_OK;
	if (!directory)
		err = x402_session_state_directory(&state);
	if (!err)
		err = x402_wallet_directory_make(
			directory ? directory : state, info);
	if (err) {
		free(state);
		return err;
	}
	x402_buf_printf(&path, "%s/", directory ? directory : state);
	free(state);
	x402_hex_encode(x402_span(wallet->bytes, 20), &path);
	x402_buf_printf(&path, "-%s.ledger", id);
	char *text = x402_buf_take_str(&path);
	if (!text)
		return X402_ERR_NOMEM;
	*ret_path = text;
	return X402_OK;
}
