/*
 * tls.h: the server's half of TLS by mbedTLS, as bytes in and bytes out.
 *
 * TLS 1.2 with forward secrecy and authenticated encryption; HTTP/1.1 alone
 * in ALPN; session tickets, so that who comes back needs no full handshake.
 *
 * Not for: sockets (transport.c), client certificates.
 * Thread rule: a gw_tls is shared by the threads of libuv's pool, where
 * handshakes run; a session is used by one thread at a time.
 */
#ifndef GW_TLS_H
#define GW_TLS_H

#include "net/http_response.h"
#include "x402/error.h"

struct gw_tls;         /* opaque: certificate, key, tickets; counted */
struct gw_tls_session; /* opaque: one connection */

/*
 * Read a PEM chain and its key. INVALID_ARGUMENT with info: a file cannot be
 * read, the key is not the certificate's, or others than its owner may read
 * it. NOMEM. Ends with gw_tls_unref.
 */
X402_MUST_USE enum x402_err gw_tls_new(const char *certificate_file,
	const char *key_file, struct x402_errinfo *info,
	struct gw_tls **ret_tls);
struct gw_tls *gw_tls_ref(struct gw_tls *tls);
/* NULL allowed. */
void gw_tls_unref(struct gw_tls *tls);

/* NULL when memory is out. Holds a reference to tls. */
struct gw_tls_session *gw_tls_session_new(struct gw_tls *tls);
/* NULL allowed. */
void gw_tls_session_free(struct gw_tls_session *session);

/* Take bytes of the wire. False when memory is out. */
X402_MUST_USE bool gw_tls_session_feed(
	struct gw_tls_session *session, const void *data, size_t len);
/* Bytes for the wire; the caller takes them out. */
struct http_bytes *gw_tls_session_wire(struct gw_tls_session *session);

enum gw_tls_step { GW_TLS_MORE, GW_TLS_DONE, GW_TLS_FAILED };
/* Go on with the handshake on what was fed. Dear: milliseconds of CPU. */
enum gw_tls_step gw_tls_session_handshake(struct gw_tls_session *session);

/* Clear bytes out of what was fed: their number, 0 when more is needed, -1
 * when the client has ended or broken the session. Only after DONE. */
int gw_tls_session_read(struct gw_tls_session *session, void *data, size_t len);
/* Clear bytes in; false when the session is broken. Only after DONE. */
X402_MUST_USE bool gw_tls_session_write(
	struct gw_tls_session *session, const void *data, size_t len);
/* Say that nothing more comes. */
void gw_tls_session_end(struct gw_tls_session *session);

#endif
