/* answer.h - what a server says to a completion request, from the JSON of OpenAI's interface.
 *
 * Formats: the chunks and the whole bodies of POST /v1/chat/completions and POST /v1/completions as
 * llama-server, vLLM and SGLang send them. Of the choices only the first is read (we ask for one). Text that
 * models think aloud comes as reasoning_content (llama-server, SGLang, older vLLM) or reasoning (vLLM).
 * Content is a string or a list of parts. A call of a tool comes in pieces that "index" joins; where a server
 * leaves that out, or gives it twice, a name begins the next call. All of it is input that is not trusted: sizes
 * are bounded, types are checked, characters that cannot be kept are replaced and counted (mend.h). */
#ifndef REAP_SERVE_ANSWER_H
#define REAP_SERVE_ANSWER_H

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "serve/mend.h"
#include <stdint.h>

#define ANSWER_MAX_TEXT  (16u << 20) /* bytes in all: 4 million tokens, more than any context holds */
#define ANSWER_MAX_CALLS 10000

struct answer_call {
    int64_t index; /* of the stream; ANSWER_NO_INDEX, ANSWER_OLD */
    struct buf id, name, arguments;
};
#define ANSWER_NO_INDEX (-1)
#define ANSWER_OLD      (-2) /* the one call of "function_call", which was before tools */

struct answer {
    struct buf text, reasoning, refusal; /* UTF-8, no NUL inside; .s may be NULL */
    struct answer_call *calls;           /* in the order in which they began */
    size_t n_calls, cap_calls;
    uint64_t n_bytes; /* of all these texts */
    struct mended mended;
    char finish[32]; /* finish_reason: "stop", "length", ...; "" while it has not come */
    bool done;       /* [DONE] was seen, or the body was whole */
    bool malformed;  /* the server could not read what the model wrote; what it could read before is here */
    bool has_usage;
    uint64_t prompt_tokens, completion_tokens; /* of usage, the last one that came */
};

/* One event of the stream ("[DONE]" included). False: *e says what is wrong with it, or what the server says
 * went wrong. */
bool answer_event(struct answer *a, const char *data, size_t n, struct err *e);
/* Whether an error's body says that the model wrote what the server's parser of calls and thoughts cannot read,
 * which is an answer of the model and no fault of the server. finish is BATCH_MALFORMED then. */
bool answer_malformed(struct answer *a, const char *body, size_t n);
/* A body that was not streamed. */
bool answer_body(struct answer *a, const char *body, size_t n, struct err *e);
/* The calls as the interface writes them in a message: a list for "tool_calls", an object for "function_call".
 * New references, NULL: none. */
json_t *answer_tool_calls(const struct answer *a);
json_t *answer_function_call(const struct answer *a);
/* All has come: keys of the interface are taken out of it (secret.h), however its pieces were cut. */
void answer_hide(struct answer *a);
void answer_clear(struct answer *a);

/* The error of a body such as {"error":{"message":"..."}}, {"message":"..."}, {"detail":"..."} or plain text:
 * added to b, one line safe for a terminal, at most 300 bytes. Nothing when the body is empty. */
void answer_error_text(struct buf *b, const char *body, size_t n);

#endif
