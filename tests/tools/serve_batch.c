/* serve_batch.c - serve_batch() of src/serve/serve.h as a program, for the tests.
 *
 *   serve_batch MODEL PROMPTS OUT */
#include "base/sig.h"
#include "serve/serve.h"

int main(int argc, char **argv)
{
    struct server_opts s = {.host = "127.0.0.1", .load_timeout = 120};
    struct batch_opts b;
    struct batch_summary sum;
    struct err e = {0};
    if (argc != 4)
        return 2;
    const char *prompts[] = {argv[2]};
    batch_defaults(&b);
    s.model = argv[1];
    b.prompts = prompts;
    b.n_prompts = 1;
    b.out = argv[3];
    b.max_tokens = 8;
    b.retry_wait = 0.01;
    sig_install();
    if (!serve_batch(&s, &b, &sum, &e))
        fprintf(stderr, "%s\n", e.msg);
    return (int)e.code;
}
