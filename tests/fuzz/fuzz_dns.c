/*
 * An answer of the DNS to one of our questions: the first byte says which. What
 * is found is names of hosts or addresses, within their bounds, and each name
 * can be asked for.
 */
#include "dns_p.h"

#include "fuzz_house.h"

#include <ctype.h>

#define ID 0x4242

static void must_be_host(const char *name)
{
	uint8_t message[X402__DNS_MESSAGE_SIZE];
	size_t len = strlen(name);

	must(len > 0 && len < X402__DNS_NAME_SIZE && strchr(name, '.'));
	for (size_t i = 0; i < len; i++)
		must(isalnum((unsigned char)name[i]) || strchr("-_.", name[i]));
	must(x402__dns_write(ID, name, X402__DNS_A, message) > 12);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum x402__dns_type types[] = {
		X402__DNS_PTR, X402__DNS_A, X402__DNS_AAAA};
	enum x402__dns_type type;
	struct x402__dns_answer answer;

	if (size < 1)
		return 0;
	type = types[data[0] % 3];
	if (x402__dns_read(x402_span(data + 1, size - 1), ID,
		    "7.2.0.192.in-addr.arpa", type, &answer) != X402__DNS_FOUND)
		return 0;
	must(answer.names_len <= X402__DNS_NAMES_MAX);
	must(answer.addresses_len <= X402__DNS_ADDRESSES_MAX);
	must(answer.names_len + answer.addresses_len > 0);
	must(type == X402__DNS_PTR || answer.names_len == 0);
	must(type != X402__DNS_PTR || answer.addresses_len == 0);
	for (size_t i = 0; i < answer.names_len; i++)
		must_be_host(answer.names[i]);
	return 0;
}
