/*
 * stream.c: pay around a libcurl handle of your own, at most a cent; the body
 * streams to stdout, an upload streams from a file:
 *   EVM_PRIVATE_KEY=0x... stream URL [FILE|- [ID]]
 *
 * With an ID the purchase is kept in the journal and made once. "-": no upload.
 * X402_SIGN_IN=1 signs in before it pays, where that is offered;
 * X402_PUBLIC_ONLY=1 connects to public addresses only.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <x402/client_curl.h>
#include <x402/journal.h>

static size_t count_header(char *line, size_t size, size_t count, void *user)
{
	(void)line;
	++*(unsigned *)user;
	return size * count;
}

static size_t read_file(char *out, size_t size, size_t count, void *user)
{
	return fread(out, size, count, user);
}

/* So that it can be sent again, with the payment. */
static int rewind_file(void *user, curl_off_t offset, int origin)
{
	return fseeko(user, (off_t)offset, origin) == 0 ? CURL_SEEKFUNC_OK
							: CURL_SEEKFUNC_FAIL;
}

static void set_upload(struct x402_client_easy *easy, FILE *file)
{
	curl_easy_setopt(easy->curl, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(easy->curl, CURLOPT_CUSTOMREQUEST, "POST");
	easy->read = read_file;
	easy->read_user = file;
	/* A pipe has no way back: then the client keeps a copy. */
	if (fseeko(file, 0, SEEK_SET) == 0) {
		easy->seek = rewind_file;
		easy->seek_user = file;
	}
}

static int perform(struct x402_client *client, const char *url,
	const char *upload, const char *id)
{
	CURL *curl = curl_easy_init();
	upload = upload && strcmp(upload, "-") != 0 ? upload : NULL;
	FILE *file = upload ? fopen(upload, "rb") : NULL;
	unsigned lines = 0;
	struct x402_client_easy easy = {.curl = curl,
		.on_header = count_header,
		.on_header_user = &lines,
		.purchase_id = id};
	if (!curl || (upload && !file))
		return 2;
	curl_easy_setopt(curl, CURLOPT_URL, url);
	if (file)
		set_upload(&easy, file);
	struct x402_client_response response = X402_CLIENT_RESPONSE_INIT;
	enum x402_err err = x402_client_perform(client, &easy, &response);
	(void)fflush(stdout);
	fprintf(stderr,
		"{\"err\":%d,\"status\":%ld,\"cause\":\"%s\",\"outcome\":"
		"\"%s\",\"presented\":%u,\"headerLines\":%u}\n",
		(int)err, response.status,
		x402_client_cause_name(response.cause),
		x402_client_outcome_name(response.payment.outcome),
		response.payment.presented, lines);
	x402_client_response_clear(&response);
	curl_easy_cleanup(curl);
	if (file)
		(void)fclose(file);
	return err ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct x402_secret key;
	struct x402_client *client = NULL;
	struct x402_journal *journal = NULL;
	struct x402_client_options options = {
		.key = &key, .max_usd_micros = 10000, .retries = 1};
	const char *text = getenv("EVM_PRIVATE_KEY");
	options.sign_in = getenv("X402_SIGN_IN") != NULL;
	options.public_only = getenv("X402_PUBLIC_ONLY") != NULL;
	if (argc < 2 || !text || x402_secret_parse(text, &key))
		return 2;
	if (argc > 3 && x402_journal_open(NULL, NULL, &journal))
		return 2;
	options.journal = journal;
	if (x402_client_new(&options, &client))
		return 1;
	x402_secret_clear(&key);
	int exit = perform(client, argv[1], argc > 2 ? argv[2] : NULL,
		argc > 3 ? argv[3] : NULL);
	x402_client_free(client);
	x402_journal_close(journal);
	return exit;
}
