/*
 * signer.c: the ready-made signers. All of them end in the client's one
 * callback; what differs is where the key is when it is called.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "client_p.h"
#include "signer_p.h"
#include "signer_payment_p.h"
#include "x402/encoding.h"
#include "x402/json.h"

#define ANSWER_MAX_BYTES ((size_t)32 * 1024)
#define TIMEOUT_MS       10000

struct x402_signer {
	struct x402_client_signer client;
	char reason[256];
	/* A key, from the start or once it was needed. */
	struct x402__keyring *keyring;
	struct x402_client_signer key;
	/* A keystore that is still closed. */
	struct x402_signer_keystore_options keystore;
	char *path; /* of the keystore or the socket */
	/* A process. */
	int timeout_ms;
	struct x402_json *grant; /* NULL: no session */
	struct x402_client_signer session;
	struct x402__keyring *session_keyring;
	/* Solana; sign NULL: no key of it. */
	struct x402_client_svm_signer svm_client;
	struct x402__keyring *svm_keyring;
};

const struct x402_client_signer *x402_signer_client(
	const struct x402_signer *signer)
{
	return &signer->client;
}

const struct x402_client_svm_signer *x402_signer_svm_client(
	const struct x402_signer *signer)
{
	return signer->svm_client.sign ? &signer->svm_client : NULL;
}

enum x402_err x402_signer_add_svm_key(
	struct x402_signer *signer, const struct x402_svm_secret *key)
{
	if (signer->svm_client.sign)
		return X402_ERR_CONFLICT;
	return x402__svm_keyring_new(
		key, &signer->svm_keyring, &signer->svm_client);
}

const char *x402_signer_reason(const struct x402_signer *signer)
{
	return signer->reason;
}

void x402_signer_free(struct x402_signer *signer)
{
	if (!signer)
		return;
	x402__keyring_free(signer->keyring);
	x402__keyring_free(signer->session_keyring);
	x402__keyring_free(signer->svm_keyring);
	x402_json_unref(signer->grant);
	free(signer->path);
	free(signer);
}

static enum x402_err begin(struct x402_signer **ret_signer)
{
	struct x402_signer *signer = calloc(1, sizeof(*signer));
	if (!signer)
		return X402_ERR_NOMEM;
	if (!x402__random_init()) {
		free(signer);
		return X402_ERR_INTERNAL;
	}
	*ret_signer = signer;
	return X402_OK;
}

/* ---- A key. ---- */

enum x402_err x402_signer_from_key(
	const struct x402_secret *key, struct x402_signer **ret_signer)
{
	struct x402_signer *signer = NULL;
	enum x402_err err = begin(&signer);
	if (!err)
		err = x402__keyring_new(key, &signer->keyring, &signer->client);
	if (err)
		x402_signer_free(signer);
	else
		*ret_signer = signer;
	return err;
}

/* ---- A keystore. ---- */

static enum x402_err unlock_keystore(
	struct x402_signer *signer, struct x402_errinfo *info)
{
	struct x402_locked text = {0};
	struct x402_locked password = {0};
	struct x402_secret key = {{0}};
	enum x402_err err = x402_secret_file_read(signer->path,
		X402_SECRET_OWNER_ONLY, X402_KEYSTORE_MAX_BYTES, info, &text);
	if (!err)
		err = signer->keystore.password(
			signer->keystore.user, &password);
	if (!err)
		err = x402_keystore_open(x402_locked_span(&text),
			x402_locked_span(&password), info, &key);
	if (!err)
		err = x402__keyring_new(&key, &signer->keyring, &signer->key);
	x402_secret_clear(&key);
	x402_locked_clear(&password);
	x402_locked_clear(&text);
	return err;
}

/* Open, from before or now. */
static enum x402_err need_keystore(struct x402_signer *signer)
{
	struct x402_errinfo info = {{0}, {0}};
	enum x402_err err = X402_OK;
	signer->reason[0] = '\0';
	if (!signer->keyring)
		err = unlock_keystore(signer, &info);
	/* The file was changed under us: the client has promised another
	 * payer to itself. */
	if (!err &&
		!x402_address_equal(
			&signer->key.address, &signer->client.address))
		err = X402_ERR_CONFLICT;
	if (err && info.text[0])
		(void)snprintf(signer->reason, sizeof(signer->reason), "%s",
			info.text);
	return err;
}

static enum x402_err sign_with_keystore(void *user,
	const struct x402_client_signing *signing,
	struct x402_buf *ret_signature)
{
	struct x402_signer *signer = user;
	enum x402_err err = need_keystore(signer);
	return err ? err
		   : signer->key.sign(signer->key.user, signing, ret_signature);
}

static enum x402_err sign_text_with_keystore(
	void *user, const char *text, struct x402_buf *ret_signature)
{
	struct x402_signer *signer = user;
	enum x402_err err = need_keystore(signer);
	return err
		? err
		: signer->key.sign_text(signer->key.user, text, ret_signature);
}

static enum x402_err learn_address(
	struct x402_signer *signer, struct x402_errinfo *info)
{
	struct x402_locked text = {0};
	struct x402_keystore_info keystore = {0};
	enum x402_err err = x402_secret_file_read(signer->path,
		X402_SECRET_OWNER_ONLY, X402_KEYSTORE_MAX_BYTES, info, &text);
	if (!err)
		err = x402_keystore_describe(
			x402_locked_span(&text), info, &keystore);
	x402_locked_clear(&text);
	if (!err && keystore.solana_address[0]) {
		x402_errinfo_set(info, "x402Wallet",
			"%s: this is a wallet of Solana", signer->path);
		return X402_ERR_UNSUPPORTED;
	}
	if (!err && keystore.has_address) {
		signer->client.address = keystore.address;
		return X402_OK;
	}
	if (!err)
		err = unlock_keystore(signer, info);
	if (!err)
		signer->client.address = signer->key.address;
	return err;
}

enum x402_err x402_signer_from_keystore(
	const struct x402_signer_keystore_options *options,
	struct x402_errinfo *info, struct x402_signer **ret_signer)
{
	struct x402_signer *signer = NULL;
	enum x402_err err = begin(&signer);
	if (err)
		return err;
	signer->keystore = *options;
	signer->path = strdup(options->path);
	signer->client.sign = sign_with_keystore;
	signer->client.sign_text = sign_text_with_keystore;
	signer->client.user = signer;
	err = signer->path ? learn_address(signer, info) : X402_ERR_NOMEM;
	if (err)
		x402_signer_free(signer);
	else
		*ret_signer = signer;
	return err;
}

/* ---- A process. ---- */

static int dial(const struct x402_signer *signer)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = signer->timeout_ms / 1000,
		.tv_usec = (signer->timeout_ms % 1000) * 1000};
	size_t len = strlen(signer->path);
	if (len >= sizeof(address.sun_path))
		return -1;
	memcpy(address.sun_path, signer->path, len + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* One line there, one line back. A lost answer may be asked for again: the
 * same payment gives the same signature and counts once. */
static enum x402_err exchange(
	const struct x402_signer *signer, const char *line, struct x402_buf *in)
{
	size_t len = strlen(line);
	size_t sent = 0;
	char chunk[4096];
	int fd = dial(signer);
	if (fd < 0)
		return X402_ERR_NETWORK;
	enum x402_err err = X402_OK;
	while (!err && sent < len) {
		ssize_t put = send(fd, line + sent, len - sent, MSG_NOSIGNAL);
		if (put <= 0 && errno != EINTR)
			err = X402_ERR_NETWORK;
		sent += put > 0 ? (size_t)put : 0;
	}
	while (!err && !(in->len && in->ptr[in->len - 1] == '\n')) {
		ssize_t got = recv(fd, chunk, sizeof(chunk), 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			err = X402_ERR_NETWORK;
		else
			x402_buf_add(in, x402_span(chunk, (size_t)got));
		if (in->failed)
			err = X402_ERR_NOMEM;
		else if (in->len > ANSWER_MAX_BYTES)
			err = X402_ERR_TOO_LARGE;
	}
	close(fd);
	return err;
}

static enum x402_err ask(struct x402_signer *signer, const char *line,
	struct x402_json **ret_answer)
{
	struct x402_buf in = {0};
	struct x402_json *answer = NULL;
	bool ok = false;
	enum x402_err err = exchange(signer, line, &in);
	if (!err)
		err = x402_json_parse(x402_buf_span(&in), NULL, NULL, &answer);
	x402_buf_clear(&in);
	if (err) {
		(void)snprintf(signer->reason, sizeof(signer->reason),
			"%.150s: no answer from the signer (%s)", signer->path,
			x402_err_text(err));
		return err;
	}
	if (x402_json_bool(x402_json_get(answer, "ok"), &ok) && ok) {
		*ret_answer = answer;
		return X402_OK;
	}
	const char *message = x402_json_get_string(answer, "message");
	(void)snprintf(signer->reason, sizeof(signer->reason), "%s",
		message ? message : "the signer refused");
	x402_json_unref(answer);
	return X402_ERR_POLICY;
}

static enum x402_err set_hex(
	struct x402_json *json, const char *key, struct x402_span bytes)
{
	struct x402_buf hex = {0};
	x402_hex_encode_0x(bytes, &hex);
	char *text = x402_buf_take_str(&hex);
	enum x402_err err = text ? x402_json_set_string(json, key, text)
				 : X402_ERR_NOMEM;
	free(text);
	return err;
}

static enum x402_err add_session(const struct x402_signer *signer,
	const char *body, struct x402_json *line)
{
	uint8_t digest32[32];
	struct x402_buf signature = {0};
	struct x402_client_signing signing = {
		.family = X402_FAMILY_EVM, .digest32 = digest32};
	if (!signer->grant)
		return X402_OK;
	x402_session_text_digest(
		X402__SIGNER_REQUEST_PREFIX, x402_span_str(body), digest32);
	enum x402_err err = signer->session.sign(
		signer->session.user, &signing, &signature);
	if (!err)
		err = set_hex(line, "signature", x402_buf_span(&signature));
	x402_buf_clear(&signature);
	if (!err)
		err = x402_json_set_take(
			line, "grant", x402_json_ref(signer->grant));
	return err;
}

/* NULL without a session. */
static const char *session_id(const struct x402_signer *signer)
{
	return signer->grant ? x402_json_get_string(signer->grant, "id") : NULL;
}

static enum x402_err make_line(const struct x402_signer *signer, const char *op,
	const char *body, struct x402_buf *ret_line)
{
	struct x402_json *line = x402_json_new_object();
	enum x402_err err = line ? x402_json_set_string(line, "op", op)
				 : X402_ERR_NOMEM;
	if (!err)
		err = x402_json_set_string(line, "body", body);
	if (!err)
		err = add_session(signer, body, line);
	char *text = err ? NULL : x402_json_dump(line);
	x402_json_unref(line);
	if (!err && !text)
		err = X402_ERR_NOMEM;
	x402_buf_add_str(ret_line, text ? text : "");
	x402_buf_add_byte(ret_line, '\n');
	free(text);
	return err;
}

/* Ask for what body says; body is taken. */
static enum x402_err ask_for(struct x402_signer *signer, const char *op,
	char *body_taken, struct x402_json **ret_answer)
{
	struct x402_buf buf = {0};
	enum x402_err err = make_line(signer, op, body_taken, &buf);
	char *line = x402_buf_take_str(&buf);
	if (!err && !line)
		err = X402_ERR_NOMEM;
	if (!err)
		err = ask(signer, line, ret_answer);
	free(line);
	free(body_taken);
	return err;
}

static bool is_by_wallet(const struct x402_signer *signer,
	const struct x402_client_signing *signing, struct x402_span signature)
{
	struct x402_address who;
	if (signing->family == X402_FAMILY_SVM)
		return signature.len == 64 &&
			x402_ed25519_verify(signature.ptr,
				signing->signable->svm_message,
				&signer->svm_client.address);
	return signature.len == 65 &&
		!x402_recover_address(signing->digest32, signature.ptr, &who) &&
		x402_address_equal(&who, &signer->client.address);
}

/* Believe it only if it is our wallet's, over what we want signed. */
static enum x402_err take_signature(struct x402_signer *signer,
	struct x402_json *answer_taken,
	const struct x402_client_signing *signing,
	struct x402_buf *ret_signature)
{
	struct x402_buf bytes = {0};
	enum x402_err err = x402_hex_decode(
		x402_json_get_string(answer_taken, "signature"), &bytes);
	x402_json_unref(answer_taken);
	if (err == X402_ERR_NOMEM)
		return err;
	if (err || !is_by_wallet(signer, signing, x402_buf_span(&bytes))) {
		(void)snprintf(signer->reason, sizeof(signer->reason),
			"the signer signed something else");
		x402_buf_clear(&bytes);
		return X402_ERR_CRYPTO;
	}
	x402_buf_add(ret_signature, x402_buf_span(&bytes));
	x402_buf_clear(&bytes);
	return ret_signature->failed ? X402_ERR_NOMEM : X402_OK;
}

static enum x402_err sign_by_socket(void *user,
	const struct x402_client_signing *signing,
	struct x402_buf *ret_signature)
{
	struct x402_signer *signer = user;
	struct x402_json *answer = NULL;
	char *body = NULL;
	signer->reason[0] = '\0';
	enum x402_err err = x402__signer_body(
		signing, session_id(signer), &body);
	if (!err)
		err = ask_for(signer, "sign", body, &answer);
	return err ? err
		   : take_signature(signer, answer, signing, ret_signature);
}

static enum x402_err sign_in_body(
	const struct x402_signer *signer, const char *text, char **ret_body)
{
	struct x402_json *body = x402_json_new_object();
	const char *session = session_id(signer);
	enum x402_err err = body ? x402_json_set_string(body, "text", text)
				 : X402_ERR_NOMEM;
	if (!err && session)
		err = x402_json_set_string(body, "session", session);
	char *dumped = err ? NULL : x402_json_dump(body);
	x402_json_unref(body);
	if (!err && !dumped)
		err = X402_ERR_NOMEM;
	if (!err)
		*ret_body = dumped;
	return err;
}

static enum x402_err sign_text_by_socket(
	void *user, const char *text, struct x402_buf *ret_signature)
{
	struct x402_signer *signer = user;
	struct x402_json *answer = NULL;
	char *body = NULL;
	uint8_t digest32[32];
	struct x402_client_signing signing = {
		.family = X402_FAMILY_EVM, .digest32 = digest32};
	signer->reason[0] = '\0';
	x402_session_text_digest("", x402_span_str(text), digest32);
	enum x402_err err = sign_in_body(signer, text, &body);
	if (!err)
		err = ask_for(signer, "sign-in", body, &answer);
	return err ? err
		   : take_signature(signer, answer, &signing, ret_signature);
}

static enum x402_err sign_svm_text_by_socket(
	void *user, const char *text, struct x402_buf *ret_signature)
{
	struct x402_signer *signer = user;
	struct x402_json *answer = NULL;
	char *body = NULL;
	struct x402_signable signable = {.svm_message = x402_span_str(text)};
	struct x402_client_signing signing = {
		.family = X402_FAMILY_SVM, .signable = &signable};
	signer->reason[0] = '\0';
	enum x402_err err = sign_in_body(signer, text, &body);
	if (!err)
		err = ask_for(signer, "sign-in", body, &answer);
	return err ? err
		   : take_signature(signer, answer, &signing, ret_signature);
}

static enum x402_err load_session(
	struct x402_signer *signer, const char *path, struct x402_errinfo *info)
{
	struct x402_locked text = {0};
	struct x402_session_grant grant;
	struct x402_secret key = {{0}};
	enum x402_err err = x402_secret_file_read(path, X402_SECRET_OWNER_ONLY,
		X402_SESSION_MAX_BYTES, info, &text);
	if (!err)
		err = x402_session_file_read(x402_locked_span(&text), info,
			&grant, &signer->grant, &key);
	if (!err)
		err = x402__keyring_new(
			&key, &signer->session_keyring, &signer->session);
	x402_secret_clear(&key);
	x402_locked_clear(&text);
	return err;
}

static enum x402_err ask_address(
	struct x402_signer *signer, struct x402_errinfo *info)
{
	struct x402_json *answer = NULL;
	enum x402_err err = ask(signer, "{\"op\":\"address\"}\n", &answer);
	if (!err &&
		x402_address_parse(x402_json_get_string(answer, "address"),
			&signer->client.address))
		err = X402_ERR_SCHEMA;
	const char *solana = x402_json_get_string(answer, "solana");
	if (!err && solana &&
		x402_pubkey_parse(solana, &signer->svm_client.address))
		err = X402_ERR_SCHEMA;
	if (!err && solana) {
		signer->svm_client.sign = sign_by_socket;
		signer->svm_client.sign_text = sign_svm_text_by_socket;
		signer->svm_client.user = signer;
	}
	if (err)
		x402_errinfo_set(info, "", "%s",
			signer->reason[0] ? signer->reason
					  : "the signer gave no address");
	x402_json_unref(answer);
	return err;
}

enum x402_err x402_signer_from_socket(
	const struct x402_signer_socket_options *options,
	struct x402_errinfo *info, struct x402_signer **ret_signer)
{
	struct x402_signer *signer = NULL;
	enum x402_err err = begin(&signer);
	if (err)
		return err;
	signer->timeout_ms = options->timeout_ms > 0 ? options->timeout_ms
						     : TIMEOUT_MS;
	signer->path = strdup(options->path);
	signer->client.sign = sign_by_socket;
	signer->client.sign_text = sign_text_by_socket;
	signer->client.user = signer;
	if (!signer->path)
		err = X402_ERR_NOMEM;
	if (!err && options->session_path)
		err = load_session(signer, options->session_path, info);
	if (!err)
		err = ask_address(signer, info);
	if (err)
		x402_signer_free(signer);
	else
		*ret_signer = signer;
	return err;
}
