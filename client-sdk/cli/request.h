/*
 * request.h: what request.c and form.c share.
 */
#ifndef X402_CLI_REQUEST_H
#define X402_CLI_REQUEST_H

#include "cli.h"

/* Append a file, "-" is stdin. False with the error reported. */
bool cli_request_read_file(const char *path, struct x402_buf *buf);
/* Take a part of a form over; `part` is empty then. False: no memory. */
bool cli_request_add_part(struct cli_request *request, struct x402_buf *part);
/* The parts become the body. Caller frees the type. False: no memory. */
bool cli_request_finish_form(struct cli_request *request, char **ret_type);

#endif
