/*
 * The log. A line is put together in the caller's own buffer and leaves with
 * one write, so lines of several threads never mix and no lock is held.
 * Reopening replaces the file underneath the descriptor (dup2): a thread in
 * the middle of a write finishes into the old file.
 */
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* Room kept for the mark of a cut line and its newline. */
#define TAIL_ROOM 8

static _Atomic int log_level = FAC_LOG_INFO;
/* Standard error until a file was opened; never changes its number again. */
static _Atomic int log_fd = STDERR_FILENO;
static pthread_mutex_t path_lock = PTHREAD_MUTEX_INITIALIZER;
static char *log_path;

static const char *const level_texts[] = {
	[FAC_LOG_ERROR] = "error",
	[FAC_LOG_WARN] = "warn",
	[FAC_LOG_INFO] = "info",
	[FAC_LOG_DEBUG] = "debug",
};

bool fac_log_level_parse(const char *text, enum fac_log_level *ret_level)
{
	for (size_t i = 0; text && i <= FAC_LOG_DEBUG; i++)
		if (!strcmp(text, level_texts[i])) {
			*ret_level = (enum fac_log_level)i;
			return true;
		}
	return false;
}

const char *fac_log_level_text(enum fac_log_level level)
{
	return level_texts[level];
}

void fac_log_set_level(enum fac_log_level level)
{
	atomic_store(&log_level, (int)level);
}

enum fac_log_level fac_log_get_level(void)
{
	return (enum fac_log_level)atomic_load(&log_level);
}

/* Put an open file where the log is; takes fd. */
static enum x402_err adopt(int fd)
{
	int current = atomic_load(&log_fd);

	if (current == STDERR_FILENO) {
		atomic_store(&log_fd, fd);
		return X402_OK;
	}
	int rc = dup3(fd, current, O_CLOEXEC);
	close(fd);
	return rc < 0 ? X402_ERR_STORE : X402_OK;
}

static enum x402_err open_locked(const char *path)
{
	if (!path || !*path) {
		/* The number of the log's own file stays taken: another
		 * thread may be about to write to it. */
		if (atomic_load(&log_fd) == STDERR_FILENO)
			return X402_OK;
		int fd = dup(STDERR_FILENO);
		return fd < 0 ? X402_ERR_STORE : adopt(fd);
	}
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
	return fd < 0 ? X402_ERR_STORE : adopt(fd);
}

enum x402_err fac_log_open(const char *path)
{
	char *copy = path && *path ? strdup(path) : NULL;

	if (path && *path && !copy)
		return X402_ERR_NOMEM;
	pthread_mutex_lock(&path_lock);
	enum x402_err err = open_locked(path);
	if (!err) {
		char *old = log_path;
		log_path = copy;
		copy = old;
	}
	pthread_mutex_unlock(&path_lock);
	free(copy);
	return err;
}

enum x402_err fac_log_reopen(void)
{
	pthread_mutex_lock(&path_lock);
	enum x402_err err = open_locked(log_path);
	pthread_mutex_unlock(&path_lock);
	return err;
}

static void add(struct fac_log_line *line, const char *bytes, size_t len)
{
	size_t room = sizeof(line->text) - TAIL_ROOM - line->len;

	if (line->cut)
		return;
	if (len > room) {
		len = room;
		line->cut = true;
	}
	memcpy(line->text + line->len, bytes, len);
	line->len += len;
}

static void add_time(struct fac_log_line *line)
{
	struct timespec now;
	struct tm utc;
	char text[64];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	size_t len = strftime(text, sizeof(text), "ts=%Y-%m-%dT%H:%M:%S", &utc);
	len += (size_t)snprintf(text + len, sizeof(text) - len, ".%03ldZ",
		now.tv_nsec / 1000000);
	add(line, text, len);
}

void fac_log_begin(
	struct fac_log_line *line, enum fac_log_level level, const char *event)
{
	line->wanted = level <= fac_log_get_level();
	line->cut = false;
	line->len = 0;
	if (!line->wanted)
		return;
	add_time(line);
	fac_log_str(line, "level", level_texts[level]);
	fac_log_str(line, "event", event);
}

static bool is_plain(const char *value)
{
	for (const char *p = value; *p; p++)
		if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 127 ||
			strchr("\"\\=", *p))
			return false;
	return true;
}

/* A stranger's byte must neither end the line nor drive a terminal. */
static void add_escaped(struct fac_log_line *line, unsigned char byte)
{
	char text[8];

	if (byte == '"' || byte == '\\')
		snprintf(text, sizeof(text), "\\%c", byte);
	else
		snprintf(text, sizeof(text), "\\x%02x", byte);
	add(line, text, strlen(text));
}

/* How many bytes from p on are ASCII and stand for themselves? */
static size_t ascii_len(const char *p)
{
	size_t len = 0;

	while (p[len] >= ' ' && p[len] < 127 && p[len] != '"' && p[len] != '\\')
		len++;
	return len;
}

/*
 * Bytes of the letter at p beyond ASCII that may be shown as they are; 0:
 * escape the first.
 * U+0080 to U+009F are controls too: terminals take U+009B for ESC [.
 */
static size_t letter_len(const char *p)
{
	unsigned char first = (unsigned char)*p;
	size_t len = first >= 0xf0 && first <= 0xf4 ? 4
		: first >= 0xe0 && first < 0xf0     ? 3
		: first >= 0xc2 && first < 0xe0     ? 2
						    : 0;

	if (first == 0xc2 && (unsigned char)p[1] < 0xa0)
		return 0;
	/* A NUL is no continuation, so this stops at the end. */
	for (size_t i = 1; i < len; i++)
		if (((unsigned char)p[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

void fac_log_str(struct fac_log_line *line, const char *key, const char *value)
{
	if (!line->wanted || !value || !*value)
		return;
	add(line, " ", 1);
	add(line, key, strlen(key));
	add(line, "=", 1);
	if (is_plain(value)) {
		add(line, value, strlen(value));
		return;
	}
	add(line, "\"", 1);
	for (const char *p = value; *p;) {
		size_t len = ascii_len(p);

		if (!len)
			len = letter_len(p);
		if (len)
			add(line, p, len);
		else
			add_escaped(line, (unsigned char)*p);
		p += len ? len : 1;
	}
	add(line, "\"", 1);
}

void fac_log_u64(struct fac_log_line *line, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	fac_log_str(line, key, text);
}

void fac_log_blame(struct fac_log_line *line, enum x402_blame blame)
{
	switch (blame) {
	case X402_BLAME_NOBODY:
		return;
	case X402_BLAME_CALLER:
		fac_log_str(line, "blame", "caller");
		return;
	case X402_BLAME_PEER:
		fac_log_str(line, "blame", "peer");
		return;
	case X402_BLAME_PAYER:
		fac_log_str(line, "blame", "payer");
		return;
	case X402_BLAME_CHAIN:
		fac_log_str(line, "blame", "chain");
		return;
	case X402_BLAME_US:
		fac_log_str(line, "blame", "us");
		return;
	}
}

void fac_log_end(struct fac_log_line *line)
{
	if (!line->wanted)
		return;
	/* TAIL_ROOM was kept free for this. */
	const char *tail = line->cut ? " cut=1\n" : "\n";
	memcpy(line->text + line->len, tail, strlen(tail));
	line->len += strlen(tail);
	line->wanted = false;
	/* A full disk or a closed pipe must not stop payments. */
	ssize_t rc;
	do
		rc = write(atomic_load(&log_fd), line->text, line->len);
	while (rc < 0 && errno == EINTR);
	(void)rc;
}

void fac_log_text(enum fac_log_level level, const char *event, const char *text)
{
	struct fac_log_line line;

	fac_log_begin(&line, level, event);
	fac_log_str(&line, "text", text);
	fac_log_end(&line);
}
