/*
 * log.h: one line for each event, key=value, written with one write(2).
 *
 * Say it once, where it stops travelling: error is our fault, warn an odd
 * peer or chain, info money that moved or a state of the daemon. Values are
 * quoted and escaped where they need it, so a stranger's text cannot forge a
 * line. Secrets are never handed to it.
 *
 * Not for: protocol answers. Thread rule: any thread.
 */
#ifndef FAC_LOG_H
#define FAC_LOG_H

#include "x402/error.h"

enum fac_log_level { FAC_LOG_ERROR, FAC_LOG_WARN, FAC_LOG_INFO, FAC_LOG_DEBUG };

/* "error", "warn", "info", "debug". False for another text. */
bool fac_log_level_parse(const char *text, enum fac_log_level *ret_level);
const char *fac_log_level_text(enum fac_log_level level);

/*
 * Write to a file from now on (appended, made with mode 0640), or to standard
 * error where path is NULL or "". STORE when it cannot be opened; the old
 * place stays then. Lines of other threads go to one place or the other.
 */
X402_MUST_USE enum x402_err fac_log_open(const char *path);
/* Open the same path anew (USR1, after logrotate). */
X402_MUST_USE enum x402_err fac_log_reopen(void);
/* Lines above this level are dropped. Default: info. */
void fac_log_set_level(enum fac_log_level level);
enum fac_log_level fac_log_get_level(void);

/* Longest line; what does not fit is cut, and the line ends in " cut=1". */
#define FAC_LOG_LINE_MAX 2048

struct fac_log_line {
	bool wanted;
	bool cut;
	size_t len;
	char text[FAC_LOG_LINE_MAX];
};

/* begin, any number of members, end. Members of a dropped line are free. */
void fac_log_begin(
	struct fac_log_line *line, enum fac_log_level level, const char *event);
/* NULL and "" write nothing: an absent member is simply not there. */
void fac_log_str(struct fac_log_line *line, const char *key, const char *value);
void fac_log_u64(struct fac_log_line *line, const char *key, uint64_t value);
/* blame=caller|peer|payer|chain|us */
void fac_log_blame(struct fac_log_line *line, enum x402_blame blame);
void fac_log_end(struct fac_log_line *line);

/* A line with one text member named "text". */
void fac_log_text(
	enum fac_log_level level, const char *event, const char *text);

#endif
