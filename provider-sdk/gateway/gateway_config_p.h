/*
 * gateway_config_p.h: the keys of the file, in one table. A key is the name of
 * a member with its unit; what stands in the table is read, checked and put
 * where it belongs, and nothing else is a key.
 *
 * Thread rule: constant.
 */
#ifndef GW_GATEWAY_CONFIG_P_H
#define GW_GATEWAY_CONFIG_P_H

#include "gateway_config.h"

#include <confuse.h>

enum gw_key_kind {
	GW_KEY_TEXT,  /* char * */
	GW_KEY_LIST,  /* struct gw_list */
	GW_KEY_U32,   /* uint32_t */
	GW_KEY_U64,   /* uint64_t */
	GW_KEY_FLAG,  /* bool */
	GW_KEY_FILE,  /* char *: what a private file holds */
	GW_KEY_OTHER, /* a text that code of its own puts somewhere */
	GW_KEY_OTHERS /* a list of them */
};

struct gw_key {
	const char *section; /* "" at the top */
	const char *name;
	enum gw_key_kind kind;
	size_t offset; /* in the section's struct */
	long min;
	long max;
	/* Optional: is this text, or entry of a list, good? */
	bool (*good)(const char *text);
	const char *expected; /* as in "expected X, got Y" */
	bool secret;          /* never say what came */
};

extern const struct gw_key gw_keys[];
extern const size_t gw_keys_len;

/* NULL for none. */
const struct gw_key *gw_key_find(const char *section, const char *name);
bool gw_settle_read(const char *text, enum x402_provider_settle *ret_settle);
bool gw_policy_read(const char *text, enum x402_provider_policy *ret_policy);
bool gw_identifier_read(
	const char *text, enum x402_provider_identifier *ret_identifier);
bool gw_scope_read(const char *text, enum x402_provider_scope *ret_scope);
/* "Name: value", and a name that is the operator's to set. */
bool gw_header_good(const char *line);

#endif
