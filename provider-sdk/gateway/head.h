/*
 * head.h: the header block of an answer that no library reads for us: an
 * origin's word on an upgrade. Pure.
 *
 * Strict: HTTP/1.1, CRLF, no folded lines, no bytes that could end a line in
 * what is handed on.
 *
 * Not for: answers with content; libcurl reads those.
 * Thread rule: pure functions.
 */
#ifndef GW_HEAD_H
#define GW_HEAD_H

#include "net/http_request.h"

/* A handshake has five; cookies and policies make some more. */
#define GW_HEAD_HEADERS_MAX 64

struct gw_head {
	unsigned status; /* 100 to 999 */
	struct http_header headers[GW_HEAD_HEADERS_MAX];
	size_t headers_len;
};

/*
 * Read text of len bytes, which ends with the CRLF of its last line, the empty
 * one not included. It is cut into strings in place, which ret_head borrows.
 * False when it is none; text is spoiled then, ret_head undefined.
 */
bool gw_head_read(char *text, size_t len, struct gw_head *ret_head);

#endif
