/*
 * wallet.c: where keys live outside of a keystore's cipher: locked memory,
 * files that nobody else may read, and the directory of a user's wallets.
 */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "x402/wallet.h"

/* ---- Locked memory. ---- */

enum x402_err x402_locked_new(size_t size, struct x402_locked *ret_locked)
{
	if (sodium_init() < 0)
		return X402_ERR_INTERNAL;
	uint8_t *ptr = sodium_malloc(size ? size : 1);
	if (!ptr)
		return X402_ERR_NOMEM;
	/* The end of the block is the guard page: alignment is the caller's
	 * size to keep. */
	*ret_locked = (struct x402_locked){ptr, 0, size};
	return X402_OK;
}

void x402_locked_clear(struct x402_locked *locked)
{
	if (!locked)
		return;
	sodium_free(locked->ptr); /* wipes; takes NULL */
	*locked = (struct x402_locked){0};
}

/* ---- Files. ---- */

static enum x402_err say(struct x402_errinfo *info, enum x402_err err,
	const char *path, const char *text)
{
	x402_errinfo_set(info, "", "%s: %s", path, text);
	return err;
}

static enum x402_err check_file(const char *path, const struct stat *st,
	enum x402_secret_mode mode, size_t max_bytes, struct x402_errinfo *info)
{
	mode_t forbidden = mode == X402_SECRET_OWNER_ONLY
		? (mode_t)(S_IRWXG | S_IRWXO)
		: (mode_t)S_IRWXO;
	if (!S_ISREG(st->st_mode))
		return say(info, X402_ERR_INVALID_ARGUMENT, path,
			"expected a regular file");
	if (st->st_mode & forbidden) {
		x402_errinfo_set(info, "",
			"%s: mode %03o lets others read the key; chmod 600",
			path, (unsigned)(st->st_mode & 0777));
		return X402_ERR_POLICY;
	}
	if (st->st_size < 0 || (uint64_t)st->st_size > max_bytes)
		return say(info, X402_ERR_TOO_LARGE, path,
			"expected a key, got something larger");
	return X402_OK;
}

/* The size was looked at before; a file that grew since is cut off. */
static enum x402_err read_whole(int fd, size_t size, const char *path,
	struct x402_errinfo *info, struct x402_locked *text)
{
	while (text->len < size) {
		ssize_t got = read(fd, text->ptr + text->len, size - text->len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return say(info, X402_ERR_STORE, path, strerror(errno));
		if (got == 0)
			break;
		text->len += (size_t)got;
	}
	return X402_OK;
}

enum x402_err x402_secret_file_read(const char *path,
	enum x402_secret_mode mode, size_t max_bytes, struct x402_errinfo *info,
	struct x402_locked *ret_text)
{
	struct x402_locked text = {0};
	struct stat st;
	/* A pipe in the file's place must not keep us waiting. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return say(info,
			errno == ENOENT ? X402_ERR_NOT_FOUND : X402_ERR_STORE,
			path, strerror(errno));
	enum x402_err err = X402_OK;
	if (fstat(fd, &st))
		err = say(info, X402_ERR_STORE, path, strerror(errno));
	if (!err)
		err = check_file(path, &st, mode, max_bytes, info);
	if (!err)
		err = x402_locked_new((size_t)st.st_size, &text);
	if (!err)
		err = read_whole(fd, (size_t)st.st_size, path, info, &text);
	close(fd);
	if (!err)
		*ret_text = text;
	else
		x402_locked_clear(&text);
	return err;
}

static bool write_whole(int fd, struct x402_span text)
{
	size_t done = 0;
	while (done < text.len) {
		ssize_t put = write(fd, text.ptr + done, text.len - done);
		if (put < 0 && errno != EINTR)
			return false;
		done += put > 0 ? (size_t)put : 0;
	}
	return fsync(fd) == 0;
}

/* A name is durable once its directory is. */
static bool sync_directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *directory = slash
		? strndup(path, slash == path ? 1 : (size_t)(slash - path))
		: strdup(".");
	int fd = directory ? open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
			   : -1;
	free(directory);
	if (fd < 0)
		return false;
	bool ok = fsync(fd) == 0;
	close(fd);
	return ok;
}

/*
 * Written beside and linked into place: a crash leaves no half key under the
 * name, and link() fails where rename() would write over.
 */
enum x402_err x402_secret_file_write(
	const char *path, struct x402_span text, struct x402_errinfo *info)
{
	struct x402_buf buf = {0};
	enum x402_err err = X402_OK;
	x402_buf_printf(&buf, "%s.%08x.tmp", path, randombytes_random());
	char *temporary = x402_buf_take_str(&buf);
	if (!temporary)
		return X402_ERR_NOMEM;
	int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0) {
		err = say(info, X402_ERR_STORE, path, strerror(errno));
		free(temporary);
		return err;
	}
	if (!write_whole(fd, text))
		err = say(info, X402_ERR_STORE, path, strerror(errno));
	close(fd);
	if (!err && link(temporary, path))
		err = errno == EEXIST
			? say(info, X402_ERR_CONFLICT, path,
				  "exists; a key is not written over another")
			: say(info, X402_ERR_STORE, path, strerror(errno));
	(void)unlink(temporary); /* a stray copy is for its owner alone */
	if (!err && !sync_directory_of(path))
		err = say(info, X402_ERR_STORE, path, strerror(errno));
	free(temporary);
	return err;
}

/* ---- Keys. ---- */

static enum x402_err with_context(
	const struct x402_secret *secret, struct x402_address *ret_address)
{
	struct x402_secp256k1 *secp = NULL;
	uint8_t seed32[32];
	randombytes_buf(seed32, sizeof(seed32));
	enum x402_err err = x402_secp256k1_new(seed32, &secp);
	x402_wipe(seed32, sizeof(seed32));
	if (!err)
		err = x402_secret_address(secp, secret, ret_address);
	x402_secp256k1_free(secp);
	return err;
}

enum x402_err x402_wallet_address(
	const struct x402_secret *secret, struct x402_address *ret_address)
{
	if (sodium_init() < 0)
		return X402_ERR_INTERNAL;
	return with_context(secret, ret_address);
}

enum x402_err x402_wallet_generate(struct x402_secret *ret_secret)
{
	struct x402_secret secret;
	struct x402_address address;
	enum x402_err err = X402_ERR_KEY;
	if (sodium_init() < 0)
		return X402_ERR_INTERNAL;
	/* One draw in 2^128 is no key: draw again, and give up if the
	 * generator is broken. */
	for (int tries = 0; tries < 4 && err == X402_ERR_KEY; tries++) {
		randombytes_buf(secret.bytes, sizeof(secret.bytes));
		err = with_context(&secret, &address);
	}
	if (!err)
		*ret_secret = secret;
	x402_secret_clear(&secret);
	return err;
}

/* ---- The directory. ---- */

enum x402_err x402_wallet_directory(char **ret_path)
{
	const char *own = getenv("X402_WALLET_DIR");
	const char *data = getenv("XDG_DATA_HOME");
	const char *home = getenv("HOME");
	struct x402_buf path = {0};
	if (own && *own)
		x402_buf_add_str(&path, own);
	else if (data && data[0] == '/') /* the XDG rule: else ignored */
		x402_buf_printf(&path, "%s/x402/wallets", data);
	else if (home && *home)
		x402_buf_printf(&path, "%s/.local/share/x402/wallets", home);
	else
		return X402_ERR_NOT_FOUND;
	char *text = x402_buf_take_str(&path);
	if (!text)
		return X402_ERR_NOMEM;
	*ret_path = text;
	return X402_OK;
}

bool x402_wallet_name_valid(const char *name)
{
	size_t len = name ? strlen(name) : 0;
	if (len == 0 || len > X402_WALLET_NAME_MAX || name[0] == '.' ||
		name[0] == '-')
		return false;
	return strspn(name,
		       "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		       "0123456789-_.") == len;
}

enum x402_err x402_wallet_path(const char *name, char **ret_path)
{
	struct x402_buf path = {0};
	char *directory = NULL;
	if (name && strchr(name, '/')) {
		x402_buf_add_str(&path, name);
	} else if (!x402_wallet_name_valid(name)) {
		return X402_ERR_INVALID_ARGUMENT;
	} else {
		enum x402_err err = x402_wallet_directory(&directory);
		if (err)
			return err;
		x402_buf_printf(&path, "%s/%s.json", directory, name);
		free(directory);
	}
	char *text = x402_buf_take_str(&path);
	if (!text)
		return X402_ERR_NOMEM;
	*ret_path = text;
	return X402_OK;
}

enum x402_err x402_wallet_directory_make(
	const char *path, struct x402_errinfo *info)
{
	char *part = strdup(path);
	enum x402_err err = X402_OK;
	if (!part)
		return X402_ERR_NOMEM;
	for (char *at = part + 1; !err; at++) {
		char here = *at;
		if (here != '/' && here != '\0')
			continue;
		*at = '\0';
		if (mkdir(part, 0700) && errno != EEXIST)
			err = say(info, X402_ERR_STORE, part, strerror(errno));
		*at = here;
		if (here == '\0')
			break;
	}
	free(part);
	return err;
}
