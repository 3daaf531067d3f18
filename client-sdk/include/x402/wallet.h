/*
 * wallet.h: keys at rest. Web3 Secret Storage version 3 files, as geth and
 * foundry's `cast wallet` write and read them, a directory of them, and
 * memory that secrets may live in.
 *
 * Not for: deciding what may be signed (signer.h), and phrases of words: make
 * a key of them elsewhere and import it.
 *
 * Thread rule: pure functions and files; a struct belongs to one thread.
 * x402_locked_new() must have been called once before a second thread starts.
 */
#ifndef X402_WALLET_H
#define X402_WALLET_H

#include "x402/sign.h"
#include "x402/svm.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Memory for secrets. ---- */

/*
 * Bytes that are kept out of swap, between guard pages, and wiped when they
 * go (R10). Start with {0}.
 */
struct x402_locked {
	uint8_t *ptr;
	size_t len;
	size_t size; /* what ptr has room for */
};
/* len is 0 afterwards. NOMEM also when no memory can be locked. INTERNAL. */
X402_API X402_MUST_USE enum x402_err x402_locked_new(
	size_t size, struct x402_locked *ret_locked);
/* Wipes and frees. NULL and {0} allowed. */
X402_API void x402_locked_clear(struct x402_locked *locked);
static inline struct x402_span x402_locked_span(
	const struct x402_locked *locked)
{
	return x402_span(locked->ptr, locked->len);
}

/* ---- Files that hold secrets. ---- */

/* Who may read a file with a secret beside its owner. */
enum x402_secret_mode {
	X402_SECRET_OWNER_ONLY, /* mode 0600 or less */
	/* systemd grants its credentials by ACL, which shows as group bits. */
	X402_SECRET_OWNER_AND_GROUP
};

/*
 * Read a whole file into locked memory. info says which file and why.
 * NOT_FOUND, POLICY when others may read it, TOO_LARGE above max_bytes,
 * INVALID_ARGUMENT when it is no regular file, STORE, NOMEM.
 */
X402_API X402_MUST_USE enum x402_err x402_secret_file_read(const char *path,
	enum x402_secret_mode mode, size_t max_bytes, struct x402_errinfo *info,
	struct x402_locked *ret_text);
/*
 * Write a new file with mode 0600, durable before this returns. CONFLICT when
 * the name is taken: a key is never written over another. STORE.
 */
X402_API X402_MUST_USE enum x402_err x402_secret_file_write(
	const char *path, struct x402_span text, struct x402_errinfo *info);

/* ---- Web3 Secret Storage, version 3. ---- */

/* No keystore comes near; ours have 500 bytes. */
#define X402_KEYSTORE_MAX_BYTES ((size_t)16 * 1024)
/* A passphrase, not a file. */
#define X402_PASSWORD_MAX_BYTES ((size_t)1024)

/*
 * What a file says of itself without the password. Nothing protects the
 * address: opening compares it with the key.
 */
struct x402_keystore_info {
	bool has_address; /* cast leaves it out */
	struct x402_address address;
	/* A wallet of Solana's, in our own form: its address, else "". */
	char solana_address[X402_PUBKEY_TEXT_SIZE];
};
/* The errors of x402_keystore_open that need no password. */
X402_API X402_MUST_USE enum x402_err x402_keystore_describe(
	struct x402_span json, struct x402_errinfo *info,
	struct x402_keystore_info *ret_info);

/*
 * Open a file: scrypt or PBKDF2-HMAC-SHA-256, AES-128-CTR. The work factors
 * are bounded, since a file may come from a stranger: scrypt may take 512 MiB.
 *
 * SYNTAX (also a truncated file) and SCHEMA with info->field, VERSION,
 * UNSUPPORTED for another cipher or function, RANGE for a work factor out of
 * bounds, CRYPTO for a wrong password (or a damaged file: the two look the
 * same), CONFLICT when the key is not the address's, KEY, NOMEM.
 * The output is zeroed on failure. Keep it short and wipe it.
 */
X402_API X402_MUST_USE enum x402_err x402_keystore_open(struct x402_span json,
	struct x402_span password, struct x402_errinfo *info,
	struct x402_secret *ret_secret);

struct x402_keystore_options {
	/* Optional: scrypt's N as a power of two, default 18, as geth's
	 * standard: a quarter of a second and 256 MiB. 12 to 19. */
	unsigned scrypt_log2_n;
};
#define X402_KEYSTORE_OPTIONS_INIT \
	{                          \
		0                  \
	}
/*
 * Seal a key under a password: a text that geth and cast open. options may be
 * NULL. INVALID_ARGUMENT, KEY, NOMEM, CRYPTO. The caller frees *ret_json;
 * it is no secret beyond what the password is worth.
 */
X402_API X402_MUST_USE enum x402_err x402_keystore_seal(
	const struct x402_secret *secret, struct x402_span password,
	const struct x402_keystore_options *options, char **ret_json);

/*
 * The same for a key of Solana, which has no such format: the seed, in the
 * same cipher, under "x402Wallet" in place of "version", so that no tool takes
 * it for a key of Ethereum. UNSUPPORTED when the file is of the other kind.
 */
X402_API X402_MUST_USE enum x402_err x402_keystore_seal_solana(
	const struct x402_svm_secret *secret, struct x402_span password,
	const struct x402_keystore_options *options, char **ret_json);
X402_API X402_MUST_USE enum x402_err x402_keystore_open_solana(
	struct x402_span json, struct x402_span password,
	struct x402_errinfo *info, struct x402_svm_secret *ret_secret);

/* A fresh key from the operating system's generator. */
X402_API X402_MUST_USE enum x402_err x402_wallet_generate(
	struct x402_secret *ret_secret);
X402_API X402_MUST_USE enum x402_err x402_wallet_address(
	const struct x402_secret *secret, struct x402_address *ret_address);

/* ---- A directory of wallets. ---- */

/*
 * $X402_WALLET_DIR, else $XDG_DATA_HOME/x402/wallets, else
 * ~/.local/share/x402/wallets. NOT_FOUND when none of them can be named. The
 * caller frees *ret_path. Does not create it.
 */
X402_API X402_MUST_USE enum x402_err x402_wallet_directory(char **ret_path);
/* Letters, digits, '-', '_' and '.', not first; 64 at most. */
#define X402_WALLET_NAME_MAX 64
X402_API bool x402_wallet_name_valid(const char *name);
/*
 * The file of a wallet: directory and NAME.json; a name with a slash is a
 * path itself, so that ~/.foundry/keystores/x opens too. INVALID_ARGUMENT.
 */
X402_API X402_MUST_USE enum x402_err x402_wallet_path(
	const char *name, char **ret_path);
/* Make the directory and what is above it, each for its owner alone. */
X402_API X402_MUST_USE enum x402_err x402_wallet_directory_make(
	const char *path, struct x402_errinfo *info);

#ifdef __cplusplus
}
#endif
#endif
