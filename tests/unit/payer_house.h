/*
 * Who pays in the tests of schemes on EVM: one key, its address, and the terms
 * that they all start from.
 */
#ifndef PAYER_HOUSE_H
#define PAYER_HOUSE_H

#include "cmocka_house.h"
#include "x402/evm.h"
#include "x402/sign.h"

#define NOW   1800000000
#define TOKEN "0x036CbD53842c5426634e7929541eC2318f3dCF7e"
#define PAYEE "0x90F79bf6EB2c4f870365E785982E1f101E93b906"

static struct x402_secp256k1 *secp;
static struct x402_secret key;
static struct x402_address payer;
static const uint8_t some_code[] = {0x60, 0x80};

static int setup(void **state)
{
	uint8_t seed[32] = {3};

	(void)state;
	if (x402_secp256k1_new(seed, &secp) != X402_OK ||
		x402_secret_parse("5de4111afa1a4b94908f83103eb1f1706367c2e68ca8"
				  "70fc3fb9a804cdab365a",
			&key) != X402_OK ||
		x402_secret_address(secp, &key, &payer) != X402_OK)
		return -1;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	x402_secp256k1_free(secp);
	return 0;
}

#endif
