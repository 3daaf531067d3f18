/*
 * dead.h: deliveries of web hooks that were given up, for operators.
 *
 * Not for: the public listener: rows name payments and receivers.
 * Thread rule: as api/api.h, on the admin listener's thread.
 */
#ifndef FAC_OPS_DEAD_H
#define FAC_OPS_DEAD_H

#include "api/api.h"

/* GET /webhooks/dead: the newest of them. */
struct fac_step fac_api_dead_list(struct fac_request *request);
/* POST /webhooks/dead/{id}/retry: due again, as if it had never been tried. */
struct fac_step fac_api_dead_retry(struct fac_request *request);

#endif
