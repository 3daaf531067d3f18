/*
 * The value tree: reading, building, sharing, comparing. json_p.h says how
 * it lies in memory, json_read.c makes it from text, json_write.c makes text
 * from it.
 *
 * Building allocates and can fail at every step; whatever was taken is then
 * released, and the tree is as it was.
 */
#include <stdlib.h>

#include "json_p.h"

/* ---- Life. ---- */

void x402__json_doc_free(struct x402__json_doc *doc)
{
	struct x402__json_chunk *chunk = doc->chunks;

	/* The document itself lies in the last chunk of the list. */
	while (chunk) {
		struct x402__json_chunk *next = chunk->next;

		free(chunk);
		chunk = next;
	}
}

static void free_array(struct x402_json *json)
{
	for (uint32_t i = 0; i < json->array.len; i++)
		x402_json_unref(json->array.items[i]);
	if (json->array.cap)
		free(json->array.items);
}

static void free_member(struct x402__json_member *member)
{
	x402_json_unref(member->value);
	if (member->owned)
		free((void *)(uintptr_t)member->key);
}

static void free_object(struct x402_json *json)
{
	for (uint32_t i = 0; i < json->object.len; i++)
		free_member(&json->object.members[i]);
	if (json->object.cap) {
		free(json->object.members);
		free(json->object.order);
	}
}

/*
 * The memory of a document goes as a whole. When nothing but the tree as it
 * was read holds any of its values, there is no need to look at them.
 */
static void free_value(struct x402_json *json)
{
	struct x402__json_doc *doc = json->doc;

	if (doc && doc->root == json && !doc->shared && !doc->changed) {
		x402__json_doc_free(doc);
		return;
	}
	if (json->type == X402_JSON_ARRAY)
		free_array(json);
	else if (json->type == X402_JSON_OBJECT)
		free_object(json);
	if (!doc)
		free(json);
	else if (--doc->live == 0)
		x402__json_doc_free(doc);
}

struct x402_json *x402_json_ref(const struct x402_json *json)
{
	struct x402_json *shared = (struct x402_json *)(uintptr_t)json;

	if (!shared)
		return NULL;
	shared->refs++;
	if (shared->doc)
		shared->doc->shared++;
	return shared;
}

void x402_json_unref(struct x402_json *json)
{
	if (!json)
		return;
	if (json->refs == 1) {
		free_value(json);
		return;
	}
	json->refs--;
	if (json->doc)
		json->doc->shared--;
}

/* ---- Members. ---- */

int x402__json_key_cmp(
	const struct x402__json_member *a, const struct x402__json_member *b)
{
	uint32_t len = a->key_len < b->key_len ? a->key_len : b->key_len;
	int order = memcmp(a->key, b->key, len);

	if (order)
		return order;
	return a->key_len < b->key_len ? -1 : a->key_len > b->key_len;
}

static int by_key(const void *a, const void *b, void *members)
{
	const struct x402__json_member *of = members;

	return x402__json_key_cmp(
		&of[*(const uint32_t *)a], &of[*(const uint32_t *)b]);
}

void x402__json_sort(struct x402_json *object)
{
	for (uint32_t i = 0; i < object->object.len; i++)
		object->object.order[i] = i;
	qsort_r(object->object.order, object->object.len, sizeof(uint32_t),
		by_key, object->object.members);
}

/* Where key is in the index, or where it belongs. */
static uint32_t search(const struct x402_json *object,
	const struct x402__json_member *key, bool *ret_found)
{
	uint32_t low = 0;
	uint32_t high = object->object.len;

	*ret_found = false;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		uint32_t index = object->object.order[middle];
		int order = x402__json_key_cmp(
			&object->object.members[index], key);

		if (order == 0) {
			*ret_found = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* NULL when it is no object or has no such member. */
static struct x402__json_member *find(
	const struct x402_json *object, const char *key)
{
	struct x402__json_member wanted = {.key = key};
	size_t len;
	bool found;

	if (!object || object->type != X402_JSON_OBJECT)
		return NULL;
	len = strlen(key);
	if (len > UINT32_MAX)
		return NULL;
	wanted.key_len = (uint32_t)len;
	if (object->object.len > X402__JSON_SMALL) {
		uint32_t at = search(object, &wanted, &found);

		return found ? &object->object.members[object->object.order[at]]
			     : NULL;
	}
	for (uint32_t i = 0; i < object->object.len; i++) {
		struct x402__json_member *member = &object->object.members[i];

		/* The first byte tells most of them apart. */
		if (member->key_len == len && member->key[0] == key[0] &&
			memcmp(member->key, key, len) == 0)
			return member;
	}
	return NULL;
}

/* ---- Reading. ---- */

enum x402_json_type x402_json_type(const struct x402_json *json)
{
	return json ? (enum x402_json_type)json->type : X402_JSON_NULL;
}

const struct x402_json *x402_json_get(
	const struct x402_json *object, const char *key)
{
	const struct x402__json_member *member = find(object, key);

	return member && member->value->type != X402_JSON_NULL ? member->value
							       : NULL;
}

bool x402_json_has(const struct x402_json *object, const char *key)
{
	return find(object, key) != NULL;
}

size_t x402_json_size(const struct x402_json *json)
{
	switch (x402_json_type(json)) {
	case X402_JSON_ARRAY:
		return json->array.len;
	case X402_JSON_OBJECT:
		return json->object.len;
	case X402_JSON_NULL:
	case X402_JSON_BOOL:
	case X402_JSON_INTEGER:
	case X402_JSON_REAL:
	case X402_JSON_STRING:
		return 0;
	}
	return 0;
}

const struct x402_json *x402_json_at(
	const struct x402_json *array, size_t index)
{
	if (x402_json_type(array) != X402_JSON_ARRAY ||
		index >= array->array.len)
		return NULL;
	return array->array.items[index];
}

const char *x402_json_string(const struct x402_json *json)
{
	return x402_json_type(json) == X402_JSON_STRING ? json->string.text
							: NULL;
}

const char *x402_json_get_string(
	const struct x402_json *object, const char *key)
{
	return x402_json_string(x402_json_get(object, key));
}

bool x402_json_int64(const struct x402_json *json, int64_t *ret_value)
{
	if (x402_json_type(json) != X402_JSON_INTEGER)
		return false;
	*ret_value = json->integer;
	return true;
}

bool x402_json_bool(const struct x402_json *json, bool *ret_value)
{
	if (x402_json_type(json) != X402_JSON_BOOL)
		return false;
	*ret_value = json->boolean;
	return true;
}

bool x402_json_next(const struct x402_json *object, void **iter,
	const char **ret_key, const struct x402_json **ret_value)
{
	/* The iterator is the number of members that were told. */
	uintptr_t told = (uintptr_t)*iter;
	bool more = x402_json_type(object) == X402_JSON_OBJECT &&
		told < object->object.len;

	*iter = more ? (void *)(told + 1) : NULL;
	if (!more)
		return false;
	*ret_key = object->object.members[told].key;
	*ret_value = object->object.members[told].value;
	return true;
}

/* ---- Comparing. ---- */

static bool equal(const struct x402_json *a, const struct x402_json *b);

static bool equal_arrays(const struct x402_json *a, const struct x402_json *b)
{
	if (a->array.len != b->array.len)
		return false;
	for (uint32_t i = 0; i < a->array.len; i++)
		if (!equal(a->array.items[i], b->array.items[i]))
			return false;
	return true;
}

static bool equal_objects(const struct x402_json *a, const struct x402_json *b)
{
	/* Keys are unique, so as many and all found means the same ones. */
	if (a->object.len != b->object.len)
		return false;
	for (uint32_t i = 0; i < a->object.len; i++) {
		const struct x402__json_member *member = &a->object.members[i];
		const struct x402__json_member *other = find(b, member->key);

		if (!other || !equal(member->value, other->value))
			return false;
	}
	return true;
}

static bool equal(const struct x402_json *a, const struct x402_json *b)
{
	if (a->type != b->type)
		return false;
	switch ((enum x402_json_type)a->type) {
	case X402_JSON_NULL:
		return true;
	case X402_JSON_BOOL:
		return a->boolean == b->boolean;
	case X402_JSON_INTEGER:
		return a->integer == b->integer;
	case X402_JSON_REAL:
		/* "1.0" is "1.00": neither less nor more. */
		return !(a->real.value < b->real.value) &&
			!(a->real.value > b->real.value);
	case X402_JSON_STRING:
		return a->string.len == b->string.len &&
			memcmp(a->string.text, b->string.text, a->string.len) ==
			0;
	case X402_JSON_ARRAY:
		return equal_arrays(a, b);
	case X402_JSON_OBJECT:
		return equal_objects(a, b);
	}
	return false;
}

bool x402_json_equal(const struct x402_json *a, const struct x402_json *b)
{
	bool null_a = x402_json_type(a) == X402_JSON_NULL;
	bool null_b = x402_json_type(b) == X402_JSON_NULL;

	if (null_a || null_b)
		return null_a && null_b;
	return equal(a, b);
}

/* ---- Building. ---- */

/* extra bytes behind the value are for its text. */
static struct x402_json *new_value(enum x402_json_type type, size_t extra)
{
	struct x402_json *json = malloc(sizeof(*json) + extra);

	if (!json)
		return NULL;
	memset(json, 0, sizeof(*json));
	json->refs = 1;
	json->type = (uint8_t)type;
	return json;
}

struct x402_json *x402_json_new_object(void)
{
	return new_value(X402_JSON_OBJECT, 0);
}

struct x402_json *x402_json_new_array(void)
{
	return new_value(X402_JSON_ARRAY, 0);
}

struct x402_json *x402_json_new_null(void)
{
	return new_value(X402_JSON_NULL, 0);
}

struct x402_json *x402_json_new_bool(bool value)
{
	struct x402_json *json = new_value(X402_JSON_BOOL, 0);

	if (json)
		json->boolean = value;
	return json;
}

struct x402_json *x402_json_new_int(int64_t value)
{
	struct x402_json *json = new_value(X402_JSON_INTEGER, 0);

	if (json)
		json->integer = value;
	return json;
}

static struct x402_json *new_string(const char *text, size_t len)
{
	struct x402_json *json = new_value(X402_JSON_STRING, len + 1);

	if (!json)
		return NULL;
	memcpy(json + 1, text, len + 1);
	json->string.text = (const char *)(json + 1);
	json->string.len = len;
	return json;
}

/* How much of it is ASCII, eight bytes at a time: nearly always all. */
static size_t count_ascii(const char *text, size_t len)
{
	size_t at = 0;
	uint64_t word;

	for (; at + 8 <= len; at += 8) {
		memcpy(&word, text + at, 8);
		if (word & 0x8080808080808080)
			break;
	}
	while (at < len && (signed char)text[at] > 0)
		at++;
	return at;
}

static bool is_utf8(const char *text, size_t len)
{
	size_t at = count_ascii(text, len);

	while (at < len) {
		size_t n = x402__json_utf8(text + at);

		if (n == 0)
			return false;
		at += n;
	}
	return true;
}

struct x402_json *x402_json_new_string(const char *text)
{
	size_t len = text ? strlen(text) : 0;

	return text && is_utf8(text, len) ? new_string(text, len) : NULL;
}

/* ---- Changing arrays and objects. ---- */

static void note_change(struct x402_json *json)
{
	if (json->doc)
		json->doc->changed = true;
}

/* Room for so many; what lay in a document moves to blocks of its own. */
static bool reserve_items(struct x402_json *array, uint32_t len)
{
	uint32_t cap = array->array.cap;
	struct x402_json **items;

	note_change(array);
	if (len <= cap)
		return true;
	cap = cap ? cap : 8;
	while (cap < len)
		cap = cap > UINT32_MAX / 2 ? UINT32_MAX : cap * 2;
	items = realloc(array->array.cap ? array->array.items : NULL,
		cap * sizeof(struct x402_json *));
	if (!items)
		return false;
	if (!array->array.cap && array->array.len)
		memcpy(items, array->array.items,
			array->array.len * sizeof(struct x402_json *));
	array->array.items = items;
	array->array.cap = cap;
	return true;
}

/* Both blocks or neither: cap says how much both of them hold. */
static bool reserve_members(struct x402_json *object, uint32_t len)
{
	struct x402__json_member *members;
	uint32_t *order = NULL;
	uint32_t cap = object->object.cap ? object->object.cap : 8;

	note_change(object);
	if (len <= object->object.cap)
		return true;
	while (cap < len)
		cap = cap > UINT32_MAX / 2 ? UINT32_MAX : cap * 2;
	members = malloc(cap * sizeof(*members));
	if (cap > X402__JSON_SMALL)
		order = malloc(cap * sizeof(*order));
	if (!members || (cap > X402__JSON_SMALL && !order)) {
		free(members);
		free(order);
		return false;
	}
	if (object->object.len)
		memcpy(members, object->object.members,
			object->object.len * sizeof(*members));
	if (object->object.len > X402__JSON_SMALL)
		memcpy(order, object->object.order,
			object->object.len * sizeof(*order));
	if (object->object.cap) {
		free(object->object.members);
		free(object->object.order);
	}
	object->object.members = members;
	object->object.order = order;
	object->object.cap = cap;
	return true;
}

/* The new last member, whose place has been reserved, enters the index. */
static void index_last(struct x402_json *object)
{
	uint32_t last = object->object.len;
	uint32_t *order = object->object.order;
	bool found;
	uint32_t at;

	if (last < X402__JSON_SMALL) {
		object->object.len++;
	} else if (last == X402__JSON_SMALL) {
		object->object.len++;
		x402__json_sort(object);
	} else {
		at = search(object, &object->object.members[last], &found);
		memmove(order + at + 1, order + at,
			(last - at) * sizeof(*order));
		order[at] = last;
		object->object.len++;
	}
}

/* Takes nothing when it fails. */
static bool add_member(
	struct x402_json *object, const char *key, struct x402_json *value)
{
	size_t len = strlen(key);
	char *copy;

	if (len >= UINT32_MAX || object->object.len == UINT32_MAX ||
		!is_utf8(key, len) ||
		!reserve_members(object, object->object.len + 1))
		return false;
	copy = malloc(len + 1);
	if (!copy)
		return false;
	memcpy(copy, key, len + 1);
	object->object.members[object->object.len] = (struct x402__json_member){
		.key = copy,
		.value = value,
		.key_len = (uint32_t)len,
		.owned = true};
	index_last(object);
	return true;
}

enum x402_err x402_json_set_take(
	struct x402_json *object, const char *key, struct x402_json *value)
{
	struct x402__json_member *member = find(object, key);

	if (!value)
		return X402_ERR_NOMEM;
	if (member && value != object) {
		/* The old value may be what keeps the new one: it goes last. */
		struct x402_json *old = member->value;

		note_change(object);
		member->value = value;
		x402_json_unref(old);
		return X402_OK;
	}
	if (x402_json_type(object) == X402_JSON_OBJECT && value != object &&
		add_member(object, key, value))
		return X402_OK;
	x402_json_unref(value);
	return X402_ERR_NOMEM;
}

enum x402_err x402_json_append_take(
	struct x402_json *array, struct x402_json *value)
{
	if (!value)
		return X402_ERR_NOMEM;
	if (x402_json_type(array) != X402_JSON_ARRAY || value == array ||
		array->array.len == UINT32_MAX ||
		!reserve_items(array, array->array.len + 1)) {
		x402_json_unref(value);
		return X402_ERR_NOMEM;
	}
	array->array.items[array->array.len++] = value;
	return X402_OK;
}

enum x402_err x402_json_set_string(
	struct x402_json *object, const char *key, const char *text)
{
	if (!text)
		return X402_OK;
	return x402_json_set_take(object, key, x402_json_new_string(text));
}

enum x402_err x402_json_set_int(
	struct x402_json *object, const char *key, int64_t value)
{
	return x402_json_set_take(object, key, x402_json_new_int(value));
}

enum x402_err x402_json_set_bool(
	struct x402_json *object, const char *key, bool value)
{
	return x402_json_set_take(object, key, x402_json_new_bool(value));
}

void x402_json_remove(struct x402_json *object, const char *key)
{
	struct x402__json_member *member = find(object, key);
	uint32_t *order;
	uint32_t index;
	uint32_t kept = 0;

	if (!member)
		return;
	index = (uint32_t)(member - object->object.members);
	order = object->object.order;
	/* Whoever else holds the value now does so without the tree. */
	note_change(object);
	free_member(member);
	memmove(member, member + 1,
		(object->object.len - index - 1) * sizeof(*member));
	/* An index that is no longer needed may be left as it is. */
	if (object->object.len > X402__JSON_SMALL)
		for (uint32_t i = 0; i < object->object.len; i++)
			if (order[i] != index)
				order[kept++] = order[i] -
					(order[i] > index ? 1 : 0);
	object->object.len--;
}

/* ---- Copying. ---- */

static bool copy_items(const struct x402_json *from, struct x402_json *to)
{
	if (!reserve_items(to, from->array.len))
		return false;
	for (uint32_t i = 0; i < from->array.len; i++) {
		struct x402_json *item = x402_json_copy(from->array.items[i]);

		if (!item)
			return false;
		to->array.items[to->array.len++] = item;
	}
	return true;
}

static bool copy_members(const struct x402_json *from, struct x402_json *to)
{
	if (!reserve_members(to, from->object.len))
		return false;
	for (uint32_t i = 0; i < from->object.len; i++) {
		const struct x402__json_member *member =
			&from->object.members[i];
		struct x402_json *value = x402_json_copy(member->value);

		if (!value || !add_member(to, member->key, value)) {
			x402_json_unref(value);
			return false;
		}
	}
	return true;
}

static struct x402_json *copy_real(const struct x402_json *from)
{
	size_t len = strlen(from->real.text);
	struct x402_json *to = new_value(X402_JSON_REAL, len + 1);

	if (!to)
		return NULL;
	memcpy(to + 1, from->real.text, len + 1);
	to->real.text = (const char *)(to + 1);
	to->real.value = from->real.value;
	return to;
}

struct x402_json *x402_json_copy(const struct x402_json *json)
{
	struct x402_json *copy = NULL;
	bool whole = true;

	if (!json)
		return NULL;
	switch ((enum x402_json_type)json->type) {
	case X402_JSON_NULL:
		return x402_json_new_null();
	case X402_JSON_BOOL:
		return x402_json_new_bool(json->boolean);
	case X402_JSON_INTEGER:
		return x402_json_new_int(json->integer);
	case X402_JSON_REAL:
		return copy_real(json);
	case X402_JSON_STRING:
		return new_string(json->string.text, json->string.len);
	case X402_JSON_ARRAY:
		copy = x402_json_new_array();
		whole = copy && copy_items(json, copy);
		break;
	case X402_JSON_OBJECT:
		copy = x402_json_new_object();
		whole = copy && copy_members(json, copy);
		break;
	}
	if (whole)
		return copy;
	x402_json_unref(copy);
	return NULL;
}
