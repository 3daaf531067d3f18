/*
 * Replays a corpus through a fuzz target, so that every input that ever
 * mattered runs in the ordinary suite, with any compiler. Usage:
 *   replay-NAME FILE-OR-DIRECTORY...
 * Each input is also fed cut short at every length, up to a bound: parsers
 * fail at the edges.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Larger inputs are replayed whole only: quadratic work buys little there. */
#define CUT_MAX_BYTES 600

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy of exactly the right size lets ASan see reads past the end. */
static void feed(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		abort();
	memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static int replay_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	static uint8_t data[1 << 20];
	size_t size;

	if (!file) {
		perror(path);
		return 1;
	}
	size = fread(data, 1, sizeof(data), file);
	fclose(file);
	feed(data, size);
	for (size_t cut = 0; size <= CUT_MAX_BYTES && cut < size; cut++)
		feed(data, cut);
	return 0;
}

static int replay_path(const char *path, int *ret_files)
{
	struct stat st;
	struct dirent *entry;
	DIR *dir;
	int bad = 0;

	if (stat(path, &st) != 0) {
		perror(path);
		return 1;
	}
	if (!S_ISDIR(st.st_mode)) {
		(*ret_files)++;
		return replay_file(path);
	}
	dir = opendir(path);
	if (!dir) {
		perror(path);
		return 1;
	}
	while ((entry = readdir(dir))) {
		char name[4096];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		(*ret_files)++;
		bad |= replay_file(name);
	}
	closedir(dir);
	return bad;
}

int main(int argc, char **argv)
{
	int files = 0;
	int bad = 0;

	for (int i = 1; i < argc; i++)
		bad |= replay_path(argv[i], &files);
	printf("%d inputs replayed\n", files);
	/* An empty corpus would be a test that cannot fail. */
	return bad || files == 0;
}
