/*
 * The gateway's configuration file. A refusal names the file; what is taken is
 * taken twice in the same way, and has a price or is free.
 */
#include "gateway_config.h"

#include "fuzz_house.h"

static char *read_secret(
	void *user, const char *path, struct x402_errinfo *info)
{
	(void)user;
	(void)info;
	return *path == 's' ? strdup("X-Secret: s") : NULL;
}

static enum x402_err read_text(const char *text, struct x402_errinfo *info,
	struct gw_config **ret_config)
{
	static const struct gw_config_files files = {
		.read_secret = read_secret};
	enum x402_err err;

	memset(info, 0, sizeof(*info));
	*ret_config = gw_config_new();
	must(*ret_config != NULL);
	err = gw_config_read("fuzz.conf", text, &files, info, *ret_config);
	if (err == X402_OK)
		err = gw_config_check(*ret_config, info);
	return err;
}

static void must_be_sold(const struct gw_config *config)
{
	must(config->upstreams_len > 0);
	must(config->routes_len > 0 || config->price);
	for (size_t i = 0; i < config->routes_len; i++) {
		const struct gw_config_route *route = &config->routes[i];

		must(route->free || route->price || route->amount ||
			config->price);
		must(route->free || route->pay_to || config->pay_to);
		must(!(route->free && (route->price || route->amount)));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	struct x402_errinfo info;
	struct x402_errinfo again;
	struct gw_config *config;
	struct gw_config *second;
	enum x402_err err;

	if (!text)
		return 0;
	err = read_text(text, &info, &config);
	must(err == read_text(text, &again, &second));
	must(strcmp(info.text, again.text) == 0);
	if (err == X402_OK)
		must_be_sold(config);
	else
		must(strncmp(info.text, "fuzz.conf:", 10) == 0);
	gw_config_free(config);
	gw_config_free(second);
	free(text);
	return 0;
}
