/*
 * model.h: a language model over HTTP, in the two forms that most servers
 * speak: OpenAI's chat completions and Gemini's generateContent.
 */
#ifndef AGENT_MODEL_H
#define AGENT_MODEL_H

#include <x402/client.h>
#include <x402/json.h>

enum model_style { MODEL_OPENAI, MODEL_GEMINI };

struct model {
	enum model_style style;
	const char *url;  /* ".../v1", or ".../v1beta" for Gemini */
	const char *name; /* of the model */
	const char *key;  /* NULL: none is sent */
	struct x402_client
		*client;         /* has no wallet: a model is not paid here */
	struct x402_json *turns; /* of the conversation */
	struct x402_json *tools; /* as the style wants them */
};

/* What the model wants next: a tool, or to say something. */
struct model_turn {
	char *tool; /* NULL: text is the answer */
	struct x402_json *arguments;
	char *text;
	char *id; /* of the call, where the style has one */
};

/* Memory that is out ends the program. */
void model_begin(
	struct model *model, const char *instructions, const char *question);
/* parameters: JSON Schema of an object; taken. */
void model_add_tool(struct model *model, const char *name,
	const char *description, struct x402_json *parameters);
/* False: it did not answer as it should; error says how. */
bool model_ask(
	struct model *model, struct model_turn *ret_turn, char error[256]);
void model_add_result(
	struct model *model, const struct model_turn *turn, const char *result);
void model_turn_clear(struct model_turn *turn);
void model_clear(struct model *model);

/* For building: memory that is out ends the program. */
struct x402_json *json_object(void);
struct x402_json *json_array(void);
void json_set(struct x402_json *object, const char *key,
	struct x402_json *value_taken);
void json_text(struct x402_json *object, const char *key, const char *text);
void json_add(struct x402_json *array, struct x402_json *value_taken);

#endif
