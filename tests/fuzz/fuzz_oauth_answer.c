/*
 * What a token endpoint answers: the first byte says with which status. A token
 * that is taken fits into one header line and ends; what is refused leaves no
 * token, a pause, and a reason of one line.
 */
#include "oauth.h"

#include "fuzz_house.h"

static void must_be_line(const char *text)
{
	for (; *text; text++)
		must(*text >= ' ' && *text <= '~');
}

static void must_serve(struct gw_oauth *oauth)
{
	struct gw_oauth_answer answer;

	gw_oauth_get(oauth, 1000, &answer);
	must(answer.verdict == GW_OAUTH_TOKEN && !answer.fetch);
	must(strncmp(answer.authorization, "Bearer ", 7) == 0);
	must(answer.authorization[7] != '\0');
	must(!strchr(answer.authorization + 7, ' '));
	must(strlen(answer.authorization) <= 7 + GW_OAUTH_TOKEN_MAX);
	must_be_line(answer.authorization);
	/* No longer than a day, whatever it says. */
	gw_oauth_get(oauth, (uint64_t)GW_OAUTH_LIFE_MAX_S * 1000, &answer);
	must(answer.verdict == GW_OAUTH_WAIT && answer.fetch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned statuses[] = {200, 200, 200, 400, 401, 500, 302};
	const struct gw_oauth_options options = {
		.client_id = "id", .client_secret = "Hu5h!"};
	struct x402_errinfo info = {.text = ""};
	struct gw_oauth_answer answer;
	struct gw_oauth *oauth;

	if (size < 1 || gw_oauth_new(&options, NULL, &oauth) != X402_OK)
		return 0;
	gw_oauth_get(oauth, 0, &answer);
	must(answer.fetch);
	if (gw_oauth_fetched(oauth, X402_OK,
		    statuses[data[0] % (sizeof(statuses) / sizeof(*statuses))],
		    x402_span(data + 1, size - 1), 1, &info)) {
		must(data[0] % 7 < 3);
		must_serve(oauth);
	} else {
		gw_oauth_get(oauth, 1, &answer);
		must(answer.verdict == GW_OAUTH_FAILED && answer.retry_ms > 0);
		must(info.text[0] && !strstr(info.text, "Hu5h!"));
		must_be_line(info.text);
	}
	gw_oauth_free(oauth);
	return 0;
}
