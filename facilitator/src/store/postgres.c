#include "store/postgres_p.h"
enum x402_err fac_postgres_open(const struct fac_store_options *options,
	struct x402_errinfo *info, struct fac_postgres **ret_postgres)
{
	(void)options;
	(void)info;
	(void)ret_postgres;
	return X402_ERR_UNSUPPORTED;
}
void fac_postgres_close(struct fac_postgres *postgres)
{
	(void)postgres;
}
void fac_postgres_stop(struct fac_postgres *postgres)
{
	(void)postgres;
}
bool fac_postgres_run_group(
	struct fac_postgres *postgres, struct fac_verb *verbs)
{
	(void)postgres;
	(void)verbs;
	return false;
}
