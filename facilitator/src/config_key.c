/*
 * Signer keys: from a file or a text into memory that is locked, kept out of
 * core dumps and wiped when freed (R10). A key that others on the machine can
 * read is refused: by the time somebody notices, the gas money is gone.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* "0x", 64 digits, and room for white space around them. */
#define KEY_TEXT_SIZE 128

struct x402_secret *fac_config_key_parse(const char *text)
{
	struct x402_secret *secret = sodium_malloc(sizeof(*secret));

	if (!secret)
		return NULL;
	if (x402_secret_parse(text, secret)) {
		sodium_free(secret);
		return NULL;
	}
	return secret;
}

/*
 * systemd hands a credential to an unprivileged unit through an ACL, which
 * shows as a group bit on a file that no group member can open.
 */
static bool is_systemd_credential(const char *path)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	size_t len = dir ? strlen(dir) : 0;

	return len && !strncmp(path, dir, len) && path[len] == '/' &&
		!strstr(path, "..");
}

static bool mode_ok(const char *path, const struct stat *st)
{
	mode_t refused = S_IRWXG | S_IRWXO;

	if (is_systemd_credential(path))
		refused = S_IRWXO | S_IWGRP | S_IXGRP;
	return S_ISREG(st->st_mode) && !(st->st_mode & refused);
}

static void trim(char *text)
{
	size_t start = strspn(text, " \t\r\n");
	size_t len = strlen(text + start);

	memmove(text, text + start, len + 1);
	while (len && strchr(" \t\r\n", text[len - 1]))
		text[--len] = '\0';
}

bool fac_config_key_file(const char *path, const char *prefix,
	struct x402_buf *problems, struct x402_secret **ret_secret)
{
	char text[KEY_TEXT_SIZE] = {0};
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0) {
		fac_config_problem(problems, "%s: key file %s: %s", prefix,
			path, strerror(errno));
		return false;
	}
	if (fstat(fd, &st) || !mode_ok(path, &st)) {
		fac_config_problem(problems,
			"%s: key file %s: expected a regular file that only "
			"its owner can read (chmod 600)",
			prefix, path);
		close(fd);
		return false;
	}
	ssize_t len = read(fd, text, sizeof(text) - 1);
	close(fd);
	trim(text);
	struct x402_secret *secret = len > 0 ? fac_config_key_parse(text)
					     : NULL;
	x402_wipe(text, sizeof(text));
	if (!secret) {
		fac_config_problem(problems,
			"%s: key file %s: expected a private key of 64 hex "
			"digits, with or without 0x",
			prefix, path);
		return false;
	}
	*ret_secret = secret;
	return true;
}
