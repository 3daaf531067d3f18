/*
 * revenue.c: the command x402-revenue: what a shop's journal says.
 *
 *   x402-revenue JOURNAL [--by asset|route|day|payer] [--from T] [--to T]
 *   x402-revenue JOURNAL --list all|unknown|owed|delivered|compensated
 *
 * Totals are tab-separated: key, network, asset, payments, atomic amount.
 * --list gives one JSON object a line. Exit 0, 1 when the journal cannot be
 * read, 2 for arguments.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "x402/provider_journal.h"

struct request {
	const char *path;
	enum x402_journal_by by;
	int list; /* -1: totals; 0: all; else a state */
	uint64_t from_unix_s;
	uint64_t to_unix_s;
};

static int choose(const char *text, const char *const *names, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (strcmp(names[i], text) == 0)
			return (int)i;
	return -1;
}

static bool read_time(const char *text, uint64_t *ret_unix_s)
{
	char *end = NULL;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno)
		return false;
	*ret_unix_s = value;
	return true;
}

static bool read_option(int option, struct request *request)
{
	static const char *const bys[] = {"asset", "route", "day", "payer"};
	static const char *const states[] = {
		"all", "unknown", "owed", "delivered", "compensated"};
	int value;

	switch (option) {
	case 'b':
		value = choose(optarg, bys, sizeof(bys) / sizeof(bys[0]));
		request->by = (enum x402_journal_by)value;
		return value >= 0;
	case 'l':
		request->list = choose(
			optarg, states, sizeof(states) / sizeof(states[0]));
		return request->list >= 0;
	case 'f':
		return read_time(optarg, &request->from_unix_s);
	case 't':
		return read_time(optarg, &request->to_unix_s);
	}
	return false;
}

static bool read_arguments(int argc, char **argv, struct request *request)
{
	static const struct option options[] = {
		{"by", required_argument, NULL, 'b'},
		{"list", required_argument, NULL, 'l'},
		{"from", required_argument, NULL, 'f'},
		{"to", required_argument, NULL, 't'}, {NULL, 0, NULL, 0}};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (!read_option(option, request))
			return false;
	if (optind + 1 != argc)
		return false;
	request->path = argv[optind];
	return true;
}

static void print_total(void *user, const struct x402_journal_total *total)
{
	(void)user;
	printf("%s\t%s\t%s\t%llu\t%s\n", total->key, total->network,
		total->asset, (unsigned long long)total->payments,
		total->amount);
}

static void print_entry(void *user, const struct x402_journal_entry *entry)
{
	enum x402_err *err = user;
	char *line = NULL;

	if (*err == X402_OK)
		*err = x402_journal_entry_json(entry, &line);
	if (line)
		printf("%s\n", line);
	free(line);
}

int main(int argc, char **argv)
{
	struct request request = {.list = -1, .to_unix_s = INT64_MAX};
	struct x402_provider_journal *journal = NULL;
	struct x402_errinfo info = {{0}, {0}};
	enum x402_err lines = X402_OK;
	enum x402_err err;

	if (!read_arguments(argc, argv, &request)) {
		fprintf(stderr,
			"usage: x402-revenue JOURNAL [--by asset|route|day|"
			"payer] [--from UNIX] [--to UNIX]\n"
			"       x402-revenue JOURNAL --list all|unknown|owed|"
			"delivered|compensated\n");
		return 2;
	}
	err = x402_provider_journal_open(request.path, true, &info, &journal);
	if (err == X402_OK)
		err = request.list < 0
			? x402_provider_journal_totals(journal, request.by,
				  request.from_unix_s, request.to_unix_s,
				  print_total, NULL)
			: x402_provider_journal_each(journal,
				  (enum x402_journal_state)request.list,
				  print_entry, &lines);
	err = err == X402_OK ? lines : err;
	if (err != X402_OK)
		fprintf(stderr, "x402-revenue: %s: %s%s%s\n", request.path,
			x402_err_text(err), *info.text ? ": " : "", info.text);
	x402_provider_journal_close(journal);
	return err == X402_OK && fflush(stdout) == 0 ? 0 : 1;
}
