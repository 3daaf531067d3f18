/*
 * sign_in.c: who has paid before may come back by proving who he is.
 *
 *   1. find_chain    a chain whose account is ours and signs texts; the one
 *                    that would be paid on before others, for there may be
 *                    who has paid
 *   2. check_place   domain and uri must be the site that was asked: a proof
 *                    for another one is what phishing wants
 *   3. write_text    the text of EIP-4361, or its twin for Solana; no field
 *                    may bring a line of its own into it
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

/* What a family calls things. */
struct kind {
	const char *namespace_; /* 7 letters with the colon, both */
	const char *type;
	const char *scheme;
	const char *account;
};
static const struct kind evm_kind = {"eip155:", "eip191", "eip191", "Ethereum"};
static const struct kind svm_kind = {"solana:", "ed25519", "siws", "Solana"};

/* Who signs, and on which of the site's chains. */
struct choice {
	const struct kind *kind;
	const char *chain_id;
	bool says_scheme;
};

/* The part that stands in the text. */
static const char *reference_of(const char *chain_id)
{
	return strchr(chain_id, ':') + 1;
}

/* One of ours: the account is there, and its signer signs texts. */
static const struct kind *kind_of(
	const struct x402__sign_in_ask *ask, const char *chain_id)
{
	struct x402_network network;
	if (!chain_id || x402_network_parse(chain_id, &network))
		return NULL;
	if (ask->signer && ask->signer->sign_text &&
		strncmp(chain_id, evm_kind.namespace_, 7) == 0)
		return &evm_kind;
	if (ask->svm_signer && ask->svm_signer->sign_text &&
		strncmp(chain_id, svm_kind.namespace_, 7) == 0)
		return &svm_kind;
	return NULL;
}

static bool find_chain(const struct x402__sign_in_ask *ask,
	const struct x402_json *extension, struct choice *ret_choice)
{
	const struct x402_json *chains = x402_json_get(
		extension, "supportedChains");
	bool found = false;
	for (size_t i = 0; i < x402_json_size(chains); i++) {
		const struct x402_json *chain = x402_json_at(chains, i);
		const char *id = x402_json_get_string(chain, "chainId");
		const char *type = x402_json_get_string(chain, "type");
		const char *scheme = x402_json_get_string(
			chain, "signatureScheme");
		const struct kind *kind = kind_of(ask, id);
		if (!kind || !type || strcmp(type, kind->type) != 0 ||
			(scheme && strcmp(scheme, kind->scheme) != 0))
			continue;
		bool paid_on = ask->network && strcmp(id, ask->network) == 0;
		if (!found || paid_on)
			*ret_choice = (struct choice){kind, id, scheme != NULL};
		found = true;
		if (paid_on)
			break;
	}
	return found;
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
	const char *address, const struct choice *choice, char **ret_text)
{
	const char *domain = x402_json_get_string(details, "domain");
	const char *statement = x402_json_get_string(details, "statement");
	const char *version = x402_json_get_string(details, "version");
	struct x402_buf text = {0};
	x402_buf_printf(&text,
		"%s wants you to sign in with your %s account:\n%s\n", domain,
		choice->kind->account, address);
	/* Without one EIP-4361 leaves its line empty; its twin has no line. */
	if (statement)
		x402_buf_printf(&text, "\n%s\n", statement);
	else if (choice->kind == &evm_kind)
		x402_buf_add_byte(&text, '\n');
	/* add_field begins each line, so that the last one ends nothing. */
	bool ok = is_line(domain) && (!statement || is_line(statement)) &&
		version && strcmp(version, "1") == 0 &&
		x402_json_get_string(details, "nonce") &&
		x402_json_get_string(details, "issuedAt") &&
		add_field(&text, details, "uri", "URI") &&
		add_field(&text, details, "version", "Version");
	x402_buf_printf(
		&text, "\nChain ID: %s", reference_of(choice->chain_id));
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
	const struct choice *choice, const char *address, const char *signature,
	char **ret_header)
{
	struct x402_json *proof = x402_json_copy(details);
	struct x402_buf header = {0};
	char *text = NULL;
	enum x402_err err = proof ? X402_OK : X402_ERR_NOMEM;
	if (!err)
		err = x402_json_set_string(proof, "address", address);
	if (!err)
		err = x402_json_set_string(proof, "chainId", choice->chain_id);
	if (!err)
		err = x402_json_set_string(proof, "type", choice->kind->type);
	if (!err && choice->says_scheme)
		err = x402_json_set_string(
			proof, "signatureScheme", choice->kind->scheme);
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

static void format_address(const struct x402__sign_in_ask *ask,
	const struct kind *kind, char ret_text[X402_ACCOUNT_TEXT_SIZE])
{
	if (kind == &svm_kind)
		x402_pubkey_format(&ask->svm_signer->address, ret_text);
	else
		x402_address_format(&ask->signer->address, ret_text);
}

/* The signature as its family writes it: 0x and hex, or base58. */
static enum x402_err sign(const struct x402__sign_in_ask *ask,
	const struct kind *kind, const char *text, char **ret_signature)
{
	struct x402_buf bytes = {0};
	struct x402_buf written = {0};
	char base58[X402_SVM_SIGNATURE_TEXT_SIZE];
	enum x402_err err;
	if (kind == &svm_kind) {
		err = ask->svm_signer->sign_text(
			ask->svm_signer->user, text, &bytes);
		if (!err && bytes.len != 64)
			err = X402_ERR_CRYPTO;
		if (!err) {
			x402_base58_encode(bytes.ptr, 64, base58);
			x402_buf_add_str(&written, base58);
		}
	} else {
		err = ask->signer->sign_text(ask->signer->user, text, &bytes);
		if (!err)
			x402_hex_encode_0x(x402_buf_span(&bytes), &written);
	}
	x402_buf_clear(&bytes);
	char *signature = x402_buf_take_str(&written);
	if (!err && !signature)
		err = X402_ERR_NOMEM;
	if (err)
		free(signature);
	else
		*ret_signature = signature;
	return err;
}

enum x402_err x402__sign_in(const struct x402__sign_in_ask *ask,
	struct x402_errinfo *info, char **ret_header)
{
	const struct x402_json *extension = x402_json_get(
		x402_json_get(ask->required->json, "extensions"),
		"sign-in-with-x");
	const struct x402_json *details = x402_json_get(extension, "info");
	char address[X402_ACCOUNT_TEXT_SIZE];
	struct choice choice;
	char *text = NULL;
	char *signature = NULL;
	if (!details || !find_chain(ask, extension, &choice))
		return X402_ERR_NOT_FOUND;
	format_address(ask, choice.kind, address);
	enum x402_err err = check_place(details, ask->url, info);
	if (!err)
		err = write_text(details, address, &choice, &text);
	if (!err)
		err = sign(ask, choice.kind, text, &signature);
	if (!err)
		err = encode(details, &choice, address, signature, ret_header);
	free(signature);
	free(text);
	return err;
}
