/*
 * queue.h: the verbs that wait for the store's thread, in three lines: signed
 * transactions (urgent), what else money waits for, and the reads and posts of
 * strangers (browsing).
 *
 * A group takes of each line in turn what it has room for, and of the last no
 * more than costs some milliseconds: whoever settles a payment must not wait
 * for a crowd that looks at the catalogue, and a lane's lease is renewed
 * through the same thread. What was signed is sent when it is written, and
 * must be there before the next block is made: it does not wait until the last
 * block's thousands have been written down. Nothing that stands before it in
 * another line can be of its payments: these wait for it.
 *
 * Not for: running verbs (sqlite.c, postgres.c).
 * Thread rule: plain values; store.c holds a lock around all of it.
 */
#ifndef FAC_STORE_QUEUE_H
#define FAC_STORE_QUEUE_H

#include "store/verb.h"

/*
 * One commit holds at most so many verbs, of which those that write many
 * payments count for each: bounds the wait of the first, and of what is urgent.
 */
#define FAC_QUEUE_GROUP_MAX 512
/* What steps all payments of a transaction at once, without naming them. */
#define FAC_QUEUE_STEP_WEIGHT 32
/*
 * What strangers may cost one group, and what each costs. A page of the
 * catalogue is 100 rows of 32 KiB, a payment's transaction has 220 of them.
 */
#define FAC_QUEUE_BROWSING_COST_MAX 64
#define FAC_QUEUE_LIST_COST         64
#define FAC_QUEUE_GET_COST          8
#define FAC_QUEUE_PUT_COST          4
/* Strangers that may wait; a verb has some kilobytes. Beyond it: STORE. */
#define FAC_QUEUE_BROWSING_MAX 1024

struct fac_verb_line {
	struct fac_verb *first;
	struct fac_verb **last; /* where the next one goes */
	size_t len;
};

struct fac_verb_queue {
	struct fac_verb_line urgent;
	struct fac_verb_line money;
	struct fac_verb_line browsing;
};

void fac_verb_queue_init(struct fac_verb_queue *queue);
/*
 * By its kind and verb->browsing. False: too many strangers wait; verb stays
 * the caller's.
 */
X402_MUST_USE bool fac_verb_queue_add(
	struct fac_verb_queue *queue, struct fac_verb *verb);
/* Since when the first that is no stranger's waits; 0: none does. */
uint64_t fac_verb_queue_since_ms(const struct fac_verb_queue *queue);
/* The next group, linked by next; NULL and 0 when nothing waits. */
struct fac_verb *fac_verb_queue_take(
	struct fac_verb_queue *queue, size_t *ret_len);

#endif
