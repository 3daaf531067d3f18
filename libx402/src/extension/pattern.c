/*
 * Patterns of JSON Schemas that strangers wrote, matched against data that
 * strangers sent. So there is no backtracking: a pattern becomes a small
 * program, and all of its possible states advance together over the text,
 * one character at a time. Work is at most program times text, and the caller
 * sets a budget for it.
 *
 * compile() is a recursive descent over the pattern; run() walks the text.
 */
#include "pattern_p.h"

/* Instructions: [a-z]{1,64} needs about 190; nothing honest needs more. */
#define PROGRAM_MAX 512
/* Ranges of all classes together; \s alone has 10. */
#define RANGES_MAX 128
/* Nested groups; bounds our recursion. */
#define GROUPS_MAX 8
/* Largest number in {n,m}. */
#define REPEAT_MAX 512

enum op {
	OP_CHAR,  /* one code point, equal to a */
	OP_CLASS, /* one code point in ranges a to a + b - 1 */
	OP_NOT_CLASS,
	OP_SPLIT, /* go on at both pc + a and pc + b */
	OP_JUMP,  /* go on at pc + a */
	OP_BEGIN,
	OP_END,
	OP_MATCH
};

struct instruction {
	enum op op;
	int32_t a;
	int32_t b;
};

struct range {
	uint32_t first;
	uint32_t last;
};

struct program {
	struct instruction code[PROGRAM_MAX];
	size_t len;
	struct range ranges[RANGES_MAX];
	size_t ranges_len;
	const char *p; /* what is left of the pattern */
	unsigned groups;
};

/*
 * The next code point. Texts come out of the JSON reader, which refuses bad
 * UTF-8; a broken sequence would end at its NUL, not beyond.
 */
static uint32_t next_char(const char **text)
{
	const uint8_t *p = (const uint8_t *)*text;
	uint32_t c = *p++;
	int more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;

	if (more)
		c &= 0x3fu >> more;
	for (; more > 0 && (*p & 0xc0) == 0x80; more--)
		c = c << 6 | (*p++ & 0x3f);
	*text = (const char *)p;
	return c;
}

static bool emit(struct program *prog, enum op op, int32_t a, int32_t b)
{
	struct instruction instruction = {op, a, b};

	if (prog->len == PROGRAM_MAX)
		return false;
	prog->code[prog->len++] = instruction;
	return true;
}

/* Jumps are relative, so what lies behind `at` moves as it is. */
static bool insert_split(struct program *prog, size_t at, int32_t a, int32_t b)
{
	struct instruction split = {OP_SPLIT, a, b};

	if (prog->len == PROGRAM_MAX)
		return false;
	memmove(&prog->code[at + 1], &prog->code[at],
		(prog->len - at) * sizeof(prog->code[0]));
	prog->code[at] = split;
	prog->len++;
	return true;
}

static bool add_range(struct program *prog, uint32_t first, uint32_t last)
{
	struct range range = {first, last};

	if (prog->ranges_len == RANGES_MAX)
		return false;
	prog->ranges[prog->ranges_len++] = range;
	return true;
}

static bool add_ranges(
	struct program *prog, const struct range *ranges, size_t n)
{
	bool ok = true;

	for (size_t i = 0; ok && i < n; i++)
		ok = add_range(prog, ranges[i].first, ranges[i].last);
	return ok;
}

/* The sets that \d, \w and \s name, in either case of letter. */
static bool add_named_set(struct program *prog, char name)
{
	static const struct range digits[] = {{'0', '9'}};
	static const struct range word[] = {
		{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
	static const struct range space[] = {{'\t', '\r'}, {' ', ' '},
		{0xa0, 0xa0}, {0x1680, 0x1680}, {0x2000, 0x200a},
		{0x2028, 0x2029}, {0x202f, 0x202f}, {0x205f, 0x205f},
		{0x3000, 0x3000}, {0xfeff, 0xfeff}};

	if (name == 'd' || name == 'D')
		return add_ranges(prog, digits, 1);
	if (name == 'w' || name == 'W')
		return add_ranges(prog, word, 4);
	return add_ranges(prog, space, 10);
}

static bool is_one_of(char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

static bool take_hex(struct program *prog, int digits, uint32_t *ret_char)
{
	uint32_t value = 0;

	for (; digits > 0; digits--, prog->p++) {
		char c = *prog->p;

		if (c >= '0' && c <= '9')
			value = value << 4 | (uint32_t)(c - '0');
		else if ((c | 32) >= 'a' && (c | 32) <= 'f')
			value = value << 4 | (uint32_t)((c | 32) - 'a' + 10);
		else
			return false;
	}
	/* Half of a surrogate pair stands for no character. */
	*ret_char = value;
	return value < 0xd800 || value > 0xdfff;
}

/* After a backslash: an escape that stands for one character. */
static bool take_escaped_char(struct program *prog, uint32_t *ret_char)
{
	static const char from[] = "tnrfv";
	static const char to[] = "\t\n\r\f\v";
	char c = *prog->p;

	if (c == '\0')
		return false;
	prog->p++;
	if (c == 'x')
		return take_hex(prog, 2, ret_char);
	if (c == 'u')
		return take_hex(prog, 4, ret_char);
	if (is_one_of(c, from)) {
		*ret_char = (uint32_t)to[strchr(from, c) - from];
		return true;
	}
	*ret_char = (uint32_t)c;
	return is_one_of(c, "^$\\.*+?()[]{}|/-");
}

/* One end of a range, or a lone character, inside brackets. */
static bool take_class_char(struct program *prog, uint32_t *ret_char)
{
	if (*prog->p == '\0')
		return false;
	if (*prog->p == '\\') {
		prog->p++;
		return take_escaped_char(prog, ret_char);
	}
	*ret_char = next_char(&prog->p);
	return true;
}

static bool take_class_item(struct program *prog)
{
	uint32_t first = 0;
	uint32_t last = 0;

	/* A complement inside a class is not supported. */
	if (prog->p[0] == '\\' && is_one_of(prog->p[1], "dws")) {
		prog->p += 2;
		return (prog->p[0] != '-' || prog->p[1] == ']') &&
			add_named_set(prog, prog->p[-1]);
	}
	if (!take_class_char(prog, &first))
		return false;
	last = first;
	if (prog->p[0] == '-' && prog->p[1] != ']') {
		prog->p++;
		if (!take_class_char(prog, &last) || last < first)
			return false;
	}
	return add_range(prog, first, last);
}

/* After '['. */
static bool take_class(struct program *prog)
{
	size_t start = prog->ranges_len;
	enum op op = OP_CLASS;

	if (*prog->p == '^') {
		op = OP_NOT_CLASS;
		prog->p++;
	}
	while (*prog->p != ']') {
		if (!take_class_item(prog))
			return false;
	}
	prog->p++;
	return emit(
		prog, op, (int32_t)start, (int32_t)(prog->ranges_len - start));
}

/* '.': everything but the line ends. */
static bool take_dot(struct program *prog)
{
	static const struct range ends[] = {
		{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}};
	size_t start = prog->ranges_len;

	return add_ranges(prog, ends, 3) &&
		emit(prog, OP_NOT_CLASS, (int32_t)start, 3);
}

/* After '\'. */
static bool take_escape(struct program *prog)
{
	size_t start = prog->ranges_len;
	uint32_t c = 0;

	if (is_one_of(*prog->p, "dwsDWS")) {
		enum op op = *prog->p >= 'a' ? OP_CLASS : OP_NOT_CLASS;

		return add_named_set(prog, *prog->p++) &&
			emit(prog, op, (int32_t)start,
				(int32_t)(prog->ranges_len - start));
	}
	return take_escaped_char(prog, &c) &&
		emit(prog, OP_CHAR, (int32_t)c, 0);
}

static bool take_alternatives(struct program *prog);

/* After '('. */
static bool take_group(struct program *prog)
{
	bool ok;

	if (prog->p[0] == '?') {
		if (prog->p[1] != ':')
			return false;
		prog->p += 2;
	}
	if (prog->groups == GROUPS_MAX)
		return false;
	prog->groups++;
	ok = take_alternatives(prog) && *prog->p == ')';
	prog->groups--;
	if (ok)
		prog->p++;
	return ok;
}

/* Sets *ret_anchor where a quantifier may not follow. */
static bool take_atom(struct program *prog, bool *ret_anchor)
{
	char c = *prog->p;

	*ret_anchor = c == '^' || c == '$';
	if (is_one_of(c, "*+?{}]"))
		return false;
	if (!is_one_of(c, "^$.[(\\"))
		return emit(prog, OP_CHAR, (int32_t)next_char(&prog->p), 0);
	prog->p++;
	switch (c) {
	case '^':
		return emit(prog, OP_BEGIN, 0, 0);
	case '$':
		return emit(prog, OP_END, 0, 0);
	case '.':
		return take_dot(prog);
	case '[':
		return take_class(prog);
	case '(':
		return take_group(prog);
	default:
		return take_escape(prog);
	}
}

static bool take_number(struct program *prog, unsigned *ret_number)
{
	unsigned number = 0;
	const char *start = prog->p;

	for (; *prog->p >= '0' && *prog->p <= '9'; prog->p++) {
		number = number * 10 + (unsigned)(*prog->p - '0');
		if (number > REPEAT_MAX)
			return false;
	}
	*ret_number = number;
	return prog->p > start;
}

/* `at` to the end of the program, made optional. */
static bool make_optional(struct program *prog, size_t at)
{
	return insert_split(prog, at, 1, (int32_t)(prog->len - at) + 1);
}

static bool make_star(struct program *prog, size_t at)
{
	int32_t n = (int32_t)(prog->len - at);

	return insert_split(prog, at, 1, n + 2) &&
		emit(prog, OP_JUMP, -(n + 1), 0);
}

/* After '{': what was emitted since `at` becomes copies of itself. */
static bool take_counts(struct program *prog, size_t at)
{
	struct instruction piece[PROGRAM_MAX];
	size_t n = prog->len - at;
	bool endless = false;
	unsigned least = 0;
	unsigned most = 0;
	bool ok = take_number(prog, &least);

	most = least;
	if (ok && *prog->p == ',') {
		prog->p++;
		endless = *prog->p == '}';
		ok = endless || take_number(prog, &most);
	}
	if (!ok || *prog->p != '}' || (!endless && most < least))
		return false;
	prog->p++;
	memcpy(piece, &prog->code[at], n * sizeof(piece[0]));
	prog->len = at;
	/* One more for "endless": the starred copy. */
	for (unsigned i = 0; ok && i < most + endless; i++) {
		size_t copy = prog->len;

		if (n > PROGRAM_MAX - prog->len)
			return false;
		memcpy(&prog->code[copy], piece, n * sizeof(piece[0]));
		prog->len += n;
		if (i >= least)
			ok = endless ? make_star(prog, copy)
				     : make_optional(prog, copy);
	}
	return ok;
}

static bool take_quantifier(struct program *prog, size_t at)
{
	int32_t n = (int32_t)(prog->len - at);
	char c = *prog->p;
	bool ok;

	if (!is_one_of(c, "*+?{"))
		return true;
	prog->p++;
	if (c == '*')
		ok = make_star(prog, at);
	else if (c == '+')
		ok = emit(prog, OP_SPLIT, -n, 1);
	else if (c == '?')
		ok = make_optional(prog, at);
	else
		ok = take_counts(prog, at);
	/* Laziness changes what is captured, not whether there is a match. */
	if (ok && *prog->p == '?')
		prog->p++;
	return ok;
}

static bool take_sequence(struct program *prog)
{
	while (!is_one_of(*prog->p, "|)") && *prog->p) {
		size_t at = prog->len;
		bool anchor = false;

		if (!take_atom(prog, &anchor) ||
			(anchor && is_one_of(*prog->p, "*+?{")) ||
			!take_quantifier(prog, at))
			return false;
	}
	return true;
}

/* A|B|C grows to the right: what stands so far becomes the left branch. */
static bool take_alternatives(struct program *prog)
{
	size_t at = prog->len;
	bool ok = take_sequence(prog);

	while (ok && *prog->p == '|') {
		size_t jump;

		prog->p++;
		ok = insert_split(prog, at, 1, (int32_t)(prog->len - at) + 2) &&
			emit(prog, OP_JUMP, 0, 0);
		jump = prog->len - 1;
		ok = ok && take_sequence(prog);
		if (ok)
			prog->code[jump].a = (int32_t)(prog->len - jump);
	}
	return ok;
}

static bool compile(const char *pattern, struct program *prog)
{
	prog->len = 0;
	prog->ranges_len = 0;
	prog->groups = 0;
	prog->p = pattern;
	return take_alternatives(prog) && *prog->p == '\0' &&
		emit(prog, OP_MATCH, 0, 0);
}

/* The states that are alive, in no order, each at most once. */
struct states {
	uint16_t list[PROGRAM_MAX];
	size_t len;
	bool on[PROGRAM_MAX];
};

static void push(struct states *states, size_t pc)
{
	if (states->on[pc])
		return;
	states->on[pc] = true;
	states->list[states->len++] = (uint16_t)pc;
}

/*
 * Follow everything that consumes nothing. list grows while it is walked and
 * holds each state once, so this ends.
 */
static void settle(const struct program *prog, struct states *states,
	bool at_begin, bool at_end)
{
	for (size_t i = 0; i < states->len; i++) {
		size_t pc = states->list[i];
		const struct instruction *in = &prog->code[pc];

		switch (in->op) {
		case OP_SPLIT:
			push(states, pc + (size_t)(ptrdiff_t)in->a);
			push(states, pc + (size_t)(ptrdiff_t)in->b);
			break;
		case OP_JUMP:
			push(states, pc + (size_t)(ptrdiff_t)in->a);
			break;
		case OP_BEGIN:
			if (at_begin)
				push(states, pc + 1);
			break;
		case OP_END:
			if (at_end)
				push(states, pc + 1);
			break;
		case OP_CHAR:
		case OP_CLASS:
		case OP_NOT_CLASS:
		case OP_MATCH:
			break;
		}
	}
}

static bool in_ranges(
	const struct program *prog, const struct instruction *in, uint32_t c)
{
	for (int32_t i = in->a; i < in->a + in->b; i++) {
		if (c >= prog->ranges[i].first && c <= prog->ranges[i].last)
			return true;
	}
	return false;
}

static bool consumes(
	const struct program *prog, const struct instruction *in, uint32_t c)
{
	switch (in->op) {
	case OP_CHAR:
		return (uint32_t)in->a == c;
	case OP_CLASS:
		return in_ranges(prog, in, c);
	case OP_NOT_CLASS:
		return !in_ranges(prog, in, c);
	case OP_SPLIT:
	case OP_JUMP:
	case OP_BEGIN:
	case OP_END:
	case OP_MATCH:
		break;
	}
	return false;
}

static bool is_class(enum op op)
{
	return op == OP_CLASS || op == OP_NOT_CLASS;
}

static void clear_states(struct states *states)
{
	for (size_t i = 0; i < states->len; i++)
		states->on[states->list[i]] = false;
	states->len = 0;
}

/* False when the budget ran out. */
static bool run(const struct program *prog, const char *text, size_t *budget,
	bool *ret_match)
{
	struct states sets[2] = {{{0}, 0, {false}}, {{0}, 0, {false}}};
	const size_t last = prog->len - 1; /* OP_MATCH */
	const char *p = text;
	size_t now = 0;

	for (;;) {
		struct states *alive = &sets[now];
		struct states *next = &sets[!now];
		size_t cost = 1;
		uint32_t c;

		push(alive, 0); /* a match may begin anywhere */
		settle(prog, alive, p == text, *p == '\0');
		if (alive->on[last] || *p == '\0') {
			*ret_match = alive->on[last];
			return true;
		}
		c = next_char(&p);
		for (size_t i = 0; i < alive->len; i++) {
			size_t pc = alive->list[i];
			const struct instruction *in = &prog->code[pc];

			if (consumes(prog, in, c))
				push(next, pc + 1);
			/* A class is looked through range by range. */
			cost += 1 + (is_class(in->op) ? (size_t)in->b : 0);
		}
		if (*budget < cost)
			return false;
		*budget -= cost;
		clear_states(alive);
		now = !now;
	}
}

enum x402_err x402__pattern_match(
	const char *pattern, const char *text, size_t *budget, bool *ret_match)
{
	struct program prog;
	/* Compiling moves instructions about; alternatives most of all. */
	size_t cost = 64 + 16 * strlen(pattern);

	if (*budget < cost)
		return X402_ERR_UNSUPPORTED;
	*budget -= cost;
	if (!compile(pattern, &prog) || !run(&prog, text, budget, ret_match))
		return X402_ERR_UNSUPPORTED;
	return X402_OK;
}
