/*
 * text_p.h: other people's words, made fit to be shown, private.
 */
#ifndef X402_CLIENT_TEXT_P_H
#define X402_CLIENT_TEXT_P_H

#include <stddef.h>

/*
 * Copy text that came from the network into a fixed buffer: control
 * characters (C1 too) become '?', so that it cannot drive a terminal, and a
 * cut never leaves half of a UTF-8 sequence. NULL gives "". text may be out.
 */
void x402__text_take(char *out, size_t size, const char *text);
/* The whole text or "": ids that are cut are other ids. Printable ASCII. */
void x402__text_take_id(char *out, size_t size, const char *text);

#endif
