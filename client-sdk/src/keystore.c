/*
 * keystore.c: Web3 Secret Storage, version 3. A key derived from the password
 * has two halves: the first 16 bytes encrypt by AES-128-CTR, the second 16 go
 * with the ciphertext into a Keccak-256 that tells a right password from a
 * wrong one. All that is secret here lies in one block of locked memory.
 */
#include <mbedtls/aes.h>
#include <mbedtls/md.h>
#include <mbedtls/pkcs5.h>
#include <sodium.h>
#include <stdlib.h>

#include "x402/encoding.h"
#include "x402/json.h"
#include "x402/wallet.h"

/*
 * geth's standard is N 2^18, r 8, p 1: 256 MiB. A file that wants more than
 * 512 MiB, or sixteen times the work of the standard, is refused: opening it
 * would take the machine down rather than keep anybody out.
 */
#define SCRYPT_N_R_MAX   ((uint64_t)1 << 22)
#define SCRYPT_N_R_P_MAX ((uint64_t)1 << 25)
/* OWASP says 600,000; ten million are seconds. */
#define PBKDF2_ROUNDS_MAX 10000000
/* Salts are 32 bytes where anybody has looked. */
#define SALT_MAX_BYTES ((size_t)128)
#define SEAL_LOG2_N    18
#define SEAL_LOG2_MIN  12
#define SEAL_LOG2_MAX  19
#define SEAL_R         8
#define SEAL_P         1

enum kdf { KDF_SCRYPT, KDF_PBKDF2 };

/* What a file says, checked. */
struct parsed {
	enum kdf kdf;
	uint64_t n; /* scrypt */
	uint32_t r, p;
	uint32_t rounds; /* pbkdf2 */
	struct x402_buf salt;
	uint8_t iv16[16];
	uint8_t ciphertext32[32];
	uint8_t mac32[32];
	struct x402_keystore_info info;
};

/* What must not be swapped out. */
struct work {
	uint8_t derived32[32];
	uint8_t plain32[32];
};

static enum x402_err refuse(struct x402_errinfo *info, enum x402_err err,
	const char *field, const char *expected)
{
	x402_errinfo_set(info, field, "%s: expected %s", field, expected);
	return err;
}

/* Hex as these files have it: without 0x. Some writers put it nonetheless. */
static enum x402_err read_hex(const struct x402_json *object, const char *key,
	struct x402_errinfo *info, struct x402_buf *ret_bytes)
{
	const char *text = x402_json_get_string(object, key);
	struct x402_buf prefixed = {0};
	if (text && text[0] == '0' && text[1] == 'x')
		text += 2;
	if (!text || strlen(text) > 2 * SALT_MAX_BYTES)
		return refuse(info, X402_ERR_SCHEMA, key, "hex digits");
	x402_buf_printf(&prefixed, "0x%s", text);
	char *hex = x402_buf_take_str(&prefixed);
	if (!hex)
		return X402_ERR_NOMEM;
	enum x402_err err = x402_hex_decode(hex, ret_bytes);
	free(hex);
	if (err == X402_ERR_SYNTAX)
		return refuse(info, X402_ERR_SCHEMA, key, "hex digits");
	return err;
}

static enum x402_err read_fixed(const struct x402_json *object, const char *key,
	size_t len, struct x402_errinfo *info, uint8_t *ret_bytes)
{
	struct x402_buf bytes = {0};
	enum x402_err err = read_hex(object, key, info, &bytes);
	if (!err && bytes.len != len)
		err = refuse(info, X402_ERR_SCHEMA, key,
			len == 32 ? "32 bytes" : "16 bytes");
	if (!err)
		memcpy(ret_bytes, bytes.ptr, len);
	x402_buf_clear(&bytes);
	return err;
}

static bool read_number(const struct x402_json *object, const char *key,
	int64_t max, uint64_t *ret_value)
{
	int64_t value;
	if (!x402_json_int64(x402_json_get(object, key), &value) || value < 1 ||
		value > max)
		return false;
	*ret_value = (uint64_t)value;
	return true;
}

static enum x402_err read_scrypt(const struct x402_json *params,
	struct x402_errinfo *info, struct parsed *parsed)
{
	uint64_t n;
	uint64_t r;
	uint64_t p;
	if (!read_number(params, "n", (int64_t)SCRYPT_N_R_MAX, &n) ||
		!read_number(params, "r", 1024, &r) ||
		!read_number(params, "p", 1024, &p) || n < 2 ||
		(n & (n - 1)) != 0 || n * r > SCRYPT_N_R_MAX ||
		n * r * p > SCRYPT_N_R_P_MAX)
		return refuse(info, X402_ERR_RANGE, "kdfparams",
			"n a power of two, and at most 512 MiB of work");
	parsed->kdf = KDF_SCRYPT;
	parsed->n = n;
	parsed->r = (uint32_t)r;
	parsed->p = (uint32_t)p;
	return X402_OK;
}

static enum x402_err read_pbkdf2(const struct x402_json *params,
	struct x402_errinfo *info, struct parsed *parsed)
{
	uint64_t rounds;
	const char *prf = x402_json_get_string(params, "prf");
	if (!prf || strcmp(prf, "hmac-sha256") != 0)
		return refuse(info, X402_ERR_UNSUPPORTED, "kdfparams.prf",
			"hmac-sha256");
	if (!read_number(params, "c", PBKDF2_ROUNDS_MAX, &rounds))
		return refuse(info, X402_ERR_RANGE, "kdfparams.c",
			"1 to 10000000 rounds");
	parsed->kdf = KDF_PBKDF2;
	parsed->rounds = (uint32_t)rounds;
	return X402_OK;
}

static enum x402_err read_kdf(const struct x402_json *crypto,
	struct x402_errinfo *info, struct parsed *parsed)
{
	const char *name = x402_json_get_string(crypto, "kdf");
	const struct x402_json *params = x402_json_get(crypto, "kdfparams");
	uint64_t dklen;
	if (x402_json_type(params) != X402_JSON_OBJECT)
		return refuse(
			info, X402_ERR_SCHEMA, "crypto.kdfparams", "an object");
	if (!read_number(params, "dklen", 32, &dklen) || dklen != 32)
		return refuse(info, X402_ERR_UNSUPPORTED, "dklen", "32");
	enum x402_err err = read_hex(params, "salt", info, &parsed->salt);
	if (err)
		return err;
	if (name && strcmp(name, "scrypt") == 0)
		return read_scrypt(params, info, parsed);
	if (name && strcmp(name, "pbkdf2") == 0)
		return read_pbkdf2(params, info, parsed);
	return refuse(
		info, X402_ERR_UNSUPPORTED, "crypto.kdf", "scrypt or pbkdf2");
}

static enum x402_err read_crypto(const struct x402_json *crypto,
	struct x402_errinfo *info, struct parsed *parsed)
{
	const char *cipher = x402_json_get_string(crypto, "cipher");
	if (x402_json_type(crypto) != X402_JSON_OBJECT)
		return refuse(info, X402_ERR_SCHEMA, "crypto", "an object");
	if (!cipher || strcmp(cipher, "aes-128-ctr") != 0)
		return refuse(info, X402_ERR_UNSUPPORTED, "crypto.cipher",
			"aes-128-ctr");
	enum x402_err err = read_kdf(crypto, info, parsed);
	if (!err)
		err = read_fixed(x402_json_get(crypto, "cipherparams"), "iv",
			16, info, parsed->iv16);
	if (!err)
		err = read_fixed(
			crypto, "ciphertext", 32, info, parsed->ciphertext32);
	if (!err)
		err = read_fixed(crypto, "mac", 32, info, parsed->mac32);
	return err;
}

static enum x402_err read_solana(const struct x402_json *json,
	struct x402_errinfo *info, struct x402_keystore_info *keystore)
{
	const char *text = x402_json_get_string(json, "address");
	struct x402_pubkey key;
	int64_t version = 0;
	if (!x402_json_int64(x402_json_get(json, "x402Wallet"), &version) ||
		version != 1)
		return refuse(info, X402_ERR_VERSION, "x402Wallet", "1");
	if (x402_pubkey_parse(text, &key))
		return refuse(info, X402_ERR_SCHEMA, "address",
			"an address of Solana");
	x402_pubkey_format(&key, keystore->solana_address);
	return X402_OK;
}

static enum x402_err read_address(const struct x402_json *json,
	struct x402_errinfo *info, struct x402_keystore_info *keystore)
{
	const char *text = x402_json_get_string(json, "address");
	char prefixed[X402_ADDRESS_TEXT_SIZE];
	if (!text)
		return X402_OK;
	if (text[0] == '0' && text[1] == 'x')
		text += 2;
	if (strlen(text) != 40)
		return refuse(
			info, X402_ERR_SCHEMA, "address", "40 hex digits");
	prefixed[0] = '0';
	prefixed[1] = 'x';
	memcpy(prefixed + 2, text, 41);
	if (x402_address_parse(prefixed, &keystore->address))
		return refuse(
			info, X402_ERR_SCHEMA, "address", "40 hex digits");
	keystore->has_address = true;
	return X402_OK;
}

static enum x402_err read_file(
	struct x402_span text, struct x402_errinfo *info, struct parsed *parsed)
{
	struct x402_json_limits limits = {.max_bytes = X402_KEYSTORE_MAX_BYTES};
	struct x402_json *json = NULL;
	int64_t version = 0;
	enum x402_err err = x402_json_parse(text, &limits, info, &json);
	if (err)
		return err;
	bool solana = x402_json_has(json, "x402Wallet");
	/* Version 1 had another MAC and key schedule. */
	if (solana)
		err = read_solana(json, info, &parsed->info);
	else if (!x402_json_int64(x402_json_get(json, "version"), &version) ||
		version != 3)
		err = refuse(info, X402_ERR_VERSION, "version", "3");
	/* geth wrote "Crypto" once, and ethers still does. */
	const struct x402_json *crypto = x402_json_get(json, "crypto");
	if (!crypto)
		crypto = x402_json_get(json, "Crypto");
	if (!err)
		err = read_crypto(crypto, info, parsed);
	if (!err && !solana)
		err = read_address(json, info, &parsed->info);
	x402_json_unref(json);
	return err;
}

enum x402_err x402_keystore_describe(struct x402_span json,
	struct x402_errinfo *info, struct x402_keystore_info *ret_info)
{
	struct parsed parsed = {.kdf = KDF_SCRYPT};
	enum x402_err err = read_file(json, info, &parsed);
	if (!err)
		*ret_info = parsed.info;
	x402_buf_clear(&parsed.salt);
	return err;
}

/* ---- The work. ---- */

static enum x402_err derive(const struct parsed *parsed,
	struct x402_span password, uint8_t derived32[32])
{
	static const uint8_t nothing[1] = {0};
	const uint8_t *salt = parsed->salt.ptr ? parsed->salt.ptr : nothing;
	const uint8_t *secret = password.ptr ? password.ptr : nothing;
	if (parsed->kdf == KDF_SCRYPT)
		return crypto_pwhash_scryptsalsa208sha256_ll(secret,
			       password.len, salt, parsed->salt.len, parsed->n,
			       parsed->r, parsed->p, derived32, 32)
			? X402_ERR_NOMEM
			: X402_OK;
	mbedtls_md_context_t md;
	mbedtls_md_init(&md);
	const mbedtls_md_info_t *sha = mbedtls_md_info_from_type(
		MBEDTLS_MD_SHA256);
	bool ok = sha && mbedtls_md_setup(&md, sha, 1) == 0 &&
		mbedtls_pkcs5_pbkdf2_hmac(&md, secret, password.len, salt,
			parsed->salt.len, parsed->rounds, 32, derived32) == 0;
	mbedtls_md_free(&md);
	return ok ? X402_OK : X402_ERR_CRYPTO;
}

static void make_mac(const uint8_t derived32[32], const uint8_t cipher32[32],
	uint8_t ret_mac32[32])
{
	struct x402_keccak keccak;
	x402_keccak_init(&keccak);
	x402_keccak_update(&keccak, x402_span(derived32 + 16, 16));
	x402_keccak_update(&keccak, x402_span(cipher32, 32));
	x402_keccak_final(&keccak, ret_mac32);
	x402_wipe(&keccak, sizeof(keccak));
}

/* Counter mode: the same both ways. */
static bool crypt_ctr(const uint8_t key16[16], const uint8_t iv16[16],
	const uint8_t in32[32], uint8_t ret_out32[32])
{
	mbedtls_aes_context aes;
	uint8_t counter[16];
	uint8_t block[16];
	size_t offset = 0;
	memcpy(counter, iv16, sizeof(counter));
	mbedtls_aes_init(&aes);
	bool ok = mbedtls_aes_setkey_enc(&aes, key16, 128) == 0 &&
		mbedtls_aes_crypt_ctr(&aes, 32, &offset, counter, block, in32,
			ret_out32) == 0;
	mbedtls_aes_free(&aes); /* wipes */
	x402_wipe(block, sizeof(block));
	return ok;
}

static enum x402_err check_key(const struct parsed *parsed,
	const struct x402_secret *secret, struct x402_errinfo *info)
{
	struct x402_address address;
	enum x402_err err = x402_wallet_address(secret, &address);
	if (err || !parsed->info.has_address ||
		x402_address_equal(&address, &parsed->info.address))
		return err;
	x402_errinfo_set(info, "address",
		"the key in the file belongs to another address than it says");
	return X402_ERR_CONFLICT;
}

/* The 32 bytes, into work->plain32. */
static enum x402_err open_parsed(const struct parsed *parsed,
	struct x402_span password, struct work *work, struct x402_errinfo *info)
{
	uint8_t mac32[32];
	enum x402_err err = derive(parsed, password, work->derived32);
	if (err)
		return err;
	make_mac(work->derived32, parsed->ciphertext32, mac32);
	if (!x402_equal_ct(mac32, parsed->mac32, sizeof(mac32))) {
		x402_errinfo_set(
			info, "mac", "wrong password, or the file was altered");
		return X402_ERR_CRYPTO;
	}
	if (!crypt_ctr(work->derived32, parsed->iv16, parsed->ciphertext32,
		    work->plain32))
		return X402_ERR_CRYPTO;
	return X402_OK;
}

static enum x402_err take_evm(const struct parsed *parsed,
	const struct work *work, struct x402_errinfo *info,
	struct x402_secret *secret)
{
	memcpy(secret->bytes, work->plain32, sizeof(secret->bytes));
	return check_key(parsed, secret, info);
}

static enum x402_err take_solana(const struct parsed *parsed,
	const struct work *work, struct x402_errinfo *info,
	struct x402_svm_secret *secret)
{
	char text[X402_PUBKEY_TEXT_SIZE];
	enum x402_err err = x402_svm_secret_from_seed(work->plain32, secret);
	if (err)
		return err;
	struct x402_pubkey key = x402_svm_secret_pubkey(secret);
	x402_pubkey_format(&key, text);
	if (strcmp(text, parsed->info.solana_address) == 0)
		return X402_OK;
	x402_errinfo_set(info, "address",
		"the key in the file belongs to another address than it says");
	return X402_ERR_CONFLICT;
}

enum x402_err x402_keystore_open(struct x402_span json,
	struct x402_span password, struct x402_errinfo *info,
	struct x402_secret *ret_secret)
{
	struct parsed parsed = {.kdf = KDF_SCRYPT};
	struct x402_locked locked = {0};
	struct x402_secret secret = {{0}};
	x402_secret_clear(ret_secret);
	enum x402_err err = read_file(json, info, &parsed);
	if (!err && parsed.info.solana_address[0])
		err = refuse(info, X402_ERR_UNSUPPORTED, "x402Wallet",
			"a key of Ethereum, got one of Solana");
	if (!err)
		err = x402_locked_new(sizeof(struct work), &locked);
	struct work *work = (struct work *)(void *)locked.ptr;
	if (!err)
		err = open_parsed(&parsed, password, work, info);
	if (!err)
		err = take_evm(&parsed, work, info, &secret);
	if (!err)
		*ret_secret = secret;
	x402_secret_clear(&secret);
	x402_locked_clear(&locked);
	x402_buf_clear(&parsed.salt);
	return err;
}

enum x402_err x402_keystore_open_solana(struct x402_span json,
	struct x402_span password, struct x402_errinfo *info,
	struct x402_svm_secret *ret_secret)
{
	struct parsed parsed = {.kdf = KDF_SCRYPT};
	struct x402_locked locked = {0};
	struct x402_svm_secret secret = {{0}};
	x402_svm_secret_clear(ret_secret);
	enum x402_err err = read_file(json, info, &parsed);
	if (!err && !parsed.info.solana_address[0])
		err = refuse(info, X402_ERR_UNSUPPORTED, "version",
			"a key of Solana, got one of Ethereum");
	if (!err)
		err = x402_locked_new(sizeof(struct work), &locked);
	struct work *work = (struct work *)(void *)locked.ptr;
	if (!err)
		err = open_parsed(&parsed, password, work, info);
	if (!err)
		err = take_solana(&parsed, work, info, &secret);
	if (!err)
		*ret_secret = secret;
	x402_svm_secret_clear(&secret);
	x402_locked_clear(&locked);
	x402_buf_clear(&parsed.salt);
	return err;
}

/* ---- Sealing. ---- */

static void set_hex(struct x402_json *object, const char *key,
	struct x402_span bytes, enum x402_err *err)
{
	struct x402_buf hex = {0};
	x402_hex_encode(bytes, &hex);
	char *text = x402_buf_take_str(&hex);
	if (!*err)
		*err = text ? x402_json_set_string(object, key, text)
			    : X402_ERR_NOMEM;
	free(text);
}

/* A version 4 UUID: geth wants one there. */
static void make_id(char ret_text[37])
{
	uint8_t b[16];
	randombytes_buf(b, sizeof(b));
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	(void)sodium_bin2hex(ret_text, 37, b, sizeof(b));
	/* 8-4-4-4-12, moved from behind so that nothing is overwritten. */
	static const struct {
		uint8_t to, from, len;
	} parts[] = {{24, 20, 12}, {19, 16, 4}, {14, 12, 4}, {9, 8, 4}};
	for (size_t i = 0; i < 4; i++) {
		memmove(ret_text + parts[i].to, ret_text + parts[i].from,
			parts[i].len);
		ret_text[parts[i].to - 1] = '-';
	}
	ret_text[36] = '\0';
}

static void set_kdfparams(struct x402_json *crypto, const struct parsed *parsed,
	enum x402_err *err)
{
	static const char *const names[] = {"dklen", "n", "r", "p"};
	const int64_t values[] = {32, (int64_t)parsed->n, parsed->r, parsed->p};
	struct x402_json *params = x402_json_new_object();
	for (size_t i = 0; i < 4 && !*err; i++)
		*err = params ? x402_json_set_int(params, names[i], values[i])
			      : X402_ERR_NOMEM;
	set_hex(params, "salt", x402_buf_span(&parsed->salt), err);
	enum x402_err taken = x402_json_set_take(crypto, "kdfparams", params);
	if (!*err)
		*err = taken;
}

static void set_crypto(
	struct x402_json *file, const struct parsed *parsed, enum x402_err *err)
{
	struct x402_json *crypto = x402_json_new_object();
	struct x402_json *cipherparams = x402_json_new_object();
	if (!crypto || !cipherparams)
		*err = X402_ERR_NOMEM;
	set_hex(cipherparams, "iv", x402_span(parsed->iv16, 16), err);
	if (!*err)
		*err = x402_json_set_string(crypto, "cipher", "aes-128-ctr");
	enum x402_err taken = x402_json_set_take(
		crypto, "cipherparams", cipherparams);
	if (!*err)
		*err = taken;
	set_hex(crypto, "ciphertext", x402_span(parsed->ciphertext32, 32), err);
	if (!*err)
		*err = x402_json_set_string(crypto, "kdf", "scrypt");
	set_kdfparams(crypto, parsed, err);
	set_hex(crypto, "mac", x402_span(parsed->mac32, 32), err);
	taken = x402_json_set_take(file, "crypto", crypto);
	if (!*err)
		*err = taken;
}

static enum x402_err write_file(const struct parsed *parsed, char **ret_json)
{
	enum x402_err err = X402_OK;
	char id[40];
	struct x402_json *file = x402_json_new_object();
	if (!file)
		return X402_ERR_NOMEM;
	make_id(id);
	bool solana = parsed->info.solana_address[0] != '\0';
	if (solana)
		err = x402_json_set_string(
			file, "address", parsed->info.solana_address);
	else
		set_hex(file, "address",
			x402_span(parsed->info.address.bytes, 20), &err);
	set_crypto(file, parsed, &err);
	if (!err)
		err = x402_json_set_string(file, "id", id);
	if (!err)
		err = solana ? x402_json_set_int(file, "x402Wallet", 1)
			     : x402_json_set_int(file, "version", 3);
	char *text = err ? NULL : x402_json_dump(file);
	x402_json_unref(file);
	if (!err && !text)
		err = X402_ERR_NOMEM;
	if (!err)
		*ret_json = text;
	return err;
}

static enum x402_err seal_parsed(const uint8_t secret32[32],
	struct x402_span password, struct work *work, struct parsed *parsed)
{
	uint8_t *salt = x402_buf_add_zeros(&parsed->salt, 32);
	if (!salt)
		return X402_ERR_NOMEM;
	randombytes_buf(salt, 32);
	randombytes_buf(parsed->iv16, sizeof(parsed->iv16));
	enum x402_err err = derive(parsed, password, work->derived32);
	if (err)
		return err;
	if (!crypt_ctr(work->derived32, parsed->iv16, secret32,
		    parsed->ciphertext32))
		return X402_ERR_CRYPTO;
	make_mac(work->derived32, parsed->ciphertext32, parsed->mac32);
	return X402_OK;
}

static enum x402_err seal(const uint8_t secret32[32], struct x402_span password,
	const struct x402_keystore_options *options, struct parsed *parsed,
	char **ret_json)
{
	unsigned log2_n = options ? options->scrypt_log2_n : 0;
	struct x402_locked locked = {0};
	if (!log2_n)
		log2_n = SEAL_LOG2_N;
	if (log2_n < SEAL_LOG2_MIN || log2_n > SEAL_LOG2_MAX ||
		password.len > X402_PASSWORD_MAX_BYTES)
		return X402_ERR_INVALID_ARGUMENT;
	parsed->n = (uint64_t)1 << log2_n;
	parsed->r = SEAL_R;
	parsed->p = SEAL_P;
	enum x402_err err = x402_locked_new(sizeof(struct work), &locked);
	if (!err)
		err = seal_parsed(secret32, password,
			(struct work *)(void *)locked.ptr, parsed);
	if (!err)
		err = write_file(parsed, ret_json);
	x402_locked_clear(&locked);
	x402_buf_clear(&parsed->salt);
	return err;
}

enum x402_err x402_keystore_seal(const struct x402_secret *secret,
	struct x402_span password, const struct x402_keystore_options *options,
	char **ret_json)
{
	struct parsed parsed = {.kdf = KDF_SCRYPT};
	enum x402_err err = x402_wallet_address(secret, &parsed.info.address);
	return err ? err
		   : seal(secret->bytes, password, options, &parsed, ret_json);
}

enum x402_err x402_keystore_seal_solana(const struct x402_svm_secret *secret,
	struct x402_span password, const struct x402_keystore_options *options,
	char **ret_json)
{
	struct parsed parsed = {.kdf = KDF_SCRYPT};
	struct x402_pubkey key = x402_svm_secret_pubkey(secret);
	x402_pubkey_format(&key, parsed.info.solana_address);
	return seal(
		secret->seed_and_key64, password, options, &parsed, ret_json);
}
