/*
 * payment.h: the daemon's records: payments, transactions, resources, and the
 * one table that says which state may follow which.
 *
 * Shared by core/ (which decides) and store/ (which keeps, and refuses a step
 * that the table does not have). Plain values; text is NUL-terminated.
 *
 * Not for: the wire. JSON is made in api/.
 * Thread rule: plain values, pure functions.
 */
#ifndef FAC_CORE_PAYMENT_H
#define FAC_CORE_PAYMENT_H

#include "x402/scheme.h"
#include "x402/svm.h"

/* X(name, text in the store and in GET /payments) */
#define FAC_PAYMENT_STATE_MAP(X)                                            \
	X(RESERVED, "reserved")       /* claimed; nothing signed */         \
	X(SIGNED, "signed")           /* bytes journalled; maybe sent */    \
	X(BROADCAST, "broadcast")     /* a node took the bytes */           \
	X(SETTLED, "settled")         /* Transfer log seen */               \
	X(PROVISIONED, "provisioned") /* the provider delivered */          \
	X(REVERTED, "reverted")       /* mined, and no money moved */       \
	X(EXPIRED, "expired")         /* proven: can never settle */        \
	X(CANCELLED, "cancelled")     /* released; nothing was ever sent */ \
	X(REPLACED, "replaced")       /* its bytes can never land; sign anew */

enum fac_payment_state {
#define FAC__STATE_ENUM(name, text) FAC_PAYMENT_##name,
	FAC_PAYMENT_STATE_MAP(FAC__STATE_ENUM) FAC_PAYMENT_STATE_COUNT
#undef FAC__STATE_ENUM
};

/* May a payment step from one state to the other? The one table. */
bool fac_payment_may_follow(
	enum fac_payment_state from, enum fac_payment_state to);
/*
 * True when no work of the engine remains. A block that falls out of the
 * chain takes SETTLED and REVERTED back to BROADCAST all the same.
 */
bool fac_payment_is_final(enum fac_payment_state state);
/* Never NULL for a state; false for a text that is none. */
const char *fac_payment_state_text(enum fac_payment_state state);
bool fac_payment_state_parse(
	const char *text, enum fac_payment_state *ret_state);

/* "" or "0x" and 64 hex digits. */
#define FAC_HASH_TEXT_SIZE 67
/* 32 hex digits, not to be guessed; names a payment in GET /payments/{id}. */
#define FAC_PAYMENT_ID_SIZE 33
/* Idempotency keys: the header's and payment-identifier's own limits. */
#define FAC_IDEMPOTENCY_SIZE 129
#define FAC_SCHEME_SIZE      24
#define FAC_MESSAGE_SIZE     256
/* Who works on it: 32 hex digits, random for each run of a daemon. */
#define FAC_OWNER_SIZE 33
/* Who asked, for ceilings: an address or the name of a key. */
#define FAC_CALLER_SIZE 64
/* Network as the caller spelled it: CAIP-2 or a v1 name. */
#define FAC_WIRE_NETWORK_SIZE X402_NETWORK_SIZE

/*
 * One payment, from reservation to its end. Pointers are owned by the record
 * (fac_payment_clear) unless the place that hands it out says borrowed.
 */
struct fac_payment {
	uint8_t key32[32]; /* F2: what makes two payments the same */
	char id[FAC_PAYMENT_ID_SIZE];
	char network[X402_NETWORK_SIZE];          /* CAIP-2 */
	char wire_network[FAC_WIRE_NETWORK_SIZE]; /* as answered */
	struct x402_settle_proof proof; /* asset, payer, payee, amount, nonce */
	uint64_t valid_before_unix_s;
	char scheme[FAC_SCHEME_SIZE];
	int x402_version;
	uint8_t fingerprint32[32];  /* of the whole request */
	uint8_t payload_hash32[32]; /* of its paymentPayload */
	/* Both "" when the caller sent none. */
	char idempotency_scope[FAC_IDEMPOTENCY_SIZE];
	char idempotency_key[FAC_IDEMPOTENCY_SIZE];
	char caller[FAC_CALLER_SIZE];
	/* The instance that works on it; "" when it is anybody's. */
	char owner[FAC_OWNER_SIZE];
	/* What to send, so that a restarted daemon can sign it anew. */
	struct x402_address call_to;
	struct x402_buf calldata;
	struct x402_buf state_calldata;
	uint64_t gas_limit;
	/* Solana Pay's; told to the store by reserve, and not read back. */
	struct x402_pubkey references[X402_SVM_REFERENCES_MAX];
	size_t references_len;
	bool may_share;     /* may travel in a batch */
	uint64_t cost_gwei; /* of its gas: an estimate, then what it was */
	enum fac_payment_state state;
	enum x402_reason reason;              /* of an end without success */
	char message[FAC_MESSAGE_SIZE];       /* for a person */
	char transaction[FAC_HASH_TEXT_SIZE]; /* newest hash, or "" */
	uint64_t block_number;                /* where it was mined, or 0 */
	bool credited; /* the one success answer was claimed */
	char *answer;  /* that answer's body, or NULL */
	uint64_t created_ms;
	uint64_t updated_ms;
};

/* X(name, text) */
#define FAC_TRANSACTION_STATE_MAP(X)                                          \
	X(SIGNED, "signed")       /* journalled, maybe sent */                \
	X(BROADCAST, "broadcast") /* a node took it */                        \
	X(MINED, "mined")         /* has a receipt; its block may yet fall */ \
	X(FINAL, "final")         /* so deep that it will not */              \
	X(REPLACED, "replaced")   /* another took its nonce */

enum fac_transaction_state {
#define FAC__TX_ENUM(name, text) FAC_TRANSACTION_##name,
	FAC_TRANSACTION_STATE_MAP(FAC__TX_ENUM) FAC_TRANSACTION_STATE_COUNT
#undef FAC__TX_ENUM
};
const char *fac_transaction_state_text(enum fac_transaction_state state);
bool fac_transaction_state_parse(
	const char *text, enum fac_transaction_state *ret_state);

/* Signed bytes. */
struct fac_attempt {
	uint8_t hash32[32];
	struct x402_buf raw;
	struct x402_u256 max_fee_per_gas;
	struct x402_u256 max_priority_fee_per_gas;
	uint64_t created_ms;
};

/* Times that one nonce may be signed: 12.5% each is a factor of 2.3. */
#define FAC_ATTEMPTS_MAX 8
/* Payments in one transaction: their calldata stays below what nodes take. */
#define FAC_BATCH_MAX 220

/*
 * One nonce of one signer: what it pays for, and every set of bytes that was
 * signed for it. Attempts differ in fees only, so whichever of them lands,
 * the same payments land. keys_len 0: it fills a gap.
 */
struct fac_transaction {
	uint8_t id32[32]; /* hash of the first attempt */
	char network[X402_NETWORK_SIZE];
	struct x402_address signer;
	uint64_t nonce;
	struct fac_attempt attempts[FAC_ATTEMPTS_MAX];
	size_t attempts_len;
	enum fac_transaction_state state;
	uint8_t mined_hash32[32]; /* MINED, FINAL: which attempt */
	uint64_t block_number;    /* ... and where */
	uint8_t block_hash32[32];
	uint64_t created_ms;
	uint8_t (*keys32)[32]; /* settle keys of its payments */
	size_t keys_len;
};

/* One line of a payment's history. */
struct fac_payment_event {
	enum fac_payment_state state;
	uint64_t at_ms;
	char note[FAC_MESSAGE_SIZE];
};

/* Offers and extension names of a resource that filters look at. */
#define FAC_RESOURCE_OFFERS_MAX     16
#define FAC_RESOURCE_EXTENSIONS_MAX 16
/*
 * One entry of the discovery catalogue (F-080 to F-084). Pointers are owned
 * (fac_resource_clear) unless handed out as borrowed. The JSON texts were
 * validated by api/ and are kept as they are.
 */
struct fac_resource {
	char *key;  /* F-081: what makes two entries the same; UNIQUE */
	char *url;  /* the "resource" member */
	char *type; /* "http", "mcp" */
	int x402_version;
	char *accepts_json;    /* array */
	char *extensions_json; /* object, or NULL */
	char *metadata_json;   /* object, or NULL */
	bool settled;          /* a payment for it was settled here */
	uint64_t updated_ms;
	/* For filters only; filled by the caller of put, not read back. */
	struct fac_resource_offer {
		char scheme[FAC_SCHEME_SIZE];
		char network[X402_NETWORK_SIZE];
		char pay_to[X402_ASSET_SIZE];
	} offers[FAC_RESOURCE_OFFERS_MAX];
	size_t offers_len;
	char extension_names[FAC_RESOURCE_EXTENSIONS_MAX][64];
	size_t extension_names_len;
};

/* A payment's id as bytes and as text; false for a text that is none. */
void fac_payment_id_text(
	const uint8_t id16[16], char ret_id[FAC_PAYMENT_ID_SIZE]);
X402_MUST_USE bool fac_payment_id_bytes(const char *id, uint8_t ret_id16[16]);

/* The parties of a proof as they are stored: 20 bytes, or 32 for Solana. */
enum fac_party { FAC_PARTY_ASSET, FAC_PARTY_PAYER, FAC_PARTY_PAY_TO };
struct x402_span fac_proof_party(
	const struct x402_settle_proof *proof, enum fac_party party);
/* False for another length. Sets the family. */
X402_MUST_USE bool fac_proof_set_party(struct x402_settle_proof *proof,
	enum fac_party party, struct x402_span bytes);

/* Of 64 bytes in base58, or "0x" and 64 digits. */
#define FAC_TRANSACTION_TEXT_SIZE X402_SVM_SIGNATURE_TEXT_SIZE
/*
 * How its transaction is named on the wire; "" while there is none. Inside
 * and in the store it is a hash for both families: Solana's is the SHA-256 of
 * the signature, which stands in the calldata.
 */
void fac_payment_transaction_text(const struct fac_payment *payment,
	char ret_text[FAC_TRANSACTION_TEXT_SIZE]);
/* The way back, for looking one up: a text of either family. */
X402_MUST_USE bool fac_transaction_text_hash(
	const char *text, uint8_t ret_hash32[32]);

/* Who must send it, if it is bound to one: NOT_FOUND if it is not. */
X402_MUST_USE enum x402_err fac_payment_sender(
	const struct fac_payment *payment, struct x402_address *ret_sender);

void fac_payment_clear(struct fac_payment *payment);
/* Deep copy. Out of memory aborts (style.md 5). */
void fac_payment_copy(
	const struct fac_payment *from, struct fac_payment *ret_payment);
void fac_transaction_clear(struct fac_transaction *transaction);
void fac_transaction_copy(const struct fac_transaction *from,
	struct fac_transaction *ret_transaction);
void fac_resource_clear(struct fac_resource *resource);

#endif
