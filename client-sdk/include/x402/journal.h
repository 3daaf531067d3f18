/*
 * journal.h: what was bought, what it cost, and what may still be spent.
 *
 * One SQLite file for all processes of a user. A client that was given a
 * journal (x402_client_options) writes each authorization into it before it
 * leaves, presents the same one again as long as it may be charged, and
 * reserves its price in every budget before it signs: two processes that
 * share a file never exceed a budget together.
 *
 * A purchase is named by the caller's id, or else by method, URL and body.
 * While one is open (signed, and neither delivered nor proven dead), nothing
 * else is signed for it.
 *
 * Not for: keys (wallet.h), and what a chain or a server says by itself: that
 * is asked by x402_client_resume().
 *
 * Thread rule: one handle is used by one thread at a time. Open as many
 * handles on a file as you like, in any number of threads and processes. Do
 * not carry a handle through fork().
 */
#ifndef X402_JOURNAL_H
#define X402_JOURNAL_H

#include "x402/x402.h"

#ifdef __cplusplus
extern "C" {
#endif

struct x402_journal; /* opaque */

struct x402_journal_options {
	/*
	 * Optional, borrowed for the call. Default: $X402_JOURNAL, else
	 * x402/journal.sqlite below $XDG_DATA_HOME or ~/.local/share.
	 */
	const char *path;
	/* Optional: wait so long for other processes; default 5000. */
	unsigned busy_timeout_ms;
};
#define X402_JOURNAL_OPTIONS_INIT \
	{                         \
		0                 \
	}

/*
 * Open, and create where it is missing (mode 0600, directories 0700).
 * options and info may be NULL. POLICY when the file belongs to another user,
 * others may read it, or everybody may write into its directory (as in /tmp):
 * an authorization in it is somebody's money. VERSION for a file of a newer
 * program; STORE with info otherwise; NOMEM.
 */
X402_API X402_MUST_USE enum x402_err x402_journal_open(
	const struct x402_journal_options *options, struct x402_errinfo *info,
	struct x402_journal **ret_journal);
/* NULL allowed. Close it after the clients that use it. */
X402_API void x402_journal_close(struct x402_journal *journal);
/* What went wrong last, for a person. Valid until the next call. */
X402_API const char *x402_journal_error(const struct x402_journal *journal);

/* ---- Purchases. ---- */

enum x402_purchase_state {
	X402_PURCHASE_RESERVED, /* counted in the budgets, nothing signed */
	/* Signed: it may have left, and may be charged until it is resolved. */
	X402_PURCHASE_UNKNOWN,
	X402_PURCHASE_DELIVERED,   /* paid, and the answer came whole */
	X402_PURCHASE_UNDELIVERED, /* paid, and it did not */
	/* It never left, or the chain has proved that it cannot be charged. */
	X402_PURCHASE_UNPAID
};
/* "reserved", "unknown", "paid_delivered", "paid_undelivered", "not_paid". */
X402_API const char *x402_purchase_state_name(enum x402_purchase_state state);

/* Longest id of a purchase, session or correlation, with its NUL. */
#define X402_PURCHASE_ID_SIZE 128

/* One authorization and what became of it. Strings are "" while unknown. */
struct x402_purchase {
	int64_t number; /* in the order of reservation, never used twice */
	uint8_t key32[32];
	char id[X402_PURCHASE_ID_SIZE]; /* the caller's, may be "" */
	char session[X402_PURCHASE_ID_SIZE];
	char correlation[X402_PURCHASE_ID_SIZE];
	char method[33];
	char *url;      /* as it was asked for, without userinfo */
	char host[272]; /* lower case, with the port where one is given */
	enum x402_purchase_state state;
	int x402_version;
	char scheme[32];
	char network[X402_NETWORK_SIZE];
	char asset[X402_ASSET_SIZE];
	char amount[X402_U256_DEC_SIZE];  /* the most that may be charged */
	char charged[X402_U256_DEC_SIZE]; /* what was; "" while not paid */
	int64_t usd_micros;               /* of charged or amount; -1 unknown */
	char pay_to[64];
	char payer[64];
	uint64_t valid_before_unix_s;
	char header_name[32];
	char *header_text; /* "" before it was signed */
	/* What was last heard: an outcome's name, the server's reason. */
	char said[16];
	char reason[256];
	char transaction[96];
	char *receipt_json; /* the settle response, "" without one */
	long http_status;
	unsigned presented;
	bool delivered; /* the whole answer came, whatever was proven */
	uint64_t created_unix_ms;
	uint64_t updated_unix_ms;
};
X402_API void x402_purchase_clear(struct x402_purchase *purchase);

/* What x402_journal_list() gives out. Zero: all. */
struct x402_journal_filter {
	const char *id;          /* exactly this id */
	const char *host;        /* exactly this host */
	const char *session;     /* exactly this session */
	const char *correlation; /* exactly this correlation */
	bool open_only;          /* RESERVED, UNKNOWN and UNDELIVERED only */
	uint64_t since_unix_ms;
	int64_t after_number; /* to page on */
	unsigned limit;       /* 0: no limit */
	bool newest_first;
};
#define X402_JOURNAL_FILTER_INIT \
	{                        \
		0                \
	}
/*
 * Call `each` for every purchase that the filter lets through, in order of
 * number. purchase is borrowed for the call. Returning false ends the walk.
 * `each` may not use the journal. STORE.
 */
X402_API X402_MUST_USE enum x402_err x402_journal_list(
	struct x402_journal *journal, const struct x402_journal_filter *filter,
	bool (*each)(void *user, const struct x402_purchase *purchase),
	void *user);
/* One purchase by number. NOT_FOUND, STORE. Clear it. */
X402_API X402_MUST_USE enum x402_err x402_journal_get(
	struct x402_journal *journal, int64_t number,
	struct x402_purchase *ret_purchase);

/*
 * The caller's word: forget that this authorization is open, so that another
 * may be signed for the same purchase. It still counts in the budgets, since
 * it can still be charged: this is how a purchase is paid twice, and the only
 * way. NOT_FOUND; CONFLICT when it is not open; STORE.
 */
X402_API X402_MUST_USE enum x402_err x402_journal_abandon(
	struct x402_journal *journal, int64_t number);

/* History in a form for other programs; authorizations are left out. */
enum x402_journal_form { X402_JOURNAL_CSV, X402_JOURNAL_NDJSON };
/* Appends to buf; a CSV begins with its names. NOMEM, STORE. */
X402_API X402_MUST_USE enum x402_err x402_journal_export(
	struct x402_journal *journal, const struct x402_journal_filter *filter,
	enum x402_journal_form form, struct x402_buf *ret_text);

/* ---- Budgets. ---- */

enum x402_budget_scope {
	X402_BUDGET_ALL,   /* everything together; subject is not used */
	X402_BUDGET_HOST,  /* subject: "host" or "host:port" */
	X402_BUDGET_PAYEE, /* subject: an address, EVM in any case */
	X402_BUDGET_ASSET  /* subject: "eip155:8453/0x..." */
};
enum x402_budget_window {
	X402_BUDGET_HOUR, /* the last 60 minutes */
	X402_BUDGET_DAY,  /* the last 24 hours */
	/* The purchases under one session id; scope ALL only. */
	X402_BUDGET_SESSION,
	X402_BUDGET_TOTAL /* since the journal began */
};
/*
 * One limit. A subject of NULL or "" means each subject by itself: "a dollar
 * a day for each host". At least one of the three maxima is not zero; a zero
 * one is no limit. What is reserved or unknown counts as spent; an `upto`
 * payment counts its maximum until the receipt says what was taken.
 *
 * A dollar limit also refuses assets without a known dollar value, unless a
 * limit in atomic units for that asset applies as well.
 */
struct x402_budget {
	enum x402_budget_scope scope;
	const char *subject;
	enum x402_budget_window window;
	uint64_t max_usd_micros;
	const char *max_atomic; /* decimal; scope ASSET with a subject only */
	uint64_t max_count;     /* purchases */
};

/*
 * Durable budgets bind every process that uses the file, beside those of its
 * own options. INVALID_ARGUMENT, STORE. Setting replaces the limit of the
 * same scope, subject and window.
 */
X402_API X402_MUST_USE enum x402_err x402_journal_budget_set(
	struct x402_journal *journal, const struct x402_budget *budget);
/* NOT_FOUND when there is none of that scope, subject and window. */
X402_API X402_MUST_USE enum x402_err x402_journal_budget_remove(
	struct x402_journal *journal, const struct x402_budget *budget);

/* How much of a limit is used. For "each" limits: of its fullest subject. */
struct x402_budget_use {
	struct x402_budget budget; /* borrowed for the call */
	uint64_t used_usd_micros;
	char used_atomic[X402_U256_DEC_SIZE];
	uint64_t used_count;
};
/* Walk the durable budgets. session may be NULL. STORE. */
X402_API X402_MUST_USE enum x402_err x402_journal_budgets(
	struct x402_journal *journal, const char *session,
	bool (*each)(void *user, const struct x402_budget_use *use),
	void *user);
/* The same for one limit that is not durable. INVALID_ARGUMENT, STORE. */
X402_API X402_MUST_USE enum x402_err x402_journal_budget_used(
	struct x402_journal *journal, const struct x402_budget *budget,
	const char *session, struct x402_budget_use *ret_use);

/* What one correlation id (an agent, a task, a crawl) cost so far. */
struct x402_cost {
	uint64_t usd_micros; /* of assets with a known dollar value */
	uint64_t count;
};
X402_API X402_MUST_USE enum x402_err x402_journal_cost(
	struct x402_journal *journal, const char *correlation,
	struct x402_cost *ret_cost);

#ifdef __cplusplus
}
#endif
#endif
