/*
 * Secrets: from a file or a text into memory that is locked, kept out of
 * core dumps and wiped when freed (R10). A key that others on the machine can
 * read is refused: by the time somebody notices, the gas money is gone.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* "0x", 64 digits, and room for white space around them. */
#define KEY_TEXT_SIZE 128
/* 64 numbers with commas, and room: Solana's id.json. */
#define SVM_KEY_TEXT_SIZE 1024
/* A file name, a line and the name of a section. */
#define FAC_CONFIG_PREFIX_SIZE (PATH_MAX + 128)

struct x402_svm_secret *fac_config_svm_key_parse(const char *text)
{
	struct x402_svm_secret *secret = sodium_malloc(sizeof(*secret));

	if (!secret)
		return NULL;
	if (x402_svm_secret_parse(text, secret)) {
		sodium_free(secret);
		return NULL;
	}
	return secret;
}

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

bool fac_config_private_file(const char *path, const char *what,
	struct x402_buf *problems, char *ret_text, size_t size)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0) {
		fac_config_problem(
			problems, "%s %s: %s", what, path, strerror(errno));
		return false;
	}
	if (fstat(fd, &st) || !mode_ok(path, &st)) {
		fac_config_problem(problems,
			"%s %s: expected a regular file that only its owner "
			"can read (chmod 600)",
			what, path);
		close(fd);
		return false;
	}
	ssize_t len = read(fd, ret_text, size);
	close(fd);
	if (len < 0 || (size_t)len == size) {
		x402_wipe(ret_text, size);
		fac_config_problem(problems, "%s %s: %s", what, path,
			len < 0 ? "cannot be read" : "too long");
		return false;
	}
	ret_text[len] = '\0';
	trim(ret_text);
	return true;
}

bool fac_config_key_file(const char *path, const char *prefix,
	struct x402_buf *problems, struct x402_secret **ret_secret)
{
	char what[FAC_CONFIG_PREFIX_SIZE];
	char text[KEY_TEXT_SIZE] = {0};

	snprintf(what, sizeof(what), "%s: key file", prefix);
	if (!fac_config_private_file(path, what, problems, text, sizeof(text)))
		return false;
	struct x402_secret *secret = fac_config_key_parse(text);
	x402_wipe(text, sizeof(text));
	if (!secret) {
		fac_config_problem(problems,
			"%s %s: expected a private key of 64 hex digits, with "
			"or without 0x",
			what, path);
		return false;
	}
	*ret_secret = secret;
	return true;
}

bool fac_config_svm_key_file(const char *path, const char *prefix,
	struct x402_buf *problems, struct x402_svm_secret **ret_secret)
{
	char what[FAC_CONFIG_PREFIX_SIZE];
	char text[SVM_KEY_TEXT_SIZE] = {0};

	snprintf(what, sizeof(what), "%s: key file", prefix);
	if (!fac_config_private_file(path, what, problems, text, sizeof(text)))
		return false;
	struct x402_svm_secret *secret = fac_config_svm_key_parse(text);
	x402_wipe(text, sizeof(text));
	if (!secret) {
		fac_config_problem(problems,
			"%s %s: expected a Solana key: 64 numbers as in "
			"id.json, or their base58",
			what, path);
		return false;
	}
	*ret_secret = secret;
	return true;
}
