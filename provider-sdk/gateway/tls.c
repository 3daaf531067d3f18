/*
 * tls.c: mbedTLS between two buffers. Its BIO callbacks read from `fed` and
 * write to `wire`, so no call of it ever waits, and a handshake may run on
 * another thread while the loop leaves the session alone.
 */
#include "tls.h"

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/ssl.h>
#include <mbedtls/ssl_ticket.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Whoever comes back within a day is spared the full handshake. */
#define TICKET_LIFE_S 86400

struct gw_tls {
	size_t refs; /* atomic: sessions end on the loop, but be sure */
	mbedtls_entropy_context entropy;
	mbedtls_ctr_drbg_context random;
	mbedtls_x509_crt chain;
	mbedtls_pk_context key;
	mbedtls_ssl_ticket_context tickets;
	mbedtls_ssl_config config;
};

struct gw_tls_session {
	struct gw_tls *tls;
	mbedtls_ssl_context ssl;
	struct http_bytes fed;
	size_t fed_at; /* read so far */
	struct http_bytes wire;
};

/* ---- The context. ---- */

static enum x402_err fail(struct x402_errinfo *info, const char *field,
	const char *what, int code)
{
	char text[128] = "";

	if (code == MBEDTLS_ERR_X509_ALLOC_FAILED ||
		code == MBEDTLS_ERR_PK_ALLOC_FAILED ||
		code == MBEDTLS_ERR_SSL_ALLOC_FAILED)
		return X402_ERR_NOMEM;
	mbedtls_strerror(code, text, sizeof(text));
	x402_errinfo_set(info, field, "%.160s: %s", what, text);
	return X402_ERR_INVALID_ARGUMENT;
}

/* R10: a key that others can read is everybody's. */
static enum x402_err check_mode(const char *file, struct x402_errinfo *info)
{
	struct stat st;

	if (stat(file, &st)) {
		x402_errinfo_set(
			info, "tls_key", "%.160s cannot be read", file);
		return X402_ERR_INVALID_ARGUMENT;
	}
	if (!S_ISREG(st.st_mode) || (st.st_mode & 077)) {
		x402_errinfo_set(info, "tls_key",
			"%.160s: expected a file that only its owner can read "
			"(mode 0600), got mode %04o",
			file, (unsigned)(st.st_mode & 07777));
		return X402_ERR_INVALID_ARGUMENT;
	}
	return X402_OK;
}

static enum x402_err load(struct gw_tls *tls, const char *certificate_file,
	const char *key_file, struct x402_errinfo *info)
{
	enum x402_err err = check_mode(key_file, info);
	int code;

	if (err != X402_OK)
		return err;
	code = mbedtls_ctr_drbg_seed(&tls->random, mbedtls_entropy_func,
		&tls->entropy, (const unsigned char *)"x402-gateway", 12);
	if (code)
		return fail(info, "tls", "no random bytes", code);
	code = mbedtls_x509_crt_parse_file(&tls->chain, certificate_file);
	if (code) /* above 0: some of the chain could not be read */
		return fail(info, "tls_certificate", certificate_file,
			code > 0 ? MBEDTLS_ERR_X509_INVALID_FORMAT : code);
	code = mbedtls_pk_parse_keyfile(&tls->key, key_file, NULL);
	if (code)
		return fail(info, "tls_key", key_file, code);
	code = mbedtls_pk_check_pair(&tls->chain.pk, &tls->key);
	if (code)
		return fail(info, "tls_key", "not the key of the certificate",
			code);
	return X402_OK;
}

static enum x402_err configure(struct gw_tls *tls, struct x402_errinfo *info)
{
	/* Ephemeral keys and AEAD only: nothing recorded today is read by who
	 * steals the key tomorrow. */
	static const int suites[] = {
		MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
		MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, 0};
	static const char *protocols[] = {"http/1.1", NULL};
	mbedtls_ssl_config *config = &tls->config;
	int code = mbedtls_ssl_config_defaults(config, MBEDTLS_SSL_IS_SERVER,
		MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);

	if (!code)
		code = mbedtls_ssl_ticket_setup(&tls->tickets,
			mbedtls_ctr_drbg_random, &tls->random,
			MBEDTLS_CIPHER_AES_256_GCM, TICKET_LIFE_S);
	if (!code)
		code = mbedtls_ssl_conf_own_cert(
			config, &tls->chain, &tls->key);
	if (!code)
		code = mbedtls_ssl_conf_alpn_protocols(config, protocols);
	if (code)
		return fail(info, "tls", "cannot be set up", code);
	mbedtls_ssl_conf_rng(config, mbedtls_ctr_drbg_random, &tls->random);
	mbedtls_ssl_conf_min_version(config, MBEDTLS_SSL_MAJOR_VERSION_3,
		MBEDTLS_SSL_MINOR_VERSION_3);
	mbedtls_ssl_conf_ciphersuites(config, suites);
	mbedtls_ssl_conf_renegotiation(
		config, MBEDTLS_SSL_RENEGOTIATION_DISABLED);
	mbedtls_ssl_conf_session_tickets_cb(config, mbedtls_ssl_ticket_write,
		mbedtls_ssl_ticket_parse, &tls->tickets);
	return X402_OK;
}

enum x402_err gw_tls_new(const char *certificate_file, const char *key_file,
	struct x402_errinfo *info, struct gw_tls **ret_tls)
{
	struct gw_tls *tls = calloc(1, sizeof(*tls));
	enum x402_err err;

	if (!tls)
		return X402_ERR_NOMEM;
	tls->refs = 1;
	mbedtls_entropy_init(&tls->entropy);
	mbedtls_ctr_drbg_init(&tls->random);
	mbedtls_x509_crt_init(&tls->chain);
	mbedtls_pk_init(&tls->key);
	mbedtls_ssl_ticket_init(&tls->tickets);
	mbedtls_ssl_config_init(&tls->config);
	err = load(tls, certificate_file, key_file, info);
	if (err == X402_OK)
		err = configure(tls, info);
	if (err != X402_OK) {
		gw_tls_unref(tls);
		return err;
	}
	*ret_tls = tls;
	return X402_OK;
}

struct gw_tls *gw_tls_ref(struct gw_tls *tls)
{
	__atomic_add_fetch(&tls->refs, 1, __ATOMIC_RELAXED);
	return tls;
}

void gw_tls_unref(struct gw_tls *tls)
{
	if (!tls || __atomic_sub_fetch(&tls->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	mbedtls_ssl_config_free(&tls->config);
	mbedtls_ssl_ticket_free(&tls->tickets);
	mbedtls_pk_free(&tls->key); /* wipes */
	mbedtls_x509_crt_free(&tls->chain);
	mbedtls_ctr_drbg_free(&tls->random);
	mbedtls_entropy_free(&tls->entropy);
	free(tls);
}

/* ---- One session. ---- */

static int bio_send(void *user, const unsigned char *data, size_t len)
{
	struct gw_tls_session *session = user;

	http_bytes_add(&session->wire, data, len);
	return session->wire.failed ? MBEDTLS_ERR_SSL_ALLOC_FAILED : (int)len;
}

static int bio_recv(void *user, unsigned char *data, size_t len)
{
	struct gw_tls_session *session = user;
	size_t left = session->fed.len - session->fed_at;

	if (left == 0)
		return MBEDTLS_ERR_SSL_WANT_READ;
	if (len > left)
		len = left;
	memcpy(data, session->fed.ptr + session->fed_at, len);
	session->fed_at += len;
	if (session->fed_at == session->fed.len)
		session->fed.len = session->fed_at = 0;
	return (int)len;
}

struct gw_tls_session *gw_tls_session_new(struct gw_tls *tls)
{
	struct gw_tls_session *session = calloc(1, sizeof(*session));

	if (!session)
		return NULL;
	mbedtls_ssl_init(&session->ssl);
	if (mbedtls_ssl_setup(&session->ssl, &tls->config)) {
		mbedtls_ssl_free(&session->ssl);
		free(session);
		return NULL;
	}
	session->tls = gw_tls_ref(tls);
	mbedtls_ssl_set_bio(&session->ssl, session, bio_send, bio_recv, NULL);
	return session;
}

void gw_tls_session_free(struct gw_tls_session *session)
{
	if (!session)
		return;
	mbedtls_ssl_free(&session->ssl);
	http_bytes_clear(&session->fed);
	http_bytes_clear(&session->wire);
	gw_tls_unref(session->tls);
	free(session);
}

bool gw_tls_session_feed(
	struct gw_tls_session *session, const void *data, size_t len)
{
	if (session->fed_at > 0) {
		session->fed.len -= session->fed_at;
		memmove(session->fed.ptr, session->fed.ptr + session->fed_at,
			session->fed.len);
		session->fed_at = 0;
	}
	http_bytes_add(&session->fed, data, len);
	return !session->fed.failed;
}

struct http_bytes *gw_tls_session_wire(struct gw_tls_session *session)
{
	return &session->wire;
}

enum gw_tls_step gw_tls_session_handshake(struct gw_tls_session *session)
{
	int code = mbedtls_ssl_handshake(&session->ssl);

	if (code == MBEDTLS_ERR_SSL_WANT_READ)
		return GW_TLS_MORE;
	return code == 0 ? GW_TLS_DONE : GW_TLS_FAILED;
}

int gw_tls_session_read(struct gw_tls_session *session, void *data, size_t len)
{
	int n = mbedtls_ssl_read(&session->ssl, data, len);

	if (n == MBEDTLS_ERR_SSL_WANT_READ)
		return 0;
	/* 0 is an end without close_notify. */
	return n > 0 ? n : -1;
}

bool gw_tls_session_write(
	struct gw_tls_session *session, const void *data, size_t len)
{
	const unsigned char *at = data;

	while (len > 0) {
		int n = mbedtls_ssl_write(&session->ssl, at, len);

		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

void gw_tls_session_end(struct gw_tls_session *session)
{
	(void)mbedtls_ssl_close_notify(&session->ssl); /* best effort */
}
