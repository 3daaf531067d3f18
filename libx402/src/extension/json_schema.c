/*
 * L-057: a bounded subset of JSON Schema 2020-12. Schema and instance both
 * come from strangers, so: nothing is fetched, nothing is guessed, and all
 * work is paid from one budget. First check_schema() looks at the whole
 * schema, so that a keyword we cannot apply is found even where the instance
 * does not reach it; then apply() holds the instance against it.
 *
 * A number written with a fraction (1.0) is never an "integer" here.
 */
#include "pattern_p.h"
#include "x402/bazaar.h"

/*
 * Steps for one validation, a step being a value looked at or a character
 * matched: a few milliseconds. A catalogue entry takes some hundreds.
 */
#define BUDGET_MAX ((size_t)500000)

struct run {
	size_t budget;
	size_t depth;
	struct x402_errinfo *info;
};

static enum x402_err unsupported(struct run *run, const char *what)
{
	x402_errinfo_set(run->info, "schema", "%.80s is not supported", what);
	return X402_ERR_UNSUPPORTED;
}

static enum x402_err misfit(
	struct run *run, const char *field, const char *expected)
{
	x402_errinfo_set(run->info, field, "expected %.100s", expected);
	return X402_ERR_SCHEMA;
}

static enum x402_err spend(struct run *run, size_t steps)
{
	if (run->budget < steps) {
		run->budget = 0;
		return unsupported(run, "a schema that takes this much work");
	}
	run->budget -= steps;
	return X402_OK;
}

/*
 * Trees that were not parsed may be deeper than the parser allows. Counts
 * also when it refuses: every enter() has its depth--.
 */
static enum x402_err enter(struct run *run)
{
	if (run->depth++ >= X402_JSON_MAX_DEPTH)
		return unsupported(run, "this much nesting");
	return spend(run, 1);
}

static const char *const annotations[] = {"$schema", "$id", "$anchor",
	"$comment", "$defs", "$vocabulary", "definitions", "title",
	"description", "default", "example", "examples", "deprecated",
	"readOnly", "writeOnly", "format", "contentEncoding",
	"contentMediaType", "contentSchema"};

static bool in_list(const char *text, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(list[i], text) == 0)
			return true;
	}
	return false;
}

static bool is_type_name(const char *name)
{
	static const char *const names[] = {"null", "boolean", "object",
		"array", "number", "string", "integer"};

	return name && in_list(name, names, sizeof(names) / sizeof(names[0]));
}

static bool is_type_value(const struct x402_json *value)
{
	size_t n = x402_json_size(value);

	if (x402_json_type(value) != X402_JSON_ARRAY)
		return is_type_name(x402_json_string(value));
	for (size_t i = 0; i < n; i++) {
		if (!is_type_name(x402_json_string(x402_json_at(value, i))))
			return false;
	}
	return n > 0;
}

static bool is_string_list(const struct x402_json *value)
{
	for (size_t i = 0; i < x402_json_size(value); i++) {
		if (!x402_json_string(x402_json_at(value, i)))
			return false;
	}
	return x402_json_type(value) == X402_JSON_ARRAY;
}

static bool is_length(const struct x402_json *value)
{
	int64_t number;

	return x402_json_int64(value, &number) && number >= 0;
}

static enum x402_err check_schema(
	struct run *run, const struct x402_json *schema);

static enum x402_err check_properties(
	struct run *run, const struct x402_json *properties)
{
	const struct x402_json *value;
	const char *key;
	void *iter = NULL;
	enum x402_err err = X402_OK;

	if (x402_json_type(properties) != X402_JSON_OBJECT)
		return unsupported(run, "properties that is no object");
	while (!err && x402_json_next(properties, &iter, &key, &value))
		err = check_schema(run, value);
	return err;
}

/* A pattern is tried on nothing: what cannot be compiled is found so. */
static enum x402_err check_pattern(
	struct run *run, const struct x402_json *value)
{
	const char *pattern = x402_json_string(value);
	bool ignored;

	if (!pattern ||
		x402__pattern_match(pattern, "", &run->budget, &ignored))
		return unsupported(run, "this pattern");
	return X402_OK;
}

static enum x402_err check_keyword(
	struct run *run, const char *key, const struct x402_json *value)
{
	bool ok;

	if (strcmp(key, "properties") == 0)
		return check_properties(run, value);
	if (strcmp(key, "items") == 0 ||
		strcmp(key, "additionalProperties") == 0)
		return check_schema(run, value);
	if (strcmp(key, "pattern") == 0)
		return check_pattern(run, value);
	if (strcmp(key, "type") == 0)
		ok = is_type_value(value);
	else if (strcmp(key, "required") == 0)
		ok = is_string_list(value);
	else if (strcmp(key, "enum") == 0)
		ok = x402_json_type(value) == X402_JSON_ARRAY;
	else if (strcmp(key, "minLength") == 0 || strcmp(key, "maxLength") == 0)
		ok = is_length(value);
	else
		ok = strcmp(key, "const") == 0 || strncmp(key, "x-", 2) == 0 ||
			in_list(key, annotations,
				sizeof(annotations) / sizeof(annotations[0]));
	return ok ? spend(run, x402_json_size(value)) : unsupported(run, key);
}

static enum x402_err check_schema(
	struct run *run, const struct x402_json *schema)
{
	const struct x402_json *value;
	const char *key;
	void *iter = NULL;
	enum x402_err err = enter(run);

	if (!err && x402_json_type(schema) != X402_JSON_BOOL &&
		x402_json_type(schema) != X402_JSON_OBJECT)
		err = unsupported(run, "a schema that is no object");
	while (!err && x402_json_next(schema, &iter, &key, &value))
		err = check_keyword(run, key, value);
	run->depth--;
	return err;
}

/* What comparing with this value may cost. Spends it while counting. */
static enum x402_err spend_on(struct run *run, const struct x402_json *value)
{
	const char *text = x402_json_string(value);
	const struct x402_json *member;
	const char *key;
	void *iter = NULL;
	enum x402_err err = enter(run);

	if (!err && text)
		err = spend(run, strlen(text) / 64);
	for (size_t i = 0; !err && x402_json_type(value) == X402_JSON_ARRAY &&
		i < x402_json_size(value);
		i++)
		err = spend_on(run, x402_json_at(value, i));
	while (!err && x402_json_next(value, &iter, &key, &member))
		err = spend_on(run, member);
	run->depth--;
	return err;
}

static bool has_type(const struct x402_json *instance, const char *name)
{
	enum x402_json_type type = x402_json_type(instance);

	switch (type) {
	case X402_JSON_NULL:
		return strcmp(name, "null") == 0;
	case X402_JSON_BOOL:
		return strcmp(name, "boolean") == 0;
	case X402_JSON_INTEGER:
		return strcmp(name, "integer") == 0 ||
			strcmp(name, "number") == 0;
	case X402_JSON_REAL:
		return strcmp(name, "number") == 0;
	case X402_JSON_STRING:
		return strcmp(name, "string") == 0;
	case X402_JSON_ARRAY:
		return strcmp(name, "array") == 0;
	case X402_JSON_OBJECT:
		return strcmp(name, "object") == 0;
	}
	return false;
}

static enum x402_err apply_type(struct run *run, const struct x402_json *type,
	const struct x402_json *instance, const char *field)
{
	const char *name = x402_json_string(type);
	enum x402_err err = spend(run, x402_json_size(type));

	if (err || !type)
		return err;
	for (size_t i = 0; i < x402_json_size(type); i++) {
		if (has_type(instance, x402_json_string(x402_json_at(type, i))))
			return X402_OK;
	}
	if (name && has_type(instance, name))
		return X402_OK;
	return misfit(run, field, name ? name : "one of the schema's types");
}

/* const null is a value here, while x402_json_get calls it absent. */
static enum x402_err apply_values(struct run *run,
	const struct x402_json *schema, const struct x402_json *instance,
	const char *field)
{
	const struct x402_json *list = x402_json_get(schema, "enum");
	const struct x402_json *value = x402_json_get(schema, "const");
	enum x402_err err = X402_OK;
	bool found = !list;

	if (x402_json_has(schema, "const")) {
		err = spend_on(run, value);
		if (!err && !x402_json_equal(value, instance))
			err = misfit(run, field, "the schema's constant");
	}
	for (size_t i = 0; !err && !found && i < x402_json_size(list); i++) {
		value = x402_json_at(list, i);
		err = spend_on(run, value);
		found = !err && x402_json_equal(value, instance);
	}
	if (!err && !found)
		err = misfit(run, field, "one of the schema's values");
	return err;
}

/* Characters, not bytes: continuation bytes do not count. */
static int64_t char_count(const char *text)
{
	int64_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static enum x402_err apply_string(struct run *run,
	const struct x402_json *schema, const char *text, const char *field)
{
	const char *pattern = x402_json_get_string(schema, "pattern");
	int64_t count = char_count(text);
	int64_t bound = 0;
	bool match = true;
	enum x402_err err = spend(run, (size_t)count / 64);

	if (err)
		return err;
	if (x402_json_int64(x402_json_get(schema, "minLength"), &bound) &&
		count < bound)
		return misfit(run, field, "a longer text");
	if (x402_json_int64(x402_json_get(schema, "maxLength"), &bound) &&
		count > bound)
		return misfit(run, field, "a shorter text");
	if (pattern && x402__pattern_match(pattern, text, &run->budget, &match))
		return unsupported(run, "a pattern that takes this much work");
	return match ? X402_OK : misfit(run, field, "the schema's pattern");
}

static enum x402_err apply(struct run *run, const struct x402_json *schema,
	const struct x402_json *instance, const char *field);

static enum x402_err apply_items(struct run *run,
	const struct x402_json *schema, const struct x402_json *instance,
	const char *field)
{
	const struct x402_json *items = x402_json_get(schema, "items");
	enum x402_err err = X402_OK;

	for (size_t i = 0; !err && items && i < x402_json_size(instance); i++)
		err = apply(run, items, x402_json_at(instance, i), field);
	return err;
}

static enum x402_err apply_object(struct run *run,
	const struct x402_json *schema, const struct x402_json *instance)
{
	const struct x402_json *properties = x402_json_get(
		schema, "properties");
	const struct x402_json *others = x402_json_get(
		schema, "additionalProperties");
	const struct x402_json *required = x402_json_get(schema, "required");
	const struct x402_json *value;
	const char *key;
	void *iter = NULL;
	enum x402_err err = X402_OK;

	for (size_t i = 0; !err && i < x402_json_size(required); i++) {
		key = x402_json_string(x402_json_at(required, i));
		err = spend(run, 1 + strlen(key) / 64); /* it is hashed */
		if (!err && !x402_json_has(instance, key))
			err = misfit(run, key, "this member");
	}
	while (!err && x402_json_next(instance, &iter, &key, &value)) {
		const struct x402_json *sub = x402_json_get(properties, key);

		if (!sub)
			sub = others;
		err = sub ? apply(run, sub, value, key) : spend(run, 1);
	}
	return err;
}

/* field names the nearest member, for the reason that people read. */
static enum x402_err apply(struct run *run, const struct x402_json *schema,
	const struct x402_json *instance, const char *field)
{
	bool allowed = true;
	enum x402_err err = enter(run);

	if (!err && x402_json_bool(schema, &allowed) && !allowed)
		err = misfit(run, field, "no such member");
	if (!err)
		err = apply_type(
			run, x402_json_get(schema, "type"), instance, field);
	if (!err)
		err = apply_values(run, schema, instance, field);
	if (!err && x402_json_string(instance))
		err = apply_string(
			run, schema, x402_json_string(instance), field);
	if (!err && x402_json_type(instance) == X402_JSON_ARRAY)
		err = apply_items(run, schema, instance, field);
	if (!err && x402_json_type(instance) == X402_JSON_OBJECT)
		err = apply_object(run, schema, instance);
	run->depth--;
	return err;
}

enum x402_err x402_json_schema_validate(const struct x402_json *schema,
	const struct x402_json *instance, struct x402_errinfo *info)
{
	struct run run = {.budget = BUDGET_MAX, .depth = 0, .info = info};
	enum x402_err err = check_schema(&run, schema);

	return err ? err : apply(&run, schema, instance, "");
}
