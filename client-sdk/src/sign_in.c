/*
 * sign_in.c: who has paid before may come back by proving who he is.
 *
 *   1. find_chain    an eip155 chain that takes a personal signature
 *   2. check_place   domain and uri must be the site that was asked: a proof
 *                    for another one is what phishing wants
 *   3. write_text    the text of EIP-4361; no field may bring a line of its
 *                    own into it
 *   4. encode        base64 JSON of all fields and the signature
 */
#include "sign_in_p.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* Longest field that is taken: statements are a sentence or two. */
#define FIELD_MAX 1024
/* What a person is asked to look at. */
#define RESOURCES_MAX 16

static bool is_line(const char *text)
{
	size_t len = strlen(text);
	if (len == 0 || len > FIELD_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return false;
	return true;
}

/* Digits behind "eip155:", as the text wants them; NULL for another chain. */
static const char *chain_number(const char *chain_id)
{
	if (!chain_id || strncmp(chain_id, "eip155:", 7) != 0)
		return NULL;
	const char *number = chain_id + 7;
	size_t len = strlen(number);
	return len > 0 && len <= 20 && strspn(number, "0123456789") == len
		? number
		: NULL;
}

static const struct x402_json *find_chain(const struct x402_json *extension)
{
	const struct x402_json *chains = x402_json_get(
		extension, "supportedChains");
	for (size_t i = 0; i < x402_json_size(chains); i++) {
		const struct x402_json *chain = x402_json_at(chains, i);
		const char *type = x402_json_get_string(chain, "type");
		const char *scheme = x402_json_get_string(
			chain, "signatureScheme");
		if (type && strcmp(type, "eip191") == 0 &&
			(!scheme || strcmp(scheme, "eip191") == 0) &&
			chain_number(x402_json_get_string(chain, "chainId")))
			return chain;
	}
	return NULL;
}

/* The host, with or without its port: servers write both. */
static bool is_own_domain(const struct x402__http_url *url, const char *domain)
{
	char with_port[300];
	snprintf(with_port, sizeof(with_port), "%s:%u", url->host, url->port);
	return strcasecmp(domain, url->host) == 0 ||
		strcasecmp(domain, with_port) == 0;
}

static enum x402_err check_place(const struct x402_json *details,
	const struct x402__http_url *url, struct x402_errinfo *info)
{
	const char *domain = x402_json_get_string(details, "domain");
	const char *uri = x402_json_get_string(details, "uri");
	struct x402__http_url claimed = {0};
	if (!domain || !uri) {
		x402_errinfo_set(
			info, "sign-in-with-x", "expected a domain and a uri");
		return X402_ERR_SCHEMA;
	}
	bool own = is_own_domain(url, domain) &&
		!x402__http_url_parse(uri, &claimed) &&
		(x402__http_url_same_origin(&claimed, url) ||
			x402__http_url_is_upgrade(&claimed, url));
	x402__http_url_clear(&claimed);
	if (own)
		return X402_OK;
	x402_errinfo_set(info, "sign-in-with-x",
		"expected a sign-in for %s, got one for %.80s", url->shown,
		domain);
	return X402_ERR_POLICY;
}

/* ---- 3. The text. ---- */

/* "Name: value" of an optional field. False: it may not be in the text. */
static bool add_field(struct x402_buf *text, const struct x402_json *details,
	const char *key, const char *label)
{
	const char *value = x402_json_get_string(details, key);
	if (!value)
		return true;
	x402_buf_printf(text, "\n%s: %s", label, value);
	return is_line(value);
}

static bool add_resources(
	struct x402_buf *text, const struct x402_json *details)
{
	const struct x402_json *list = x402_json_get(details, "resources");
	size_t len = x402_json_size(list);
	if (len > RESOURCES_MAX)
		return false;
	if (len)
		x402_buf_add_str(text, "\nResources:");
	for (size_t i = 0; i < len; i++) {
		const char *value = x402_json_string(x402_json_at(list, i));
		if (!value || !is_line(value))
			return false;
		x402_buf_printf(text, "\n- %s", value);
	}
	return true;
}

static enum x402_err write_text(const struct x402_json *details,
	const char *address, const char *chain, char **ret_text)
{
	const char *domain = x402_json_get_string(details, "domain");
	const char *statement = x402_json_get_string(details, "statement");
	const char *version = x402_json_get_string(details, "version");
	struct x402_buf text = {0};
	x402_buf_printf(&text,
		"%s wants you to sign in with your Ethereum account:\n%s\n",
		domain, address);
	if (statement)
		x402_buf_printf(&text, "\n%s\n", statement);
	else
		x402_buf_add_byte(&text, '\n');
	/* add_field begins each line, so that the last one ends nothing. */
	bool ok = is_line(domain) && (!statement || is_line(statement)) &&
		version && strcmp(version, "1") == 0 &&
		x402_json_get_string(details, "nonce") &&
		x402_json_get_string(details, "issuedAt") &&
		add_field(&text, details, "uri", "URI") &&
		add_field(&text, details, "version", "Version");
	x402_buf_printf(&text, "\nChain ID: %s", chain);
	ok = ok && add_field(&text, details, "nonce", "Nonce") &&
		add_field(&text, details, "issuedAt", "Issued At") &&
		add_field(
			&text, details, "expirationTime", "Expiration Time") &&
		add_field(&text, details, "notBefore", "Not Before") &&
		add_field(&text, details, "requestId", "Request ID") &&
		add_resources(&text, details);
	if (!ok) {
		x402_buf_clear(&text);
		return X402_ERR_SCHEMA;
	}
	*ret_text = x402_buf_take_str(&text);
	return *ret_text ? X402_OK : X402_ERR_NOMEM;
}

/* ---- 4. The header. ---- */

static enum x402_err encode(const struct x402_json *details,
	const struct x402_json *chain, const char *address,
	const char *signature, char **ret_header)
{
	struct x402_json *proof = x402_json_copy(details);
	struct x402_buf header = {0};
	char *text = NULL;
	enum x402_err err = proof ? X402_OK : X402_ERR_NOMEM;
	if (!err)
		err = x402_json_set_string(proof, "address", address);
	if (!err)
		err = x402_json_set_string(proof, "chainId",
			x402_json_get_string(chain, "chainId"));
	if (!err)
		err = x402_json_set_string(proof, "type", "eip191");
	if (!err && x402_json_get_string(chain, "signatureScheme"))
		err = x402_json_set_string(proof, "signatureScheme", "eip191");
	if (!err)
		err = x402_json_set_string(proof, "signature", signature);
	if (!err) {
		text = x402_json_dump(proof);
		err = text ? X402_OK : X402_ERR_NOMEM;
	}
	if (!err) {
		x402_base64_encode(x402_span_str(text), &header);
		*ret_header = x402_buf_take_str(&header);
		err = *ret_header ? X402_OK : X402_ERR_NOMEM;
	}
	free(text);
	x402_json_unref(proof);
	return err;
}

static enum x402_err sign_and_encode(const struct x402_json *details,
	const struct x402_json *chain, const struct x402_client_signer *signer,
	char **ret_header)
{
	char address[X402_ADDRESS_TEXT_SIZE];
	struct x402_buf signature = {0};
	struct x402_buf hex = {0};
	char *text = NULL;
	x402_address_format(&signer->address, address);
	enum x402_err err = write_text(details, address,
		chain_number(x402_json_get_string(chain, "chainId")), &text);
	if (!err)
		err = signer->sign_text(signer->user, text, &signature);
	free(text);
	if (err) {
		x402_buf_clear(&signature);
		return err;
	}
	x402_hex_encode_0x(x402_buf_span(&signature), &hex);
	x402_buf_clear(&signature);
	char *written = x402_buf_take_str(&hex);
	err = written ? encode(details, chain, address, written, ret_header)
		      : X402_ERR_NOMEM;
	free(written);
	return err;
}

enum x402_err x402__sign_in(const struct x402_payment_required *required,
	const struct x402__http_url *url,
	const struct x402_client_signer *signer, struct x402_errinfo *info,
	char **ret_header)
{
	const struct x402_json *extension = x402_json_get(
		x402_json_get(required->json, "extensions"), "sign-in-with-x");
	const struct x402_json *details = x402_json_get(extension, "info");
	const struct x402_json *chain = find_chain(extension);
	if (!signer || !signer->sign_text || !details || !chain)
		return X402_ERR_NOT_FOUND;
	enum x402_err err = check_place(details, url, info);
	return err ? err : sign_and_encode(details, chain, signer, ret_header);
}
