/*
 * revenue.c: the command x402-revenue: what a shop's journal says.
 *
 * The table of options makes what getopt reads, --help and the manual page
 * (--man), so that none of them can say anything else.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "x402/provider_journal.h"

#define ABOUT "what a shop's journal of payments says"

/* Of the one letter that getopt gives for each option. */
static const struct row {
	char letter;
	const char *name;
	const char *value; /* NULL: takes none */
	const char *text;
} rows[] = {
	{'b', "by", "KEY",
		"Add up by asset (the default), route, day or payer; days are "
		"those of UTC. Different assets are never added up."},
	{'l', "list", "STATE",
		"One JSON object a line for each payment that is unknown "
		"(asked "
		"to settle, no answer), owed (settled, not delivered), "
		"delivered or compensated, or all, in place of sums."},
	{'f', "from", "TIME",
		"Only what was settled since this time: a day such as "
		"2026-11-21, or seconds since 1970. Of sums."},
	{'t', "to", "TIME", "Only what was settled before this time. Of sums."},
	{'h', "help", NULL, "Say this."},
	{'m', "man", NULL, "Write the manual page."},
	{'V', "version", NULL, "Say the version."},
};
#define ROWS_LEN (sizeof(rows) / sizeof(rows[0]))

struct request {
	const char *path;
	enum x402_journal_by by;
	int list; /* -1: totals; 0: all; else a state */
	uint64_t from_unix_s;
	uint64_t to_unix_s;
	char text; /* 'h', 'm', 'V': say that and nothing else */
};

static int choose(const char *text, const char *const *names, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (strcmp(names[i], text) == 0)
			return (int)i;
	return -1;
}

/* The first second of a day of UTC. */
static bool read_day(const char *text, uint64_t *ret_unix_s)
{
	struct tm tm = {0};
	const char *end = strptime(text, "%Y-%m-%d", &tm);
	time_t when;
	int day = tm.tm_mday;

	if (!end || *end)
		return false;
	when = timegm(&tm);
	/* February 30 would be a day in March. */
	if (when < 0 || tm.tm_mday != day)
		return false;
	*ret_unix_s = (uint64_t)when;
	return true;
}

static bool read_time(const char *text, uint64_t *ret_unix_s)
{
	char *end = NULL;
	unsigned long long value;

	if (read_day(text, ret_unix_s))
		return true;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || value > INT64_MAX)
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
	case 'h':
	case 'm':
	case 'V':
		request->text = (char)option;
		return true;
	}
	return false;
}

static bool read_arguments(int argc, char **argv, struct request *request)
{
	struct option options[ROWS_LEN + 1] = {{NULL, 0, NULL, 0}};
	int option;

	for (size_t i = 0; i < ROWS_LEN; i++)
		options[i] = (struct option){rows[i].name,
			rows[i].value ? required_argument : no_argument, NULL,
			rows[i].letter};
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (!read_option(option, request))
			return false;
	if (request->text)
		return optind == argc;
	if (optind + 1 != argc)
		return false;
	request->path = argv[optind];
	return true;
}

/* ---- Texts. ---- */

static void print_usage(FILE *out)
{
	fprintf(out, "usage: x402-revenue JOURNAL");
	for (size_t i = 0; i < ROWS_LEN; i++)
		if (rows[i].value)
			fprintf(out, " [--%s %s]", rows[i].name, rows[i].value);
	fprintf(out, "\n");
}

static void print_help(void)
{
	print_usage(stdout);
	printf("\nx402-revenue: " ABOUT ".\n\n");
	for (size_t i = 0; i < ROWS_LEN; i++)
		printf("  --%s%s%s\n        %s\n", rows[i].name,
			rows[i].value ? " " : "",
			rows[i].value ? rows[i].value : "", rows[i].text);
	printf("\nSums are tab-separated: key, network, asset, payments, "
	       "atomic amount.\nThe journal may be open elsewhere.\n");
}

static void print_man(void)
{
	printf(".TH X402-REVENUE 1 \"\" \"x402 " X402_VERSION "\"\n"
	       ".SH NAME\nx402-revenue \\- " ABOUT "\n"
	       ".SH SYNOPSIS\n.B x402-revenue\n.I JOURNAL\n");
	for (size_t i = 0; i < ROWS_LEN; i++)
		if (rows[i].value)
			printf("[\\fB\\-\\-%s\\fR \\fI%s\\fR]\n", rows[i].name,
				rows[i].value);
	printf(".SH DESCRIPTION\n"
	       "Adds up what was settled, from the journal that a shop of the\n"
	       "provider SDK keeps (x402_provider_journal_open), delivered or\n"
	       "not, or lists its payments. The shop may be open meanwhile.\n"
	       ".PP\nSums are lines of five columns with tabs between them:\n"
	       "key, network, asset, number of payments, and the amount in "
	       "the\n"
	       "asset\\(aqs atomic units.\n.SH OPTIONS\n");
	for (size_t i = 0; i < ROWS_LEN; i++)
		printf(".TP\n\\fB\\-\\-%s\\fR%s%s%s\n%s\n", rows[i].name,
			rows[i].value ? " \\fI" : "",
			rows[i].value ? rows[i].value : "",
			rows[i].value ? "\\fR" : "", rows[i].text);
	printf(".SH EXIT STATUS\n.TP\n0\nIt was said.\n.TP\n1\n"
	       "The journal cannot be read.\n.TP\n2\n"
	       "The arguments are wrong.\n"
	       ".SH SEE ALSO\n.BR x402 (1),\n.BR x402-facilitator (8)\n");
}

static void print_text(char which)
{
	if (which == 'h')
		print_help();
	else if (which == 'm')
		print_man();
	else
		printf("x402-revenue " X402_VERSION "\n");
}

/* ---- What the journal says. ---- */

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

static enum x402_err say(
	struct x402_provider_journal *journal, const struct request *request)
{
	enum x402_err lines = X402_OK;
	enum x402_err err;

	if (request->list < 0)
		return x402_provider_journal_totals(journal, request->by,
			request->from_unix_s, request->to_unix_s, print_total,
			NULL);
	err = x402_provider_journal_each(journal,
		(enum x402_journal_state)request->list, print_entry, &lines);
	return err == X402_OK ? lines : err;
}

int main(int argc, char **argv)
{
	struct request request = {.list = -1, .to_unix_s = INT64_MAX};
	struct x402_provider_journal *journal = NULL;
	struct x402_errinfo info = {{0}, {0}};
	enum x402_err err = X402_OK;

	if (!read_arguments(argc, argv, &request)) {
		print_usage(stderr);
		return 2;
	}
	if (request.text) {
		print_text(request.text);
		return fflush(stdout) == 0 ? 0 : 1;
	}
	err = x402_provider_journal_open(request.path, true, &info, &journal);
	if (err == X402_OK)
		err = say(journal, &request);
	if (err != X402_OK)
		fprintf(stderr, "x402-revenue: %s: %s%s%s\n", request.path,
			x402_err_text(err), *info.text ? ": " : "", info.text);
	x402_provider_journal_close(journal);
	return err == X402_OK && fflush(stdout) == 0 ? 0 : 1;
}
