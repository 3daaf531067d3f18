/*
 * Three lines of verbs, and the groups that are made of them. Each line is in
 * the order of its arrival; a group has the urgent ones first, then money's.
 */
#include "store/queue.h"

static void init_line(struct fac_verb_line *line)
{
	*line = (struct fac_verb_line){.last = &line->first};
}

void fac_verb_queue_init(struct fac_verb_queue *queue)
{
	init_line(&queue->urgent);
	init_line(&queue->money);
	init_line(&queue->browsing);
}

static void append(struct fac_verb_line *line, struct fac_verb *verb)
{
	verb->next = NULL;
	*line->last = verb;
	line->last = &verb->next;
	line->len++;
}

static struct fac_verb *take_first(struct fac_verb_line *line)
{
	struct fac_verb *verb = line->first;

	line->first = verb->next;
	if (!line->first)
		line->last = &line->first;
	line->len--;
	return verb;
}

static bool is_urgent(const struct fac_verb *verb)
{
	return verb->kind == FAC_VERB_JOURNAL_SIGNED ||
		verb->kind == FAC_VERB_JOURNAL_ATTEMPT;
}

bool fac_verb_queue_add(struct fac_verb_queue *queue, struct fac_verb *verb)
{
	if (verb->browsing && queue->browsing.len >= FAC_QUEUE_BROWSING_MAX)
		return false;
	append(verb->browsing             ? &queue->browsing
			: is_urgent(verb) ? &queue->urgent
					  : &queue->money,
		verb);
	return true;
}

uint64_t fac_verb_queue_since_ms(const struct fac_verb_queue *queue)
{
	const struct fac_verb *urgent = queue->urgent.first;
	const struct fac_verb *money = queue->money.first;

	if (!urgent || !money)
		return urgent   ? urgent->queued_ms
			: money ? money->queued_ms
				: 0;
	return urgent->queued_ms < money->queued_ms ? urgent->queued_ms
						    : money->queued_ms;
}

static bool steps_a_transaction(const struct fac_verb *verb)
{
	return verb->kind == FAC_VERB_JOURNAL_ATTEMPT ||
		verb->kind == FAC_VERB_MARK_BROADCAST ||
		verb->kind == FAC_VERB_MARK_REPLACED ||
		verb->kind == FAC_VERB_MARK_DROPPED ||
		verb->kind == FAC_VERB_MARK_FINAL;
}

/* Payments that it writes; a verb without any is one, too. */
static size_t weight_of(const struct fac_verb *verb)
{
	size_t payments = verb->ends_len > verb->transaction.keys_len
		? verb->ends_len
		: verb->transaction.keys_len;

	if (steps_a_transaction(verb))
		return FAC_QUEUE_STEP_WEIGHT;
	return payments ? payments : 1;
}

/* The first goes whatever it weighs. */
static void take_line(
	struct fac_verb_line *line, struct fac_verb_line *group, size_t *weight)
{
	while (line->first && *weight < FAC_QUEUE_GROUP_MAX) {
		*weight += weight_of(line->first);
		append(group, take_first(line));
	}
}

/* By what it may load or write. */
static size_t cost_of(const struct fac_verb *verb)
{
	if (verb->kind == FAC_VERB_RESOURCE_LIST)
		return FAC_QUEUE_LIST_COST;
	return verb->kind == FAC_VERB_RESOURCE_PUT ? FAC_QUEUE_PUT_COST
						   : FAC_QUEUE_GET_COST;
}

struct fac_verb *fac_verb_queue_take(
	struct fac_verb_queue *queue, size_t *ret_len)
{
	struct fac_verb_line group;
	size_t weight = 0;
	size_t cost = 0;

	init_line(&group);
	take_line(&queue->urgent, &group, &weight);
	take_line(&queue->money, &group, &weight);
	/* Some of them go with each group, however full: nobody starves. */
	while (queue->browsing.first &&
		cost + cost_of(queue->browsing.first) <=
			FAC_QUEUE_BROWSING_COST_MAX) {
		cost += cost_of(queue->browsing.first);
		append(&group, take_first(&queue->browsing));
	}
	*ret_len = group.len;
	return group.first;
}
