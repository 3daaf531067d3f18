/*
 * Copies what the pools of this thread saw and mails it. A copy, because a
 * pool may only be looked at by its own thread.
 */
#include "run/chain_stats.h"

#include <stdlib.h>

struct mail {
	struct fac_chain_stats_to to;
	size_t len;
	struct fac_chain_stats stats[];
};

static void deliver(void *arg)
{
	struct mail *mail = arg;

	mail->to.done(mail->to.user, mail->stats, mail->len);
	free(mail);
}

void fac_chain_stats_mail(struct fac_chain *const *chains, size_t chains_len,
	struct fac_chain_stats_to to)
{
	struct mail *mail = calloc(
		1, sizeof(*mail) + chains_len * sizeof(mail->stats[0]));

	if (!mail)
		abort();
	mail->to = to;
	mail->len = chains_len;
	for (size_t i = 0; i < chains_len; i++)
		if (chains[i])
			mail->stats[i] = fac_chain_stats(chains[i]);
	fac_loop_post(to.loop, deliver, mail);
}
